"""Watched conditions: the same answers as everywhere, and which checks they came from."""

import pytest
from hypothesis import given, settings

from exporter.rules.parser import parse_condition
from exporter.rules.testing.evaluation import Watched
from tests.factories import make_event, make_thread
from tests.rules.condition_strategies import conditions, events
from tests.rules.interpreter import matches


@settings(max_examples=50)
@given(conditions(), events())
def test_watching_does_not_change_the_answer(condition, event):
    """Watched == interpreter, with laziness and without, and for all checks that were reached."""
    node = parse_condition(condition)
    watched = Watched(node, "syscall")
    expected = matches(node, event)
    values = watched.values(event)
    reached = watched.reached(values)
    unreached = [index for index in range(len(values)) if index not in reached]

    assert expected == watched.matches(event) == watched.result(values)
    # What was not reached cannot matter, whatever it says.
    turned = [not value if index in unreached else value for index, value in enumerate(values)]
    assert expected == watched.result(turned)


@settings(max_examples=50)
@given(conditions(), events())
def test_blockers_are_what_stands_in_the_way(condition, event):
    """With just these checks inverted the condition is true; none when it is."""
    watched = Watched(parse_condition(condition), "syscall")
    values = watched.values(event)
    blockers = watched.blockers(values)
    turned = [value is not (index in blockers) for index, value in enumerate(values)]

    assert watched.result(turned)
    assert (blockers == []) == watched.result(values)


def test_flipping_one_check():
    """`flipped` is as if that check said its opposite."""
    watched = Watched(parse_condition("proc.name = a and not fd.num = 1"), "syscall")

    assert [watched.result([True, False], index) for index in (-1, 0, 1)] == [True, False, False]


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        ("proc.name = x", "proc.name = cat"),
        ("fd.name = x", "fd.name = <missing>"),
        ("tolower(proc.exe) = x", "tolower(proc.exe) = cat"),
        ("proc.is_exe_writable = true", "proc.is_exe_writable = false"),
        ("proc.args = x", f"proc.args = {'y' * 120}..."),
    ],
)
def test_values_are_shown_as_printed(condition, shown):
    """`field = value`, missing ones marked, long ones cut."""
    watched = Watched(parse_condition(condition), "syscall")
    event = make_event("execve", proc=make_thread("cat", args=("y" * 200,)))

    assert [atom.show(event) for atom in watched.atoms] == [shown]


def test_deep_conditions():
    """Nesting as deep as rules files may have it costs one frame a level."""
    text = "(" * 190 + "proc.name = cat" + " and proc.name = cat)" * 95 + " or fd.num = 1)" * 95

    assert Watched(parse_condition(text, 1000), "syscall").matches(make_event("open"))
