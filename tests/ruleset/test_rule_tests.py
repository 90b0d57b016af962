"""The default rules' own tests (exporter/ruleset/tests) pass and leave nothing out."""

from pathlib import Path

import pytest

from exporter.app.rule_tests.runner import RuleTests
from exporter.rules.loader.load import RulesSource, load_rules
from exporter.rules.testing.document import read_test_file

RULESET = Path(__file__).parents[2] / "exporter/ruleset"


@pytest.fixture(scope="module")
def outcome():
    """All test files, with coverage."""
    rules = RULESET / "lanner_rules.yaml"
    report = load_rules([RulesSource(rules.name, rules.read_bytes())])
    files = [
        read_test_file(path.read_text(), path.name)
        for path in sorted((RULESET / "tests").glob("*.yaml"))
    ]
    assert len(files) >= 4
    return RuleTests(report.ruleset, is_covering=True).run(files)


def test_they_pass(outcome):
    """Every alert that is expected comes, and no other."""
    assert {case.case.name: case.problems for case in outcome.failed} == {}


def test_every_rule_has_both_kinds(outcome):
    """No rule is without a test in which it matches and one in which it must not."""
    assert [rule.rule for rule in outcome.coverage if not (rule.positive and rule.negative)] == []


def test_every_check_is_noticed(outcome):
    """Turning any one check of any rule into its opposite makes at least one test fail."""
    unnoticed = [
        (rule.rule, atom.text)
        for rule in outcome.coverage
        for atom in rule.atoms
        if not atom.is_noticed
    ]

    assert unnoticed == []
    assert sum(len(rule.atoms) for rule in outcome.coverage) > 150
