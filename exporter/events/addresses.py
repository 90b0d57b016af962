"""Addresses as text: IPv4, IPv6, unix sockets and pairs of them, as fd names and parameters show.

Source: spec/state-tracking.md section 7 (no brackets around IPv6 addresses).
"""

import socket

from exporter.events.params import AF_INET, AF_INET6, AF_UNIX, SocketAddress, SocketTuple

_MAPPED_PREFIX = b"\0" * 10 + b"\xff\xff"


def is_mapped(address: bytes) -> bool:
    """Whether a 16-byte address is an IPv4 address in IPv6 form: ::ffff:a.b.c.d, or all zeros.

    The address of zeros counts as 0.0.0.0, as in the reference engine: a socket bound to it serves
    both families.
    """
    return len(address) == 16 and (address[:12] == _MAPPED_PREFIX or not any(address))


def unmap(address: bytes) -> bytes:
    """The IPv4 address inside a mapped one; any other address as it is."""
    return address[12:] if is_mapped(address) else address


def ip_text(address: bytes) -> bytes:
    """Text of a 4- or 16-byte address in network order; other lengths give the empty text."""
    if len(address) == 4:
        return b"%d.%d.%d.%d" % (address[0], address[1], address[2], address[3])
    if len(address) == 16:
        return socket.inet_ntop(socket.AF_INET6, address).encode()
    return b""


def pair_text(sip: bytes, sport: int, dip: bytes, dport: int) -> bytes:
    """Text `ip:port->ip:port`; a pair of mapped addresses is shown as IPv4."""
    if is_mapped(sip) and is_mapped(dip):
        sip, dip = sip[12:], dip[12:]
    return b"%s:%d->%s:%d" % (ip_text(sip), sport, ip_text(dip), dport)


def unix_text(source: int, dest: int, path: bytes) -> bytes:
    """Text `source->dest path` of a unix socket; kernel addresses in lower-case hex."""
    return b"%x->%x %s" % (source, dest, path)


def address_text(value: SocketAddress) -> bytes:
    """Text of one end: `ip:port`, the unix path, or `family N`."""
    if value.family in {AF_INET, AF_INET6}:
        return b"%s:%d" % (ip_text(value.address), value.port)
    if value.family == AF_UNIX:
        return value.path
    return b"family %d" % value.family


def tuple_text(value: SocketTuple) -> bytes:
    """Text of both ends, or `family N`."""
    if value.family in {AF_INET, AF_INET6}:
        return pair_text(value.sip, value.sport, value.dip, value.dport)
    if value.family == AF_UNIX:
        return unix_text(value.unix_source, value.unix_dest, value.path)
    return b"family %d" % value.family
