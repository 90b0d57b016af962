"""Lint: each code on a rule that deserves it, and silence on one that does not."""

import pytest

from exporter.rules.lint import CODES, lint_rules
from exporter.rules.loader import RuleOptions, RulesSource, load_rules

HEAD = "- rule: {}\n  desc: d\n  output: {}\n  priority: INFO\n  condition: >\n    {}\n"


def rule(condition, name="R", output="o"):
    """The text of a rule."""
    return HEAD.format(name, output, condition)


def lint(*texts, match_all=False):
    """(code, name) of everything that lint finds in these items."""
    report = load_rules(
        [RulesSource("r.yaml", "".join(texts))], RuleOptions(append_output=(), match_all=match_all)
    )
    assert report.successful, report.verbose()
    return [(finding.code, finding.name) for finding in lint_rules(report)]


SUSPICIOUS = {
    "L001": "proc.name = x",
    "L002": "evt.type = open and evt.type = close",
    "L003": "evt.type = unlink and evt.is_open_write = false",
    "L004": "evt.type = unlink and evt.is_open_write = true",
    "L005": "evt.type = close and proc.name = a and proc.name in (b, c)",
    "L006": "evt.type = close and (proc.name != a or proc.name != b)",
    "L007": "evt.type = close and proc.name = a and proc.name = a",
    "L013": "evt.type = close and proc.pname != a",
    "L015": "evt.type = close and fd.name startswith /etc",
    "L016": "evt.type = close and proc.name in (sixteen-byte-nam, b)",
    "L017": "evt.type = close and fd.name = /etc/",
}
INNOCENT = {
    "L001": "evt.type in (open, close) and proc.name = x",
    "L002": "evt.type = open or evt.type = close",
    "L003": "evt.type in (unlink, open) and evt.is_open_write = false",
    "L004": "evt.type in (unlink, open) and evt.is_open_write = true",
    "L005": "evt.type = close and proc.name in (a, b) and not proc.name = a",
    "L006": "evt.type = close and (proc.name != a or fd.name != b)",
    "L007": "evt.type = close and (proc.name = a or (proc.name = a and fd.name = b))",
    "L013": "evt.type = close and proc.pname exists and proc.pname != a",
    "L015": "evt.type = close and fd.name startswith /etc/",
    "L016": "evt.type = close and proc.name in (fifteen-byte-na, b)",
    "L017": "evt.type = close and fd.name = /etc",
}


@pytest.mark.parametrize("code", SUSPICIOUS)
def test_a_suspicious_condition_is_found(code):
    """Exactly this code is found."""
    assert lint(rule(SUSPICIOUS[code])) == [(code, "R")]


@pytest.mark.parametrize("code", INNOCENT)
def test_its_neighbour_is_not(code):
    """A condition that is nearly the same and right gives nothing."""
    assert lint(rule(INNOCENT[code])) == []


@pytest.mark.parametrize(
    "condition",
    [
        "evt.type = close and proc.name in (abc, abx) and not proc.name startswith ab",
        "evt.type = close and (proc.name = a and (fd.name = x and proc.name = b))",
        "evt.type = close and fd.num = 4 and fd.num > 9",
    ],
)
def test_contradictions_of_other_operators(condition):
    """Any operator can refuse the values of an equality, at any depth of the same `and`."""
    assert lint(rule(condition)) == [("L005", "R")]


def test_a_check_and_its_opposite():
    """`x or not x` is always true."""
    assert lint(rule("evt.type = close and (fd.num = 1 or not fd.num = 1)")) == [("L006", "R")]


def test_an_event_type_under_another():
    """A check of the event type that the rest of its place rules out."""
    condition = "evt.type = unlink and (fs.path.name = /x or (evt.type = open and fd.num > 0))"

    assert ("L004", "R") in lint(rule(condition))


def test_never_is_no_mistake():
    """`evt.num = 0` is the usual placeholder of rules files."""
    assert lint(rule("evt.type = close and not evt.num = 0 and fd.num = 1")) == []


def test_output_fields_that_no_event_has():
    """Only fields that none of the rule's event types has are told."""
    text = rule("evt.type in (unlink, open)", output="'%fd.name %evt.arg.flags %evt.arg.addr'")

    assert lint(text) == [("L014", "R")]


def test_things_that_are_not_used():
    """Macros, lists and exceptions without values."""
    text = (
        "- list: l\n  items: [a]\n- macro: m\n  condition: evt.type = open\n"
        "- rule: R\n  desc: d\n  condition: evt.type = close\n  output: o\n  priority: INFO\n"
        "  exceptions: [{name: e, fields: [proc.name]}]\n"
    )

    assert lint(text) == [("L011", "l"), ("L010", "m"), ("L009", "R")]


class TestShadowing:
    """An earlier rule that matches whenever a later one does."""

    WIDE = rule(
        "evt.type in (execve, execveat) and proc.name in (a, b) and not evt.num = 0", "Wide"
    )

    @pytest.mark.parametrize(
        "condition",
        [
            "evt.type = execve and proc.name = a",
            "evt.type = execve and proc.name in (b, a) and user.uid = 1",
            "evt.type = execve and (proc.name = a or proc.name = b)",
        ],
    )
    def test_found(self, condition):
        """Fewer event types, values or alternatives, or more checks."""
        assert lint(self.WIDE, rule(condition, "Narrow")) == [("L008", "Narrow")]

    @pytest.mark.parametrize(
        "condition",
        [
            "evt.type in (execve, open) and proc.name = a",
            "evt.type = execve and proc.name in (a, c)",
            "evt.type = execve and not proc.name = a",
            "evt.type = execve and (proc.name = a or user.uid = 1)",
        ],
    )
    def test_not_found(self, condition):
        """Anything that leaves events to the later rule."""
        assert lint(self.WIDE, rule(condition, "Narrow")) == []

    def test_negations_turn_around(self):
        """Fewer exceptions imply more."""
        wide = rule("evt.type = open and not proc.name = a", "Wide")
        narrow = rule("evt.type = open and not proc.name in (a, b)", "Narrow")

        assert lint(wide, narrow) == [("L008", "Narrow")]
        assert lint(narrow, wide) == []

    def test_order_and_matching_decide(self):
        """The narrower rule first is fine, and so is telling all matches."""
        narrow = rule("evt.type = execve and proc.name = a", "Narrow")

        assert lint(narrow, self.WIDE) == []
        assert lint(self.WIDE, narrow, match_all=True) == []

    def test_rules_that_are_off_take_nothing(self):
        """A disabled rule shadows nobody."""
        off = f"{self.WIDE.rstrip()}\n  enabled: false\n"

        assert lint(off, rule("evt.type = execve and proc.name = a", "Narrow")) == []


def test_places_are_those_of_the_items():
    """File, line and column from 1, in the order of the file."""
    text = rule("evt.type = close") + rule("user.uid = 1", "S")
    report = load_rules([RulesSource("r.yaml", text)])
    findings = lint_rules(report)

    assert [(str(f.span), f.name) for f in findings] == [("r.yaml:7:3", "S")]
    assert str(findings[0]).startswith('r.yaml:7:3: L001 rule "S": ')


def test_every_code_is_described():
    """Codes are numbered without gaps and have a text each."""
    assert list(CODES) == [f"L{number:03}" for number in range(1, len(CODES) + 1)]
