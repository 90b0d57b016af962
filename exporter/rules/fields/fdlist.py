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
from exporter.rules.fields.fd_facts import client_end, server_end
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
        return b",".join([found for found in texts if found is not None])

    return reader


def _name(_number: int, fd: Fd | None) -> bytes:
    return b"<NA>" if fd is None or not fd.name else fd.name


def _client_ip(_number: int, fd: Fd | None) -> bytes | None:
    end = None if fd is None else client_end(fd)
    return None if end is None else ip_text(end[0])


def _server_ip(_number: int, fd: Fd | None) -> bytes | None:
    end = None if fd is None else server_end(fd)
    return None if end is None else ip_text(end[0])


def _client_port(_number: int, fd: Fd | None) -> bytes | None:
    end = None if fd is None else client_end(fd)
    return None if end is None else b"%d" % end[1]


def _server_port(_number: int, fd: Fd | None) -> bytes | None:
    end = None if fd is None else server_end(fd)
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
            _joined(_client_ip),
            constant=_no_list,
        ),
        Field(
            "fdlist.sips",
            T.CHARBUF,
            "poll/ppoll: server addresses",
            _joined(_server_ip),
            constant=_no_list,
        ),
        Field(
            "fdlist.cports",
            T.CHARBUF,
            "poll/ppoll: client ports",
            _joined(_client_port),
            constant=_no_list,
        ),
        Field(
            "fdlist.sports",
            T.CHARBUF,
            "poll/ppoll: server ports",
            _joined(_server_port),
            constant=_no_list,
        ),
    ),
)
