"""Field: one entry of the catalogue, and the words entries are written in.

A reader takes the event and gives the field's value: bytes for texts and buffers, int, bool, float,
packed bytes (4 or 16) for addresses, a tuple of those for list fields; None when it is missing.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct

from exporter.events.event import Event
from exporter.events.facts import Fact
from exporter.events.table import EventType

Reader = Callable[[Event], Any]
"""Reads one field of one event; None when the field is missing."""

Arg = int | bytes | str | None
"""A parsed field argument: an index, a key, the suffix of a dotted field, or none."""


class ValueType(StrEnum):
    """Types of field values, named as in field lists and in error messages."""

    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    CHARBUF = "CHARBUF"
    BYTEBUF = "BYTEBUF"
    ERRNO = "ERRNO"
    SOCKADDR = "SOCKADDR"
    SOCKTUPLE = "SOCKTUPLE"
    FD = "FD"
    PID = "PID"
    FDLIST = "FDLIST"
    FSPATH = "FSPATH"
    SYSCALLID = "SYSCALLID"
    SIGTYPE = "SIGTYPE"
    RELTIME = "RELTIME"
    ABSTIME = "ABSTIME"
    PORT = "PORT"
    L4PROTO = "L4PROTO"
    SOCKFAMILY = "SOCKFAMILY"
    BOOL = "BOOL"
    IPV4ADDR = "IPV4ADDR"
    DYN = "DYN"
    FLAGS8 = "FLAGS8"
    FLAGS16 = "FLAGS16"
    FLAGS32 = "FLAGS32"
    UID = "UID"
    GID = "GID"
    DOUBLE = "DOUBLE"
    SIGSET = "SIGSET"
    CHARBUFARRAY = "CHARBUFARRAY"
    CHARBUF_PAIR_ARRAY = "CHARBUF_PAIR_ARRAY"
    IPV4NET = "IPV4NET"
    IPV6ADDR = "IPV6ADDR"
    IPV6NET = "IPV6NET"
    IPADDR = "IPADDR"
    IPNET = "IPNET"
    MODE = "MODE"
    FSRELPATH = "FSRELPATH"
    ENUMFLAGS8 = "ENUMFLAGS8"
    ENUMFLAGS16 = "ENUMFLAGS16"
    ENUMFLAGS32 = "ENUMFLAGS32"
    FD32 = "FD32"
    PID32 = "PID32"


class PrintFormat(StrEnum):
    """How a number is printed."""

    NA = "NA"
    DEC = "DEC"
    ID = "ID"
    HEX = "HEX"
    OCT = "OCT"
    PADDED = "10_PADDED_DEC"


class ArgKind(StrEnum):
    """What may stand in a field's brackets; SUFFIX arguments follow a dot instead."""

    NONE = "none"
    INDEX = "index"
    KEY = "key"
    INDEX_OR_KEY = "index or key"
    SUFFIX = "suffix"
    SUFFIX_OR_INDEX = "suffix or index"


class Compare(StrEnum):
    """Fields whose checks do not simply compare the value that is read."""

    PLAIN = "plain"
    ANCESTOR = "any ancestor"
    EITHER_IP = "either address"
    EITHER_PORT = "either port"
    EITHER_NET = "either address in a network"
    DNS = "host name of an address"
    AROUND = "time around"


class Unknown(StrEnum):
    """Marks a field whose value the event type alone does not tell."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN

NO_RHS = "no_rhs"
NO_TRANSFORMER = "no_transformer"
FILTER_ONLY = "filter_only"
PRINT_ONLY = "print_only"
TABLE_ONLY = "table_only"
SUGGESTED = "suggested_output"


class Field(Struct, frozen=True):
    """One field.

    read: reader of the form without argument; None when that form does not exist. bind: makes the
    reader of one argument (None for fields whose reader keeps a memory of its own). each: for
    `Compare` kinds other than PLAIN, the reader of the values that checks look at. constant: the
    value where the event type alone decides it, else UNKNOWN. inline: the reader as an expression
    over `e` (event) and `t` (its thread, may be None), for the hottest fields. cost: rough ns of a
    read. kernel: name under which the kernel can test the field; empty when it cannot. facts:
    what it reads of the facts that very many events write. is_late: told by the container's
    runtime, which may answer some milliseconds after the event.
    """

    name: str
    type: ValueType
    desc: str
    read: Reader | None = None
    bind: Callable[[Any], Reader] | None = None
    each: Reader | None = None
    compare: Compare = Compare.PLAIN
    arg: ArgKind = ArgKind.NONE
    is_arg_required: bool = False
    is_list: bool = False
    print_as: PrintFormat = PrintFormat.NA
    flags: frozenset[str] = frozenset()
    is_deprecated: bool = False
    constant: Callable[[EventType], Any] | None = None
    inline: str = ""
    cost: int = 100
    kernel: str = ""
    facts: frozenset[Fact] = frozenset()
    is_late: bool = False


class FieldClass(Struct, frozen=True):
    """A class of fields as field lists show it. sources: event sources it serves, () for all."""

    name: str
    desc: str
    sources: tuple[str, ...]
    fields: tuple[Field, ...]


class FieldUse(Struct, frozen=True):
    """A field as a condition or an output names it: with its argument, ready to be read.

    each: reader of what checks look at, when that differs from `read` (see `Field.each`).
    """

    text: str
    field: Field
    arg: Arg
    type: ValueType
    read: Reader
    each: Reader | None = None
    is_list: bool = False

    @property
    def compare(self) -> Compare:
        """How checks look at the field; an argument makes ancestor fields plain."""
        is_plain = self.field.compare is Compare.ANCESTOR and self.arg is not None
        return Compare.PLAIN if is_plain else self.field.compare


def never(event: Event) -> None:
    """Reader of fields that no event answers."""


def never_for(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Binder of fields that no event answers, whatever the argument."""
    return never
