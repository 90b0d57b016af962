"""Shapes of rules files: what is read, what is refused with which code and words."""

import pytest

RULE = """
- rule: r
  desc: d
  condition: evt.type=open
  output: o
  priority: INFO
"""
YAML = "LOAD_ERR_YAML_VALIDATE"
VALIDATE = "LOAD_ERR_VALIDATE"


def rule(**changes):
    """A valid rule with keys changed; None removes one."""
    keys: dict[str, str | None] = {
        "desc": "d",
        "condition": "evt.type=open",
        "output": "o",
        "priority": "INFO",
    }
    keys |= changes
    lines = [
        f"  {key.replace('__', '-')}: {value}" for key, value in keys.items() if value is not None
    ]
    return "\n".join(["- rule: r", *lines])


REFUSED = [
    ("- list: [", "LOAD_ERR_YAML_PARSE", None),
    ("- a: b: c", "LOAD_ERR_YAML_PARSE", None),
    ("- *nowhere", "LOAD_ERR_YAML_PARSE", None),
    ("just text", YAML, "Rules content is not yaml"),
    ("rule: r", YAML, "Rules content is not yaml array of objects"),
    ("- text", YAML, "Unexpected element type. Each element should be a yaml associative array."),
    ("- [a]", YAML, "Unexpected element type. Each element should be a yaml associative array."),
    ("- list:", YAML, "Mapping for key 'list' is empty"),
    ("- list: ''", YAML, "Value must be non-empty"),
    ("- list: [a]", YAML, "Value is not a scalar value"),
    ("- list: a", YAML, "Item has no mapping for key 'items'"),
    ("- list: a\n  items:", YAML, "Value is not a sequence"),
    ("- list: a\n  items: b", YAML, "Value is not a sequence"),
    ("- list: a\n  items: [[b]]", YAML, "sequence value is not scalar"),
    ("- list: a\n  items: [~]", YAML, "sequence value is not scalar"),
    ("- list: a\n  items: []\n  append: maybe", YAML, "Can't decode YAML scalar value"),
    ("- macro: a", YAML, "Item has no mapping for key 'condition'"),
    ("- macro: a\n  condition: ''", YAML, "Value must be non-empty"),
    (rule(condition=None), YAML, "Item has no mapping for key 'condition'"),
    (rule(output=None), YAML, "Item has no mapping for key 'output'"),
    (rule(desc=None), YAML, "Item has no mapping for key 'desc'"),
    (rule(priority=None), YAML, "Item has no mapping for key 'priority'"),
    (rule(priority="LOUD"), YAML, "Invalid priority"),
    (rule(source="''"), YAML, "Value must be non-empty"),
    (rule(enabled="2"), YAML, "Can't decode YAML scalar value"),
    (rule(warn_evttypes="''"), YAML, "Value must be non-empty"),
    (rule(tags="a"), YAML, "Value is not a sequence"),
    (rule(capture_duration="soon"), YAML, "Can't decode YAML scalar value"),
    (rule(capture_duration="-1"), YAML, "Can't decode YAML scalar value"),
    (rule(exceptions="a"), YAML, "Rule exceptions must be a sequence"),
    (rule(exceptions="[a]"), YAML, "Rule exception must be a mapping"),
    (rule(exceptions="[{fields: a.b}]"), YAML, "Item has no mapping for key 'name'"),
    (
        rule(exceptions="[{name: a, fields: a.b, values: x}]"),
        YAML,
        "Rule exception values must be a sequence",
    ),
    ("- rule: r", YAML, "Item has no mapping for key 'enabled'"),
    ("- required_engine_version:", YAML, "Mapping for key 'required_engine_version' is empty"),
    (
        "- required_engine_version: 0.26",
        YAML,
        (
            "Unable to parse engine version '0.26' as a semver string. "
            'Expected "x.y.z" semver format.'
        ),
    ),
    (
        "- required_engine_version: 64",
        VALIDATE,
        "Rules require engine version 0.64.0, but engine version is 0.63.0",
    ),
    (
        "- required_engine_version: 1.0.0",
        VALIDATE,
        "Rules require engine version 1.0.0, but engine version is 0.63.0",
    ),
    (
        "- required_plugin_versions: a",
        YAML,
        "Value of required_plugin_versions must be a sequence",
    ),
    ("- required_plugin_versions: [a]", YAML, "Plugin version must be a mapping"),
    (
        "- required_plugin_versions: [{name: a}]",
        YAML,
        "Item has no mapping for key 'version'",
    ),
    (
        "- required_plugin_versions: [{name: a, version: 1}]",
        VALIDATE,
        "Invalid required version '1' for plugin 'a'",
    ),
    (
        (
            "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: "
            "[{name: a, version: 2.0.0}]}]"
        ),
        VALIDATE,
        "Defined multiple alternative version requirements for plugin 'a'",
    ),
    (
        "- rule: r\n  enabled: false",
        VALIDATE,
        "Rule has 'enabled' key but no rule by that name already exists",
    ),
    ("--- []\n---\n- x\n", YAML, None),
]


