"""`lanner rules explain`: one rule as the engine sees it."""

import dataclasses
import json
from difflib import get_close_matches
from pathlib import Path

import click

from exporter.app.reported_calls import calls_for
from exporter.app.rule_files import raise_errors
from exporter.cli.options import config_options, read_config
from exporter.cli.rules_files import load_files
from exporter.errors import LannerError
from exporter.pushdown.analysis import SYSCALL, analyse, analyse_hooks
from exporter.pushdown.explain import (
    rule_to_json,
    rule_to_text,
    ruleset_to_json,
    ruleset_to_text,
)
from exporter.rules.explain import explain as explain_rule
from exporter.rules.explain import to_json, to_text
from exporter.rules.loader import LoadReport
from exporter.rules.ruleset import Ruleset

_EPILOG = """\b
Examples:
  lanner rules explain 'Write below etc'
  lanner rules explain --json 'My rule' falco_rules.yaml my_rules.yaml | jq .fields
  lanner rules explain - falco_rules.yaml
"""


@click.command(epilog=_EPILOG)
@config_options
@click.argument("rule", default="-")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
def explain(
    *,
    config_file: Path | None,
    options: tuple[str, ...],
    rule: str,
    files: tuple[str, ...],
    is_json: bool,
) -> None:
    """Show what a rule looks at, what of it the kernel tests, and the Python that is made of it.

    RULE is the name of a rule, or - for all of them together: which events the kernel sends, and
    which rules want every event of a type. FILE is a rules file or a directory of them, Lanner's
    own rules without any.
    """
    config = read_config(config_file, options)
    report = load_files(config, files)
    raise_errors(report)
    if rule == "-":
        filters = analyse(report.ruleset, sorted(calls_for(report.ruleset)))
        hooks = analyse_hooks(report.ruleset)
        whole = ruleset_to_json(filters, hooks) if is_json else ruleset_to_text(filters, hooks)
        click.echo(json.dumps(whole) if is_json else whole)
        return
    loaded = {entry.name: entry for entry in report.ruleset.rules}
    if rule not in loaded:
        near = get_close_matches(rule, loaded, n=3, cutoff=0.4)
        raise LannerError(
            f'there is no rule "{rule}"',
            hint=f"did you mean {' or '.join(map(repr, near))}?" if near else None,
        )
    found = explain_rule(loaded[rule], _warnings(report, rule))
    alone = Ruleset((dataclasses.replace(loaded[rule], is_enabled=True),))
    is_syscall = loaded[rule].source == SYSCALL
    filters = analyse(alone, sorted(calls_for(alone))) if is_syscall else {}
    hooks = analyse_hooks(alone) if is_syscall else {}
    if is_json:
        click.echo(json.dumps({**to_json(found), "pushdown": rule_to_json(filters, rule, hooks)}))
    elif is_syscall:
        click.echo(f"{to_text(found)}\n\n{rule_to_text(filters, rule, hooks)}")
    else:
        click.echo(to_text(found))


def _warnings(report: LoadReport, rule: str) -> list[str]:
    """Load warnings inside the rule."""
    return [
        f"{warning.code}: {warning.message}"
        for result in report.results
        for warning in result.warnings
        if any(place.item_name == rule for place in warning.context.locations)
    ]
