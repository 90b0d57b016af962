"""Rules files as the commands below `lanner rules` take them."""

from collections.abc import Sequence

import click

from exporter.app.rule_files import read_rule_files, rule_options
from exporter.config.schema import Config
from exporter.rules.loader import LoadReport, load_rules


def load_files(config: Config, files: Sequence[str]) -> LoadReport:
    """Load these files and directories, or else the configured ones; warns where there are none."""
    paths = files or config.rules_files
    sources = read_rule_files(paths)
    if not sources:
        click.echo(f"warning: no rules files (*.yaml, *.yml) in {', '.join(paths)}", err=True)
    return load_rules(sources, rule_options(config))
