"""Selection of rules by name pattern and tag."""

import pytest

from exporter.rules.parser import parse_condition
from exporter.rules.priority import Priority
from exporter.rules.ruleset import Rule
from exporter.rules.selection import Selection, matches_wildcard, select


def make_rule(index, name, tags=(), *, is_enabled=True):
    """A rule of which only name, tags and state matter."""
    node = parse_condition("a.b=c")
    return Rule(
        index, name, "", "", node, "", Priority.INFORMATIONAL, tags=tags, is_enabled=is_enabled
    )


WILDCARDS = [
    ("abc", "abc", True),
    ("abc", "abcd", False),
    ("abc", "ABC", False),
    ("*", "", True),
    ("*", "anything", True),
    ("***", "anything", True),
    ("", "", True),
    ("", "a", False),
    ("a*", "abc", True),
    ("a*", "a", True),
    ("*c", "abc", True),
    ("*bc", "abc", True),
    ("a*c", "abc", True),
    ("a*c", "abcd", False),
    ("a**c", "abc", True),
    ("*b*", "abc", True),
    ("*x*", "abc", False),
    ("a*b*c", "a-b-c", True),
    ("a*b*c", "a-c-b", False),
    ("a?c", "abc", False),
    ("[ab]*", "abc", False),
    ("a*a", "a", False),
    ("*bar", "barxbar", False),
]


@pytest.mark.parametrize(("pattern", "text", "matches"), WILDCARDS)
def test_wildcards_match_whole_names(pattern, text, matches):
    """Only `*` is special; what is between stars is looked for leftmost first."""
    assert matches is matches_wildcard(pattern, text)


SELECTED = [
    ([], ["one", "two"]),
    ([Selection(False, rule="*")], []),
    ([Selection(False, rule="one")], ["two"]),
    ([Selection(False, tag="x")], ["two"]),
    ([Selection(True, tag="y")], ["one", "two", "off"]),
    ([Selection(True, rule="of*")], ["one", "two", "off"]),
    ([Selection(False, rule="*"), Selection(True, rule="two")], ["two"]),
    ([Selection(True, rule="off"), Selection(False, rule="off")], ["one", "two"]),
    ([Selection(False, rule="one"), Selection(True, rule="one")], ["two", "one"]),
    ([Selection(False, rule="two", tag="x")], []),
    ([Selection(True, rule="one")], ["one", "two"]),
    ([Selection(False, tag="nobody")], ["one", "two"]),
    ([Selection(False)], ["one", "two"]),
]


@pytest.mark.parametrize(("selections", "names"), SELECTED)
def test_selections_apply_in_order(selections, names):
    """Later entries win; a rule turned on again goes to the end."""
    rules = [
        make_rule(0, "one", ("x",)),
        make_rule(1, "off", ("y",), is_enabled=False),
        make_rule(2, "two", ("z",)),
    ]
    chosen = select(rules, selections)

    assert names == [rule.name for rule in chosen if rule.is_enabled]
    assert [rule.index for rule in chosen] == [0, 1, 2]
