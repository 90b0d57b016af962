"""How long after the system call the alert exists, and its line is on standard output."""

import re
import statistics
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.report import Row, percentile
from tests.integration.live import Lanner, Stage, compile_source, wait_until

TITLE = "latency of an alert (cat-like read of /etc/shadow, default rules)"
TRIES = 100
PAUSE_MS = 20
METRIC = "lanner_detection_latency_seconds"
SOURCE = Path(__file__).with_name("timed_opens.c")


def run(*, quick: bool) -> Iterator[Row]:
    """One alert every 20 ms on an otherwise quiet stage."""
    tries = TRIES // 5 if quick else TRIES
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = compile_source(SOURCE, directory)
        stage = Stage()
        lanner = Lanner(directory, "--json", "--scope-pid", str(stage.pid))
        try:
            lanner.wait_ready()
            before = buckets(lanner)
            answer = stage.run(str(program), "/etc/shadow", str(tries), str(PAUSE_MS))
            wait_until(lambda: len(lanner.lines) >= tries, 10, f"{tries} alerts")
            after = buckets(lanner)
            lines = list(lanner.lines)
            alerts = lanner.alerts()
        finally:
            lanner.kill()
            stage.close()
    calls = [int(line) for line in answer["output"].split()]
    arrivals = [arrival for arrival, _ in lines]
    kernel = [nanoseconds(alert["time"]) for alert in alerts]
    made = {bound: count - before[bound] for bound, count in after.items()}
    assert len(calls) == len(arrivals) == tries
    yield Row(
        "kernel timestamp to alert (histogram)",
        f"p50 <= {bucket_quantile(made, 0.5) * 1e3:g} ms",
        f"p99 <= {bucket_quantile(made, 0.99) * 1e3:g} ms",
        "p99 10 ms",
    )
    for what, starts in (
        ("kernel timestamp to line on stdout", kernel),
        ("before the system call to line on stdout", calls),
    ):
        took = [(end - start) / 1e6 for start, end in zip(starts, arrivals, strict=True)]
        yield Row(
            what, f"p50 {statistics.median(took):.2f} ms", f"p99 {percentile(took, 0.99):.2f} ms"
        )


def nanoseconds(text: str) -> int:
    """Nanoseconds since the epoch of an alert's time, whose fraction has nine digits."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 1_000_000_000 + int(fraction)


def buckets(lanner: Lanner) -> dict[float, float]:
    """Upper bound -> observations up to it."""
    pattern = re.compile(METRIC + r'_bucket\{le="([^"]+)"\}')
    found = ((pattern.fullmatch(name), count) for name, count in lanner.samples().items())
    return {float(match[1]): count for match, count in found if match}


def bucket_quantile(made: dict[float, float], share: float) -> float:
    """Upper bound of the bucket in which the quantile lies."""
    total = made[float("inf")]
    return min(bound for bound, count in made.items() if count >= share * total)
