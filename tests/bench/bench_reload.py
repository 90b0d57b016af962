"""What a reload holds up: alerts and scrapes while the rules are loaded again without a pause."""

import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import bench_rules
from tests.bench.bench_latency import SOURCE, nanoseconds
from tests.bench.bench_parts import rules_text
from tests.bench.options import RULE_SETS
from tests.bench.report import Row, percentile
from tests.integration.live import Lanner, Stage, compile_source, memory_mib, wait_until

TITLE = "reload (alerts and scrapes every 10 ms, Lanner's own rules and the chosen ones)"
PAUSE_MS = 10


class Repeated:
    """Requests one after the other, in a thread. took: milliseconds of each."""

    def __init__(self, lanner: Lanner, path: str, method: str, pause_seconds: float) -> None:
        self.took: list[float] = []
        self._request = (path, method)
        self._pause_seconds = pause_seconds
        self._lanner = lanner
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        path, method = self._request
        while not self._ends.is_set():
            start = time.monotonic_ns()
            status, text = self._lanner.fetch(path, method=method)
            self.took.append((time.monotonic_ns() - start) / 1e6)
            assert status in (0, 200), text  # 0: not answered in time, shows in the figures
            self._ends.wait(self._pause_seconds)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()


def run(*, quick: bool) -> Iterator[Row]:
    """The same alerts twice: undisturbed, and under reloads."""
    tries = 200 if quick else 1000
    with tempfile.TemporaryDirectory() as name, contextlib.closing(Stage()) as stage:
        directory = Path(name)
        many = directory / "many.yaml"
        many.write_text(rules_text(bench_rules.conditions()))
        program = str(compile_source(SOURCE, directory))
        files = ["default", *map(str, RULE_SETS[0] if RULE_SETS else [many])]
        options = [option for file in files for option in ("-r", file)]
        lanner = Lanner(directory, "--json", "--scope-pid", str(stage.pid), *options)
        try:
            lanner.wait_ready()
            yield from _figures(lanner, stage, program, tries, "undisturbed")
            reloads = Repeated(lanner, "/-/reload", "POST", 0.0)
            with reloads:
                yield from _figures(lanner, stage, program, tries, "under reloads")
            yield Row(
                "a reload",
                f"{statistics.median(reloads.took):.0f} ms",
                f"{len(reloads.took)} of them",
            )
            rest_mib = memory_mib(lanner.process.pid, "VmRSS")
            peak_mib = memory_mib(lanner.process.pid, "VmHWM")
        finally:
            lanner.kill()
    yield Row("resident memory behind them", f"{rest_mib:.0f} MiB", f"{peak_mib:.0f} MiB at most")


def _figures(lanner: Lanner, stage: Stage, program: str, tries: int, what: str) -> Iterator[Row]:
    since = len(lanner.lines)
    scrapes = Repeated(lanner, "/metrics", "GET", PAUSE_MS / 1000)
    with scrapes:
        stage.run(program, "/etc/shadow", str(tries), str(PAUSE_MS))
        wait_until(lambda: len(lanner.lines) >= since + tries, 30, f"{tries} alerts")
    alerts = lanner.alerts(since)
    arrivals = [arrival for arrival, _ in lanner.lines[since:]]
    late = [
        (arrival - nanoseconds(alert["time"])) / 1e6
        for arrival, alert in zip(arrivals, alerts, strict=True)
    ]
    for name, values in (("alerts", late), ("scrapes", scrapes.took)):
        yield Row(
            f"{name}, {what}",
            f"p50 {statistics.median(values):.1f} ms, p99 {percentile(values, 0.99):.1f} ms",
            f"at most {max(values):.1f} ms",
        )
