"""Catalogue: finds the field that a text names, for one event source.

Source: rule-language.md section 6 (classes in a fixed order, longest name wins, arguments).
"""

import difflib
import re
from functools import cache, lru_cache

from exporter.events.table import load_event_table, load_syscall_table
from exporter.rules.fields import (
    container,
    evt,
    fd,
    fdlist,
    fs_path,
    generic,
    json_event,
    k8s_audit,
    process,
    user,
    util,
)
from exporter.rules.fields.field import Arg, ArgKind, Field, FieldClass, FieldUse, ValueType

SYSCALL = "syscall"

CLASSES: tuple[FieldClass, ...] = (
    generic.CLASS,
    evt.CLASS,
    process.CLASS,
    user.USER_CLASS,
    user.GROUP_CLASS,
    fd.CLASS,
    fs_path.CLASS,
    util.CLASS,
    fdlist.CLASS,
    container.CLASS,
    k8s_audit.CLASS,
    json_event.CLASS,
)
"""Every field class, in the order names are resolved."""

CONTAINER_EVENTS = frozenset({"container", "container_removed"})
"""Asynchronous events that tell of containers."""

_NAME = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*(?:\.[a-zA-Z]+[a-zA-Z0-9_]*)+")
_INDEX = re.compile(r"[+-]?[0-9]+")
_MAX_INDEX = 0xFFFFFFFFFFFFFFFF
_MAX_FOUND = 4096


class UnknownArgumentError(Exception):
    """A field exists but its dotted argument names nothing; the message is for the user."""


def classes_of(source: str) -> tuple[FieldClass, ...]:
    """The field classes that rules of this event source may use."""
    return tuple(cls for cls in CLASSES if not cls.sources or source in cls.sources)


@lru_cache(maxsize=64)
def fields_of(source: str) -> dict[str, Field]:
    """Every field of this event source by name."""
    found: dict[str, Field] = {}
    for cls in classes_of(source):
        for field in cls.fields:
            found.setdefault(field.name, field)
    return found


@cache
def parameter_types() -> dict[str, ValueType]:
    """Every parameter name of the event table -> type in the first event that has it."""
    types: dict[str, ValueType] = {}
    for event in load_event_table().events:
        for param in event.params:
            types.setdefault(param.name, ValueType(param.type))
    return types


@cache
def event_names() -> frozenset[str]:
    """Every name that `evt.type` can be compared with: event names and system call names."""
    events = {event.name for event in load_event_table().events}
    calls = {call.name for call in load_syscall_table().syscalls}
    return frozenset(events | calls | CONTAINER_EVENTS)


def find_field(name: str, arg: str | None, source: str) -> FieldUse | None:
    """The field that `name` or `name[arg]` names; None when there is none.

    name: with its dotted argument, such as "evt.arg.flags". Raises UnknownArgumentError when a
    dotted argument names no parameter or event.
    """
    return _find(name, arg, source)


# Bounded, for the texts are those of rules, which reloads may change for ever.
@lru_cache(maxsize=_MAX_FOUND)
def _find(name: str, arg: str | None, source: str) -> FieldUse | None:
    fields = fields_of(source)
    field = fields.get(name)
    suffix: str | None = None
    if field is None:
        # Dotted arguments: the longest field name that is a prefix and takes a suffix.
        stem = name
        while field is None and "." in stem:
            stem = stem.rpartition(".")[0]
            field = fields.get(stem)
        if field is None or field.arg not in {ArgKind.SUFFIX, ArgKind.SUFFIX_OR_INDEX}:
            return None
        suffix = name[len(stem) + 1 :]
        if arg is not None:
            return None
        return _use(field, name, _checked_suffix(field, suffix))
    if arg is None:
        return None if field.is_arg_required else _use(field, name, None)
    parsed = _parse_arg(field.arg, arg)
    return None if parsed is None else _use(field, f"{name}[{arg}]", parsed)


def _parse_arg(kind: ArgKind, text: str) -> Arg:
    if kind in {ArgKind.INDEX, ArgKind.INDEX_OR_KEY, ArgKind.SUFFIX_OR_INDEX} and _INDEX.fullmatch(
        text
    ):
        index = int(text)
        return index if abs(index) <= _MAX_INDEX else None
    if kind in {ArgKind.KEY, ArgKind.INDEX_OR_KEY}:
        return text.encode("utf-8", "surrogateescape")
    return None


def _checked_suffix(field: Field, suffix: str) -> str:
    if field.name in {"evt.arg", "evt.rawarg"} and suffix not in parameter_types():
        raise UnknownArgumentError(f"unknown event argument {suffix}")
    if field.name == "evt.type.is" and suffix not in event_names():
        raise UnknownArgumentError(f"unknown event type {suffix}")
    return suffix


def _use(field: Field, text: str, arg: Arg) -> FieldUse | None:
    if arg is None and field.read is not None:
        read = field.read
    elif field.bind is not None:
        read = field.bind(arg)
    else:
        return None
    kind = field.type
    if field.name == "evt.rawarg":
        kind = parameter_types()[str(arg)]
    if field.name == "evt.abspath" and arg not in {None, "src", "dst"}:
        return None
    return FieldUse(
        text=text,
        field=field,
        arg=arg,
        type=kind,
        read=read,
        each=field.each if arg is None else None,
        is_list=field.is_list,
    )


def is_field(text: str, source: str) -> bool:
    """Whether the whole text names a field, argument included."""
    match = _NAME.match(text)
    if match is None:
        return False
    rest = text[match.end() :]
    if rest and not (rest[0] == "[" and rest[-1] == "]"):
        return False
    arg = rest[1:-1].strip("\"'") if rest else None
    try:
        return find_field(match.group(), arg, source) is not None
    except UnknownArgumentError:
        return False


def nearest_fields(name: str, source: str, limit: int = 3) -> list[str]:
    """Known names most like this one, best first; for "did you mean"."""
    visible = [name for name, field in fields_of(source).items() if not field.is_deprecated]
    return difflib.get_close_matches(name, visible, n=limit, cutoff=0.7)
