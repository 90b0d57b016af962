"""Rules that can never be told, because an earlier one matches whenever they would.

A sound and small proof: the earlier rule looks at all event types of the later one, and each of its
conjuncts is implied by one conjunct of the later rule: the same check, a wider set of values, an
`or` with it as alternative, or event types that contain the later rule's.
"""

from collections.abc import Sequence

from exporter.rules.ast import And, Check, Exists, Node, Not, Or, walk
from exporter.rules.decided import own_types
from exporter.rules.event_index import SYSCALL, EventIndexError, matched_types
from exporter.rules.lint.conditions import bound, choices, flatten
from exporter.rules.printer import print_condition, print_operand
from exporter.rules.ruleset import Rule

_TYPE_FIELDS = frozenset({"evt.type", "syscall.type"})


class Shadows:
    """Answers for one ruleset; each condition is taken apart once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [rule for rule in rules if rule.is_enabled]
        self._parts = {rule.index: conjuncts(rule.ast) for rule in self._rules}
        self._texts = {
            index: frozenset(map(print_condition, parts)) for index, parts in self._parts.items()
        }
        self._fields = {
            index: [_fields(part) for part in parts] for index, parts in self._parts.items()
        }
        self._types = {rule.index: own_types(rule.ast, rule.source) for rule in self._rules}

    def shadow_of(self, rule: Rule) -> Rule | None:
        """The first earlier rule that takes every event of this one."""
        if not rule.is_enabled or not self._types[rule.index]:
            return None
        for earlier in self._rules:
            if earlier.index >= rule.index:
                return None
            if earlier.source == rule.source and self._is_implied(earlier, rule):
                return earlier
        return None

    def _is_implied(self, earlier: Rule, rule: Rule) -> bool:
        types = self._types[rule.index]
        if not types <= self._types[earlier.index]:
            return False
        own_parts = list(zip(self._parts[rule.index], self._fields[rule.index], strict=True))
        return all(
            print_condition(part) in self._texts[rule.index]
            or _is_about_types(part, types, rule.source)
            or any(
                not fields.isdisjoint(own_fields) and implies(own, part, rule.source)
                for own, own_fields in own_parts
            )
            for part, fields in zip(
                self._parts[earlier.index], self._fields[earlier.index], strict=True
            )
        )


def conjuncts(node: Node) -> list[Node]:
    """The parts that must all be true, without those that say `not never`."""
    parts = list(flatten(node)) if isinstance(node, And) else [node]
    return [part for part in parts if not _is_never_negated(part)]


def _fields(node: Node) -> frozenset[str]:
    """What the checks of a part look at; parts that share nothing imply nothing."""
    return frozenset(
        print_operand(inner.left) for inner in walk(node) if isinstance(inner, Check | Exists)
    )


def _is_never_negated(node: Node) -> bool:
    return isinstance(node, Not) and print_condition(node.child) == "evt.num = 0"


def _is_about_types(node: Node, types: frozenset[int], source: str) -> bool:
    """Whether the part asks for event types only, and all of the given ones satisfy it."""
    if source != SYSCALL:
        return False
    for inner in walk(node):
        if isinstance(inner, Check):
            name = getattr(inner.left, "name", "")
            if name not in _TYPE_FIELDS or inner.op not in {"=", "==", "in", "!="}:
                return False
        elif not isinstance(inner, And | Or | Not):
            return False
    try:
        return types <= matched_types(node)
    except EventIndexError:
        return False


def implies(stronger: Node, weaker: Node, source: str) -> bool:
    """Whether one condition being true is enough for the other (false when not known)."""
    if stronger == weaker:
        return True
    if isinstance(stronger, Or):
        return all(implies(child, weaker, source) for child in stronger.children)
    if isinstance(weaker, Or):
        return any(implies(stronger, child, source) for child in weaker.children)
    if isinstance(weaker, And):
        return all(implies(stronger, child, source) for child in weaker.children)
    if isinstance(stronger, And):
        return any(implies(child, weaker, source) for child in stronger.children)
    if isinstance(stronger, Not) and isinstance(weaker, Not):
        return implies(weaker.child, stronger.child, source)
    return _implies_by_values(stronger, weaker, source)


def _implies_by_values(stronger: Node, weaker: Node, source: str) -> bool:
    first, second = bound(stronger, source), bound(weaker, source)
    if first is None or second is None or not (first[1] and second[1]):
        return False
    if first[0].left.key != second[0].left.key:
        return False
    few, many = choices(first[0]), choices(second[0])
    return few is not None and many is not None and few <= many
