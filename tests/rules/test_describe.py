"""Descriptions of loaded rules, macros and lists."""

from textwrap import dedent

import pytest

from exporter.rules.describe import describe, describe_text
from exporter.rules.loader import AppendOutput, NoChecks, RuleOptions, RulesSource, load_rules
from exporter.rules.ruleset import ExtraField

FILE = dedent("""
- required_engine_version: 0.40.0
- required_plugin_versions:
  - name: container
    version: 0.4.0
    alternatives:
    - name: other
      version: 1.0.0
- list: shells
  items: [sh, bash]
- list: programs
  items: [shells, cat]
- macro: opened
  condition: evt.type=open
- macro: opened_by
  condition: opened and proc.name in (programs)
- rule: Secrets
  desc: somebody reads what is secret
  condition: opened_by and tolower(fd.name) startswith anyof (/etc, shells) and not proc.aname[2]=x
  output: read %fd.name %10proc.name
  priority: warning
  tags: [b, a]
  capture: true
  capture_duration: 50
  exceptions:
  - name: known
    fields: [proc.name, fd.name]
    comps: [=, in]
    values: [[a, [b, c]]]
  - name: empty
    fields: user.name
""")


@pytest.fixture(scope="module")
def described():
    """The description of the file above."""
    options = RuleOptions(
        append_output=(
            AppendOutput(
                extra_output="id=%container.id", extra_fields=(ExtraField("k", "%proc.pid"),)
            ),
        )
    )
    report = load_rules([RulesSource("a.yaml", FILE)], options, NoChecks())
    assert report.successful, report.verbose()
    return describe(report, checks=NoChecks())


def test_requirements(described):
    """Version requirements come first, as written."""
    assert described["required_engine_version"] == "0.40.0"
    assert described["required_plugin_versions"] == [
        {
            "name": "container",
            "version": "0.4.0",
            "alternatives": [{"name": "other", "version": "1.0.0"}],
        }
    ]


def test_rules_in_full(described):
    """A rule has what was written and what was made of it."""
    (rule,) = described["rules"]
    details = rule["details"]
    described_set = {key: sorted(value) for key, value in details.items() if type(value) is list}

    assert rule["info"] == {
        "name": "Secrets",
        "condition": (
            "opened_by and tolower(fd.name) startswith anyof (/etc, shells) and not proc.aname[2]=x"
        ),
        "priority": "Warning",
        "output": "read %fd.name %10proc.name",
        "description": "somebody reads what is secret",
        "enabled": True,
        "source": "syscall",
        "capture": True,
        "capture_duration": 50,
        "tags": ["a", "b"],
    }
    assert details["condition_compiled"] == (
        "(((evt.type = open and proc.name in (sh, bash, cat)) and tolower(fd.name) startswith "
        "anyof (/etc, sh, bash) and not proc.aname[2] = x) and not (proc.name = a and fd.name in "
        "(b, c)))"
    )
    assert details["output_compiled"] == "read %fd.name %10proc.name id=%container.id"
    assert details["extra_output_formatted_fields"] == {"k": "%proc.pid"}
    assert described_set == {
        "macros": ["opened_by"],
        "lists": ["shells"],
        "condition_operators": ["=", "in", "startswith anyof"],
        "condition_fields": ["evt.type", "fd.name", "proc.aname[2]", "proc.name"],
        "output_fields": ["container.id", "fd.name", "proc.name"],
        "exception_fields": ["fd.name", "proc.name"],
        "exception_names": ["empty", "known"],
        "exception_operators": ["=", "in"],
        "events": ["asyncevent", "open"],
        "plugins": ["container"],
    }


def test_macros_in_full(described):
    """A macro names its own references and shows the whole it stands for."""
    assert described["macros"][1] == {
        "info": {"name": "opened_by", "condition": "opened and proc.name in (programs)"},
        "details": {
            "used": True,
            "macros": ["opened"],
            "lists": ["programs"],
            "condition_operators": ["=", "in"],
            "condition_fields": ["evt.type", "proc.name"],
            "events": ["asyncevent", "open"],
            "condition_compiled": "(evt.type = open and proc.name in (sh, bash, cat))",
            "plugins": [],
        },
    }


def test_lists_in_full(described):
    """A list tells its own items, the lists it names, and all items."""
    assert described["lists"][1] == {
        "info": {"name": "programs", "items": ["cat"]},
        "details": {
            "used": True,
            "lists": ["shells"],
            "items_compiled": ["sh", "bash", "cat"],
            "plugins": [],
        },
    }


def test_one_rule_alone():
    """With a name only that rule is told; an unknown name is a KeyError."""
    report = load_rules([RulesSource("a.yaml", FILE)])

    assert list(describe(report, "Secrets")) == ["rules"]
    with pytest.raises(KeyError):
        describe(report, "Nothing")


def test_nothing_loaded():
    """Without files there is nothing to tell."""
    assert describe(load_rules([])) == {
        "required_engine_version": "0.0.0",
        "required_plugin_versions": [],
        "rules": [],
        "macros": [],
        "lists": [],
    }


def test_text_form():
    """Names in 50 columns, descriptions wrapped at 110 and indented by 51."""
    words = " ".join(["word"] * 14)
    report = load_rules(
        [RulesSource("a.yaml", FILE.replace("somebody reads what is secret", words))]
    )
    lines = describe_text(report).splitlines()

    assert lines == [
        f"{'Rule':<50} Description",
        f"{'----':<50} -----------",
        f"{'Secrets':<50} {' '.join(['word'] * 12)}",
        " " * 51 + " ".join(["word"] * 2),
    ]
