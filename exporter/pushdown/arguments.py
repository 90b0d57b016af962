"""Tests on parameters of a call (`evt.arg.*`, `evt.rawarg.*`) by the arguments they come from.

Flags and enumerations are compared by the names that they print as; which native bits or numbers
have a name is asked of the decoders of live events, so that it can differ from them nowhere.
"""

from collections.abc import Mapping
from functools import cache

from exporter.events.native import enum_numbers, translator
from exporter.events.native_values import O_CREAT, open_flag_bits
from exporter.events.table import EventType, Param, load_event_table
from exporter.events.text import enum_text
from exporter.pushdown.approximation import (
    UNKNOWN,
    Approximation,
    by_case,
    exactly,
    negated,
)
from exporter.pushdown.atoms import InSet
from exporter.pushdown.facts import Fact, Kind, Text
from exporter.pushdown.layout import CallLayout, Form, Place
from exporter.pushdown.values import enumerated, known_value, number, text, with_modifier
from exporter.rules.bind import Test
from exporter.sources.probe.syscalls import Step

_U32 = 0xFFFFFFFF
_NO_NUMBER = 0x7FFFFFFE
"""A native number that no enumeration knows."""
_PROBE_BITS = 0xE0000000
"""Bits of open flags that the probe sets itself."""
_PATHS = (Text.PATH, Text.PATH2)
_PERMISSIONS = 0o7777
_MASKS = {Form.MODE: _PERMISSIONS, Form.HALF: 0xFFFF}
_WORDS = frozenset({Form.WORD, Form.HALF, Form.MODE, Form.HOW})
_NUMBERS = frozenset({Form.WORD, Form.MODE, Form.HOW})


def path_text(call: CallLayout, place: Place | None) -> Text | None:
    """The text of a path parameter, if the kernel looks at it."""
    if place is None or place.form is not Form.PATH or place.number >= len(call.paths):
        return None
    return _PATHS[place.number]


def word(place: Place) -> Fact:
    """An argument as a number."""
    if place.form is Form.FD:
        return Fact(Kind.ARG, place.argument, is_signed=True)
    return masked(place, _U32)


def masked(place: Place, mask: int) -> Fact:
    """Some bits of an argument."""
    kind = Kind.HOW if place.form is Form.HOW else Kind.ARG
    return Fact(kind, place.argument, mask & _MASKS.get(place.form, _U32))


def parameter(test: Test, call: CallLayout, index: int) -> Approximation:
    """A test on the text of one parameter."""
    place = call.places.get(index)
    param = call.event.params[index]
    fact = path_text(call, place)
    if fact is not None:
        # To pmatch the slash in front of a text that is no path of the call makes no difference.
        is_path = place is not None and place.base is not None
        return text(test, fact) if is_path or test.op != "pmatch" else UNKNOWN
    if place is None or place.form not in _WORDS:
        return UNKNOWN
    if param.type.startswith("ENUMFLAGS"):
        return _enumeration(test, call, param, place)
    if param.type.startswith("FLAGS") or param.type == "MODE":
        return _flags(test, call, param, place)
    return UNKNOWN


def raw_parameter(test: Test, call: CallLayout, index: int) -> Approximation:
    """A test on one parameter as a number, where the kernel's number is the event's."""
    place = call.places.get(index)
    param = call.event.params[index]
    if place is None or place.form not in _NUMBERS or param.type not in {"UINT32", "FLAGS32"}:
        return UNKNOWN
    if call.step is Step.OPEN and param.name == "mode":
        return _open_mode(test, call, place)
    if translator(call.event.name, param) is not None:
        return UNKNOWN
    return number(test, word(place))


def _enumeration(test: Test, call: CallLayout, param: Param, place: Place) -> Approximation:
    translate = translator(call.event.name, param)
    numbers = enum_numbers(param.table)
    if translate is None or numbers is None:
        # Numbers without a name print as themselves: no end of values.
        return UNKNOWN
    width = (1 << int(param.type.removeprefix("ENUMFLAGS"))) - 1

    def printed(native: int) -> bytes:
        value = translate(native) & width
        return enum_text(value, param.table) or b"%d" % value

    known = ((native, printed(native)) for native in numbers)
    return enumerated(test, word(place), known, printed(_NO_NUMBER))


@cache
def _masks(event_name: str, param: Param) -> Mapping[bytes, int]:
    """Name -> native bits of which any sets it, for names that stand for one bit of their own."""
    rows = [
        (name.encode(), bits) for name, bits in load_event_table().value_tables[param.table] if bits
    ]
    translate = translator(event_name, param) or (lambda value: value)
    always = translate(0)
    widest = 0xFFFFFFFF >> {"FLAGS8": 24, "FLAGS16": 16}.get(param.type, 0)
    masks: dict[bytes, int] = {}
    for name, bits in rows:
        is_own = (
            bits.bit_count() == 1
            and bits <= widest
            and not any(other != name and other_bits & bits for other, other_bits in rows)
        )
        if is_own and not bits & always:
            native = sum(1 << n for n in range(32) if translate(1 << n) & bits)
            masks[name] = native
    return masks


def _flags(test: Test, call: CallLayout, param: Param, place: Place) -> Approximation:
    if not param.table:
        return UNKNOWN
    masks = _masks(call.event.name, param)
    names = [name.encode() for name, _ in load_event_table().value_tables[param.table]]

    def one(op: str, value: bytes) -> Approximation:
        # A word without names prints as a number.
        if op != "contains" or b"|" in value or not value or value.isdigit():
            return UNKNOWN
        hits = [name for name in names if value in name]
        if any(name not in masks for name in hits) or not hits:
            return UNKNOWN
        mask = 0
        for name in hits:
            mask |= masks[name]
        if call.step is Step.OPEN and mask & _PROBE_BITS:
            return UNKNOWN
        return has_bits(place, mask)

    return with_modifier(test, one, lambda: UNKNOWN)


def makes_file(place: Place) -> Approximation:
    """The open flags show O_CREAT or O_TMPFILE, and so the mode counts."""
    return has_bits(place, O_CREAT | open_flag_bits()["O_TMPFILE"])


def _open_mode(test: Test, call: CallLayout, place: Place) -> Approximation:
    """The mode of an open is 0 unless it may make a file."""
    flags = call.place("flags")
    if flags is None:
        return UNKNOWN
    shown = number(test, masked(place, _PERMISSIONS))
    return by_case((makes_file(flags), shown), otherwise=known_value(test, 0))


def has_bits(place: Place, mask: int) -> Approximation:
    """Any of the bits is set in the argument."""
    return negated(exactly(InSet(masked(place, mask), frozenset({0}))))


def parameter_index(kind: EventType, arg: object) -> int | None:
    """Index of the parameter that a field's argument names."""
    if isinstance(arg, int):
        return arg if 0 <= arg < len(kind.params) else None
    return kind.param_index.get(str(arg))
