"""The event table: every event code with name, direction, flags and parameters; syscall names.

Facts live in events.json and syscalls.json beside this file (schema 4.5.1 of the scap event
schema). Source: spec/events.yaml, spec/syscalls.yaml.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr


class Param(Struct, frozen=True):
    """One parameter of an event type.

    type: parameter type without its PT_ prefix. format: DEC, HEX, OCT, ID, NA ... table: name of
    the value table of flags. dirfd: index of the parameter that a relative path is relative to.
    """

    name: str
    type: str
    format: str
    table: str = ""
    dirfd: int = -1


class EventType(Struct, frozen=True, dict=True):
    """One event code. Enter events have even codes, exit events odd ones."""

    code: int
    id: str
    name: str
    is_enter: bool
    categories: tuple[str, ...]
    flags: frozenset[str]
    sc: tuple[str, ...]
    params: tuple[Param, ...]

    @property
    def param_index(self) -> dict[str, int]:
        """Parameter name -> index (computed once)."""
        cached: dict[str, int] | None = self.__dict__.get("_param_index")
        if cached is None:
            cached = {param.name: index for index, param in enumerate(self.params)}
            self.__dict__["_param_index"] = cached
        return cached


class Conversion(Struct, frozen=True, rename={"from_": "from"}):
    """How an old event version becomes the current one (spec/scap-format.md section 12)."""

    from_: str
    code: int
    nparams: int
    action: str
    to: str = ""
    instr: tuple[tuple[str, int, str], ...] = ()


class Syscall(Struct, frozen=True):
    """One system call: ppm_sc number, native numbers by architecture, the event given at exit."""

    sc: int
    name: str
    nr: dict[str, int]
    exit: str
    events: tuple[str, ...]
    state: bool


class EventTable(Struct, frozen=True):
    """All event types in code order, with the tables that print their values."""

    schema_version: str
    api_version: str
    events: tuple[EventType, ...]
    value_tables: dict[str, tuple[tuple[str, int], ...]]
    dynamic_tables: dict[str, tuple[tuple[int, str, str], ...]]
    conversions: tuple[Conversion, ...]


class SyscallTable(Struct, frozen=True):
    """All known system calls in ppm_sc order and their named groups."""

    syscalls: tuple[Syscall, ...]
    sets: dict[str, frozenset[str]]


@cache
def load_event_table() -> EventTable:
    """The event table (read once per process)."""
    table = msgspec.json.decode(
        files(__package__).joinpath("events.json").read_bytes(), type=EventTable
    )
    _share_equal_parts(table.events)
    return table


def _share_equal_parts(events: Iterable[EventType]) -> None:
    """Let equal parts of events be one: a few words and parameters make up most of the table."""
    seen: dict[object, Any] = {}
    for event in events:
        params = tuple([seen.setdefault(param, param) for param in event.params])
        for name, value in (
            ("name", event.name),
            ("categories", event.categories),
            ("flags", event.flags),
            ("sc", event.sc),
            ("params", params),
        ):
            force_setattr(event, name, seen.setdefault(value, value))


@cache
def load_syscall_table() -> SyscallTable:
    """The syscall table (read once per process)."""
    return msgspec.json.decode(
        files(__package__).joinpath("syscalls.json").read_bytes(), type=SyscallTable
    )


@cache
def event_type(event_id: str) -> EventType:
    """The event type with this PPME_ id. Raises KeyError."""
    for event in load_event_table().events:
        if event.id == event_id:
            return event
    raise KeyError(event_id)
