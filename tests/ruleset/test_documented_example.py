"""The example of docs/rule-tests.md does what the page says."""

import re
from pathlib import Path

from exporter.app.rule_tests.runner import RuleTests
from exporter.rules.lint import CODES
from exporter.rules.loader.load import RulesSource, load_rules
from exporter.rules.testing.document import read_test_file
from exporter.rules.testing.scenario import STEPS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "rule-tests.md").read_text()
RULES, TESTS, RECORDED, STEP_LIST = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def run(tests):
    """The outcome of a test file on the page's rule."""
    report = load_rules([RulesSource("my_rules.yaml", RULES)])
    assert report.successful, report.verbose()
    return RuleTests(report.ruleset).run([read_test_file(tests, "tests/shadow.yaml")])


def test_the_first_test_passes():
    """All three of its cases."""
    outcome = run(TESTS)

    assert len(outcome.cases) == 3
    assert outcome.failed == []


def test_the_tests_on_recordings_are_read():
    """Their recordings are not here; everything else of them is right."""
    cases = read_test_file(RECORDED, "tests/recorded.yaml").cases

    assert [case.recording for case in cases] == [
        "tests/recordings/intrusion.scap",
        "tests/recordings/sunday.scap",
        "tests/recordings/audit.log",
    ]
    assert [case.source for case in cases] == ["syscall", "syscall", "k8s_audit"]


def test_every_shown_step_happens():
    """The list of system calls is taken as it stands."""
    lines = "".join(f"      {line}\n" for line in STEP_LIST.splitlines())
    head = "tests:\n  - name: n\n    expect_none: true\n    scenario:\n      - spawn: cat\n"
    outcome = run(head + lines.replace("/etc/shadow", "/etc/hosts"))

    assert [case.problems for case in outcome.cases] == [[]]


def test_every_step_and_code_is_documented():
    """Steps of their own and lint codes each have a row."""
    tools = (DOCS / "rule-tools.md").read_text()

    assert [name for name in STEPS if f"| `{name}` |" not in PAGE] == []
    assert [code for code in CODES if f"| {code} |" not in tools] == []
