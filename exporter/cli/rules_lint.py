"""`lanner rules lint`: rules that load but look wrong."""

import json
import sys
from pathlib import Path

import click

from exporter.app.reported_calls import calls_for
from exporter.app.rule_files import raise_errors
from exporter.cli.options import config_options, read_config
from exporter.cli.rules_files import load_files
from exporter.pushdown.lint import lint_pushdown
from exporter.rules.lint import CODES, LintFinding, lint_rules

_EPILOG = """\b
Examples:
  lanner rules lint my_rules.yaml
  lanner rules lint --strict --ignore L015 rules.d
  lanner rules lint --json falco_rules.yaml | jq '.findings[] | select(.code == "L008")'
\b
What each code means: docs/rule-tools.md.
Exit status: 0; with --strict 1 when something was found. 1 when the rules do not load.
"""


@click.command(epilog=_EPILOG)
@config_options
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
@click.option("--strict", "is_strict", is_flag=True, help="Status 1 when something was found.")
@click.option(
    "--ignore",
    "ignored",
    metavar="CODE",
    multiple=True,
    type=click.Choice(list(CODES)),
    help="Leave out findings of this code, such as L015; repeatable.",
)
def lint(
    *,
    config_file: Path | None,
    options: tuple[str, ...],
    files: tuple[str, ...],
    is_json: bool,
    is_strict: bool,
    ignored: tuple[str, ...],
) -> None:
    """Find rules that load and are probably not what was meant.

    FILE is a rules file or a directory of them; Lanner's own rules without any.
    """
    config = read_config(config_file, options)
    report = load_files(config, files)
    raise_errors(report)
    sent = lint_pushdown(report, sorted(calls_for(report.ruleset)))
    found = [finding for finding in (*lint_rules(report), *sent) if finding.code not in ignored]
    if is_json:
        click.echo(json.dumps({"findings": [_json(finding) for finding in found]}))
    else:
        for finding in found:
            click.echo(str(finding))
        noun = "finding" if len(found) == 1 else "findings"
        click.echo(f"{len(found)} {noun}" if found else "nothing found")
    sys.exit(1 if found and is_strict else 0)


def _json(finding: LintFinding) -> dict[str, object]:
    return {
        "code": finding.code,
        "title": CODES[finding.code],
        "kind": finding.kind,
        "name": finding.name,
        "message": finding.message,
        "hint": finding.hint,
        "file": finding.span.file,
        "line": finding.span.line,
        "column": finding.span.column,
    }
