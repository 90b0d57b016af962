"""Redefinitions, appends and overrides."""

import pytest

BASE = """
- list: l
  items: [a, b]
- macro: m
  condition: proc.name=x
- rule: r
  desc: d
  condition: evt.type=open and m and fd.name in (l)
  output: o
  priority: INFO
  tags: [t]
"""
YAML = "LOAD_ERR_YAML_VALIDATE"
VALIDATE = "LOAD_ERR_VALIDATE"

CONDITIONS = [
    ("", "(evt.type = open and proc.name = x and fd.name in (a, b))"),
    (
        "- list: l\n  items: [c]",
        "(evt.type = open and proc.name = x and fd.name in (c))",
    ),
    (
        "- list: l\n  items: [c]\n  append: true",
        "(evt.type = open and proc.name = x and fd.name in (a, b, c))",
    ),
    (
        "- list: l\n  items: [c]\n  override: {items: append}",
        "(evt.type = open and proc.name = x and fd.name in (a, b, c))",
    ),
    (
        "- list: l\n  items: [c]\n  override: {items: replace}",
        "(evt.type = open and proc.name = x and fd.name in (c))",
    ),
    (
        "- macro: m\n  condition: or proc.name=y\n  append: true",
        "(evt.type = open and (proc.name = x or proc.name = y) and fd.name in (a, b))",
    ),
    (
        "- macro: m\n  condition: proc.name=y\n  override: {condition: replace}",
        "(evt.type = open and proc.name = y and fd.name in (a, b))",
    ),
    (
        "- rule: r\n  condition: or proc.name=y\n  append: true",
        "((evt.type = open and proc.name = x and fd.name in (a, b)) or proc.name = y)",
    ),
    (
        "- rule: r\n  condition: and m\n  override: {condition: append}",
        "(evt.type = open and proc.name = x and fd.name in (a, b) and proc.name = x)",
    ),
    ("- rule: r\n  condition: m\n  override: {condition: replace}", "proc.name = x"),
    (
        "- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: a.b exists",
        "a.b exists",
    ),
]


@pytest.mark.parametrize(("more", "condition"), CONDITIONS)
def test_later_items_change_earlier_ones(compiled, more, condition):
    """Redefinition, append and override give the condition the reference gives."""
    assert {"r": condition} == compiled(BASE + more)
    assert {"r": condition} == compiled(BASE, more)


REFUSED = [
    ("- list: x\n  items: []\n  append: true", VALIDATE, "no list by that name"),
    ("- list: x\n  items: []\n  override: {items: append}", VALIDATE, "no list by that name"),
    ("- macro: x\n  condition: c\n  append: true", VALIDATE, "no macro by that name"),
    ("- rule: x\n  condition: c\n  append: true", VALIDATE, "no rule by that name"),
    ("- rule: x\n  desc: c\n  override: {desc: append}", VALIDATE, "no rule by that name"),
    ("- rule: x\n  desc: c\n  override: {desc: replace}", VALIDATE, "no rule by that name"),
    ("- rule: r\n  append: true", VALIDATE, "Appended rule must have exceptions or condition"),
    (
        "- rule: r\n  append: true\n  condition: or m\n  override: {condition: append}",
        YAML,
        "Keys 'override' and 'append: true' cannot be used together",
    ),
    (
        "- list: l\n  items: []\n  append: true\n  override: {items: append}",
        YAML,
        "Keys 'override' and 'append: true' cannot be used together",
    ),
    (
        "- rule: r\n  priority: INFO\n  override: {priority: append}",
        YAML,
        "Key 'priority' cannot be appended to, use 'replace' instead",
    ),
    (
        "- rule: r\n  source: syscall\n  override: {source: replace}",
        YAML,
        "Key 'source' cannot be replaced",
    ),
    (
        "- list: l\n  items: []\n  override: {name: append}",
        YAML,
        "Key 'name' cannot be appended to, use 'replace' instead",
    ),
    (
        "- rule: r\n  desc: x\n  override: {desc: merge}",
        YAML,
        "Invalid override operation for key 'desc': 'merge'",
    ),
    ("- rule: r\n  desc: x\n  override: {desc: }", YAML, "Invalid override operation for key"),
    (
        "- rule: r\n  override: {desc: append}",
        YAML,
        "An append override for 'desc' was specified but 'desc' is not defined",
    ),
    (
        "- rule: r\n  desc: x\n  output: y\n  override: {desc: append}",
        YAML,
        "Unexpected key 'output': no corresponding entry under 'override' is defined.",
    ),
    (
        "- rule: r\n  desc: x\n  enabled: false\n  override: {desc: append}",
        YAML,
        "Unexpected key 'enabled': no corresponding entry under 'override' is defined.",
    ),
    (
        "- rule: r\n  source: k8s_audit\n  desc: x\n  output: y\n  priority: INFO\n  condition: m",
        VALIDATE,
        "Rule has been re-defined with a different source",
    ),
    (
        "- rule: r\n  source: k8s_audit\n  desc: x\n  override: {desc: append}",
        VALIDATE,
        "Rule has been re-defined with a different source",
    ),
]


