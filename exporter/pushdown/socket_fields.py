"""Fields of sockets: ends and kind, for connect, accept and transfers.

The facts are those of an IP or unix socket; another family leaves them unknown. A connect that
succeeded or goes on makes the caller the client, its local end first (state/sockets.py,
on_connect); an accept makes the caller the server of the connection it returns (on_accept).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import Struct

from exporter.events.fd import Fd, FdType
from exporter.events.text import type_char
from exporter.pushdown import values
from exporter.pushdown.approximation import (
    NEVER,
    UNKNOWN,
    Approximation,
    both,
    by_case,
    either,
    exactly,
    negated,
)
from exporter.pushdown.atoms import Below, InSet
from exporter.pushdown.closed_fields import closed_end, is_close
from exporter.pushdown.facts import Fact, Kind
from exporter.pushdown.layout import CallLayout
from exporter.pushdown.observation import AF_INET, AF_INET6, AF_UNIX
from exporter.rules.bind import Test
from exporter.rules.fields.fd_facts import char_of_event, socket_family, type_name
from exporter.sources.probe.syscalls import Step

_EINPROGRESS = 115
_UDP = 17
_AF_NETLINK = 16
_PROTOCOLS = ((6, b"tcp"), (17, b"udp"), (1, b"icmp"), (58, b"icmp"))
_RET = Fact(Kind.RET)

KernelTest = Callable[[Test, CallLayout], Approximation]
Decide = Callable[[Test, Fact], Approximation]


class _End(Struct, frozen=True):
    """One end of a connection: its address by family, and its port."""

    four: Fact
    six: Fact
    port: Fact


_LOCAL = _End(Fact(Kind.LOCAL_ADDRESS), Fact(Kind.LOCAL_ADDRESS6), Fact(Kind.LOCAL_PORT))
_REMOTE = _End(Fact(Kind.REMOTE_ADDRESS), Fact(Kind.REMOTE_ADDRESS6), Fact(Kind.REMOTE_PORT))


def _is(kind: Kind, *values_: int) -> Approximation:
    return exactly(InSet(Fact(kind), frozenset(values_)))


_FOUR, _SIX, _UNIX = (_is(Kind.FAMILY, family) for family in (AF_INET, AF_INET6, AF_UNIX))
_IP = _is(Kind.FAMILY, AF_INET, AF_INET6)
_IS_SOCKET = negated(_is(Kind.FAMILY, -1))
"""Holds of every socket, and leaves open what is none."""
HAS_ENDS = _is(Kind.FAMILY, AF_INET, AF_INET6, AF_UNIX)
"""The socket is of a family whose descriptors the state knows."""
_FAILED = exactly(Below(_RET, 0))
_CONNECTED = exactly(InSet(_RET, frozenset({0, -_EINPROGRESS})))
_HAS_PEER = negated(_is(Kind.REMOTE_PORT, 0))
_WAITS = both(
    (_is(Kind.PROTOCOL, _UDP), negated(_is(Kind.BOUND, 0)), _is(Kind.REMOTE_PORT, 0)),
)
"""A bound datagram socket without a peer: what it is stays open until it transfers something."""


def _ends(call: CallLayout) -> tuple[_End, _End] | None:
    """Client's and server's end; None where no role can be told."""
    if call.step is Step.CONNECT:
        return _LOCAL, _REMOTE
    return (_REMOTE, _LOCAL) if call.step is Step.ACCEPT else None


def _is_transfer(call: CallLayout) -> bool:
    return call.step is Step.IO and call.socket == 0


def _by_family(
    *, four: Approximation, six: Approximation, unix: Approximation, other: Approximation = UNKNOWN
) -> Approximation:
    if four == six:
        return by_case((_IP, four), (_UNIX, unix), otherwise=other)
    return by_case((_FOUR, four), (_SIX, six), (_UNIX, unix), otherwise=other)


def _by_result(
    call: CallLayout, *, made: Approximation, unconnected: Approximation
) -> Approximation:
    """The test by whether there is a connection."""
    if call.step is Step.CONNECT:
        return by_case((_CONNECTED, made), otherwise=unconnected)
    return by_case((_FAILED, NEVER), otherwise=made)


def _both_families(decide: Decide, test: Test, end: _End, *, is_port: bool) -> list[Approximation]:
    """The test on an end of an IPv4 and of an IPv6 socket."""
    facts = (end.port, end.port) if is_port else (end.four, end.six)
    return [decide(test, fact) for fact in facts]


def _of_end(decide: Decide, *, is_server: bool, is_port: bool = False) -> KernelTest:
    def test_end(test: Test, call: CallLayout) -> Approximation:
        if is_close(call):
            return closed_end(test)
        ends = _ends(call)
        if ends is None:
            return UNKNOWN
        # A connect that failed leaves a socket without a role, whose ends are missing.
        four, six = _both_families(decide, test, ends[is_server], is_port=is_port)
        made = _by_family(four=four, six=six, unix=NEVER)
        return _by_result(call, made=made, unconnected=NEVER)

    return test_end


def _of_either(decide: Decide, *, is_port: bool = False) -> KernelTest:
    """Filter fields that look at both ends; only the first constant counts unless `in`."""

    def test_ends(test: Test, call: CallLayout) -> Approximation:
        if test.modifier is not None or not (_ends(call) or _is_transfer(call)):
            return UNKNOWN
        unix = values.known_value(test, ())
        sides = [_both_families(decide, test, end, is_port=is_port) for end in (_LOCAL, _REMOTE)]
        # "!=" says that no end is the one.
        found = [either(one) for one in zip(*sides, strict=True)]
        if test.op == "!=":
            found = [
                negated(either([negated(side) for side in one])) for one in zip(*sides, strict=True)
            ]
        if _is_transfer(call):
            # Whichever end is whose: both are the kernel's once the socket has a peer.
            four, six = (by_case((_HAS_PEER, one), otherwise=UNKNOWN) for one in found)
            return _by_family(four=four, six=six, unix=unix)
        made = _by_family(four=found[0], six=found[1], unix=unix)
        return _by_result(call, made=made, unconnected=UNKNOWN)

    return test_ends


def _one_address(test: Test, fact: Fact) -> Approximation:
    """fd.ip compares for equality alone; `in` is always false."""
    if test.op not in {"=", "!="}:
        return NEVER if test.op == "in" else UNKNOWN
    return values.address(test, fact)


def _first_network(test: Test, fact: Fact) -> Approximation:
    """fd.net looks at its first network alone."""
    return values.networks(replace(test, values=test.values[:1]), fact) if test.values else NEVER


def _protocol(test: Test, call: CallLayout) -> Approximation:
    """fd.l4proto: an accepted connection is TCP, others what the socket says once they have a role.

    A raw socket needs none. The state finds the role of transfers without a peer.
    """
    unix = values.known_value(test, b"<NA>")
    named = values.enumerated(test, Fact(Kind.PROTOCOL), _PROTOCOLS, b"raw")
    if call.step is Step.ACCEPT:
        tcp = values.known_value(test, b"tcp")
        return _by_result(call, made=_by_family(four=tcp, six=tcp, unix=unix), unconnected=UNKNOWN)
    if call.step is Step.CONNECT:
        made = _by_family(four=named, six=named, unix=unix)
        return _by_result(call, made=made, unconnected=UNKNOWN)
    if not _is_transfer(call):
        return UNKNOWN
    found = by_case((_HAS_PEER, named), otherwise=UNKNOWN)
    return _by_family(four=found, six=found, unix=unix)


def _is_connected(test: Test, call: CallLayout) -> Approximation:
    """fd.connected: what succeeded shows a connection, but for the first datagram of a server."""
    yes, no = (values.known_value(test, value) for value in (True, False))
    if call.step is Step.CONNECT:
        return _by_result(call, made=_by_family(four=yes, six=yes, unix=yes), unconnected=UNKNOWN)
    if call.step is Step.ACCEPT:
        return _by_result(call, made=_by_family(four=yes, six=yes, unix=yes), unconnected=UNKNOWN)
    if not _is_transfer(call):
        return UNKNOWN
    failed = by_case((_HAS_PEER, yes), otherwise=no)
    done = by_case((_WAITS, UNKNOWN), otherwise=yes)
    found = by_case((_FAILED, failed), otherwise=done)
    return _by_family(four=found, six=found, unix=no)


def _by_kind(test: Test, call: CallLayout, read: Callable[[Fd], Any]) -> Approximation:
    """A test on what the kind of a socket says: that of its family."""
    four, six, unix, netlink, other = (
        values.known_value(test, read(Fd(type=kind)))
        for kind in (FdType.IPV4, FdType.IPV6, FdType.UNIX, FdType.NETLINK, FdType.UNKNOWN)
    )
    if call.socket == -1:
        # Of an accept the state knows these families alone.
        return _by_family(four=four, six=six, unix=unix)
    rest = by_case((_is(Kind.FAMILY, _AF_NETLINK), netlink), otherwise=other)
    found = _by_family(four=four, six=six, unix=unix, other=rest)
    return by_case((_IS_SOCKET, found), otherwise=UNKNOWN)


def socket_type_char(test: Test, call: CallLayout) -> Approximation:
    """fd.typechar; without a descriptor the letter of what the call would have made."""
    found = _by_kind(test, call, type_char)
    if call.socket == -1:
        failed = values.known_value(test, char_of_event(call.event))
        return by_case((_FAILED, failed), otherwise=found)
    return found


def socket_type(test: Test, call: CallLayout) -> Approximation:
    """fd.type."""
    found = _by_kind(test, call, type_name)
    return by_case((_FAILED, NEVER), otherwise=found) if call.socket == -1 else found


def _socket_family(test: Test, call: CallLayout) -> Approximation:
    if call.socket is None:
        return UNKNOWN
    found = _by_kind(test, call, socket_family)
    return by_case((_FAILED, NEVER), otherwise=found) if call.socket == -1 else found


SOCKET_FIELDS: Mapping[str, KernelTest] = {
    "fd.sip": _of_end(values.address, is_server=True),
    "fd.cip": _of_end(values.address, is_server=False),
    "fd.snet": _of_end(values.networks, is_server=True),
    "fd.cnet": _of_end(values.networks, is_server=False),
    "fd.sport": _of_end(values.number, is_server=True, is_port=True),
    "fd.cport": _of_end(values.number, is_server=False, is_port=True),
    "fd.ip": _of_either(_one_address),
    "fd.net": _of_either(_first_network),
    "fd.port": _of_either(values.number, is_port=True),
    "fd.l4proto": _protocol,
    "fd.connected": _is_connected,
    "fd.sockfamily": _socket_family,
}
"""`Field.kernel` -> what the kernel says of a test on the field."""
