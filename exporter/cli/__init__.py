"""The command line: parse, call, print. Errors for users end here, with the exit status.

Status 0: done. 1: the input, the machine or the rules do not allow it; the message says what to do.
2: the command line itself is wrong (click). 130: Ctrl-C.
"""

import errno
import gc
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from exporter import __version__
from exporter.errors import LannerError, OutputError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it."""

_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What a write to standard output meets that is no fault of ours."""

_GC_THRESHOLDS = (50_000, 20, 50)
"""Almost all that is imported and compiled at a start stays: to look through it for garbage as
often as Python does takes a tenth of the start."""

_TRACEBACK = "LANNER_TRACEBACK"
"""Environment variable that asks for the traceback of an error that nobody expected."""

_COMMANDS = {
    "run": "exporter.cli.run:run",
    "replay": "exporter.cli.replay:replay",
    "rules": "exporter.cli.rules:rules",
    "fields": "exporter.cli.fields:fields",
    "condition": "exporter.cli.condition:condition",
    "format": "exporter.cli.format:format_group",
    "probe": "exporter.cli.probe:probe",
    "version": "exporter.cli.version:version",
}
_HELP = """Runtime security for Kubernetes in one process.

Watches the kernel for what your Falco rules describe, prints alerts, and serves metrics to
Prometheus and a gRPC alert stream.

\b
First steps:
  lanner run                          the default rules, metrics on port 9376
  lanner run -r my_rules.yaml --json  your rules, JSON alerts on standard output
  lanner replay capture.scap          the same on recorded events
  lanner rules validate my_rules.yaml check a rules file without running it
  curl -s localhost:9376/metrics      what Prometheus will see
"""


class LazyGroup(click.Group):
    """A group that loads a command's module when it is asked for, to keep `--help` quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of the help text."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and turn errors for users into their text and status 1."""
        try:
            return super().invoke(ctx)
        except LannerError as error:
            click.echo(str(error), err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=LazyGroup, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lanner")
def cli() -> None:
    """The group itself; its text is `_HELP`."""


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(*_GC_THRESHOLDS)
    _hold_standard_descriptors()
    try:
        cli(prog_name="lanner")
    except BrokenPipeError:
        # The reader of our output went away (`lanner fields | head`): nothing is wrong with us.
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _CANNOT_WRITE and error.filename is None:
            _give_up_output(error)
        if os.environ.get(_TRACEBACK):
            raise
        _admit_fault(error)


def _hold_standard_descriptors() -> None:
    """Open nothing in place of those that are closed: what is opened next would take their numbers,
    and alerts would be written into a socket or a map of ours.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _admit_fault(error: Exception) -> NoReturn:
    """Say of an error that nobody expected what it is and where it came up."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}exporter{os.sep}" in frame.filename] or frames
    at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    words = " ".join(f"{type(error).__name__}: {error}".split())
    fault = LannerError(
        f"this is a fault of Lanner: {words} (at {at})",
        code="E_FAULT",
        hint=f"please report it with what {_TRACEBACK}=1 prints",
    )
    click.echo(str(fault), err=True)
    sys.exit(1)


def _give_up_output(error: OSError) -> NoReturn:
    # The interpreter would try at its end to write what waits in the buffer, and complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sentence = f"standard output cannot be written: {error.strerror}"
    click.echo(str(OutputError(sentence, code="O001")), err=True)
    sys.exit(1)
