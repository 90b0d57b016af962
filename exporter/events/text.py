"""Parameter text: how each parameter of an event is printed (evt.arg.*, evt.args).

Each parameter has two texts, raw and resolved; an empty resolved text means there is none.
Source: spec/state-tracking.md section 8.
"""

import errno
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from exporter.events.addresses import address_text, ip_text, tuple_text
from exporter.events.container import Group, User
from exporter.events.event import Event
from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.params import SIGNED_WIDTHS, UNSIGNED_WIDTHS, PollFd
from exporter.events.paths import AT_FDCWD, UNKNOWN_DIR, concatenate, directory, find_fd
from exporter.events.table import load_event_table, load_syscall_table
from exporter.events.thread import UNKNOWN_ID

_NULL_TYPES = frozenset({
    "BYTEBUF", "SOCKTUPLE", "FDLIST", "CHARBUFARRAY", "CHARBUF_PAIR_ARRAY", "DYN",
})  # fmt: skip

TYPE_CHARS: Mapping[FdType, bytes] = {
    FdType.FILE: b"f",
    FdType.FILE_V2: b"f",
    FdType.DIRECTORY: b"d",
    FdType.IPV4: b"4",
    FdType.IPV4_LISTEN: b"4",
    FdType.IPV6: b"6",
    FdType.IPV6_LISTEN: b"6",
    FdType.UNIX: b"u",
    FdType.PIPE: b"p",
    FdType.EVENT: b"e",
    FdType.SIGNALFD: b"s",
    FdType.EVENTPOLL: b"l",
    FdType.INOTIFY: b"i",
    FdType.TIMERFD: b"t",
    FdType.NETLINK: b"n",
    FdType.BPF: b"b",
    FdType.USERFAULTFD: b"u",
    FdType.IO_URING: b"r",
    FdType.MEMFD: b"m",
    FdType.PIDFD: b"P",
    FdType.UNSUPPORTED: b"X",
    FdType.UNKNOWN: b"o",
}
"""Kind of descriptor -> the letter of fd.typechar."""

_CONNECTIONS = frozenset({FdType.IPV4, FdType.IPV6})
_LISTENERS = frozenset({FdType.IPV4_LISTEN, FdType.IPV6_LISTEN})

_L4_CHARS: Mapping[L4Proto, bytes] = {
    L4Proto.TCP: b"t",
    L4Proto.UDP: b"u",
    L4Proto.ICMP: b"i",
    L4Proto.RAW: b"r",
}

_SIGNALS = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
)  # fmt: skip
"""Signals 1 to 31."""

# Two names of one number: the table of Python knows only one of them, not always the kernel's own.
_ERRNO_NAMES = {
    **errno.errorcode,
    11: "EAGAIN",
    35: "EDEADLK",
    95: "EOPNOTSUPP",
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    515: "ENOIOCTLCMD",
    516: "ERESTART_RESTARTBLOCK",
}

ERRNOS = tuple(_ERRNO_NAMES)
"""Error numbers that have a name, positive."""

_FIRST_NAMED_CODE = 2
"""Codes 0 and 1 are the generic events."""

_NO_TIME = (1 << 64) - 1
_NS = 1_000_000_000


def signal_name(number: int) -> bytes:
    """`SIGKILL` for 9; empty for numbers without a name."""
    return b"SIG" + _SIGNALS[number - 1].encode() if 1 <= number <= len(_SIGNALS) else b""


def errno_name(number: int) -> bytes:
    """`ENOENT` for 2 (a positive errno); empty for numbers without a name."""
    return _ERRNO_NAMES.get(number, "").encode()


def octal_text(value: int) -> bytes:
    """`0755` for 493, `0` for 0."""
    return b"0%o" % value if value else b"0"


def integer_text(value: int, kind: str, form: str) -> bytes:
    """A number in its print format: DEC, HEX (upper case, no prefix) or OCT (a 0 in front)."""
    if form in {"HEX", "OCT"}:
        width = SIGNED_WIDTHS.get(kind) or UNSIGNED_WIDTHS.get(kind, 8)
        unsigned = value & ((1 << 8 * width) - 1)
        return b"%X" % unsigned if form == "HEX" else octal_text(unsigned)
    if kind == "UINT64" and value >= 1 << 63:
        value -= 1 << 64
    return b"%d" % value


@cache
def _table(name: str) -> tuple[tuple[bytes, int], ...]:
    rows = load_event_table().value_tables.get(name, ())
    return tuple((text.encode(), value) for text, value in rows)


