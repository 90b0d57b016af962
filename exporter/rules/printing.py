"""Printing: how values of operands are shown, as text and in JSON.

Takes operands of conditions and output formats, gives readers of their values and of their text.
Source: rule-language.md sections 4, 18.4 and 19.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from exporter.events.event import Event
from exporter.events.text import dots
from exporter.rules.bind import Call, Const, Items, Operand, Read
from exporter.rules.fields.field import FieldUse, PrintFormat, Reader
from exporter.rules.fields.field import ValueType as T
from exporter.rules.net import address_text
from exporter.rules.transformers import function_of
from exporter.rules.values import ADDRESSES, NETWORKS

RAW_ARGUMENT = "evt.rawarg"
"""The field whose type is that of the event's own parameter."""

_MAX_TEXT = 1023
_NANOSECOND_FIELDS = frozenset({
    "evt.time", "evt.time.s", "evt.time.iso8601", "evt.datetime", "evt.datetime.s",
})  # fmt: skip
_INTEGER_PREFIXES = ("evt.rawtime", "evt.reltime", "evt.deltatime")
_TEXT_FORMATS = frozenset({PrintFormat.HEX, PrintFormat.OCT, PrintFormat.PADDED})

_FORMATS = {form.value: form for form in PrintFormat}
_TEXTS = frozenset({T.CHARBUF, T.FSPATH, T.FSRELPATH})

Renderer = Callable[[Event], bytes | None]


def uses_of(operand: Operand) -> Iterator[FieldUse]:
    """The fields that an operand reads, those inside transformers included."""
    match operand:
        case Read(use):
            yield use
        case Items(parts):
            for part in parts:
                yield from uses_of(part)
        case Call():
            for part in operand.args:
                yield from uses_of(part)
        case Const():
            return


def value_reader(operand: Operand) -> Reader:
    """Reader of the value of an operand."""
    match operand:
        case Read(use):
            return use.read
        case Const(value):
            return lambda _: value
        case Items(parts):
            readers = [value_reader(part) for part in parts]
            return lambda event: tuple([read(event) for read in readers])
        case Call():
            function = function_of(operand.name, operand.selector)
            arguments = [value_reader(arg) for arg in operand.args]
            return lambda event: function(*[read(event) for read in arguments])


def settled_operand(operand: Operand, event: Event) -> Operand:
    """The operand with constants in place of all that its event tells.

    Left to read is what the container's runtime tells, which may not have answered.
    """
    if not any(use.field.is_late for use in uses_of(operand)):
        return Const(value_reader(operand)(event), operand.type, operand.is_list)
    match operand:
        case Items(parts):
            return replace(operand, items=tuple([settled_operand(part, event) for part in parts]))
        case Call():
            return replace(operand, args=tuple([settled_operand(a, event) for a in operand.args]))
        case _:
            return operand


def text_reader(operand: Operand, *, is_base64: bool = False) -> Renderer:
    """Reader of the printed form of an operand; None when the value is missing."""
    if isinstance(operand, Read) and operand.use.field.name == RAW_ARGUMENT:
        return _raw_argument_text(operand.use, is_base64=is_base64)
    read, text = value_reader(operand), text_form(operand, is_base64=is_base64)
    if text is _itself:
        return read

    def render(event: Event) -> bytes | None:
        value = read(event)
        return None if value is None else text(value)

    return render


def text_form(operand: Operand, *, is_base64: bool = False) -> Callable[[Any], bytes]:
    """How a present value of an operand prints; not for raw arguments, whose event decides."""
    form = operand.use.field.print_as if isinstance(operand, Read) else PrintFormat.NA
    return _text_form(operand.type, form, is_list=operand.is_list, is_base64=is_base64)


# The outputs of a ruleset show fields a thousand times, in a few ways.
@cache
def _text_form(
    kind: T, form: PrintFormat, *, is_list: bool, is_base64: bool
) -> Callable[[Any], bytes]:
    def one(value: Any) -> bytes:
        return value_text(value, kind, form, is_base64=is_base64)

    def several(values: Any) -> bytes:
        return (b"(" + b",".join([one(value) for value in values]) + b")")[:_MAX_TEXT]

    if is_list:
        return several
    return _itself if kind in _TEXTS else one


def _itself(value: bytes) -> bytes:
    return value


def json_form(use: FieldUse) -> tuple[Callable[[Any], Any], Reader | None]:
    """How a present value of a field shows in JSON; or a reader of that, where the event decides.

    Times are nanoseconds, numbers are numbers unless their print format is no plain decimal.
    """
    name, kind, form = use.field.name, use.type, use.field.print_as
    if name.startswith(_INTEGER_PREFIXES):
        form = PrintFormat.DEC

    convert = _json_form(kind, form, is_list=use.is_list)
    if name in _NANOSECOND_FIELDS:
        return convert, _time_ns
    if name == RAW_ARGUMENT:
        return convert, _raw_argument_json(use)
    return convert, None


@cache
def _json_form(kind: T, form: PrintFormat, *, is_list: bool) -> Callable[[Any], Any]:
    def one(value: Any) -> Any:
        return _json_value(value, kind, form)

    def several(values: Any) -> Any:
        return [_json_value(value, kind, form) for value in values]

    if is_list:
        return several
    return _text_json if kind in _TEXTS else one


def _text_json(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _time_ns(event: Event) -> int:
    return event.ts_ns


def _raw_argument_form(use: FieldUse, event: Event) -> tuple[T, PrintFormat]:
    """Type and print format of the event's own parameter, not those the rule was checked with."""
    param = event.type.params[event.type.param_index[str(use.arg)]]
    return T(param.type), _FORMATS.get(param.format, PrintFormat.NA)


def _raw_argument_text(use: FieldUse, *, is_base64: bool) -> Renderer:
    def render(event: Event) -> bytes | None:
        value = use.read(event)
        if value is None:
            return None
        return value_text(value, *_raw_argument_form(use, event), is_base64=is_base64)

    return render


def _raw_argument_json(use: FieldUse) -> Reader:
    def read(event: Event) -> Any:
        value = use.read(event)
        return None if value is None else _json_value(value, *_raw_argument_form(use, event))

    return read


def value_text(value: Any, kind: T, form: PrintFormat, *, is_base64: bool = False) -> bytes:
    """Printed form of one present value of a type."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        if form is PrintFormat.HEX:
            return b"%X" % (value & 0xFFFFFFFFFFFFFFFF)
        if form is PrintFormat.OCT:
            return b"%o" % (value & 0xFFFFFFFFFFFFFFFF)
        return b"%09d" % value if form is PrintFormat.PADDED else b"%d" % value
    if isinstance(value, float):
        return b"%.1f" % value
    if kind is T.BYTEBUF:
        return (base64.b64encode(value) if is_base64 else dots(value))[:_MAX_TEXT]
    if kind in ADDRESSES:
        return address_text(value).encode()
    if kind in NETWORKS:
        return b"<IPNET>"
    assert isinstance(value, bytes)
    return value


def _json_value(value: Any, kind: T, form: PrintFormat) -> Any:
    if isinstance(value, bool | float) or (isinstance(value, int) and form not in _TEXT_FORMATS):
        return value
    return value_text(value, kind, form).decode("utf-8", "replace")
