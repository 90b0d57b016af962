"""`lanner replay`: recorded events instead of this machine's."""

import sys
from pathlib import Path
from typing import Any

import click

from exporter.app.replay.options import ReplayOptions
from exporter.app.replay.replay import Replay
from exporter.app.replay.sources import SYSCALL
from exporter.cli.options import config_options, read_config, source_option
from exporter.cli.progress import TerminalProgress
from exporter.config.document import Path as ConfigPath
from exporter.errors import LannerError

_EPILOG = """\b
Examples:
  lanner replay evidence.scap
  lanner replay evidence.scap -r my_rules.yaml --json --summary
  lanner replay evidence.scap --fields '%evt.num %evt.time %proc.name %evt.type %evt.args'
  lanner replay evidence.scap --fields '*%proc.cmdline -> %fd.name' --filter 'fd.type = ipv4'
  lanner replay --source k8s_audit /var/log/kubernetes/audit.log --json
  zcat big.scap.gz | lanner replay - -o stdout_output.enabled=false --summary
\b
Exit status: 0 when the recording was read to its end; 1 when it is damaged (what stands before the
damage is replayed), or rules, format or condition are wrong; 130 after Ctrl-C.
"""


@click.command(epilog=_EPILOG)
@config_options
@source_option("Event source of the recording; syscall (a .scap capture) without it.")
@click.argument("capture")
@click.option(
    "-r",
    "--rules",
    "rules_files",
    metavar="PATH",
    multiple=True,
    help="Rules file or directory; may be repeated, order matters. Without it Lanner's own rules,"
    " or none with --fields.",
)
@click.option("--json", "is_json", is_flag=True, help="JSON objects, one a line.")
@click.option(
    "--summary", "has_summary", is_flag=True, help="At the end, alerts by rule, priority, process."
)
@click.option(
    "--fields",
    "fields",
    metavar="FORMAT",
    help="Print this output format for each event. An event that lacks one of the values is left"
    " out, unless FORMAT begins with *.",
)
@click.option(
    "--filter",
    "condition",
    metavar="CONDITION",
    help="Only events that this condition is true of: rules see no others, none else is printed.",
)
@click.option(
    "--speed",
    type=click.Choice(["max", "real"]),
    default="max",
    help="As fast as possible, or with the time between events kept.",
)
@click.option("--listen", metavar="ADDR", help="HOST:PORT for /metrics and health meanwhile.")
def replay(
    *,
    capture: str,
    config_file: Path | None,
    options: tuple[str, ...],
    source: str | None,
    rules_files: tuple[str, ...],
    is_json: bool,
    has_summary: bool,
    fields: str | None,
    condition: str | None,
    speed: str,
    listen: str | None,
) -> None:
    """Run the rules on a recording: alerts on standard output, as from a live machine.

    CAPTURE is a .scap file, plain or gzip, or `-` for standard input. With --source k8s_audit it is
    a log of the API server, one JSON document a line, or a directory of such files.
    """
    flags: dict[str, tuple[ConfigPath, Any]] = {}
    if rules_files:
        flags["-r"] = (("rules_files",), list(rules_files))
    if is_json:
        flags["--json"] = (("json_output",), True)
    config = read_config(config_file, options, flags)
    made = Replay(
        config,
        ReplayOptions(
            path=capture,
            event_source=source or SYSCALL,
            fields=fields,
            condition=condition,
            has_rules=fields is None or bool(rules_files),
            has_summary=has_summary,
            keeps_pace=speed == "real",
            listen=listen,
        ),
    )
    if sys.stdout is None:
        raise LannerError("standard output is closed")
    progress = TerminalProgress()
    try:
        end = made.run(sys.stdout.buffer, progress)
    finally:
        progress.finish()
    if end.error is not None:
        raise end.error
    if end.is_interrupted:
        raise KeyboardInterrupt
