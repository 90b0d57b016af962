"""Running rule tests: what passes, what fails, and how a failure is told."""

from pathlib import Path

import pytest

from exporter.app.rule_tests.report import json_report, junit_report, text_report
from exporter.app.rule_tests.runner import RuleTests
from exporter.app.rule_tests.watch import Watcher
from exporter.rules.engine import Engine
from exporter.rules.loader import RuleOptions, RulesSource, load_rules
from exporter.rules.testing.document import read_test_file
from exporter.rules.testing.items import TestFileError
from exporter.rules.testing.scenario import run_steps

RULES = """\
- rule: Shell
  desc: d
  condition: evt.type = execve and evt.rawres = 0 and proc.name in (bash, sh)
  output: Shell %proc.name by %proc.pname
  priority: NOTICE
- rule: Secret
  desc: d
  condition: evt.type in (open, openat) and fd.name = /etc/shadow and not proc.name = login
  output: Secret %fd.name
  priority: WARNING
- rule: Anything
  desc: d
  condition: evt.type in (open, openat) and fd.name startswith /
  output: Open %fd.name
  priority: INFO
- rule: Off
  desc: d
  condition: evt.type = close
  output: o
  priority: INFO
  enabled: false
"""


def ruleset(*, match_all=False):
    """The rules above."""
    options = RuleOptions(append_output=(), match_all=match_all)
    report = load_rules([RulesSource("rules.yaml", RULES)], options)
    assert report.successful, report.verbose()
    return report.ruleset


def run(case, *, is_covering=False, match_all=False):
    """The outcome of one test."""
    lines = "".join(f"    {line}\n" for line in case.splitlines())
    file = read_test_file(f"tests:\n  - name: it\n{lines}", "t.yaml")
    return RuleTests(ruleset(match_all=match_all), is_covering=is_covering).run([file])


def problems(case, **options):
    """What is wrong with one test."""
    (only,) = run(case, **options).cases
    return only.problems


SHADOW = "scenario: [{spawn: cat}, {open: /etc/shadow}]\n"
BOTH = "scenario: [{spawn: bash}, {open: /etc/shadow}]\n"


@pytest.mark.parametrize(
    "case",
    [
        SHADOW + "expect: [Secret]",
        BOTH + "expect: [Shell, Secret]",
        BOTH + "expect: [Secret]\nothers: allowed",
        BOTH + "expect_none: [Anything]",
        SHADOW + "expect: [{rule: Secret, event: open, priority: Warning}]",
        SHADOW + "expect: [{rule: Secret, output: Secret /etc/shadow}]",
        SHADOW + "expect: [{rule: Secret, fields: {proc.pname: systemd, fd.sip: ~}}]",
        SHADOW + "expect: [{rule: Secret, output_contains: [Secret, /etc]}]",
        "scenario: [{spawn: cat}, {open: relative}]\nexpect: [Anything]",
        "event: {evt.type: execve, evt.rawres: 0, proc.name: sh}\nexpect: [Shell]",
        "event: {evt.type: execve, proc.name: sh}\nexpect_none: true",
        "events: [{evt.type: open, fd.name: /x}, {evt.type: close}]\nexpect: [Anything]",
    ],
)  # fmt: skip
def test_what_passes(case):
    """Exact lists, allowed others, forbidden names, outputs and fields."""
    assert problems(case) == []


def test_all_matching_rules_when_all_match():
    """`rule_matching: all` tells every rule in order."""
    assert problems(SHADOW + "expect: [Secret, Anything]", match_all=True) == []


def test_a_missing_alert_shows_what_was_nearest():
    """The event on which least was missing, and the checks that stood in the way with values."""
    case = "scenario: [{spawn: login}, {open: /etc/shadow}, {open: /x}]\nexpect: [Secret, Anything]"
    (first, *_) = problems(case)

    assert first.splitlines() == [
        'no alert of "Secret" (expected at t.yaml:4:14)',
        "  nearest event: open at t.yaml:3:33",
        "  is true  proc.name = login",
        "           proc.name = login",
    ]


def test_a_taken_event_names_the_rule_that_took_it():
    """First match hides later rules; that is said."""
    (missing, unexpected) = sorted(problems(SHADOW + "expect: [Anything]"))

    assert 'the earlier rule "Secret" takes that event' in missing
    assert unexpected.startswith('unexpected alert of "Secret"\n  event   open at t.yaml:3:')


def test_rules_that_look_at_nothing_here():
    """The events of the test are named."""
    (only,) = problems("scenario: [{mkdir: /x}]\nexpect: [Shell]")

    assert only.endswith("the rule looks at none of the events of this test (mkdir)")


def test_rules_that_are_off():
    """It is not the condition's fault."""
    (only,) = problems("scenario: [{mkdir: /x}]\nexpect: [Off]")

    assert "the rule is off" in only


