"""What Lanner takes from a machine on which nothing happens: memory, processor, time to start.

Memory twice: after the start, and after reloads of rules that are others each time.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.options import RULE_SETS
from tests.bench.report import Row
from tests.integration.live import Lanner, Stage, memory_mib

TITLE = "footprint (idle; Lanner's own rules, or each set that was chosen)"
SECONDS = 30
RELOADS = 10
_SETTLE_SECONDS = 3
_CHANGING = """\
- rule: bench changing
  desc: another one each time
  condition: evt.type in (open, openat, openat2) and fd.name = /nowhere/{number}
  output: opened %fd.name
  priority: INFO
"""
_AS_INSTALLED = """
import sys
for name in ("attr", "colorama", "grpc_tools", "rich"):
    sys.modules[name] = None  # of the development environment; a plain one does not have them
from exporter.cli import main
main()
"""


def run(*, quick: bool) -> Iterator[Row]:
    """Start twice, so that the instructions are cached; then watch it do nothing."""
    for files in RULE_SETS or [[]]:
        name = f", {' + '.join(path.stem for path in files)}" if files else ""
        seconds, reloads = (5, 2) if quick else (SECONDS, RELOADS)
        yield from watch([str(path) for path in files] or ["default"], name, seconds, reloads)


def watch(files: list[str], name: str, seconds: int, reloads: int) -> Iterator[Row]:
    """The figures with these rules files. name: to tell them from those of other rules."""
    with tempfile.TemporaryDirectory() as place, contextlib.closing(Stage()) as stage:
        directory = Path(place)
        program = directory / "lanner.py"
        program.write_text(_AS_INSTALLED)
        changing = directory / "changing.yaml"
        changing.write_text(_CHANGING.format(number=0))
        files = [*files, str(changing)]
        options = ["--scope-pid", str(stage.pid), *(o for file in files for o in ("-r", file))]
        command = [sys.executable, str(program)]
        env = {"PYTHONPATH": str(Path.cwd())}
        first = Lanner(directory, *options, command=command, env=env)
        first.wait_ready()
        first.kill()
        lanner = Lanner(directory, *options, command=command, env=env)
        try:
            ready = lanner.wait_ready()
            pid = lanner.process.pid
            time.sleep(_SETTLE_SECONDS)
            before, start = busy_ns(pid), time.monotonic_ns()
            time.sleep(seconds)
            share = (busy_ns(pid) - before) / (time.monotonic_ns() - start)
            after_start = resident(pid)
            for number in range(1, reloads + 1):
                changing.write_text(_CHANGING.format(number=number))
                status, text = lanner.fetch("/-/reload", method="POST")
                assert status == 200, text
            time.sleep(_SETTLE_SECONDS)
            after_reloads = resident(pid)
        finally:
            lanner.kill()
    yield Row(f"start to ready{name}", f"{ready:.2f} s", "instructions cached", "1.5 s")
    yield Row(f"resident memory{name}", *after_start, "80 MiB")
    yield Row(f"  after {reloads} reloads{name}", *after_reloads, "80 MiB")
    yield Row(f"processor{name}", f"{share:.2%} of a core", f"over {seconds} s", "0.3 %")


def resident(pid: int) -> tuple[str, str]:
    """What is in memory now, and the most that was so far, as a row shows them."""
    return (
        f"{memory_mib(pid, 'VmRSS'):.0f} MiB",
        f"{memory_mib(pid, 'VmHWM'):.0f} MiB at most",
    )


def busy_ns(pid: int) -> int:
    """Nanoseconds that the threads of a process have run so far, those that have ended included.

    Source: clock_getcpuclockid(3) as Linux has it, the clock of a process by the scheduler.
    """
    return time.clock_gettime_ns(~pid << 3 | 2)