@pytest.mark.parametrize(("more", "code", "message"), REFUSED)
def test_impossible_changes_are_refused(outcome, more, code, message):
    """Each impossible append or override has its code and message."""
    found = outcome(BASE + more)

    assert found is not None
    assert code == found[0]
    assert message in found[1]


def test_override_replace_defines_unknown_lists_and_macros(compiled):
    """Replacing a list or macro that does not exist defines it."""
    text = """
    - list: l
      items: [a]
      override: {items: replace}
    - macro: m
      condition: proc.name in (l)
      override: {condition: replace}
    - rule: r
      desc: d
      condition: m
      output: o
      priority: INFO
    """
    assert compiled(text) == {"r": "proc.name in (a)"}


def test_one_item_may_append_and_replace(load):
    """Appends and replacements of one item both apply; strings are joined by one blank."""
    text = """
    - rule: r
      desc: more
      output: " new "
      tags: [u]
      priority: ERROR
      enabled: false
      warn_evttypes: false
      capture: true
      capture_duration: 7
      override: {desc: append, output: replace, tags: append, priority: replace, enabled: replace,
                 warn_evttypes: replace, capture: replace, capture_duration: replace}
    """
    (rule,) = load(BASE, text).ruleset.rules

    assert (
        rule.desc,
        rule.output,
        rule.tags,
        str(rule.priority),
        rule.is_enabled,
        rule.capture,
        rule.capture_duration_ms,
    ) == ("d more", " new ", ("t", "u"), "Error", False, True, 7)


def test_plain_append_ignores_enabled(load):
    """`append: true` looks at condition and exceptions only."""
    text = "- rule: r\n  condition: or m\n  enabled: false\n  append: true"
    (rule,) = load(BASE, text).ruleset.rules

    assert rule.is_enabled


def test_enabled_alone_switches_a_rule(load):
    """An item of name and `enabled` switches a rule defined before."""
    (rule,) = load(BASE, "- rule: r\n  enabled: false").ruleset.rules

    assert not rule.is_enabled


def test_redefinition_keeps_the_place(load):
    """A redefined or overridden rule stays where it was first defined."""
    other = BASE.replace("rule: r", "rule: s") + "- rule: r\n  desc: x\n  override: {desc: replace}"
    names = [rule.name for rule in load(BASE, other).ruleset.rules]

    assert names == ["r", "s"]


def test_redefinition_without_source_keeps_the_source(load):
    """Only an explicit other source is an error."""
    first = BASE + "  source: k8s_audit\n"
    second = BASE[BASE.index("- rule") :]
    (rule,) = load(first, second).ruleset.rules

    assert rule.source == "k8s_audit"
