"""Rules files that somebody broke while editing: loading and describing never fail."""

from importlib.resources import files

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rules.describe import describe, describe_text
from exporter.rules.loader import RulesSource, load_rules

SEED = files("exporter.ruleset").joinpath("lanner_rules.yaml").read_text()[:4000]
PIECES = [
    "- list: l\n  items: [a, l]\n",
    "append: true",
    "override: {condition: append}",
    "exceptions:\n  - name: e\n    fields: [proc.name]\n    values: [[a]]\n",
    *[
        "'",
        '"',
        "(",
        ")",
        ",",
        "[",
        "]",
        "{",
        "}",
        "~",
        "null",
        "\\x",
        "val(",
        "tolower(",
        "getopt(",
        "0",
        "-1",
        "é",
        "\x00",
    ],
    *("&a ", "*a ", "not ", "and ", "or ", "in (", "oneof (", "\n  ", "\t"),
]

_edit = st.tuples(
    st.integers(0, len(SEED)), st.integers(0, 30), st.sampled_from(PIECES) | st.just("")
)


@settings(max_examples=60)
@given(st.lists(_edit, min_size=1, max_size=6))
def test_edited_files_give_a_report(edits):
    """Whatever is cut out of or put into a rules file, there is a report and a description."""
    text = SEED
    for place, cut, piece in edits:
        text = text[:place] + piece + text[place + cut :]
    report = load_rules([RulesSource("a", text)])

    assert report.verbose().startswith("a: ")
    if report.compiled is not None:
        described = describe(report)["rules"]
        assert len(report.compiled.rules) == len(described)
        assert describe_text(report).startswith("Rule ")
