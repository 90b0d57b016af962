"""Fields of sockets: ends and kind, for connect and accept.

The facts are those of an IPv4 or unix socket; another family leaves them unknown. A connect that
succeeded or goes on makes the caller the client, its local end first (state/sockets.py,
on_connect); an accept makes the caller the server of the connection it returns (on_accept).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from exporter.pushdown import values
from exporter.pushdown.approximation import (
    NEVER,
    UNKNOWN,
    Approximation,
    by_case,
    either,
    exactly,
    negated,
)
from exporter.pushdown.ir import Below, Fact, InSet, Kind
from exporter.pushdown.layout import CallLayout
from exporter.rules.bind import Test
from exporter.rules.fields.fd_facts import char_of_event
from exporter.sources.probe.syscalls import Step

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
_EINPROGRESS = 115
_RET = Fact(Kind.RET)
_LOCAL = (Fact(Kind.LOCAL_ADDRESS), Fact(Kind.LOCAL_PORT))
_REMOTE = (Fact(Kind.REMOTE_ADDRESS), Fact(Kind.REMOTE_PORT))

KernelTest = Callable[[Test, CallLayout], Approximation]
Decide = Callable[[Test, Fact], Approximation]


def _is_family(*families: int) -> Approximation:
    return exactly(InSet(Fact(Kind.FAMILY), frozenset(families)))


HAS_ENDS = _is_family(AF_INET, AF_UNIX)
"""The socket is of a family whose descriptors the state knows."""
_FAILED = exactly(Below(_RET, 0))
_CONNECTED = exactly(InSet(_RET, frozenset({0, -_EINPROGRESS})))


def _ends(call: CallLayout) -> tuple[tuple[Fact, Fact], tuple[Fact, Fact]] | None:
    """Client's and server's address and port; None where no role can be told."""
    if call.step is Step.CONNECT:
        return _LOCAL, _REMOTE
    return (_REMOTE, _LOCAL) if call.step is Step.ACCEPT else None


def _by_socket(
    call: CallLayout, *, inet: Approximation, unconnected: Approximation, unix: Approximation
) -> Approximation:
    """The test by the family of the connection, and by whether there is one."""
    found = by_case((_is_family(AF_INET), inet), (_is_family(AF_UNIX), unix), otherwise=UNKNOWN)
    if call.step is Step.CONNECT:
        return by_case((_CONNECTED, found), otherwise=unconnected)
    return by_case((_FAILED, NEVER), otherwise=found)


def _of_end(part: int, decide: Decide, *, is_server: bool) -> KernelTest:
    def test_end(test: Test, call: CallLayout) -> Approximation:
        ends = _ends(call)
        if ends is None:
            return UNKNOWN
        # A connect that failed leaves a socket without a role, whose ends are missing.
        inet = decide(test, ends[is_server][part])
        return _by_socket(call, inet=inet, unconnected=NEVER, unix=NEVER)

    return test_end


def _of_either(part: int, decide: Decide) -> KernelTest:
    """Filter fields that look at both ends; only the first constant counts unless `in`."""

    def test_ends(test: Test, call: CallLayout) -> Approximation:
        ends = _ends(call)
        if ends is None or test.modifier is not None:
            return UNKNOWN
        unix = values.known_value(test, ())
        inet = [decide(test, end[part]) for end in ends]
        # "!=" says that no end is the one.
        found = either(inet)
        if test.op == "!=":
            found = negated(either([negated(one) for one in inet]))
        return _by_socket(call, inet=found, unconnected=UNKNOWN, unix=unix)

    return test_ends


def _one_address(test: Test, fact: Fact) -> Approximation:
    """fd.ip compares for equality alone; `in` is always false."""
    if test.op not in {"=", "!="}:
        return NEVER if test.op == "in" else UNKNOWN
    return values.address(test, fact)


def _first_network(test: Test, fact: Fact) -> Approximation:
    """fd.net looks at its first network alone."""
    return values.networks(replace(test, values=test.values[:1]), fact) if test.values else NEVER


def socket_type_char(test: Test, call: CallLayout) -> Approximation:
    """fd.typechar; a mapped IPv4 connection on an IPv6 socket may show as either."""
    four, six = values.known_value(test, b"4"), values.known_value(test, b"6")
    unsure = four if four == six else UNKNOWN
    found = by_case(
        (_is_family(AF_INET), four),
        (_is_family(AF_UNIX), values.known_value(test, b"u")),
        (_is_family(AF_INET6), unsure),
        otherwise=UNKNOWN,
    )
    if call.socket == -1:
        return by_case(
            (_FAILED, values.known_value(test, char_of_event(call.event))), otherwise=found
        )
    return found


SOCKET_FIELDS: Mapping[str, KernelTest] = {
    "fd.sip": _of_end(0, values.address, is_server=True),
    "fd.cip": _of_end(0, values.address, is_server=False),
    "fd.snet": _of_end(0, values.networks, is_server=True),
    "fd.cnet": _of_end(0, values.networks, is_server=False),
    "fd.sport": _of_end(1, values.number, is_server=True),
    "fd.cport": _of_end(1, values.number, is_server=False),
    "fd.ip": _of_either(0, _one_address),
    "fd.net": _of_either(0, _first_network),
    "fd.port": _of_either(1, values.number),
}
"""`Field.kernel` -> what the kernel says of a test on the field."""
