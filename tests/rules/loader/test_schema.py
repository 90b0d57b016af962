"""The schema of rules files."""

import pytest

from exporter.rules.loader.document import read_documents
from exporter.rules.loader.schema import schema_violations

CASES = [
    ("", []),
    ("---\n", []),
    ("- rule: r\n  priority: INFO\n  tags: [a]\n  enabled: yes\n  capture_duration: 5", []),
    ("- list: l\n  items: [a, 1, 'x y']", []),
    ("- required_engine_version: 26", []),
    ("- macro: m\n  condition: c\n  override: {condition: append}", []),
    ("- rule: r\n  exceptions: [{name: e, fields: [a], values: [[x]]}]", []),
    ("- required_plugin_versions: [{name: a, version: 1.0.0}]", []),
    ("rule: r", ["<root>: expected a sequence, line 1"]),
    ("- text", ["<root>[0]: expected a mapping, line 1"]),
    ("- rule: r\n  colour: red", ["<root>[0]: key 'colour' is not allowed, line 2"]),
    ("- rule: r\n  enabled: maybe", ["<root>[0][enabled]: expected a boolean, line 2"]),
    ("- rule: r\n  tags: a", ["<root>[0][tags]: expected a sequence, line 2"]),
    ("- rule: r\n  desc:", ["<root>[0][desc]: expected a string, line 2"]),
    (
        "- rule: r\n  capture_duration: soon",
        ["<root>[0][capture_duration]: expected an integer, line 2"],
    ),
    ("- list: l\n  items: [[a]]", ["<root>[0][items][0]: expected a string, line 2"]),
    ("- list: l\n  override: {}", ["<root>[0][override]: expected at least one key, line 2"]),
    (
        "- list: l\n  override: {items: merge}",
        ["<root>[0][override][items]: expected 'append' or 'replace', line 2"],
    ),
    (
        "- rule: r\n  exceptions: [{fields: a}]",
        ["<root>[0][exceptions][0]: key 'name' is missing, line 2"],
    ),
]


@pytest.mark.parametrize(("text", "violations"), CASES)
def test_violations_name_the_place(text, violations):
    """Every breach of the schema has a path, what was expected and a line from 1."""
    assert violations == schema_violations(read_documents(text))


def test_lower_case_priorities_load_but_break_the_schema(load):
    """The loader takes any case, the schema only upper case; a breach is no error."""
    text = "- rule: r\n  desc: d\n  condition: evt.type=open\n  output: o\n  priority: info\n"
    (result,) = load(text).results

    assert result.successful
    assert result.schema_valid is False
    assert result.to_json({})["schema_valid"] is False
    assert " 1 schema warnings: [" in result.summary()
