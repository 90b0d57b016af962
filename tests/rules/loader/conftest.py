"""Loading of rule texts without a field catalogue, so that only the loader is under test."""

from textwrap import dedent

import pytest

from exporter.rules.loader import LoadReport, NoChecks, RuleOptions, RulesSource, load_rules

BARE = RuleOptions(append_output=())


@pytest.fixture
def load():
    """Load texts as files a.yaml, b.yaml ... and give the report."""

    def loaded(*texts: str, options: RuleOptions = BARE, checks=None) -> LoadReport:
        files = [
            RulesSource(f"{chr(ord('a') + number)}.yaml", dedent(text))
            for number, text in enumerate(texts)
        ]
        return load_rules(files, options, checks or NoChecks())

    return loaded


@pytest.fixture
def outcome(load):
    """The error of the last file as (code, message), or None when it loads."""

    def told(*texts: str, **kwargs):
        errors = load(*texts, **kwargs).results[-1].errors
        return (str(errors[0].code), errors[0].message) if errors else None

    return told


@pytest.fixture
def warnings_of(load):
    """The codes of the last file's warnings, unused items left out."""

    def told(*texts: str, **kwargs):
        result = load(*texts, **kwargs).results[-1]
        assert result.errors == []
        return [str(found.code) for found in result.warnings if "UNUSED" not in found.code]

    return told


@pytest.fixture
def compiled(load):
    """Rule name -> canonical condition of everything that loaded."""
    from exporter.rules.printer import print_condition

    def told(*texts: str, **kwargs):
        report = load(*texts, **kwargs)
        assert report.successful, report.verbose()
        return {rule.name: print_condition(rule.ast) for rule in report.ruleset.rules}

    return told
