"""Conditions that cannot mean what they say: contradictions, tautologies, repetitions."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from exporter.rules.ast import And, Check, Exists, Node, Not, Or, Value, ValueList, walk
from exporter.rules.bind import Read, Test, bind_check
from exporter.rules.decided import always_decided
from exporter.rules.event_index import SYSCALL, has_too_many_types, matched_types
from exporter.rules.fields.field import Compare
from exporter.rules.lint.findings import Remark
from exporter.rules.operators import EvaluationError, make_predicate
from exporter.rules.printer import print_condition
from exporter.rules.ruleset import Rule
from exporter.rules.values import NETWORKS

_TYPE_FIELDS = frozenset({"evt.type", "syscall.type", "evt.num"})
_MAX_TEXT = 160


def event_type_remarks(rule: Rule) -> Iterator[Remark]:
    """L001 and L002: too many event types, or none."""
    if rule.source != SYSCALL:
        return
    codes = matched_types(rule.ast)
    if has_too_many_types(codes):
        yield Remark(
            "L001",
            f"it looks at {len(codes)} of all event types",
            "begin with the system calls that it is about: evt.type in (...)",
        )
    elif not codes:
        yield Remark("L002", "no event has the types that its condition asks for")


def decided_remarks(rule: Rule) -> Iterator[Remark]:
    """L003 and L004: checks that say the same for every event they are asked about."""
    seen: set[str] = set()
    for part in always_decided(rule.ast, rule.source):
        text = print_condition(part.check)
        if text in seen:
            continue
        seen.add(text)
        if part.verdict:
            yield Remark("L003", f"{_short(text)} is true for all of its events")
        elif part.reason is not None:
            yield Remark("L004", f"{_short(text)}: none of its events has {part.reason}")
        else:
            yield Remark("L004", f"{_short(text)} is false for every event that gets there")


def structure_remarks(rule: Rule) -> Iterator[Remark]:
    """L005, L006 and L007: what the checks under one `and` or `or` say together."""
    seen: set[Remark] = set()
    for node in walk(rule.ast):
        found: Iterator[Remark] = iter(())
        if isinstance(node, And):
            parts = list(flatten(node))
            found = _contradictions(parts, rule.source)
        elif isinstance(node, Or):
            parts = list(flatten(node))
            found = _tautologies(parts, rule.source)
        else:
            continue
        for remark in (*found, *_repetitions(parts)):
            if remark not in seen:
                seen.add(remark)
                yield remark


def flatten(node: And | Or) -> Iterator[Node]:
    """Everything joined by the same operator, however deep the parentheses."""
    for child in node.children:
        if isinstance(child, And | Or) and type(child) is type(node):
            yield from flatten(child)
        else:
            yield child


def bound(node: Node, source: str) -> tuple[Test, bool] | None:
    """The test of a check or a negated check, and whether it stands as it is; None for others."""
    is_plain = not isinstance(node, Not)
    inner = node.child if isinstance(node, Not) else node
    return (_bind(inner, source), is_plain) if isinstance(inner, Check) else None


@lru_cache(maxsize=4096)
def _bind(check: Check, source: str) -> Test:
    """The bound check; rules share macros, and every pair of rules is compared."""
    return bind_check(check, source)


def choices(test: Test) -> frozenset[object] | None:
    """The values that make an equality or membership true; None for other tests."""
    is_scalar = (
        test.right is None
        and test.compare is Compare.PLAIN
        and not test.left.is_list
        and test.left.type not in NETWORKS
    )
    if not is_scalar or test.modifier is not None or test.op not in {"=", "in"}:
        return None
    return frozenset(test.values)


def _is_about_types(test: Test) -> bool:
    return isinstance(test.left, Read) and test.left.use.field.name in _TYPE_FIELDS


def _contradictions(parts: Sequence[Node], source: str) -> Iterator[Remark]:
    """Equalities whose values the other checks of the same field all refuse."""
    by_field: dict[str, list[tuple[Node, Test, bool]]] = {}
    for part in parts:
        found = bound(part, source)
        if found is not None and not _is_about_types(found[0]):
            by_field.setdefault(found[0].left.key, []).append((part, *found))
    for field, group in by_field.items():
        wanted = [
            (node, values)
            for node, test, is_plain in group
            if is_plain and (values := choices(test)) is not None
        ]
        if not wanted or len(group) < 2:
            continue
        node, values = min(wanted, key=lambda pair: len(pair[1]))
        others = [entry for entry in group if entry[0] is not node]
        if values and not any(_allowed(value, others) for value in values):
            words = " and ".join(_short(print_condition(entry[0])) for entry in group)
            yield Remark("L005", f"no value of {field} satisfies {words}")


def _allowed(value: object, others: Sequence[tuple[Node, Test, bool]]) -> bool:
    for _, test, is_plain in others:
        if test.right is not None or test.compare is not Compare.PLAIN:
            continue
        try:
            if make_predicate(test)(value) is not is_plain:
                return False
        except EvaluationError:
            continue
    return True


def _tautologies(parts: Sequence[Node], source: str) -> Iterator[Remark]:
    """`x != a or x != b`: whatever the value is, one of them is true."""
    refused: dict[str, tuple[Node, frozenset[object]]] = {}
    for part in parts:
        found = bound(part, source)
        if found is None:
            continue
        test, is_plain = found
        if test.op == "!=" and is_plain and test.right is None and test.compare is Compare.PLAIN:
            values: frozenset[object] | None = frozenset(test.values)
        else:
            values = None if is_plain else choices(test)
        if values is None or _is_about_types(test):
            continue
        earlier = refused.get(test.left.key)
        if earlier is not None and not earlier[1] & values:
            yield Remark(
                "L006",
                f"{_short(print_condition(earlier[0]))} or {_short(print_condition(part))} is true "
                f"whatever {test.left.key} is",
                "use `and`, or `not ... in (...)`",
            )
        refused[test.left.key] = part, values
    plain = {print_condition(part) for part in parts if not isinstance(part, Not)}
    for part in parts:
        if isinstance(part, Not) and print_condition(part.child) in plain:
            yield Remark("L006", f"{_short(print_condition(part))} or its opposite is always true")


def _repetitions(parts: Sequence[Node]) -> Iterator[Remark]:
    seen: set[str] = set()
    for part in parts:
        text = print_condition(part)
        if text in seen and "evt.num" not in text and "evt.type" not in text:
            yield Remark("L007", f"{_short(text)} stands there twice")
        seen.add(text)


def constants(check: Check | Exists) -> tuple[str, ...]:
    """The constant texts of a check."""
    if isinstance(check, Check):
        if isinstance(check.right, Value):
            return (check.right.text,)
        if isinstance(check.right, ValueList):
            return check.right.values
    return ()


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
