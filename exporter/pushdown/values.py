"""Tests on values of known shape: numbers, texts, addresses, and values of which there are few.

Each function takes a bound test and says what the kernel can say of it, given where the value comes
from. Semantics of operators are those of exporter/rules/operators.py: a test on a present value.
"""

from collections.abc import Callable, Iterable
from typing import Any

from exporter.pushdown.approximation import (
    ALWAYS,
    NEVER,
    UNKNOWN,
    Approximation,
    at_most,
    both,
    constant,
    either,
    exactly,
    negated,
)
from exporter.pushdown.atoms import Below, InNetworks, InSet, Match, TextIs
from exporter.pushdown.facts import WIDE, Fact, Group, Text
from exporter.pushdown.ir import Literal, Predicate
from exporter.pushdown.simplify import all_of
from exporter.rules.bind import Test
from exporter.rules.glob import is_literal
from exporter.rules.operators import EvaluationError, make_predicate
from exporter.rules.pmatch import components

_INT64 = 1 << 63
_COMM_BYTES = 15

OneTest = Callable[[str, Any], Approximation]
"""An operator and one constant -> what the kernel says of it."""


def with_modifier(test: Test, one: OneTest, many: Callable[[], Approximation]) -> Approximation:
    """The test by its single comparisons. many: the `in` and `pmatch` of all constants."""
    if test.op == "exists":
        return ALWAYS
    if test.modifier is not None:
        parts = [one(test.op, value) for value in test.values]
        if test.modifier == "allof":
            return both(parts) if parts else NEVER
        found = either(parts)
        return found if test.modifier == "anyof" else at_most(found.if_true)
    if test.op in {"in", "intersects", "pmatch"}:
        return many()
    return one(test.op, test.values[0])


def number(test: Test, fact: Fact) -> Approximation:
    """A test on a number that equals the fact."""
    if not all(isinstance(value, int) and -_INT64 < value < _INT64 for value in test.values):
        return UNKNOWN

    def one(op: str, value: int) -> Approximation:
        match op:
            case "=":
                return exactly(InSet(fact, frozenset({value})))
            case "!=":
                return negated(exactly(InSet(fact, frozenset({value}))))
            case "<":
                return exactly(Below(fact, value))
            case ">=":
                return negated(exactly(Below(fact, value)))
            case "<=" if value + 1 < _INT64:
                return exactly(Below(fact, value + 1))
            case ">" if value + 1 < _INT64:
                return negated(exactly(Below(fact, value + 1)))
            case _:
                return UNKNOWN

    def many() -> Approximation:
        return exactly(InSet(fact, frozenset(test.values))) if test.values else NEVER

    return with_modifier(test, one, many)


def number_from_zero(test: Test) -> Approximation:
    """A test on a number that is not negative, whatever it is."""

    def one(op: str, value: Any) -> Approximation:
        if not isinstance(value, int) or value > 0:
            return UNKNOWN
        match op:
            case "<":
                return NEVER
            case ">=":
                return ALWAYS
            case "=" | "<=" if value < 0:
                return NEVER
            case "!=" | ">" if value < 0:
                return ALWAYS
            case _:
                return UNKNOWN

    return with_modifier(test, one, lambda: UNKNOWN)


def known_value(test: Test, value: Any) -> Approximation:
    """A test on a value that is known beforehand; None is a missing one."""
    if value is None:
        return NEVER
    try:
        return constant(is_true=make_predicate(test)(value))
    except EvaluationError:
        return UNKNOWN


def enumerated(
    test: Test, fact: Fact, values: Iterable[tuple[int, Any]], otherwise: Any
) -> Approximation:
    """A test on a value that the fact decides: (number, value) pairs, and the value of others."""
    predicate = make_predicate(test)
    verdicts = {number: predicate(value) for number, value in values}
    rest = predicate(otherwise)
    odd = frozenset(number for number, verdict in verdicts.items() if verdict is not rest)
    if not odd:
        return constant(is_true=rest)
    found = exactly(InSet(fact, odd))
    return negated(found) if rest else found


def text(test: Test, fact: Text) -> Approximation:
    """A test on a text that equals the fact."""

    def match(kind: Match, values: Iterable[bytes]) -> Approximation:
        chosen = frozenset(values)
        if fact is Text.COMM:
            chosen = frozenset(value for value in chosen if len(value) <= _COMM_BYTES)
        return exactly(TextIs(fact, kind, chosen)) if chosen else NEVER

    def one(op: str, value: bytes) -> Approximation:
        match op:
            case "icontains" if fact.group is Group.IMAGE:
                folded = match(Match.CONTAINS_FOLDED, [value])
                return at_most(folded.if_true) if value else ALWAYS
            case "=":
                return match(Match.EQUAL, [value])
            case "!=":
                return negated(match(Match.EQUAL, [value]))
            case "startswith":
                return match(Match.PREFIX, [value]) if value else ALWAYS
            case "endswith":
                return match(Match.SUFFIX, [value]) if value else ALWAYS
            case "contains":
                return match(Match.CONTAINS, [value]) if value else ALWAYS
            case "glob":
                return _glob(value, match)
            case _:
                return UNKNOWN

    def many() -> Approximation:
        if test.op == "pmatch":
            return either(_leading(value, fact, match) for value in test.values)
        return match(Match.EQUAL, test.values)

    return with_modifier(test, one, many)


Matcher = Callable[[Match, Iterable[bytes]], Approximation]
_GLOB_CHARS = frozenset(b"*?[\\")


