"""Parameters of events from the words of a test file: flags by name, addresses, paths, numbers."""

import socket
from collections.abc import Mapping
from functools import cache

from exporter.events.params import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    BLOB_TYPES,
    SIGNED_WIDTHS,
    TEXT_TYPES,
    UNSIGNED_WIDTHS,
    SocketAddress,
    SocketTuple,
    encode_param,
)
from exporter.events.paths import AT_FDCWD
from exporter.events.table import Param, load_event_table
from exporter.rules.testing.items import Item, TestFileError

_O_RDONLY = 1
_ACCESS = 3
_MAX_PORT = 0xFFFF
_OPEN_TABLE = "file_flags"
_OPEN_CALLS = frozenset({"open", "openat", "openat2"})


@cache
def flag_table(name: str) -> Mapping[str, int]:
    """Names of a value table -> bits or numbers."""
    return dict(load_event_table().value_tables[name])


def encode_default(param: Param, call: str) -> bytes:
    """What the kernel would report for an argument that a test does not care about."""
    kind = param.type
    if kind == "FD" and "dir" in param.name:
        return encode_param(kind, AT_FDCWD)
    if param.table == _OPEN_TABLE and call in _OPEN_CALLS:
        return encode_param(kind, _O_RDONLY)
    if kind in SIGNED_WIDTHS or kind in UNSIGNED_WIDTHS:
        return encode_param(kind, 0)
    return b""


def encode_item(param: Param, item: Item, call: str) -> bytes:
    """The parameter's bytes. Raises TestFileError."""
    kind = param.type
    if item.value is None:
        return b""
    if kind in TEXT_TYPES:
        return encode_param(kind, item.data())
    if kind in BLOB_TYPES:
        if isinstance(item.value, tuple):
            return encode_param(kind, [text.encode() for text in item.texts()])
        return item.data()
    if kind == "SOCKADDR":
        return encode_param(kind, socket_address(item))
    if kind == "SOCKTUPLE":
        near, arrow, far = item.text("FROM -> TO").partition("->")
        if not arrow:
            raise item.error("both ends, such as 10.0.0.5:41000 -> 198.51.100.7:443")
        ends = [Item(end.strip(), item.span, {}) for end in (near, far)]
        return encode_param(kind, socket_tuple(*map(socket_address, ends)))
    if kind not in SIGNED_WIDTHS and kind not in UNSIGNED_WIDTHS:
        raise TestFileError(
            f"the parameter {param.name} of {call} cannot be given in a test", item.span
        )
    number = flags_number(item, param.table) if param.table else item.number()
    if param.table == _OPEN_TABLE and call in _OPEN_CALLS and not number & _ACCESS:
        number |= _O_RDONLY
    try:
        return encode_param(kind, number)
    except OverflowError:
        raise item.error(f"a number that fits {kind}") from None


def flags_number(item: Item, table: str) -> int:
    """Flags by name (one, `A|B`, or a list) or as a number. Raises TestFileError."""
    names = flag_table(table)
    number = 0
    for text in item.texts("flags by name or a number"):
        for word in text.split("|"):
            name = word.strip()
            if name in names:
                number |= names[name]
            elif name[:1].isdigit():
                number |= Item(name, item.span, {}).number()
            else:
                raise TestFileError(
                    f'there is no flag "{name}"', item.span, f"known: {', '.join(names)}"
                )
    return number


def socket_address(item: Item) -> SocketAddress:
    """`10.0.0.5:80`, `[::1]:80` or the path of a Unix socket. Raises TestFileError."""
    text = item.text("an address and port, or the path of a Unix socket")
    if text[:1] in {"/", "@"}:
        return SocketAddress(AF_UNIX, path=text.encode("utf-8", "surrogateescape"))
    host, _, port = text.rpartition(":")
    family = AF_INET6 if host.startswith("[") else AF_INET
    try:
        address = socket.inet_pton(family, host.strip("[]"))
    except (OSError, ValueError):
        address = b""
    if not address or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise item.error("an address such as 198.51.100.7:443, [::1]:80 or /run/x.sock")
    return SocketAddress(family, address, int(port))


def socket_tuple(near: SocketAddress, far: SocketAddress) -> SocketTuple:
    """Both ends of a connection as its events tell them."""
    if far.family == AF_UNIX:
        kernel_address = 0xFFFF888000001000
        return SocketTuple(
            AF_UNIX, unix_source=kernel_address, unix_dest=kernel_address + 64, path=far.path
        )
    return SocketTuple(far.family, near.address, near.port, far.address, far.port)
