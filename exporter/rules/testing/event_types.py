"""Event types by the names that rules and tests use."""

from functools import cache

from exporter.events.table import EventType, event_type, load_event_table, load_syscall_table

GENERIC_ID = "PPME_GENERIC_X"


@cache
def find_event_type(name: str) -> EventType | None:
    """The newest exit (else the newest) event of a name; the generic one for other system calls.

    None when there is neither an event nor a system call of that name.
    """
    named = [
        event
        for event in load_event_table().events
        if event.name == name and "EF_UNUSED" not in event.flags and event.id != GENERIC_ID
    ]
    current = [event for event in named if "EF_OLD_VERSION" not in event.flags] or named
    exits = [event for event in current if not event.is_enter] or current
    if exits:
        return exits[-1]
    return event_type(GENERIC_ID) if generic_number(name) else None


@cache
def generic_number(name: str) -> int:
    """Number (ppm_sc) of a system call that has no event of its own; 0 when there is none."""
    for call in load_syscall_table().syscalls:
        if call.name == name and GENERIC_ID in call.events:
            return call.sc
    return 0


@cache
def event_names() -> tuple[str, ...]:
    """Every name that `find_event_type` knows."""
    names = {event.name for event in load_event_table().events if "EF_UNUSED" not in event.flags}
    names |= {call.name for call in load_syscall_table().syscalls}
    return tuple(sorted(name for name in names if find_event_type(name) is not None))