def flags_text(value: int, table: str) -> bytes:
    """Names of the bits of a value joined with `|`, taken greedily in the table's order."""
    left = value
    names: list[bytes] = []
    for name, bits in _table(table):
        if bits == value:
            names.append(name)
            break
        if bits and left & bits == bits:
            names.append(name)
            left &= ~bits
    return b"|".join(names)


def enum_text(value: int, table: str) -> bytes:
    """All names of exactly this value joined with `|`."""
    return b"|".join(name for name, number in _table(table) if number == value)


def mode_text(value: int, table: str) -> bytes:
    """The name of exactly this value, else the names of all bits it contains joined with `|`."""
    rows = _table(table)
    exact = next((name for name, number in rows if number == value), None)
    if exact is not None:
        return exact
    return b"|".join(name for name, bits in rows if bits and value & bits == bits)


def dots(data: bytes) -> bytes:
    """The bytes with a dot for each that ASCII cannot print."""
    return data.translate(_DOTS)


_DOTS = bytes(byte if 0x20 <= byte < 0x7F else 0x2E for byte in range(256))
_CONTROLS = bytes((*range(0x20), 0x7F))


def printable(text: bytes) -> bytes:
    """The text without control characters; other languages stay."""
    return text.translate(None, _CONTROLS)


def type_char(fd: Fd) -> bytes:
    """The letter of the kind of descriptor (fd.typechar)."""
    return TYPE_CHARS.get(fd.type, b"o")


def known_protocol(fd: Fd) -> L4Proto:
    """Transport protocol as fields and texts tell it: of a connection only once it has a role.

    Raw sockets always show theirs; what is no ip socket has none.
    """
    if fd.type in _CONNECTIONS:
        return fd.l4 if fd.role is not Role.NONE or fd.l4 is L4Proto.RAW else L4Proto.NA
    return fd.l4 if fd.type in _LISTENERS else L4Proto.NA


def fd_text(fd: Fd) -> bytes:
    """`<f>/path`, `<4t>tuple`, ...: kind, transport protocol and name of a descriptor."""
    letters = type_char(fd) + _L4_CHARS.get(known_protocol(fd), b"")
    return b"<" + letters + b">" + printable(fd.name)


