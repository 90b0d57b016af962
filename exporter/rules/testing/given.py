"""Events made of field values: what a test gives is read, everything else is missing.

Known beside the given values: what the event type alone decides, and the number and time of the
event. Nothing is worked out from other fields; scenarios do that.
"""

from dataclasses import replace
from typing import Any

import msgspec

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.rules.bind import Call, Items, Operand, Read
from exporter.rules.conditions import ValueTextError
from exporter.rules.fields import generic
from exporter.rules.fields.catalogue import (
    UnknownArgumentError,
    event_names,
    find_field,
    nearest_fields,
)
from exporter.rules.fields.field import UNKNOWN, Compare, FieldUse, Reader
from exporter.rules.net import parse_address
from exporter.rules.testing.event_types import find_event_type
from exporter.rules.testing.items import Item, TestFileError
from exporter.rules.values import NETWORKS, parse_value

SYSCALL = "syscall"
EVENT_TIME_NS = 1_767_225_600_000_000_000
"""Time of the first event of a test: 2026-01-01T00:00:00Z."""

_OWN_FIELDS = frozenset(field.name for field in generic.CLASS.fields)
_SEVERAL = frozenset({
    Compare.ANCESTOR, Compare.EITHER_IP, Compare.EITHER_PORT, Compare.EITHER_NET,
})  # fmt: skip
"""Kinds of check that look at several values: a list may be given."""


class GivenEvent(Event, kw_only=True):
    """An event whose fields are given.

    given: field with its argument -> value as its reader gives it. missing: fields that were asked
    for and not given.
    """

    given: dict[str, Any]
    missing: dict[str, None]


def make_given_event(item: Item, source: str, number: int) -> GivenEvent:
    """The event of one mapping of fields to values. Raises TestFileError."""
    given: dict[str, Any] = {}
    name = "pluginevent"
    for text, value, span in item.pairs("a mapping of fields to values"):
        if text == "evt.type" and source == SYSCALL:
            name = value.text("the name of an event")
            if name not in event_names():
                raise TestFileError(f'there is no event "{name}"', value.span)
            given[text] = name.encode()
            continue
        use = use_of(text, source)
        if use is None:
            near = nearest_fields(text, source)
            hint = f"did you mean {', '.join(near)}?" if near else None
            raise TestFileError(f"there is no field {text}", span, hint)
        given[use.text] = _value(use, value)
    kind = find_event_type(name)
    if kind is None or (source == SYSCALL and "evt.type" not in given):
        raise TestFileError("an event needs evt.type", item.span)
    return GivenEvent(
        num=number,
        ts_ns=EVENT_TIME_NS + number * 1_000_000,
        cpu=0,
        tid=1,
        type=kind,
        raw=(),
        decoders=(),
        host=Host(hostname=b"test"),
        source=source,
        given=given,
        missing={},
    )


def use_of(text: str, source: str) -> FieldUse | None:
    """The field that a text such as `proc.aname[2]` names; None when there is none."""
    name, bracket, rest = text.partition("[")
    if bracket and not rest.endswith("]"):
        return None
    try:
        return find_field(name, rest[:-1].strip("\"'") if bracket else None, source)
    except UnknownArgumentError:
        return None


def _value(use: FieldUse, item: Item) -> Any:
    """The value as the field's reader gives it; None for a missing one."""
    if item.value is None:
        return None
    if use.is_list or (use.compare in _SEVERAL and isinstance(item.value, tuple)):
        return tuple(_one(use, text, item) for text in item.texts("a value or a list of values"))
    return _one(use, item.text("a value"), item)


def _one(use: FieldUse, text: str, item: Item) -> Any:
    try:
        if use.type in NETWORKS or use.compare is Compare.DNS:
            return parse_address(text)  # What checks of networks and host names look at.
        return parse_value(use.type, text)
    except ValueTextError as error:
        raise TestFileError(f"{use.text}: {error}", item.span) from None


def reads_given(operand: Operand) -> Operand:
    """The operand with its fields read from given values."""
    match operand:
        case Read(use):
            return Read(_given_use(use))
        case Items(parts):
            return replace(operand, items=tuple(map(reads_given, parts)))
        case Call():
            return replace(operand, args=tuple(map(reads_given, operand.args)))
        case _:
            return operand


def _given_use(use: FieldUse) -> FieldUse:
    if use.field.name in _OWN_FIELDS and use.field.name != "evt.type":
        return use
    is_several = use.compare in _SEVERAL
    each = None if use.each is None else _reader(use, as_tuple=is_several)
    return msgspec.structs.replace(use, read=_reader(use, as_tuple=False), each=each)


def _reader(use: FieldUse, *, as_tuple: bool) -> Reader:
    """Reader of a given value. as_tuple: of all values that a check looks at."""
    text, decide, is_list = use.text, use.field.constant, use.is_list

    def read(event: Event) -> Any:
        assert isinstance(event, GivenEvent)
        if text in event.given:
            value = event.given[text]
            if is_list or value is None or isinstance(value, tuple) is as_tuple:
                return value
            return (value,) if as_tuple else value[0] if value else None
        value = UNKNOWN if decide is None else decide(event.type)
        if value is not UNKNOWN:
            return value
        event.missing[text] = None
        return None

    return read
