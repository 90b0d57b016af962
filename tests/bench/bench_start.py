"""From the start of the process to /readyz: probe compiled and attached, rules loaded."""

import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.report import Row
from tests.integration.live import Lanner, Stage, memory_mib

TITLE = "start"


def run(*, quick: bool) -> Iterator[Row]:
    """Start it several times: the first time on a machine, and again."""
    times = 2 if quick else 5
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Stage()) as stage:
        kept = {"LANNER_PROBE_CACHE": str(Path(directory) / "cache")}
        for what, env in (
            ("start to ready, the first time (probe compiled)", {"LANNER_PROBE_CACHE": ""}),
            ("start to ready, later (instructions kept)", kept),
        ):
            start(stage, directory, env, memory)
            seconds = sorted(start(stage, directory, env, memory) for _ in range(times))
            yield Row(
                what,
                f"{statistics.median(seconds):.2f} s",
                f"{seconds[0]:.2f} to {seconds[-1]:.2f} s",
                "3 s",
            )
    yield Row("memory when ready (RSS)", f"{statistics.median(memory):.0f} MiB")


def start(stage: Stage, directory: str, env: dict[str, str], memory: list[float]) -> float:
    """Start it once; seconds until ready. Appends the resident memory then."""
    lanner = Lanner(Path(directory), "--scope-pid", str(stage.pid), env=env)
    try:
        seconds = lanner.wait_ready()
        memory.append(memory_mib(lanner.process.pid, "VmRSS"))
    finally:
        lanner.kill()
    return seconds
