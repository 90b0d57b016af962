"""Parameter values of captures that tests write, encoded by hand from spec/scap-format.md 10.

Written apart from exporter.events.params on purpose: a misreading there must not be written here.
"""

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_INTEGERS = {
    "b": "INT8",
    "B": "UINT8 FLAGS8 ENUMFLAGS8 SIGTYPE L4PROTO SOCKFAMILY",
    "h": "INT16",
    "H": "UINT16 FLAGS16 ENUMFLAGS16 SYSCALLID PORT",
    "i": "INT32 FD32 PID32",
    "I": "UINT32 FLAGS32 ENUMFLAGS32 MODE UID GID SIGSET BOOL",
    "q": "INT64 ERRNO FD PID",
    "Q": "UINT64 RELTIME ABSTIME",
    "d": "DOUBLE",
}
_CODES = {name: code for code, names in _INTEGERS.items() for name in names.split()}


@dataclass(frozen=True)
class Exactly:
    """These bytes, whatever the type."""

    data: bytes


@dataclass(frozen=True)
class Inet:
    """An IPv4 or IPv6 address with a port."""

    ip: str
    port: int


@dataclass(frozen=True)
class UnixPath:
    """The address of a unix socket."""

    path: str


@dataclass(frozen=True)
class InetPair:
    """Source and destination of a packet."""

    source: Inet
    dest: Inet


@dataclass(frozen=True)
class UnixPair:
    """Kernel addresses of both ends and the destination's path."""

    source: int
    dest: int
    path: str = ""


@dataclass(frozen=True)
class Variant:
    """A DYN value: index of the variant, its parameter type and its value."""

    index: int
    type: str
    value: Any


def packed_ip(ip: str) -> bytes:
    """Network-order bytes of an address."""
    return ipaddress.ip_address(ip).packed


def as_bytes(text: str | bytes) -> bytes:
    """UTF-8 of a text; bytes as they are."""
    return text.encode() if isinstance(text, str) else text


def strings(items: Sequence[str | bytes]) -> bytes:
    """NUL-terminated strings back to back."""
    return b"".join(as_bytes(item) + b"\0" for item in items)


def encode(kind: str, value: Any, mark: str) -> bytes:
    """One parameter. kind: type without PT_. mark: `<` or `>`, the writer's byte order."""
    match value:
        case None:
            return b""
        case Exactly(data):
            return data
        case Inet(ip, port):
            address = packed_ip(ip)
            return bytes([2 if len(address) == 4 else 10]) + address + struct.pack(mark + "H", port)
        case UnixPath(path):
            return b"\x01" + path.encode() + b"\0"
        case InetPair(source, dest):
            first, second = encode(kind, source, mark), encode(kind, dest, mark)
            return first + second[1:]
        case UnixPair(source_at, dest_at, path):
            return b"\x01" + struct.pack(mark + "QQ", source_at, dest_at) + path.encode() + b"\0"
        case Variant(index, inner, content):
            return bytes([index]) + encode(inner, content, mark)
    if kind in _CODES:
        return struct.pack(mark + _CODES[kind], value)
    if kind in {"CHARBUF", "FSPATH", "FSRELPATH"}:
        return as_bytes(value) + b"\0"
    if kind == "FDLIST":
        polls = b"".join(struct.pack(mark + "qh", fd, flags) for fd, flags in value)
        return struct.pack(mark + "H", len(value)) + polls
    if isinstance(value, str | bytes):
        return as_bytes(value)
    return strings(value)
