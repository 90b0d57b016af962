"""Fields of what a close closed.

Its facts are read at the entry of the call (bpf/hook_close.h). Where there are none the state knows
no descriptor. The names of files and directories are known, and that some kinds have none; those of
IP sockets follow from roles, which the state finds, but never hold a slash.
"""

from exporter.events.fd import FdType
from exporter.events.text import TYPE_CHARS
from exporter.pushdown import values
from exporter.pushdown.approximation import (
    ALWAYS,
    NEVER,
    UNKNOWN,
    Approximation,
    by_case,
    exactly,
    negated,
)
from exporter.pushdown.atoms import InSet
from exporter.pushdown.facts import Fact, Kind, Text
from exporter.pushdown.layout import CallLayout
from exporter.pushdown.observation import Closed
from exporter.rules.bind import Test
from exporter.rules.fields.fd_facts import TYPE_NAMES, char_of_event, directory_of
from exporter.sources.probe.syscalls import Step


def _is(*kinds: Closed) -> Approximation:
    return exactly(InSet(Fact(Kind.CLOSED), frozenset(kinds)))


_NONE, _FILE, _DIRECTORY = _is(Closed.NONE), _is(Closed.FILE), _is(Closed.DIRECTORY)
_IP = _is(Closed.IPV4, Closed.IPV6)
_NAMELESS = _is(Closed.PIPE, Closed.NAMELESS)
_OTHER = _is(Closed.OTHER)
MAY_HAVE_ENDS = _is(Closed.IPV4, Closed.IPV6, Closed.OTHER)
"""Holds of all that may be an IP socket."""

_TYPES = {
    Closed.FILE: FdType.FILE_V2,
    Closed.DIRECTORY: FdType.DIRECTORY,
    Closed.PIPE: FdType.PIPE,
    Closed.IPV4: FdType.IPV4,
    Closed.UNIX: FdType.UNIX,
}
"""Kinds of one type each. A pair of mapped addresses may make IPv4 of IPv6."""


def is_close(call: CallLayout) -> bool:
    """Whether the call is close."""
    return call.step is Step.CLOSE


def closed_name(test: Test) -> Approximation:
    """fd.name."""
    return by_case(
        (_is(Closed.FILE, Closed.DIRECTORY), values.text(test, Text.PATH)),
        (_is(Closed.NONE, Closed.PIPE, Closed.NAMELESS), values.known_value(test, b"")),
        (_IP, _without_slash(test)),
        otherwise=UNKNOWN,
    )


def _without_slash(test: Test) -> Approximation:
    """A test on a text that holds no slash."""

    def one(op: str, value: bytes) -> Approximation:
        if b"/" not in value:
            return UNKNOWN
        if op == "!=":
            return ALWAYS
        return NEVER if op in {"=", "startswith", "endswith", "contains"} else UNKNOWN

    def many() -> Approximation:
        has_others = test.op != "in" or any(b"/" not in value for value in test.values)
        return UNKNOWN if has_others else NEVER

    return values.with_modifier(test, one, many)


def closed_file_name(test: Test) -> Approximation:
    """fd.filename: of files alone."""
    return by_case(
        (_FILE, values.last_component(test, Text.PATH)), (_OTHER, UNKNOWN), otherwise=NEVER
    )


def closed_directory(test: Test) -> Approximation:
    """fd.directory: of files and directories, and what an unknown name would give."""
    return by_case(
        (_FILE, values.directory(test, Text.PATH)),
        (_DIRECTORY, values.text(test, Text.PATH)),
        (_NONE, values.known_value(test, directory_of(b""))),
        (_OTHER, UNKNOWN),
        otherwise=NEVER,
    )


def closed_type_char(test: Test, call: CallLayout) -> Approximation:
    """fd.typechar."""
    return by_case(
        (_NONE, values.known_value(test, char_of_event(call.event))),
        *((_is(kind), values.known_value(test, TYPE_CHARS[one])) for kind, one in _TYPES.items()),
        otherwise=UNKNOWN,
    )


def closed_type(test: Test) -> Approximation:
    """fd.type."""
    return by_case(
        (_NONE, NEVER),
        *((_is(kind), values.known_value(test, TYPE_NAMES[one])) for kind, one in _TYPES.items()),
        otherwise=UNKNOWN,
    )


def closed_end(_test: Test) -> Approximation:
    """An address or a port: of IP sockets alone."""
    return by_case((negated(MAY_HAVE_ENDS), NEVER), otherwise=UNKNOWN)
