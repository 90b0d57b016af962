"""Options that several commands share."""

import sys
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import click

from exporter.cli.configuration import config_options, read_config
from exporter.errors import LannerError
from exporter.rules.loader.options import SOURCES

__all__ = ["InputFile", "config_options", "read_config", "read_text", "source_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def source_option(text: str) -> Callable[[_Command], _Command]:
    """Add `--source NAME`, refused unless it names an event source; None without it."""
    return click.option(
        "--source",
        metavar="NAME",
        type=click.Choice(SOURCES),
        help=f"{text} One of {', '.join(SOURCES)}.",
    )


class InputFile(click.File):
    """A file to read, or `-` for standard input, as bytes."""

    def __init__(self) -> None:
        super().__init__("rb")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Open it. Raises LannerError where there is no standard input."""
        if value == "-" and sys.stdin is None:
            raise LannerError("standard input is closed", hint="give a file of text")
        return super().convert(value, param, ctx)


def read_text(file: BinaryIO) -> str:
    """The text of a file that the command line named. Raises LannerError."""
    try:
        return file.read().decode("utf-8", "replace")
    except OSError as error:
        raise LannerError(
            f"cannot read {file.name}: {error.strerror}",
            hint="give a file of text, or - for standard input",
        ) from error
