"""Poll list fields: the descriptors that poll and ppoll wait for.

Source: fields catalogue class "fdlist".
"""

from collections.abc import Callable

from exporter.events.addresses import ip_text
from exporter.events.event import Event
from exporter.events.fd import Fd
from exporter.events.params import PollFd
from exporter.events.paths import find_fd
from exporter.events.table import EventType
from exporter.rules.fields.fd_facts import CONNECTIONS, LISTENERS, both_filled, own_address
from exporter.rules.fields.field import UNKNOWN, Field, FieldClass, Reader
from exporter.rules.fields.field import ValueType as T

_POLL_IDS = frozenset({"PPME_SYSCALL_POLL_X", "PPME_SYSCALL_PPOLL_X"})


def _no_list(event_type: EventType) -> object:
    return UNKNOWN if event_type.id in _POLL_IDS else None


def _joined(text: Callable[[int, Fd | None], bytes | None]) -> Reader:
    def reader(event: Event) -> bytes | None:
        items: tuple[PollFd, ...] | None = (
            event.named_param("fds") if event.type.id in _POLL_IDS else None
        )
        if items is None or event.thread is None:
            return None
        texts = [text(item.fd, find_fd(event, item.fd)) for item in items]
        return b",".join([found for found in texts if found is not None]) or None

    return reader


def _name(_number: int, fd: Fd | None) -> bytes:
    return b"<NA>" if fd is None or not fd.name else fd.name


def _source(fd: Fd | None) -> tuple[bytes, int] | None:
    """The client's end; lists show it whether or not the socket has a role yet."""
    return both_filled(fd)[0] if fd is not None and fd.type in CONNECTIONS else None


def _dest(fd: Fd | None) -> tuple[bytes, int] | None:
    """The server's end, or what a listening socket is bound to."""
    if fd is None:
        return None
    if fd.type in CONNECTIONS:
        return both_filled(fd)[1]
    return own_address(fd) if fd.type in LISTENERS else None


def _address(end: tuple[bytes, int] | None) -> bytes | None:
    return None if end is None else ip_text(end[0])


def _port(end: tuple[bytes, int] | None) -> bytes | None:
    return None if end is None else b"%d" % end[1]


CLASS = FieldClass(
    "fdlist",
    "fields of the descriptor lists of poll calls",
    ("syscall",),
    (
        Field(
            "fdlist.nums",
            T.CHARBUF,
            "poll/ppoll: fd numbers joined by commas",
            _joined(lambda number, _: b"%d" % number),
            constant=_no_list,
        ),
        Field(
            "fdlist.names",
            T.CHARBUF,
            "poll/ppoll: fd names joined by commas (<NA> for unknown)",
            _joined(_name),
            constant=_no_list,
        ),
        Field(
            "fdlist.cips",
            T.CHARBUF,
            "poll/ppoll: client addresses",
            _joined(lambda _, fd: _address(_source(fd))),
            constant=_no_list,
        ),
        Field(
            "fdlist.sips",
            T.CHARBUF,
            "poll/ppoll: server addresses",
            _joined(lambda _, fd: _address(_dest(fd))),
            constant=_no_list,
        ),
        Field(
            "fdlist.cports",
            T.CHARBUF,
            "poll/ppoll: client ports",
            _joined(lambda _, fd: _port(_source(fd))),
            constant=_no_list,
        ),
        Field(
            "fdlist.sports",
            T.CHARBUF,
            "poll/ppoll: server ports",
            _joined(lambda _, fd: _port(_dest(fd))),
            constant=_no_list,
        ),
    ),
)
