"""CPU fields of threads: what scheduler switches and the CPU reports of old agents tell.

Each use of a field in a rule or an output keeps the memory that it needs. Source: fields catalogue
class "process".
"""

from collections.abc import Callable

from exporter.events.event import Event
from exporter.rules.fields.field import Arg, Reader

_SWITCHES = frozenset({"PPME_SCHEDSWITCH_1_E", "PPME_SCHEDSWITCH_6_E"})
_PROCINFO = "PPME_PROCINFO_E"
_MAX_THREADS = 65536
"""Threads remembered by one use of a field; past it all start anew."""


def _bind_slice() -> Callable[[Event], int]:
    """Reader of the time since the switch before on the same CPU; 0 for all other events."""
    switched: dict[int, int] = {}

    def read(event: Event) -> int:
        if event.type.id not in _SWITCHES:
            return 0
        before = switched.get(event.cpu, 0)
        switched[event.cpu] = event.ts_ns
        return event.ts_ns - before if before else 0

    return read


def bind_slice(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Reader of thread.exectime, ns."""
    last = _bind_slice()
    return lambda event: None if event.thread is None else last(event)


def bind_total(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Reader of thread.totexectime, ns: all slices of the thread so far."""
    last = _bind_slice()
    totals: dict[int, int] = {}

    def read(event: Event) -> int | None:
        if event.thread is None:
            return None
        _bound(totals)
        total = totals[event.tid] = totals.get(event.tid, 0) + last(event)
        return total

    return read


def bind_share(*indices: int) -> Callable[[Arg], Reader]:
    """Binder of thread.cpu fields: percent since the last report of the thread, at most 100.

    indices: parameters of the report that are added up, user 0 and system 1.
    """

    def bind(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
        reported: dict[int, int] = {}

        def read(event: Event) -> float | None:
            if event.type.id != _PROCINFO or event.thread is None:
                return None
            _bound(reported)
            now = sum(event.param(index) or 0 for index in indices)
            before = reported.get(event.tid, 0)
            reported[event.tid] = now
            return min(float((now - before) % (1 << 64)), 100.0) if before else 0.0

        return read

    return bind


def _bound(memory: dict[int, int]) -> None:
    if len(memory) >= _MAX_THREADS:
        memory.clear()
