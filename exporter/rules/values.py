"""Constants of conditions: from the text in the rule to the value that checks compare with.

Source: rule-language.md section 4.
"""

import re
from typing import Any

from exporter.rules.conditions import ValueTextError
from exporter.rules.fields.fd_facts import service_ports
from exporter.rules.fields.field import ValueType as T
from exporter.rules.net import parse_address, parse_network

MAX_VALUE_BYTES = 255

SIGNED_BITS = {
    T.INT8: 8, T.INT16: 16, T.INT32: 32, T.INT64: 64, T.FD: 64, T.PID: 64, T.ERRNO: 64,
    T.FD32: 32, T.PID32: 32,
}  # fmt: skip
"""Signed types -> width."""

UNSIGNED_BITS = {
    T.UINT8: 8, T.UINT16: 16, T.UINT32: 32, T.UINT64: 64, T.FLAGS8: 8, T.FLAGS16: 16,
    T.FLAGS32: 32, T.ENUMFLAGS8: 8, T.ENUMFLAGS16: 16, T.ENUMFLAGS32: 32, T.MODE: 32, T.UID: 32,
    T.GID: 32, T.SIGTYPE: 8, T.SYSCALLID: 16, T.RELTIME: 64, T.ABSTIME: 64, T.L4PROTO: 8,
    T.SOCKFAMILY: 8,
}  # fmt: skip
"""Unsigned types -> width."""

NUMBERS = frozenset({*SIGNED_BITS, *UNSIGNED_BITS, T.PORT, T.DOUBLE})
TEXTS = frozenset({T.CHARBUF, T.FSPATH, T.FSRELPATH})
ADDRESSES = frozenset({T.IPADDR, T.IPV4ADDR, T.IPV6ADDR})
NETWORKS = frozenset({T.IPNET, T.IPV4NET, T.IPV6NET})

_DECIMAL = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+")
_INT64_MAX = (1 << 63) - 1
_UINT64_MAX = (1 << 64) - 1


def as_bytes(text: str) -> bytes:
    """The bytes of a text of a condition."""
    return text.encode("utf-8", "surrogateescape")


def parse_value(kind: T, text: str) -> Any:
    """The value of a constant compared with a field of this type. Raises ValueTextError."""
    data = as_bytes(text)
    if len(data) > MAX_VALUE_BYTES:
        raise ValueTextError(f"filter parameter too long: {text[:40]}...")
    if kind in TEXTS:
        if b"\0" in data:
            raise ValueTextError("filter value cannot contain a NUL byte (\\x00)")
        return data
    if kind is T.BYTEBUF:
        return data
    if kind in SIGNED_BITS or kind in UNSIGNED_BITS:
        return _parse_integer(kind, text)
    if kind is T.PORT:
        return _parse_port(text)
    if kind is T.BOOL:
        if text not in {"true", "false"}:
            raise ValueTextError(f"filter error: unrecognized boolean value {text}")
        return text == "true"
    if kind is T.DOUBLE:
        return float(_decimal(text))
    if kind in ADDRESSES:
        return parse_address(text)
    if kind in NETWORKS:
        return parse_network(text)
    raise ValueTextError(f"wrong parameter type {kind}")


def parse_hex(text: str) -> bytes:
    """Bytes of the hex digits that b* operators compare with. Raises ValueTextError."""
    if len(text) > 2 * MAX_VALUE_BYTES:
        raise ValueTextError(f"filter parameter too long: {text[:40]}...")
    if len(text) % 2 or not re.fullmatch(r"[0-9a-fA-F]*", text):
        raise ValueTextError("bcontains and bstartswith operator support hex strings only")
    return bytes.fromhex(text)


def _decimal(text: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise ValueTextError(f"{text} is not a valid number")
    return int(text)


def _parse_integer(kind: T, text: str) -> int:
    """As scanf reads it: saturated at 64 bits, then cut to the type's width."""
    number = _decimal(text)
    bits = SIGNED_BITS.get(kind)
    if bits is not None:
        number = max(-_INT64_MAX - 1, min(number, _INT64_MAX)) & ((1 << bits) - 1)
        return number - (1 << bits) if number >> (bits - 1) else number
    number = _UINT64_MAX if abs(number) > _UINT64_MAX else number
    return number & ((1 << UNSIGNED_BITS[kind]) - 1)


def _parse_port(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text) & 0xFFFF
    if not text:
        return 0
    port = service_ports().get(text)
    if port is None:
        raise ValueTextError(f"unrecognized protocol {text}")
    return port
