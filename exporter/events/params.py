"""Parameter decoders: the raw bytes of one parameter -> its Python value, and back.

One function a parameter type. Numbers become int, text and blobs bytes, addresses the small frozen
structs below. Decoders accept any length without raising (a record's shape is the source's
business): numbers of odd width are read as they are, text stops at its first NUL.
Source: spec/scap-format.md sections 10 and 11.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from msgspec import Struct

from exporter.errors import DecodeError
from exporter.events.event import Event, ParamDecoder
from exporter.events.table import EventType, load_event_table

ByteOrder = Literal["little", "big"]

AF_UNIX = 1
AF_INET = 2
AF_INET6 = 10

SIGNED_WIDTHS: Mapping[str, int] = {
    "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "ERRNO": 8, "FD": 8, "PID": 8, "FD32": 4,
    "PID32": 4,
}  # fmt: skip
"""Signed integer types -> bytes. L4PROTO and friends are unsigned."""

UNSIGNED_WIDTHS: Mapping[str, int] = {
    "UINT8": 1, "FLAGS8": 1, "ENUMFLAGS8": 1, "SIGTYPE": 1, "L4PROTO": 1, "SOCKFAMILY": 1,
    "UINT16": 2, "FLAGS16": 2, "ENUMFLAGS16": 2, "SYSCALLID": 2, "PORT": 2,
    "UINT32": 4, "FLAGS32": 4, "ENUMFLAGS32": 4, "MODE": 4, "UID": 4, "GID": 4, "SIGSET": 4,
    "BOOL": 4, "UINT64": 8, "RELTIME": 8, "ABSTIME": 8,
}  # fmt: skip
"""Unsigned integer types -> bytes."""

TEXT_TYPES = frozenset({"CHARBUF", "FSPATH", "FSRELPATH"})
"""NUL-terminated texts."""

BLOB_TYPES = frozenset({"BYTEBUF", "CHARBUFARRAY", "CHARBUF_PAIR_ARRAY", "IPV4ADDR", "IPV6ADDR"})
"""Values that are their bytes."""

_OLD_EMPTY_TEXT = b"(NULL)\0"


class SocketAddress(Struct, frozen=True):
    """One end of a socket. address: network-order bytes; port: host-order number; path: unix.

    is_valid is False when the bytes are too short for the family (the state ignores those).
    """

    family: int
    address: bytes = b""
    port: int = 0
    path: bytes = b""
    is_valid: bool = True


class SocketTuple(Struct, frozen=True):
    """Both ends of a socket; unix sockets have kernel addresses and the destination's path.

    is_valid is False when the bytes are too short for the family (the state ignores those).
    """

    family: int
    sip: bytes = b""
    sport: int = 0
    dip: bytes = b""
    dport: int = 0
    unix_source: int = 0
    unix_dest: int = 0
    path: bytes = b""
    is_valid: bool = True


class PollFd(Struct, frozen=True):
    """One entry of a poll list; flags are bits of the table poll_flags."""

    fd: int
    flags: int


class Dynamic(Struct, frozen=True):
    """A parameter whose type is chosen by its first byte; value is None when it is unusable."""

    variant: int
    type: str
    format: str
    value: Any


_from_bytes = int.from_bytes


def _unsigned(byteorder: ByteOrder) -> ParamDecoder:
    def decode(data: bytes) -> int:
        return _from_bytes(data, byteorder)

    return decode


def _signed(byteorder: ByteOrder) -> ParamDecoder:
    def decode(data: bytes) -> int:
        return _from_bytes(data, byteorder, signed=True)

    return decode


def decode_text(data: bytes) -> bytes:
    """Bytes up to the first NUL."""
    end = data.find(0)
    return data if end < 0 else data[:end]


def _decode_capture_text(data: bytes) -> bytes | None:
    # Writers before 2019 stored this text where a string could not be read (scap-format.md 11).
    return None if data == _OLD_EMPTY_TEXT else decode_text(data)


def _decode_blob(data: bytes) -> bytes:
    return data


def _sockaddr(byteorder: ByteOrder) -> ParamDecoder:
    def decode(data: bytes) -> SocketAddress:
        family = data[0]
        if family == AF_INET:
            valid = len(data) >= 7
            port = int.from_bytes(data[5:7], byteorder)
            return SocketAddress(family, data[1:5], port, b"", valid)
        if family == AF_INET6:
            valid = len(data) >= 19
            port = int.from_bytes(data[17:19], byteorder)
            return SocketAddress(family, data[1:17], port, b"", valid)
        if family == AF_UNIX:
            valid = len(data) >= 2 and data[-1] == 0
            return SocketAddress(family, b"", 0, decode_text(data[1:] or b"\0"), valid)
        return SocketAddress(family)

    return decode


def _socktuple(byteorder: ByteOrder) -> ParamDecoder:
    def inet(data: bytes, width: int) -> SocketTuple:
        middle = 1 + width + 2
        return SocketTuple(
            data[0],
            data[1 : 1 + width],
            int.from_bytes(data[1 + width : middle], byteorder),
            data[middle : middle + width],
            int.from_bytes(data[middle + width : middle + width + 2], byteorder),
            is_valid=len(data) >= middle + width + 2,
        )

    def decode(data: bytes) -> SocketTuple:
        family = data[0]
        if family == AF_INET:
            return inet(data, 4)
        if family == AF_INET6:
            return inet(data, 16)
        if family == AF_UNIX:
            return SocketTuple(
                family,
                unix_source=int.from_bytes(data[1:9], byteorder),
                unix_dest=int.from_bytes(data[9:17], byteorder),
                path=decode_text(data[17:] or b"\0"),
                is_valid=len(data) >= 18 and data[-1] == 0,
            )
        return SocketTuple(family)

    return decode


def _fdlist(byteorder: ByteOrder) -> ParamDecoder:
    def decode(data: bytes) -> tuple[PollFd, ...]:
        # The count is what the writer claims; never more than the bytes hold.
        count = min(int.from_bytes(data[:2], byteorder), (len(data) - 2) // 10)
        return tuple(
            PollFd(
                int.from_bytes(data[at : at + 8], byteorder, signed=True),
                int.from_bytes(data[at + 8 : at + 10], byteorder),
            )
            for at in range(2, 2 + 10 * count, 10)
        )

    return decode


def _dynamic(table: str, byteorder: ByteOrder) -> ParamDecoder:
    variants = {
        index: (kind.removeprefix("PT_"), form, decoder_for(kind.removeprefix("PT_"), byteorder))
        for index, kind, form in load_event_table().dynamic_tables.get(table, ())
    }

    def decode(data: bytes) -> Dynamic:
        found = variants.get(data[0])
        if found is None:
            return Dynamic(data[0], "", "", None)
        kind, form, inner = found
        return Dynamic(data[0], kind, form, inner(data[1:]) if len(data) > 1 else None)

    return decode


@cache
def decoder_for(
    kind: str, byteorder: ByteOrder = "little", table: str = "", *, is_live: bool = False
) -> ParamDecoder:
    """The decoder of one parameter type.

    kind: type without PT_. table: the dynamic table of DYN. is_live: text is taken literally (old
    captures write a marker for unreadable text). Raises DecodeError for an unknown type.
    """
    if kind in SIGNED_WIDTHS:
        return _signed(byteorder)
    if kind in UNSIGNED_WIDTHS:
        return _unsigned(byteorder)
    if kind in TEXT_TYPES:
        return decode_text if is_live else _decode_capture_text
    if kind in BLOB_TYPES:
        return _decode_blob
    factories: dict[str, Callable[[ByteOrder], ParamDecoder]] = {
        "SOCKADDR": _sockaddr,
        "SOCKTUPLE": _socktuple,
        "FDLIST": _fdlist,
    }
    if kind in factories:
        return factories[kind](byteorder)
    if kind == "DYN":
        return _dynamic(table, byteorder)
    raise DecodeError(f"parameter type {kind!r} is not known", code="unknown_type")


@cache
def capture_decoders(event: EventType, byteorder: ByteOrder = "little") -> Sequence[ParamDecoder]:
    """One decoder a parameter for events of captures (their flags hold PPM values already)."""
    return tuple(decoder_for(param.type, byteorder, param.table) for param in event.params)


def decode_all(event: Event) -> list[Any]:
    """Values of all parameters in order, None where one is empty; as many as the type has."""
    values = [
        decode(data) if data else None
        for decode, data in zip(event.decoders, event.raw, strict=False)
    ]
    missing = len(event.type.params) - len(values)
    return values + [None] * missing if missing > 0 else values


def encode_param(kind: str, value: Any, byteorder: ByteOrder = "little", table: str = "") -> bytes:
    """The parameter's bytes as a capture holds them; the inverse of the decoders.

    value: what the decoder returns; None gives the empty parameter. args, env and cgroups
    (BYTEBUF) also take a sequence of strings. table: the dynamic table of DYN.
    Raises DecodeError for an unknown type, OverflowError for a number that does not fit.
    """
    if value is None:
        return b""
    if kind in SIGNED_WIDTHS:
        return int(value).to_bytes(SIGNED_WIDTHS[kind], byteorder, signed=True)
    if kind in UNSIGNED_WIDTHS:
        return int(value).to_bytes(UNSIGNED_WIDTHS[kind], byteorder)
    if kind in TEXT_TYPES:
        return bytes(value) + b"\0"
    if kind in BLOB_TYPES:
        return value if isinstance(value, bytes) else b"".join(item + b"\0" for item in value)
    if kind == "SOCKADDR":
        return _encode_address(value, byteorder)
    if kind == "SOCKTUPLE":
        return _encode_tuple(value, byteorder)
    if kind == "FDLIST":
        return len(value).to_bytes(2, byteorder) + b"".join(
            poll.fd.to_bytes(8, byteorder, signed=True) + poll.flags.to_bytes(2, byteorder)
            for poll in value
        )
    if kind == "DYN":
        types = {row[0]: row[1] for row in load_event_table().dynamic_tables.get(table, ())}
        inner = types.get(value.variant, "").removeprefix("PT_")
        return bytes([value.variant]) + (
            encode_param(inner, value.value, byteorder) if inner else b""
        )
    raise DecodeError(f"parameter type {kind!r} is not known", code="unknown_type")


def _encode_address(value: SocketAddress, byteorder: ByteOrder) -> bytes:
    head = bytes([value.family])
    if value.family in {AF_INET, AF_INET6}:
        return head + value.address + value.port.to_bytes(2, byteorder)
    return head + value.path + b"\0" if value.family == AF_UNIX else head


def _encode_tuple(value: SocketTuple, byteorder: ByteOrder) -> bytes:
    head = bytes([value.family])
    if value.family in {AF_INET, AF_INET6}:
        return (
            head
            + value.sip
            + value.sport.to_bytes(2, byteorder)
            + value.dip
            + value.dport.to_bytes(2, byteorder)
        )
    if value.family == AF_UNIX:
        source = value.unix_source.to_bytes(8, byteorder)
        return head + source + value.unix_dest.to_bytes(8, byteorder) + value.path + b"\0"
    return head
