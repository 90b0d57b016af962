"""What fd fields need of a descriptor beyond its entry: kind, ends, whether an end is local.

Source: state-tracking.md sections 6 and 7.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.paths import absolute
from exporter.events.table import EventType, load_event_table
from exporter.events.text import known_protocol, printable

TYPE_NAMES: Mapping[FdType, bytes] = {
    FdType.FILE: b"file",
    FdType.FILE_V2: b"file",
    FdType.DIRECTORY: b"directory",
    FdType.IPV4: b"ipv4",
    FdType.IPV4_LISTEN: b"ipv4",
    FdType.IPV6: b"ipv6",
    FdType.IPV6_LISTEN: b"ipv6",
    FdType.UNIX: b"unix",
    FdType.PIPE: b"pipe",
    FdType.EVENT: b"event",
    FdType.SIGNALFD: b"signalfd",
    FdType.EVENTPOLL: b"eventpoll",
    FdType.INOTIFY: b"inotify",
    FdType.TIMERFD: b"timerfd",
    FdType.NETLINK: b"netlink",
    FdType.BPF: b"bpf",
    FdType.USERFAULTFD: b"userfaultfd",
    FdType.IO_URING: b"io_uring",
    FdType.MEMFD: b"memfd",
    FdType.PIDFD: b"pidfd",
}

FILES = frozenset({FdType.FILE, FdType.FILE_V2})
CONNECTIONS = frozenset({FdType.IPV4, FdType.IPV6})
LISTENERS = frozenset({FdType.IPV4_LISTEN, FdType.IPV6_LISTEN})
_IPV4 = frozenset({FdType.IPV4, FdType.IPV4_LISTEN})

_L4_NAMES: Mapping[L4Proto, bytes] = {
    L4Proto.TCP: b"tcp",
    L4Proto.UDP: b"udp",
    L4Proto.ICMP: b"icmp",
    L4Proto.RAW: b"raw",
}
_FD_FLAGS = frozenset({"EF_CREATES_FD", "EF_USES_FD", "EF_DESTROYS_FD"})

FD_CODES = frozenset(
    event.code for event in load_event_table().events if not _FD_FLAGS.isdisjoint(event.flags)
)
"""Codes of events that make, use or close a descriptor; fd fields are missing in all others."""

# Path parameter of calls that make a descriptor, for fd.name when they fail.
_CREATORS = {
    "PPME_SYSCALL_OPEN_X": 1,
    "PPME_SYSCALL_CREAT_X": 1,
    "PPME_SYSCALL_OPENAT_2_X": 2,
    "PPME_SYSCALL_OPENAT2_X": 2,
    "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X": 3,
}

_NAMED_BY_TEXT = frozenset({
    "PPME_SYSCALL_OPEN_X", "PPME_SYSCALL_CREAT_X", "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X",
})  # fmt: skip
"""Calls whose failed path is the text of the parameter: an absolute one is not normalised."""

_CHARS_BY_EVENT = {
    "openat": b"f", "openat2": b"f", "creat": b"f",
    "socket": b"4", "accept": b"4", "accept4": b"4",
    "pipe": b"p", "pipe2": b"p", "eventfd": b"e", "eventfd2": b"e",
    "signalfd": b"s", "signalfd4": b"s", "timerfd_create": b"t",
    "inotify_init": b"i", "inotify_init1": b"i",
}  # fmt: skip


def type_name(fd: Fd) -> bytes:
    """The word of fd.type."""
    return TYPE_NAMES.get(fd.type, b"<NA>")


def socket_family(fd: Fd) -> bytes | None:
    """The word of fd.sockfamily."""
    if fd.type in CONNECTIONS or fd.type in LISTENERS:
        return b"ip"
    return b"unix" if fd.type is FdType.UNIX else None


def char_of_event(event_type: EventType) -> bytes:
    """The letter of fd.typechar when there is no entry: what the call would have made."""
    return _CHARS_BY_EVENT.get(event_type.name, b"o")


def protocol_name(fd: Fd) -> bytes:
    """The word of fd.l4proto."""
    return _L4_NAMES.get(known_protocol(fd), b"<NA>")


def creator_path(event: Event) -> tuple[bytes, bytes] | None:
    """Path argument of a call that makes a file descriptor: as passed, and absolute."""
    index = _CREATORS.get(event.type.id)
    if index is None:
        return None
    path = event.param(index)
    if event.type.id in _NAMED_BY_TEXT:
        text = b"<NA>" if path is None else printable(path)
        is_whole = path is None or path[:1] == b"/"
        return text, text if is_whole else absolute(event, path)
    if path is None:
        path = b"<NA>"
    return path, absolute(event, path, event.type.params[index].dirfd)


def directory_of(path: bytes) -> bytes:
    """The part before the last slash; `/` when there is none or only a leading one."""
    at = path.rfind(b"/")
    if at <= 0:
        return b"/"
    return path[:at] if at < len(path) - 1 else path


def _filled(fd: Fd, address: bytes) -> bytes:
    """The address; that of zeros while the socket has none."""
    return address or bytes(4 if fd.type in _IPV4 else 16)


def own_address(fd: Fd) -> tuple[bytes, int]:
    """Address and port a listening socket is bound to."""
    address, port = (fd.sip, fd.sport) if fd.sip or fd.sport else (fd.dip, fd.dport)
    return _filled(fd, address), port


def both_filled(fd: Fd) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Source and dest of a connection, whether or not it has a role."""
    return (_filled(fd, fd.sip), fd.sport), (_filled(fd, fd.dip), fd.dport)


