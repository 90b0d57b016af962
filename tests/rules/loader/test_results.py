"""Load results: contexts, snippets, text and JSON forms."""

import json
import os
from pathlib import Path
from textwrap import dedent

import pytest

from exporter.rules.ast import Position
from exporter.rules.loader.document import Mark
from exporter.rules.loader.results import Context, ItemType

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir())


@pytest.mark.parametrize("name", CASES)
def test_golden_results(load, name):
    """The whole result of each sample file, as text and as JSON, is what the golden files say.

    UPDATE_GOLDEN=1 rewrites them, to be read in review as a diff.
    """
    case = GOLDEN / name
    report = load((case / "rules.yaml").read_text())
    produced = {
        "verbose.txt": report.verbose(),
        "summary.txt": report.summary() + "\n",
        "result.json": json.dumps(report.to_json(), indent=1, sort_keys=True) + "\n",
    }
    if os.environ.get("UPDATE_GOLDEN"):
        for file, text in produced.items():
            (case / file).write_text(text)

    assert {file: (case / file).read_text() for file in produced} == produced


def context_at(text, offset):
    """A context of a file with one place in it."""
    return Context.of_file("f").inside(ItemType.RULE, Mark(0, 0, offset)), {"f": text}


SNIPPETS = [
    ("abc", 1, "abc\n ^\n"),
    ("abc\ndef\nghi", 5, "def\n ^\n"),
    ("abc\ndef", 4, "def\n^\n"),
    ("abc\n", 3, "abc\n  ^\n"),
    ("abc\n\n\n", 6, "abc\n  ^\n"),
    ("abc", 99, "abc\n  ^\n"),
    ("", 0, "<No context available>\n"),
    ("\n", 0, "<No context available>\n"),
    ("x" * 300, 150, f"...{'x' * 155}...\n{' ' * 80}^\n"),
    ("x" * 300, 10, f"{'x' * 88}...\n{' ' * 10}^\n"),
]


@pytest.mark.parametrize(("text", "offset", "snippet"), SNIPPETS)
def test_snippets_show_the_line_and_the_place(text, offset, snippet):
    """The line around the place, at most 80 characters each way, and a caret under the place."""
    context, contents = context_at(text, offset)

    assert snippet == context.snippet(contents)


def test_places_in_conditions_are_named_by_their_text():
    """The name is the condition's beginning; places add up; the snippet is the condition's."""
    parent = Context.of_file("f").inside(ItemType.RULE_CONDITION, Mark(4, 13, 50))
    short = parent.in_condition(Position(2, 1, 3), "a.b=c d")
    long = parent.in_condition(Position(21, 2, 1), "a.b = c and\nd.e = f and g")

    assert str(short.locations[-1]) == 'condition expression: ("a.b=c d":5:16)'
    assert short.locations[-1].mark.offset == 52
    assert str(long.locations[-1]) == 'condition expression: ("a.b = c and d.e =...":6:14)'
    assert short.snippet({}) == "a.b=c d\n  ^\n"
    assert long.snippet({}) == "d.e = f and g\n         ^\n"


def test_snippets_count_characters_not_bytes():
    """A place behind text that is no ASCII is under the right character."""
    context = Context.of_file("f").in_condition(Position(8, 1, 9), "a = 'é' b")

    assert context.snippet({}) == "a = 'é' b\n       ^\n"


def test_deprecated_fields_are_named(load):
    """A use of a deprecated field says which, in text and JSON, in conditions and outputs."""
    text = dedent("""
    - rule: r
      desc: d
      condition: evt.type=open and evt.dir=<
      output: at %evt.latency.ns
      priority: INFO
    """)
    (result,) = load(text).results
    found = [warning.to_json({}) for warning in result.warnings]

    assert [entry["deprecated_field"] for entry in found] == [
        "evt.latency",
        "evt.latency.ns",
        "evt.dir",
    ]
    assert "LOAD_DEPRECATED_ITEM (Used deprecated item: field 'evt.dir')" in result.summary()
