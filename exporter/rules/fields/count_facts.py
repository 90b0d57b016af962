"""What the counting fields read: bytes moved, errors by class, reports on threads.

Source: fields catalogue class "evt".
"""

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType
from exporter.rules.fields.evt_facts import FILE_TYPES, INET_TYPES, IO_CATEGORIES, result
from exporter.rules.fields.field import Reader
from exporter.rules.fields.open_facts import OPENING_IDS

_CONNECTING_IDS = frozenset({
    "PPME_SOCKET_ACCEPT_5_X", "PPME_SOCKET_ACCEPT4_6_X", "PPME_SOCKET_CONNECT_X",
})  # fmt: skip


def transferred(event: Event, *, is_wanted: bool = True) -> int | None:
    """Bytes moved by an input or output call that succeeded; None unless is_wanted."""
    if not is_wanted or event.fd is None or IO_CATEGORIES.isdisjoint(event.type.categories):
        return None
    value = result(event)
    return value if value is not None and value >= 0 else None


def _of_file(fd: Fd | None) -> bool:
    return fd is not None and fd.type in FILE_TYPES


def _of_net(fd: Fd | None) -> bool:
    return fd is not None and (fd.type in INET_TYPES or fd.type is FdType.UNIX)


def is_plain_file(fd: Fd | None) -> bool:
    """Whether a descriptor is of a file, directories left out."""
    return fd is not None and fd.type in {FdType.FILE, FdType.FILE_V2}


def is_inet(fd: Fd | None) -> bool:
    """Whether a descriptor is an IPv4 or IPv6 socket."""
    return fd is not None and fd.type in INET_TYPES


def _error_classes(event: Event) -> tuple[str, ...]:
    """Counts an error of this event goes into: one of a mapped file goes into two."""
    fd = event.fd
    in_memory = "EC_MEMORY" in event.type.categories
    kind = "other"
    if _of_file(fd) or (fd is None and event.type.id in OPENING_IDS):
        kind = "file"
    elif _of_net(fd) or (fd is None and event.type.id in _CONNECTING_IDS):
        kind = "net"
    elif fd is None and in_memory:
        return ("memory",)
    return (kind, "memory") if in_memory else (kind,)


def error_count(event: Event) -> int | None:
    """1 for a failed call, 0 for another; None for events without a return value."""
    value = result(event)
    return None if value is None else int(value < 0)


def error_count_of(kind: str) -> Reader:
    """The same for errors of one class (file, net, memory, other)."""
    return lambda event: error_count(event) if kind in _error_classes(event) else None


def is_procinfo(event: Event) -> bool:
    """Whether this is a periodic report on a thread."""
    return event.type.id == "PPME_PROCINFO_E"


def is_main_procinfo(event: Event) -> bool:
    """The same on the main thread of a process."""
    return is_procinfo(event) and event.thread is not None and event.thread.is_main
