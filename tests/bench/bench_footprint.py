"""What Lanner takes from a machine on which nothing happens: memory, processor, time to start."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.report import Row
from tests.integration.live import Lanner, Stage, memory_mib

TITLE = "footprint (default rules, idle)"
SECONDS = 30
_AS_INSTALLED = """
import sys
for name in ("attr", "colorama", "grpc_tools", "rich"):
    sys.modules[name] = None  # of the development environment; a plain one does not have them
from exporter.cli import main
main()
"""


def run(*, quick: bool) -> Iterator[Row]:
    """Start twice, so that the instructions are cached; then watch it do nothing."""
    seconds = 5 if quick else SECONDS
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = directory / "lanner.py"
        program.write_text(_AS_INSTALLED)
        stage = Stage()
        options = ("--scope-pid", str(stage.pid))
        command = [sys.executable, str(program)]
        env = {"PYTHONPATH": str(Path.cwd())}
        try:
            first = Lanner(directory, *options, command=command, env=env)
            first.wait_ready()
            first.kill()
            lanner = Lanner(directory, *options, command=command, env=env)
            ready = lanner.wait_ready()
            pid = lanner.process.pid
            time.sleep(3)
            before, start = busy_ns(pid), time.monotonic_ns()
            time.sleep(seconds)
            share = (busy_ns(pid) - before) / (time.monotonic_ns() - start)
            rest_mib, peak_mib = memory_mib(pid, "VmRSS"), memory_mib(pid, "VmHWM")
            lanner.kill()
        finally:
            stage.close()
    yield Row("start to ready", f"{ready:.2f} s", "instructions cached", "1.5 s")
    yield Row("resident memory", f"{rest_mib:.0f} MiB", f"{peak_mib:.0f} MiB at most", "80 MiB")
    yield Row("processor", f"{share:.2%} of a core", f"over {seconds} s", "0.3 %")


def busy_ns(pid: int) -> int:
    """Nanoseconds that the threads of a process have run so far."""
    return sum(
        int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
