"""`lanner run`: watch this machine until told to stop."""

import sys
from pathlib import Path
from typing import Any

import click

from exporter.app.start import run_node
from exporter.cli.configuration import config_options, read_config
from exporter.config.document import Path as ConfigPath

_EPILOG = """\b
Examples:
  lanner run
  lanner run -r /etc/lanner/rules.d -r local.yaml --json
  lanner run --listen 127.0.0.1:0 --grpc-socket ''
  lanner run --source k8s_audit --listen 127.0.0.1:9376
  lanner run --scope-pid $$ -o priority=warning
\b
Signals: SIGTERM and SIGINT deliver what waits and stop; SIGHUP loads the rules again.
"""


@click.command(epilog=_EPILOG)
@config_options
@click.option(
    "-r",
    "--rules",
    "rules_files",
    metavar="PATH",
    multiple=True,
    help="Rules file or directory; may be repeated, order matters. Lanner's own rules without it.",
)
@click.option(
    "--listen",
    metavar="ADDR",
    help="HOST:PORT for /metrics and health, such as :9376, 127.0.0.1:0 or [::]:9376.",
)
@click.option(
    "--web.config.file",
    "web_config_file",
    metavar="PATH",
    help="Web configuration of Prometheus' exporters: TLS, basic authentication, headers.",
)
@click.option("--json", "is_json", is_flag=True, help="Alerts as JSON objects, one a line.")
@click.option(
    "--grpc-socket",
    metavar="PATH",
    help="Unix socket of the gRPC alert stream; '' for none.",
)
@click.option(
    "--source",
    "sources",
    type=click.Choice(["syscall", "k8s_audit"]),
    multiple=True,
    help="Where events come from; may be repeated. As configured without it: the kernel probe.",
)
@click.option(
    "--no-pushdown",
    is_flag=True,
    help="Send all events of the wanted types to user space, for comparison.",
)
@click.option(
    "--scope-cgroup",
    metavar="PATH",
    help="Watch only this cgroup directory and those below it; decided in the kernel.",
)
@click.option(
    "--scope-pid",
    metavar="PID",
    type=click.IntRange(min=1),
    help="Watch only this process and its descendants; decided in the kernel.",
)
def run(
    *,
    config_file: Path | None,
    options: tuple[str, ...],
    rules_files: tuple[str, ...],
    listen: str | None,
    web_config_file: str | None,
    is_json: bool,
    grpc_socket: str | None,
    sources: tuple[str, ...],
    no_pushdown: bool,
    scope_cgroup: str | None,
    scope_pid: int | None,
) -> None:
    """Watch this machine: alerts on standard output, metrics over HTTP, alerts over gRPC."""
    flags: dict[str, tuple[ConfigPath, Any]] = {}
    if rules_files:
        flags["-r"] = (("rules_files",), list(rules_files))
    if is_json:
        flags["--json"] = (("json_output",), True)
    if sources:
        flags["--source syscall"] = (("probe", "enabled"), "syscall" in sources)
        flags["--source k8s_audit"] = (("k8s_audit", "enabled"), "k8s_audit" in sources)
    if no_pushdown:
        flags["--no-pushdown"] = (("probe", "pushdown"), False)
    for flag, path, value in (
        ("--listen", ("http", "listen"), listen),
        ("--web.config.file", ("http", "web_config_file"), web_config_file),
        ("--grpc-socket", ("grpc", "socket"), grpc_socket),
        ("--scope-cgroup", ("probe", "scope_cgroup"), scope_cgroup),
        ("--scope-pid", ("probe", "scope_pid"), scope_pid),
    ):
        if value is not None:
            flags[flag] = (path, value)
    sys.exit(run_node(read_config(config_file, options, flags)))