def _glob(pattern: bytes, match: Matcher) -> Approximation:
    """Exact where stars stand at the ends only; else by the literal text at both ends."""
    core = pattern.strip(b"*")
    starts, ends = pattern.startswith(b"*"), pattern.endswith(b"*")
    if is_literal(core):
        if not core:
            return ALWAYS if pattern else match(Match.EQUAL, [b""])
        kinds = {
            (False, False): Match.EQUAL,
            (False, True): Match.PREFIX,
            (True, False): Match.SUFFIX,
            (True, True): Match.CONTAINS,
        }
        return match(kinds[starts, ends], [core])
    head = _until_special(pattern)
    parts: list[Predicate] = [match(Match.PREFIX, [head]).if_true] if head else []
    if not _has_sets(pattern):
        *middle, tail = pattern.replace(b"?", b"*").split(b"*")
        if tail:
            parts.append(match(Match.SUFFIX, [tail]).if_true)
        parts += [match(Match.CONTAINS, [part]).if_true for part in middle[1:] if len(part) > 1]
    return at_most(all_of(parts))


def _until_special(pattern: bytes) -> bytes:
    at = next((i for i, byte in enumerate(pattern) if byte in _GLOB_CHARS), len(pattern))
    return pattern[:at]


def _has_sets(pattern: bytes) -> bool:
    return b"[" in pattern or b"\\" in pattern


def _leading(path: bytes, fact: Text, match: Matcher) -> Approximation:
    """The components of a path lead to the text's (one pmatch value)."""
    if fact.group not in {Group.PATH, Group.PATH2}:
        return UNKNOWN
    parts = components(path)
    if not parts:
        return ALWAYS
    literal: list[bytes] = []
    for part in parts:
        if not _GLOB_CHARS.isdisjoint(part):
            break
        literal.append(part)
    lead = b"/" + b"/".join(literal)
    if len(literal) == len(parts):
        return either((match(Match.EQUAL, [lead]), match(Match.PREFIX, [lead + b"/"])))
    return at_most(match(Match.PREFIX, [lead if lead.endswith(b"/") else lead + b"/"]).if_true)


def last_component(test: Test, fact: Text) -> Approximation:
    """A test on the last component of a path."""

    def one(op: str, value: bytes) -> Approximation:
        match op:
            case "=":
                return _named([value], fact)
            case "!=":
                return negated(_named([value], fact))
            case "startswith":
                return at_most(Literal(TextIs(fact, Match.CONTAINS, frozenset({b"/" + value}))))
            case "endswith" if value:
                return at_most(Literal(TextIs(fact, Match.SUFFIX, frozenset({value}))))
            case "contains" if value:
                return at_most(Literal(TextIs(fact, Match.CONTAINS, frozenset({value}))))
            case _:
                return UNKNOWN

    return with_modifier(
        test, one, lambda: UNKNOWN if test.op == "pmatch" else _named(test.values, fact)
    )


def _named(values: Iterable[bytes], fact: Text) -> Approximation:
    # The root has no last component and is called by its slash; no plain path is.
    chosen = frozenset(value for value in values if value == b"/" or (value and b"/" not in value))
    return exactly(TextIs(fact, Match.NAME, chosen)) if chosen else NEVER


def directory(test: Test, fact: Text) -> Approximation:
    """A test on the directory part of a path."""

    def equal(values: Iterable[bytes]) -> Approximation:
        chosen = frozenset(value for value in values if value.startswith(b"/"))
        return exactly(TextIs(fact, Match.DIRECTORY, chosen)) if chosen else NEVER

    def one(op: str, value: bytes) -> Approximation:
        match op:
            case "=":
                return equal([value])
            case "!=":
                return negated(equal([value]))
            case "startswith" if value:
                return at_most(Literal(TextIs(fact, Match.PREFIX, frozenset({value}))))
            case "contains" if value:
                return at_most(Literal(TextIs(fact, Match.CONTAINS, frozenset({value}))))
            case "glob":
                head = _until_special(value)
                return (
                    at_most(Literal(TextIs(fact, Match.PREFIX, frozenset({head}))))
                    if head
                    else UNKNOWN
                )
            case _:
                return UNKNOWN

    def many() -> Approximation:
        if test.op != "pmatch":
            return equal(test.values)
        return at_most(text(test, fact).if_true)

    return with_modifier(test, one, many)


def address(test: Test, fact: Fact) -> Approximation:
    """A test on one address: equality or membership; networks through `networks`."""
    width = _width(fact)

    def one(op: str, value: bytes) -> Approximation:
        found = exactly(InSet(fact, _numbers([value], width))) if len(value) == width else NEVER
        return found if op == "=" else negated(found) if op == "!=" else UNKNOWN

    def many() -> Approximation:
        members = _numbers(test.values, width)
        return exactly(InSet(fact, members)) if members else NEVER

    return with_modifier(test, one, many)


def _width(fact: Fact) -> int:
    """Bytes of an address."""
    return 16 if fact.kind in WIDE else 4


def _numbers(addresses: Iterable[bytes], width: int) -> frozenset[int]:
    return frozenset(int.from_bytes(value, "big") for value in addresses if len(value) == width)


def networks(test: Test, fact: Fact) -> Approximation:
    """A test on whether one address lies in any of the networks."""
    if test.op == "exists":
        return ALWAYS
    width = _width(fact)
    chosen = frozenset(
        (value.value << value.shift, (1 << 8 * width) - (1 << value.shift))
        for value in test.values
        if value.width == width
    )
    inside = exactly(InNetworks(fact, chosen)) if chosen else NEVER
    return negated(inside) if test.op == "!=" else inside
