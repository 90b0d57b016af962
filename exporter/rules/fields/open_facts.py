"""What the fields about opening read: flags and mode of the open family.

Source: fields catalogue class "evt"; state-tracking.md section 6.
"""

from exporter.events.event import Event
from exporter.events.table import EventType
from exporter.rules.fields.evt_facts import result
from exporter.rules.fields.field import UNKNOWN

# Where flags and mode stand in the parameters of the open family.
_OPEN_FLAGS = {
    "PPME_SYSCALL_OPEN_X": (2, 3),
    "PPME_SYSCALL_OPENAT_E": (2, 3),
    "PPME_SYSCALL_OPENAT_2_X": (3, 4),
    "PPME_SYSCALL_OPENAT2_X": (3, 4),
    "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X": (2, None),
}
_CREAT_IDS = frozenset({"PPME_SYSCALL_CREAT_E", "PPME_SYSCALL_CREAT_X"})
OPENING_IDS = _OPEN_FLAGS.keys() | _CREAT_IDS
_O_RDONLY = 1 << 0
_O_WRONLY = 1 << 1
_O_CREAT = 1 << 2
_O_TMPFILE = 1 << 13
_O_F_CREATED = 1 << 14
_ANY_EXEC_BIT = 0o111


def _open_flags(event: Event) -> int:
    """Flags of the open family; 0 for other events and a missing parameter."""
    places = _OPEN_FLAGS.get(event.type.id)
    return 0 if places is None else event.param(places[0]) or 0


def _open_mode(event: Event) -> int:
    """Mode of the open family; 0 for other events and a missing parameter."""
    places = _OPEN_FLAGS.get(event.type.id)
    mode = None if places is None else places[1]
    return 0 if mode is None else event.param(mode) or 0


def is_open_read(event: Event) -> bool:
    """Whether a file is opened for reading."""
    return bool(_open_flags(event) & _O_RDONLY)


def is_open_write(event: Event) -> bool:
    """Whether a file is opened for writing."""
    return bool(_open_flags(event) & _O_WRONLY)


def is_open_exec(event: Event) -> bool:
    """Whether a file is created that somebody may execute."""
    if event.type.id in _CREAT_IDS:
        return bool((event.named_param("mode") or 0) & _ANY_EXEC_BIT)
    makes = _open_flags(event) & (_O_CREAT | _O_TMPFILE)
    return bool(makes and _open_mode(event) & _ANY_EXEC_BIT)


def is_open_create(event: Event) -> bool:
    """Whether the call created the file, or would have."""
    flags = _open_flags(event)
    if flags & _O_F_CREATED:
        return True
    return bool(flags & _O_TMPFILE) and (result(event) or 0) >= 0


def not_open(event_type: EventType) -> object:
    """False for types outside the open family, UNKNOWN for the others."""
    return UNKNOWN if event_type.id in _OPEN_FLAGS else False


def not_open_or_creat(event_type: EventType) -> object:
    """False for types that are neither creat nor of the open family."""
    return UNKNOWN if event_type.id in _CREAT_IDS else not_open(event_type)
