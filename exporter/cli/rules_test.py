"""`lanner rules test`: unit tests of rules."""

import json
import os.path
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from exporter.app.rule_files import raise_errors, read_rule_files, rule_options
from exporter.app.rule_tests.outcome import Outcome
from exporter.app.rule_tests.report import json_report, junit_report, text_report
from exporter.app.rule_tests.runner import RuleTests
from exporter.cli.options import config_options, read_config
from exporter.config.schema import Config
from exporter.errors import LannerError
from exporter.rules.loader import load_rules
from exporter.rules.testing.document import RuleTestFile, read_test_file

_SUFFIXES = {".yaml", ".yml"}
_EPILOG = """\b
Examples:
  lanner rules test tests/*.yaml
  lanner rules test --coverage --junit report.xml tests
  lanner rules test --rules changed_rules.yaml tests/shadow.yaml
\b
How test files are written: docs/rule-tests.md.
Exit status: 0 when all tests pass, 1 when some fail, 2 when a test file, a rules file or the
command line is wrong.
"""


@click.command(epilog=_EPILOG)
@config_options
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--rules",
    "rules_files",
    metavar="FILE",
    multiple=True,
    help="Rules file or directory to test instead of those that the test files name; repeatable.",
)
@click.option("--coverage", "is_covering", is_flag=True, help="Say what the tests do not reach.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object on standard output.")
def test(
    *,
    config_file: Path | None,
    options: tuple[str, ...],
    files: tuple[str, ...],
    rules_files: tuple[str, ...],
    is_covering: bool,
    junit: Path | None,
    is_json: bool,
) -> None:
    """Run unit tests of rules: made-up events, and the alerts that must come of them.

    FILE is a test file or a directory of them.
    """
    try:
        config = read_config(config_file, options)
        outcome = _run(config, _read(files), rules_files, is_covering=is_covering)
        if junit is not None:
            _write(junit, junit_report(outcome))
    except LannerError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo(json.dumps(json_report(outcome)) if is_json else text_report(outcome))
    sys.exit(1 if outcome.failed else 0)


def _read(paths: Sequence[str]) -> list[RuleTestFile]:
    found: list[Path] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            inside = sorted(entry for entry in path.rglob("*") if entry.suffix in _SUFFIXES)
            if not inside:
                # A wrong path in a pipeline must not look like tests that pass.
                raise LannerError(f"the directory {path} has no test files (.yaml or .yml)")
            found += inside
        else:
            found.append(path)
    return [read_test_file(_text(path), str(path)) for path in found]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise LannerError(f"cannot read {path}: {error.strerror}") from None


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise LannerError(f"cannot write {path}: {error.strerror}") from None


def _run(
    config: Config, files: Sequence[RuleTestFile], rules_files: Sequence[str], *, is_covering: bool
) -> Outcome:
    """Run the files that test the same rules together, each such group with its rules."""
    groups: dict[tuple[str, ...], list[RuleTestFile]] = {}
    for file in files:
        groups.setdefault(_rules_of(file, rules_files, config), []).append(file)
    whole = Outcome(coverage=[] if is_covering else None)
    for paths, group in groups.items():
        report = load_rules(read_rule_files(paths), rule_options(config))
        raise_errors(report)
        names = [entry.rule.name for entry in report.compiled.rules] if report.compiled else []
        tests = RuleTests(report.ruleset, is_covering=is_covering, left_out=names)
        outcome = tests.run(group)
        whole.cases += outcome.cases
        whole.seconds += outcome.seconds
        if whole.coverage is not None:
            whole.coverage += outcome.coverage or []
    return whole


def _rules_of(file: RuleTestFile, given: Sequence[str], config: Config) -> tuple[str, ...]:
    """The rules files of a test file: those of --rules, its own, those of the configuration."""
    if given:
        return tuple(given)
    if file.rules:
        base = Path(file.path).parent
        return tuple(os.path.normpath(base / text) for text, _ in file.rules)
    return tuple(config.rules_files)
