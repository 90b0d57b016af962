"""Laws of lint's proofs: what it calls implied or impossible is so for every event."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exporter.rules.ast import And
from exporter.rules.event_index import EventIndexError, event_types
from exporter.rules.lint.conditions import structure_remarks
from exporter.rules.lint.shadowing import Shadows, implies
from exporter.rules.parser import parse_condition
from exporter.rules.priority import Priority
from exporter.rules.ruleset import Rule
from tests.rules.condition_strategies import checks, conditions, events
from tests.rules.interpreter import matches

SAME_FIELD = st.sampled_from((
    "proc.name = cat", "proc.name in (cat, bash)", "proc.name in (cat)", "not proc.name = cat",
    "not proc.name in (cat, bash)", "proc.name startswith c", "not proc.name startswith c",
    "proc.name != cat", "proc.name != bash", "user.uid = 1", "user.uid > 1", "user.uid < 2",
    "proc.name in (sh)", "(proc.name = cat or proc.name = bash)", "proc.name glob *a*",
))  # fmt: skip


def make_rule(index, condition):
    """A rule with its real event types."""
    node = parse_condition(condition)
    try:
        types = event_types(node, "syscall")
    except EventIndexError:
        types = frozenset()
    assume(types)
    return Rule(index, f"r{index}", "", condition, node, "", Priority.DEBUG, event_types=types)


@settings(max_examples=60)
@given(SAME_FIELD | conditions(), SAME_FIELD | conditions(), events())
def test_implied_conditions_hold(stronger, weaker, event):
    """Whenever the stronger condition is true, so is the weaker."""
    first, second = parse_condition(stronger), parse_condition(weaker)

    assert (
        not implies(first, second, "syscall") or not matches(first, event) or matches(second, event)
    )


@settings(max_examples=60)
@given(st.lists(SAME_FIELD | checks(), min_size=2, max_size=4), events())
def test_contradictions_are_never_true(parts, event):
    """An `and` that lint calls contradictory is false for every event."""
    rule = make_rule(0, " and ".join(parts))
    assume(isinstance(rule.ast, And))
    is_contradictory = any(remark.code == "L005" for remark in structure_remarks(rule))

    assert not (is_contradictory and matches(rule.ast, event))


@settings(max_examples=60)
@given(st.data(), events())
def test_a_shadowed_rule_takes_nothing(data, event):
    """Where the later rule matches an event it is tried on, the earlier one does too."""
    base = data.draw(st.lists(SAME_FIELD | checks(), min_size=1, max_size=2))
    more = data.draw(st.lists(SAME_FIELD | checks(), min_size=0, max_size=2))
    wide = make_rule(0, " and ".join(base))
    narrow = make_rule(1, " and ".join([*base, *more]))
    is_shadowed = Shadows([wide, narrow]).shadow_of(narrow) is not None
    is_tried = event.type.code in narrow.event_types

    assert not (is_shadowed and is_tried and matches(narrow.ast, event)) or (
        event.type.code in wide.event_types and matches(wide.ast, event)
    )
