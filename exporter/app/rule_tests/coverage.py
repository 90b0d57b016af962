"""Coverage: which rules have tests, what their checks have said, and which nobody would miss.

A check is noticed when turning it into its opposite changes the alerts of some test. That is worked
out from the recorded values of all checks; nothing runs again.
"""

from collections.abc import Sequence

from exporter.app.rule_tests.outcome import AtomCoverage, RuleCoverage
from exporter.app.rule_tests.watch import Seen, Watcher
from exporter.rules.event_index import ASYNC_TYPES
from exporter.rules.ruleset import Rule
from exporter.rules.testing.document import Case

_GIVEN = {"evt.num": (True, False), "evt.type": (False,)}
"""Fields -> answers that no test has to show: `evt.num = 0` is how rules files say "never", and
events of other types do not reach a rule that names its own."""


def cover(
    rules: Sequence[Rule],
    watcher: Watcher,
    tests: Sequence[tuple[Case, Sequence[Seen]]],
    *,
    match_all: bool,
) -> list[RuleCoverage]:
    """The coverage of every rule, in definition order."""
    return [_cover_rule(rule, watcher, tests, match_all=match_all) for rule in rules]


def _cover_rule(
    rule: Rule,
    watcher: Watcher,
    tests: Sequence[tuple[Case, Sequence[Seen]]],
    *,
    match_all: bool,
) -> RuleCoverage:
    watched = watcher.watched(rule)
    count = len(watched.atoms)
    was = [set(_GIVEN.get(atom.field, ())) for atom in watched.atoms]
    noticed = [False] * count
    positive = negative = 0
    for case, seen in tests:
        looks = [(record, record.looks[rule.name]) for record in seen if rule.name in record.looks]
        is_expected = _expects(case, rule.name)
        positive += is_expected
        is_asserted = _asserts(case, rule.name)
        is_near = any(record.code not in ASYNC_TYPES for record, _ in looks)
        negative += not is_expected and is_near and is_asserted
        for record, look in looks:
            for index, value in watched.reached(look.values).items():
                was[index].add(value)
            if not is_asserted or not _is_visible(rule, watcher, record, match_all=match_all):
                continue
            for index in range(count):
                if not noticed[index]:
                    noticed[index] = watched.result(look.values, index) is not look.result
    return RuleCoverage(
        rule.name,
        positive,
        negative,
        tuple(
            AtomCoverage(atom.text, True in seen_as, False in seen_as, is_noticed)
            for atom, seen_as, is_noticed in zip(watched.atoms, was, noticed, strict=True)
        ),
    )


def _asserts(case: Case, rule: str) -> bool:
    """Whether the test would fail if the rule matched more or less often."""
    if case.forbidden is not None:
        return not case.forbidden or any(name == rule for name, _ in case.forbidden)
    return not case.has_others or rule in case.named


def _expects(case: Case, rule: str) -> bool:
    """Whether the test would fail without an alert of the rule."""
    return any(expected.rule == rule for expected in case.expected) or any(
        entry.rule == rule and entry.count for entry in case.counts or ()
    )


def _is_visible(rule: Rule, watcher: Watcher, record: Seen, *, match_all: bool) -> bool:
    """Whether another answer would change the alerts: no earlier rule takes the event."""
    if match_all:
        return True
    for name in record.matched:
        return name == rule.name or not _is_before(name, rule, watcher)
    return True


def _is_before(name: str, rule: Rule, watcher: Watcher) -> bool:
    return any(other.name == name and other.index < rule.index for other in watcher.rules)