@pytest.mark.parametrize(("text", "code", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_wrong_shapes_are_refused(outcome, text, code, message):
    """Each wrong shape has its code and, where the reference has one, its message."""
    found = outcome(text)

    assert found is not None
    assert code == found[0]
    if message is not None:
        assert message == found[1]


ACCEPTED = [
    "",
    "---",
    "# only a comment",
    "- ~\n- null",
    "[]",
    "--- []\n--- \n- list: a\n  items: [b]\n",
    "- required_engine_version: 26",
    "- required_engine_version: '26'",
    "- required_engine_version: 0x1a",
    "- required_engine_version: 0.63.0",
    "- required_engine_version: 0.1.999",
    "- required_plugin_versions: []",
    "- list: a\n  items: [=, in, 1, true, ~x, 'b c', '']",
    "- list: a\n  items: &x [b]\n- list: c\n  items: *x",
    RULE,
    rule(priority="Informational"),
    rule(priority="dEbUg"),
    rule(enabled="'yes'"),
    rule(enabled="Off"),
    rule(capture="true", capture_duration="5000"),
    rule(exceptions=""),
    rule(exceptions="[{name: a, fields: [a.b, c.d], comps: [=, in], values: [[x, [y, z]]]}]"),
    rule(override=""),
    rule(override="{}"),
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_right_shapes_load(outcome, text):
    """Everything the reference takes is taken."""
    assert outcome(text) is None


WARNED = [
    ("- other: x", ["LOAD_UNKNOWN_ITEM"]),
    ("- {}", ["LOAD_UNKNOWN_ITEM"]),
    ("- list: a b\n  items: [x]", ["LOAD_INVALID_LIST_NAME"]),
    ("- macro: a-b\n  condition: x.y=z", ["LOAD_INVALID_MACRO_NAME"]),
    ("- list: a\n  items: [x]\n  colour: [y]", ["LOAD_UNKNOWN_KEY"]),
    (rule(colour="x"), ["LOAD_UNKNOWN_KEY"]),
    (rule(source="nobody"), ["LOAD_UNKNOWN_SOURCE"]),
    (RULE + "- rule: r\n  enabled: false", ["LOAD_DEPRECATED_ITEM"]),
    (RULE + "- rule: r\n  condition: and a.b=c\n  append: true", ["LOAD_DEPRECATED_ITEM"]),
    (
        rule(exceptions="[{name: a, fields: a.b}, {name: a, fields: a.b}]"),
        ["LOAD_EXCEPTION_NAME_NOT_UNIQUE"],
    ),
    (
        rule(exceptions="[{name: a, fields: a.b}]")
        + "\n- rule: r\n  exceptions: [{name: a}]\n  override: {exceptions: append}",
        ["LOAD_APPEND_NO_VALUES"],
    ),
]


@pytest.mark.parametrize(("text", "codes"), WARNED)
def test_odd_things_are_warned_of(warnings_of, text, codes):
    """What is odd loads with its warning."""
    assert codes == warnings_of(text)


def test_the_first_error_stops_a_file_across_documents(load):
    """Later documents of a file are not read after an error; its items are not compiled."""
    report = load("- list: a\n--- \n- macro: m\n")

    assert [str(found.code) for found in report.results[0].errors] == ["LOAD_ERR_YAML_VALIDATE"]
    assert report.compiled is None


def test_each_file_has_its_own_result(load):
    """A bad file does not keep the next from being read; the report as a whole fails."""
    report = load("- list: a", RULE)

    assert [result.successful for result in report.results] == [False, True]
    assert not report.successful
    assert tuple(report.ruleset.rules) == ()


def test_rules_carry_what_the_file_says(load):
    """Every key of a rule arrives: output stripped, tags sorted, numbers and booleans decoded."""
    text = """
    - rule: r
      desc: " d "
      condition: evt.type = open
      output: "  out %proc.name  "
      priority: warn
    """
    text = rule(
        output="'  out %proc.name '",
        priority="warning",
        tags="[b, a, b]",
        enabled="n",
        capture="on",
        capture_duration="0x10",
        source="k8s_audit",
    )
    (found,) = load(text).ruleset.rules

    assert (
        found.output,
        found.tags,
        found.is_enabled,
        found.capture,
        found.capture_duration_ms,
        found.source,
    ) == ("out %proc.name", ("a", "b"), False, True, 16, "k8s_audit")
    assert str(found.priority) == "Warning"
