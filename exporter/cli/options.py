"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from exporter.cli.configuration import config_options, read_config
from exporter.rules.loader.options import SOURCES

__all__ = ["config_options", "read_config", "source_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def source_option(text: str) -> Callable[[_Command], _Command]:
    """Add `--source NAME`, refused unless it names an event source; None without it."""
    return click.option(
        "--source",
        metavar="NAME",
        type=click.Choice(SOURCES),
        help=f"{text} One of {', '.join(SOURCES)}.",
    )