def client_end(fd: Fd) -> tuple[bytes, int] | None:
    """Client address and port of a connection with a role."""
    if fd.type in CONNECTIONS and fd.role is not Role.NONE:
        return both_filled(fd)[0]
    return None


def server_end(fd: Fd) -> tuple[bytes, int] | None:
    """Server address and port of a connection with a role or of a bound listening socket."""
    if fd.role is Role.NONE:
        return None
    if fd.type in CONNECTIONS:
        return both_filled(fd)[1]
    return own_address(fd) if fd.type in LISTENERS else None


def both_ends(fd: Fd) -> tuple[tuple[bytes, int], ...]:
    """Every address and port of a socket, whatever its role."""
    if fd.type in CONNECTIONS:
        return both_filled(fd)
    return (own_address(fd),) if fd.type in LISTENERS else ()


def local_end(event: Event, fd: Fd) -> tuple[bytes, int] | None:
    """The end of a connection with a role that is on this machine."""
    client = client_end(fd)
    if client is None:
        return None
    return client if is_local(event, client[0]) else both_filled(fd)[1]


def remote_end(event: Event, fd: Fd) -> tuple[bytes, int] | None:
    """The other end of the connection."""
    client = client_end(fd)
    if client is None:
        return None
    return both_filled(fd)[1] if is_local(event, client[0]) else client


def is_local(event: Event, address: bytes) -> bool:
    """Whether an address belongs to the machine (or container) of the event's thread."""
    host = event.host
    container_id = b"" if event.thread is None else event.thread.container_id
    if len(address) != 4:
        return not container_id and any(
            len(own.address) == 16 and own.address[:8] == address[:8] for own in host.interfaces
        )
    if container_id:
        text = b".".join(b"%d" % byte for byte in address)
        own_container = host.containers.get(container_id)
        own_ip = b"" if own_container is None else own_container.ip
        if own_ip in {b"", b"0.0.0.0"}:
            return any(other.ip == text for other in host.containers.values())
        if own_ip == text:
            return True
    return any(own.address == address for own in host.interfaces)


@cache
def service_ports() -> dict[str, int]:
    """Service name or alias -> port, of /etc/services."""
    ports: dict[str, int] = {}
    for port, name, aliases in _service_lines():
        for word in (name, *aliases):
            ports.setdefault(word, port)
    return ports


def _service_lines() -> list[tuple[int, str, list[str]]]:
    try:
        text = Path("/etc/services").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        number, _, protocol = words[1].partition("/")
        if number.isdecimal() and protocol in {"tcp", "udp"}:
            found.append((int(number), words[0], words[2:]))
    return found
