"""From the start of the process to /readyz: probe compiled and attached, rules loaded."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.report import Row
from tests.integration.live import Lanner, Stage, memory_mib

TITLE = "start"


def run(*, quick: bool) -> Iterator[Row]:
    """Start it several times."""
    stage = Stage()
    seconds, memory = [], []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(2 if quick else 7):
            lanner = Lanner(Path(directory), "--scope-pid", str(stage.pid))
            try:
                seconds.append(lanner.wait_ready())
                memory.append(memory_mib(lanner.process.pid, "VmRSS"))
            finally:
                lanner.kill()
    stage.close()
    yield Row(
        "start to ready",
        f"{statistics.median(seconds):.2f} s",
        f"max of {len(seconds)}: {max(seconds):.2f} s",
        "3 s",
    )
    yield Row("memory when ready (RSS)", f"{statistics.median(memory):.0f} MiB")