def test_fields_that_were_not_given():
    """For events of field values the failure names what was asked for."""
    (only,) = problems("event: {evt.type: open, proc.name: cat}\nexpect: [Secret]")

    assert only.splitlines()[-1] == "  fields asked for and not given: fd.name"
    assert "           fd.name = <missing>" in only.splitlines()


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        ("event: openat", ["  event", "    expected  openat", "    got       open"]),
        ("priority: ERROR", ["  priority", "    expected  Error", "    got       Warning"]),
        (
            "output: Secret /etc/passwd",
            [
                "  output",
                "    expected  Secret /etc/passwd",
                "    got       Secret /etc/shadow",
                "                          ^ first difference",
            ],
        ),
        ("fields: {proc.name: ~}", ["  proc.name", "    expected  <missing>", "    got       cat"]),
        (
            "output_contains: x=y",
            ["  the output lacks  x=y", "  got               Secret /etc/shadow"],
        ),
    ],
)  # fmt: skip
def test_differences_are_shown_side_by_side(expected, lines):
    """What was expected above what came."""
    (only,) = problems(SHADOW + f"expect: [{{rule: Secret, {expected}}}]")
    head, *rest = only.splitlines()

    assert head == 'alert of "Secret" differs (expected at t.yaml:4:14)'
    assert rest == lines


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (SHADOW + "expect: [Secrte]", 'there is no rule "Secrte"'),
        (SHADOW + "expect_none: [Shel]", 'there is no rule "Shel"'),
        (SHADOW + "expect: [{rule: Secret, fields: {proc.nme: x}}]", "there is no field proc.nme"),
    ],
)
def test_wrong_names_are_errors_of_the_test(case, message):
    """A test of a rule that does not exist cannot pass."""
    with pytest.raises(TestFileError, match=message):
        run(case)


class TestCoverage:
    """What tests do not reach."""

    def atoms(self, case, rule="Secret"):
        """Text -> (was true, was false, is noticed) of the rule's checks."""
        coverage = run(case, is_covering=True).coverage
        found = next(entry for entry in coverage if entry.rule == rule)
        return {a.text: (a.was_true, a.was_false, a.is_noticed) for a in found.atoms}

    def test_of_one_positive_test(self):
        """Every check was what it is when the rule matches, and each would be missed."""
        assert self.atoms(SHADOW + "expect: [Secret]") == {
            "evt.type in (open, openat)": (True, True, True),
            "fd.name = /etc/shadow": (True, False, True),
            "proc.name = login": (False, True, True),
        }

    def test_checks_that_nothing_decides(self):
        """Evaluation stops at the first false check of an `and`."""
        assert self.atoms("scenario: [{open: /x}]\nexpect: [Anything]")["proc.name = login"] == (
            False, False, False
        )  # fmt: skip

    def test_what_a_test_does_not_say_is_not_noticed(self):
        """A test that forbids one rule says nothing of the others."""
        assert not any(
            noticed for *_, noticed in self.atoms(SHADOW + "expect_none: [Shell]").values()
        )

    def test_counts_and_text(self):
        """Rules without a test are named."""
        outcome = run(SHADOW + "expect: [Secret]", is_covering=True)
        counts = {rule.rule: (rule.positive, rule.negative) for rule in outcome.coverage}
        text = text_report(outcome)

        assert counts == {"Shell": (0, 1), "Secret": (1, 0), "Anything": (0, 1)}
        assert "Secret: 1 positive, 0 negative tests\n  no test in which it must not match" in text
        assert "  never true:    proc.name = login" in text
        assert "0 of 3 rules have positive and negative tests" in text


class TestReports:
    """The same outcome in three forms."""

    def outcome(self):
        """One test that passes and one that fails, with a name that XML cannot hold."""
        file = read_test_file(
            "tests:\n"
            "  - {name: good, scenario: [{open: /x}], expect: [Anything]}\n"
            '  - {name: "b\\x01d <&>", scenario: [{open: /x}], expect_none: true}\n',
            "t.yaml",
        )
        return RuleTests(ruleset()).run([file])

    def test_text(self):
        """Failures in full, one line at the end."""
        lines = text_report(self.outcome()).splitlines()

        assert lines[0] == "FAIL t.yaml:3:5 b\x01d <&>"
        assert lines[1] == '  unexpected alert of "Anything"'
        assert lines[-1].startswith("1 of 2 tests failed in ")

    def test_json(self):
        """Counts, and every test with its alerts."""
        body = json_report(self.outcome())

        assert (body["passed"], body["failed"]) == (1, 1)
        assert [test["passed"] for test in body["tests"]] == [True, False]
        assert body["tests"][0]["alerts"][0]["output"] == "Open /x"
        assert "coverage" not in body

    def test_junit(self):
        """Well-formed XML with a failure element."""
        from xml.etree import ElementTree as ET

        root = ET.fromstring(junit_report(self.outcome()))
        cases = root.findall("testsuite/testcase")

        assert (root.get("tests"), root.get("failures")) == ("2", "1")
        assert [case.get("name") for case in cases] == ["good", "b\N{REPLACEMENT CHARACTER}d <&>"]
        assert cases[0].find("failure") is None
        assert "unexpected alert" in (cases[1].findtext("failure") or "")


def test_watching_and_compiled_rules_agree():
    """On every event of the default rules' scenarios both say the same, and so does each rule."""
    place = Path(__file__).parents[3] / "exporter/ruleset"
    rules = place / "lanner_rules.yaml"
    loaded = load_rules([RulesSource(rules.name, rules.read_bytes())]).ruleset
    engine, watcher = Engine(loaded), Watcher(loaded.rules, None)
    events = 0
    for path in sorted((place / "tests").glob("*.yaml")):
        for case in read_test_file(path.read_text(), path.name).cases:
            for _, event in run_steps(case.steps):
                events += 1
                expected = [rule.name for rule in engine.match(event)]
                assert expected == [rule.name for rule in watcher.match(event, match_all=False)]
    assert events > 100