def absolute_time_text(ns: int) -> bytes:
    """Local date and time with nanoseconds and zone; the number itself past the calendar's end."""
    try:
        local = time.localtime(ns // _NS)
    except (OverflowError, OSError):
        return b"%d" % ns
    day = time.strftime("%Y-%m-%d %H:%M:%S", local)
    return f"{day}.{ns % _NS:09d} {time.strftime('%z', local)}".encode()


def param_text(event: Event, index: int) -> tuple[bytes, bytes]:
    """Raw and resolved text of one parameter; the second is empty when there is none.

    Raises IndexError when the event's type has no such parameter.
    """
    param = event.type.params[index]
    value = event.param(index)
    if value is None:
        return (b"NULL" if param.type in _NULL_TYPES else b"<NA>"), b""
    if param.type in {"FSPATH", "FSRELPATH"}:
        return printable(value), _resolved_path(event, value, param.dirfd)
    if param.type == "DYN":
        if value.value is None:
            return b"NULL", b""
        return _value_text(event, value.type, value.format, param.table, value.value)
    return _value_text(event, param.type, param.format, param.table, value)


def arg_text(event: Event, index: int) -> bytes:
    """Text of one parameter as evt.arg shows it: resolved if there is one, else raw."""
    raw, resolved = param_text(event, index)
    return resolved or raw


def args_text(event: Event) -> bytes:
    """All parameters as evt.args shows them, `name=raw` or `name=raw(resolved)`, each with a blank.

    Generic events show none: theirs only say which system call it was.
    """
    if event.type.code < _FIRST_NAMED_CODE:
        return b""
    parts: list[bytes] = []
    for index in range(min(len(event.raw), len(event.type.params))):
        raw, resolved = param_text(event, index)
        name = event.type.params[index].name.encode()
        parts.append(b"%s=%s(%s) " % (name, raw, resolved) if resolved else b"%s=%s " % (name, raw))
    return b"".join(parts)


def _resolved_path(event: Event, path: bytes, dirfd_index: int) -> bytes:
    if path[:1] == b"/":
        return b""
    base = directory(event, dirfd_index)
    # Texts leave out what names give as `<UNKNOWN>`.
    return concatenate(b"" if base is UNKNOWN_DIR else base, path)


def _fd(event: Event, number: int) -> bytes:
    if number >= 0:
        fd = find_fd(event, number)
        if fd is not None:
            return fd_text(fd)
        return _dirfd(event, number)
    return b"AT_FDCWD" if number == AT_FDCWD else errno_name(-number)


def _dirfd(event: Event, number: int) -> bytes:
    """A directory descriptor of a live event: only its path travels with the event."""
    live = event.live
    if live is None:
        return b""
    seen = sorted({param.dirfd for param in event.type.params if param.dirfd >= 0})
    for at, path in zip(seen, (live.dirfd_path, live.dirfd2_path), strict=False):
        if path is not None and event.param(at) == number:
            return b"<d>" + path
    return b""


def _pid(event: Event, number: int) -> bytes:
    thread = event.host.threads.get(number)
    return b"" if thread is None else printable(thread.comm)


def _owner(
    event: Event, number: int, owners: Mapping[tuple[bytes, int], User | Group]
) -> tuple[bytes, bytes]:
    if number == UNKNOWN_ID:
        return b"-1", b"<NONE>"
    container = b"" if event.thread is None else event.thread.container_id
    found = owners.get((container, number))
    if found is None:
        # Root is registered with every host and container that shows it, whatever their files say.
        is_root = number == 0 and owners is event.host.users
        return b"%d" % number, b"root" if is_root else b"<NA>"
    return b"%d" % number, printable(found.name)


def _syscall(_event: Event, number: int) -> tuple[bytes, bytes]:
    syscalls = load_syscall_table().syscalls
    return b"%d" % number, syscalls[number].name.encode() if number < len(syscalls) else b""


def _poll_list(event: Event, items: tuple[PollFd, ...]) -> bytes:
    texts = []
    for item in items:
        fd = find_fd(event, item.fd)
        letter = b"?" if fd is None else type_char(fd)
        texts.append(b"%d:%s%x" % (item.fd, letter, item.flags))
    return b" ".join(texts)


def _relative_time(_event: Event, ns: int) -> tuple[bytes, bytes]:
    return (b"none", b"") if ns == _NO_TIME else (b"%d" % ns, f"{ns / _NS:g}s".encode())


def _signal_set(_event: Event, bits: int) -> tuple[bytes, bytes]:
    return b" ".join(signal_name(n + 1) for n in range(32) if bits >> n & 1), b""


_TEXTS: Mapping[str, Callable[[Event, Any], tuple[bytes, bytes]]] = {
    "PID": lambda event, value: (b"%d" % value, _pid(event, value)),
    "PID32": lambda event, value: (b"%d" % value, _pid(event, value)),
    "CHARBUF": lambda _event, value: (printable(value), b""),
    "BYTEBUF": lambda _event, value: (dots(value), b""),
    "CHARBUFARRAY": lambda _event, value: (dots(value), b""),
    "CHARBUF_PAIR_ARRAY": lambda _event, value: (dots(value), b""),
    "SOCKADDR": lambda _event, value: (address_text(value), b""),
    "SOCKTUPLE": lambda _event, value: (tuple_text(value), b""),
    "IPV4ADDR": lambda _event, value: (ip_text(value), b""),
    "IPV6ADDR": lambda _event, value: (ip_text(value), b""),
    "FDLIST": lambda event, value: (_poll_list(event, value), b""),
    "SYSCALLID": _syscall,
    "SIGTYPE": lambda _event, value: (b"%d" % value, signal_name(value)),
    "SIGSET": _signal_set,
    "RELTIME": _relative_time,
    "ABSTIME": lambda _event, value: (absolute_time_text(value), b""),
    "UID": lambda event, value: _owner(event, value, event.host.users),
    "GID": lambda event, value: _owner(event, value, event.host.groups),
}


def _value_text(event: Event, kind: str, form: str, table: str, value: Any) -> tuple[bytes, bytes]:
    writer = _TEXTS.get(kind)
    if writer is not None:
        return writer(event, value)
    if kind.startswith("FLAGS"):
        return b"%d" % value, flags_text(value, table)
    if kind.startswith("ENUMFLAGS"):
        return b"%d" % value, enum_text(value, table)
    if kind == "MODE":
        return octal_text(value), mode_text(value, table)
    if kind in {"FD", "FD32"}:
        return integer_text(value, kind, form), _fd(event, value)
    if kind == "ERRNO":
        return integer_text(value, kind, form), errno_name(-value) if value < 0 else b""
    return integer_text(value, kind, form), b""
