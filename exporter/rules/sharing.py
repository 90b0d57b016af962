"""Sharing: what the rules of one function have in common, found before its text is written.

Takes plan nodes, gives counts: nodes used in several places, fields worth reading at once, and the
prefixes and suffixes that many rules test on one value (one look rules most of them out).
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from exporter.rules.bind import Read, Test
from exporter.rules.fields.field import Compare
from exporter.rules.plan import Plan, TestNode, children_of

_HOIST_COST = 30
"""Fields that cost no more ns than this are read before the first rule if used often."""

_HOIST_USES = 3
_GUARD_TESTS = 4
"""From this many tests on, one test with all their prefixes is asked first."""


def reachable(plan: Plan, roots: Sequence[int]) -> Iterator[int]:
    """Every node at and below the roots, once."""
    seen: set[int] = set()
    pending = list(dict.fromkeys(roots))
    while pending:
        number = pending.pop()
        if number in seen:
            continue
        seen.add(number)
        yield number
        pending.extend(children_of(plan.nodes[number]))


def count_references(plan: Plan, roots: Sequence[int]) -> Counter[int]:
    """How often each node is used by the distinct nodes above it and by rules."""
    references: Counter[int] = Counter(roots)
    for number in reachable(plan, roots):
        references.update(children_of(plan.nodes[number]))
    return references


def hoisted_reads(plan: Plan, roots: Sequence[int]) -> list[Read]:
    """Cheap fields that many tests look at, in the order their nodes were made."""
    references = count_references(plan, roots)
    uses: Counter[str] = Counter()
    reads: dict[str, Read] = {}
    for number in sorted(reachable(plan, roots)):
        node = plan.nodes[number]
        if not isinstance(node, TestNode) or not isinstance(node.test.left, Read):
            continue
        left = node.test.left
        field = left.use.field
        if field.inline and field.cost <= _HOIST_COST and left.use.arg is None:
            uses[left.key] += references[number]
            reads.setdefault(left.key, left)
    return [read for key, read in reads.items() if uses[key] >= _HOIST_USES]


def is_affix_test(test: Test) -> bool:
    """Whether a test asks for a prefix or suffix of one plain value."""
    return (
        test.op in {"startswith", "endswith"}
        and test.modifier in {None, "anyof"}
        and test.right is None
        and test.compare is Compare.PLAIN
        and bool(test.values)
    )


def affix_groups(plan: Plan, roots: Sequence[int]) -> dict[tuple[str, str], tuple[bytes, ...]]:
    """(operand, operator) tested by many nodes -> all the prefixes or suffixes asked for."""
    found: dict[tuple[str, str], list[Test]] = {}
    for number in sorted(reachable(plan, roots)):
        node = plan.nodes[number]
        if isinstance(node, TestNode) and is_affix_test(node.test):
            found.setdefault((node.test.left.key, node.test.op), []).append(node.test)
    return {
        key: tuple(dict.fromkeys(value for test in tests for value in test.values))
        for key, tests in found.items()
        if len(tests) >= _GUARD_TESTS
    }
