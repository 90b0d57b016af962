"""`-c FILE` and `-o KEY=VALUE`, and the configuration made of them.

Apart from `options.py` because `lanner run` starts its probe before the rules room is imported.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from exporter.config.document import Path as ConfigPath
from exporter.config.load import load_config
from exporter.config.schema import Config

_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_options(command: _Command) -> _Command:
    """Add `-c FILE` and `-o KEY=VALUE`."""
    option = click.option(
        "-o",
        "options",
        metavar="KEY=VALUE",
        multiple=True,
        help="Set one configuration key, such as -o priority=warning, -o grpc.history=100 or"
        " -o rules[].disable.tag=network. May be repeated.",
    )
    config = click.option(
        "-c",
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration file (lanner.yaml); the defaults without it.",
    )
    return config(option(command))


def read_config(
    config_file: Path | None,
    options: Sequence[str],
    flags: dict[str, tuple[ConfigPath, Any]] | None = None,
) -> Config:
    """The configuration that the options give. Raises ConfigError."""
    return load_config(config_file, options, flags)
