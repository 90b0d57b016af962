"""Scrapes: time and memory of pages of 1,000 to 100,000 series, and what they cost the hot thread.

A thread that only reads the clock stands for the hot one: the longest time between two of its
readings is how long the scrapes kept the interpreter from it.
"""

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from exporter.metrics import families
from exporter.metrics.registry import FamilyOptions, Registry
from tests.bench.report import Row, percentile

TITLE = "scrapes (pages of alert counters with pods)"
FORMS = (
    ("text", "", ""),
    ("OpenMetrics, gzip", "application/openmetrics-text;version=1.0.0", "gzip"),
    (
        "protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "",
    ),
)
_SWITCH_SECONDS = 0.0005
"""As the running node sets it."""


def label_sets(count: int) -> Iterator[tuple[str, ...]]:
    """Labels of alerts in so many pods."""
    for number in range(count):
        workload = ("shop", f"web-{number:06}", f"{number:012x}")
        yield (f"Some rule of ours number {number % 50}", "Warning", "syscall", *workload)


def full_registry(count: int) -> Registry:
    """A registry with so many series of alerts."""
    options = {families.ALERTS.name: FamilyOptions(max_series=2 * count)}
    registry = Registry(options)
    counter = registry.counter(families.ALERTS)
    for labels in label_sets(count):
        counter.labels(*labels).value += 1
    return registry


def rss_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def seconds_of_page(registry: Registry, accept: str, encoding: str, tries: int) -> float:
    """Median time of a page, once the labels are text."""
    registry.page(accept, encoding)
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        registry.page(accept, encoding)
        times.append(time.perf_counter() - start)
    return percentile(times, 0.5)


def longest_pause(registry: Registry | None, seconds: float) -> float:
    """The longest time the clock reader stood still, with scrapes back to back or without."""
    gaps: list[float] = []
    is_over = threading.Event()

    def read_clock() -> None:
        last = time.perf_counter()
        worst = 0.0
        while not is_over.is_set():
            now = time.perf_counter()
            worst = max(worst, now - last)
            last = now
        gaps.append(worst)

    reader = threading.Thread(target=read_clock)
    reader.start()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if registry is None:
            time.sleep(0.01)
        else:
            registry.page("", "gzip")
    is_over.set()
    reader.join()
    return gaps[0]


def client_library_seconds(count: int) -> float:
    """The same page made by prometheus_client."""
    registry = CollectorRegistry()
    labels = families.ALERTS.default_labels
    gauge = Gauge("lanner_alerts", "Alerts.", labels, registry=registry)
    for values in label_sets(count):
        gauge.labels(*values).inc()
    start = time.perf_counter()
    generate_latest(registry)
    return time.perf_counter() - start


def run(*, quick: bool) -> list[Row]:
    """Time and memory by size and form; pauses of another thread."""
    import sys

    rows = []
    tries = 3 if quick else 9
    old_interval = sys.getswitchinterval()
    for count in (1_000, 10_000) if quick else (1_000, 10_000, 100_000):
        gc.collect()
        before = rss_bytes()
        registry = full_registry(count)
        after_series = rss_bytes()
        for form, accept, encoding in FORMS:
            seconds = seconds_of_page(registry, accept, encoding, tries)
            size = len(registry.page(accept, encoding).body)
            reference, bar = "", ""
            if count == 10_000:
                bar = "< 50 ms"
                if form == "text":
                    client = client_library_seconds(count)
                    reference = f"prometheus_client {client * 1e3:.0f} ms"
            what = f"{count:,} series, {form}, {size / 1e6:.2f} MB"
            rows.append(Row(what, f"{seconds * 1e3:.1f} ms", reference, bar))
        series_mib = (after_series - before) / 2**20
        all_mib = (rss_bytes() - before) / 2**20
        rows.append(
            Row(f"{count:,} series, memory", f"{series_mib:.1f} MiB", f"scraped {all_mib:.1f}")
        )
        if count == 10_000:
            sys.setswitchinterval(_SWITCH_SECONDS)
            try:
                alone = longest_pause(None, 0.5 if quick else 3)
                scraped = longest_pause(registry, 0.5 if quick else 3)
            finally:
                sys.setswitchinterval(old_interval)
            what = "10,000 series, longest pause of a busy thread"
            rows.append(Row(what, f"{scraped * 1e3:.1f} ms", f"unscraped {alone * 1e3:.1f} ms"))
        del registry
    return rows
