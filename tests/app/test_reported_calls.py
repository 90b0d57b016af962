"""The probe reports what the rules can match, and no more."""

import pytest

from exporter.app.reported_calls import calls_for, unreportable
from exporter.rules.loader import RuleOptions, RulesSource, load_rules
from exporter.sources.probe.syscalls import CALLS

RULE = """
- rule: tested
  desc: d
  condition: {condition}
  output: o
  priority: INFO
  source: {source}
"""


def ruleset(condition, source="syscall", options=None):
    text = RULE.format(condition=condition, source=source)
    report = load_rules([RulesSource("r.yaml", text.encode())], options or RuleOptions())
    assert report.ruleset.rules
    return report.ruleset


@pytest.mark.parametrize(
    ("condition", "calls"),
    [
        ("evt.type = openat", {"openat"}),
        ("evt.type in (connect, setns)", {"connect", "setns"}),
        ("evt.type = fchmodat", {"fchmodat", "fchmodat2"}),
        ("evt.type = setxattr", {"setxattr"}),
        ("evt.type = pivot_root or evt.type = unlink", {"pivot_root", "unlink"}),
        ("evt.type = procexit", set()),
        ("evt.type = execve", {"execve"}),
        ("evt.type = poll", {"poll"}),
    ],
)
def test_calls_of_a_condition(condition, calls):
    """Exactly the calls that a condition can match are reported."""
    assert calls_for(ruleset(condition)) == calls


def test_everything_for_a_rule_without_event_types():
    """A rule that looks at any event gets any event."""
    assert calls_for(ruleset("proc.name = cat")) >= frozenset(CALLS)


def test_nothing_for_rules_of_other_sources():
    """Rules on audit logs need nothing of the kernel."""
    assert calls_for(ruleset("ka.verb = get", "k8s_audit")) == set()


def test_rules_that_wait_in_vain_are_named():
    """A rule on an event that the probe does not tell is named; other rules are not."""
    assert unreportable(ruleset("evt.type in (switch, openat)")) == {"switch": ["tested"]}
    assert unreportable(ruleset("evt.type in (openat, procexit, setxattr)")) == {}
    assert unreportable(ruleset("proc.name = cat")) == {}
