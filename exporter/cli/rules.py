"""`lanner rules`: look at rules files without running them."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

from exporter.app.rule_files import raise_errors
from exporter.cli.options import config_options, read_config
from exporter.cli.rules_files import load_files
from exporter.errors import LannerError
from exporter.rules.describe import describe, describe_text

_VALIDATE_EPILOG = """\b
Examples:
  lanner rules validate falco_rules.yaml my_rules.yaml
  lanner rules validate --json rules.d | jq '.falco_load_results[].errors'
\b
Files are loaded in order into one set, so a file may use the macros and lists of those before it.
Exit status: 0 when all files load, 1 when not.
"""
_LIST_EPILOG = """\b
Examples:
  lanner rules list
  lanner rules list -o priority=warning my_rules.yaml
  lanner rules list --json --rule 'Write below etc'
"""
_JSON_ENCODER = msgspec.json.Encoder(order="sorted")


_TOOLS = {
    "lint": "exporter.cli.rules_lint:lint",
    "explain": "exporter.cli.rules_explain:explain",
    "test": "exporter.cli.rules_test:test",
}


class _RulesGroup(click.Group):
    """The group; the modules of its bigger tools are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the help text."""
        return [*super().list_commands(ctx), *_TOOLS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        place = _TOOLS.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, name = place.split(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_RulesGroup)
def rules() -> None:
    """Check, list, explain, lint and test rules files."""


def _files_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("files", nargs=-1, metavar="[FILE]...")(command)


@rules.command(epilog=_VALIDATE_EPILOG)
@config_options
@_files_argument
@click.option("--json", "is_json", is_flag=True, help="One JSON object, as of falco -V.")
def validate(
    *, config_file: Path | None, options: tuple[str, ...], files: tuple[str, ...], is_json: bool
) -> None:
    """Load rules files and say everything that is wrong or odd in them.

    FILE is a rules file or a directory of them; Lanner's own rules without any.
    """
    report = load_files(read_config(config_file, options), files)
    if is_json:
        click.echo(_JSON_ENCODER.encode(report.to_json()))
    else:
        click.echo(report.verbose())
    if not report.successful:
        if not is_json:
            click.echo(f"Error: {report.summary()}", err=True)
        sys.exit(1)


@rules.command("list", epilog=_LIST_EPILOG)
@config_options
@_files_argument
@click.option("--rule", metavar="NAME", help="Only this rule.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object, as of falco -L.")
def list_rules(
    *,
    config_file: Path | None,
    options: tuple[str, ...],
    files: tuple[str, ...],
    rule: str | None,
    is_json: bool,
) -> None:
    """List rules with their descriptions; with --json also macros, lists and compiled conditions.

    FILE is a rules file or a directory of them; Lanner's own rules without any.
    """
    report = load_files(read_config(config_file, options), files)
    raise_errors(report)
    try:
        listing = describe(report, rule)
    except KeyError:
        raise LannerError(f'there is no rule "{rule}"') from None
    click.echo(_JSON_ENCODER.encode(listing) if is_json else describe_text(report, rule))
