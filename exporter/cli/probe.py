"""`lanner probe`: what can be done for the kernel probe before it is needed."""

import click

from exporter.errors import ProbeError


@click.group()
def probe() -> None:
    """Prepare the kernel probe."""


@probe.command(name="compile")
def compile_command() -> None:
    """Compile the probe for the running kernel and keep the result, for a quick `lanner run`.

    The result lies in lanner/ below $CACHE_DIRECTORY, $XDG_CACHE_HOME or ~/.cache;
    LANNER_PROBE_CACHE names another directory. It serves until the kernel, bcc or Lanner changes.
    """
    from exporter.sources.probe.build import precompile  # noqa: PLC0415  keeps `--help` quick

    if not precompile():
        raise ProbeError(
            "there is no directory to keep the compiled probe in",
            code="E_CACHE",
            hint="set LANNER_PROBE_CACHE to a directory that only this user can write to",
        )
