"""A loop opens a harmless file 200,000 times a second: what is lost, and what it costs."""

import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import Row
from tests.integration.live import Lanner, Stage, compile_source, memory_mib, wait_until

TITLE = "open storm (open(2) of /etc/hostname, default rules, 16 MiB ring)"
RATE = 200_000
SECONDS = 20
SOURCE = Path(__file__).with_name("open_storm.c")
TICKS = os.sysconf("SC_CLK_TCK")


def run(*, quick: bool) -> Iterator[Row]:
    """The generator alone, then under Lanner."""
    seconds = 3 if quick else SECONDS
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = str(compile_source(SOURCE, directory))
        stage = Stage()
        one_loop = (program, "/etc/hostname", "0", "0", "2", "1")
        quiet = stage.run(*one_loop)
        fastest = rate_of(quiet)
        # One loop, or as many as it takes here to come near the rate.
        workers = min(os.cpu_count() or 1, math.ceil(RATE / fastest))
        limits = ("/etc/hostname", "0", str(RATE), str(seconds), str(workers))
        alone = rate_of(stage.run(program, *limits))
        lanner = Lanner(directory, "--scope-pid", str(stage.pid))
        try:
            lanner.wait_ready()
            pid = lanner.process.pid
            rest_mib = memory_mib(pid, "VmRSS")
            watched = stage.run(*one_loop)
            drain(lanner)
            before = Counts.read(lanner)
            start_ticks, start = cpu_ticks(pid), time.monotonic()
            answer = stage.run(program, *limits)
            took, ticks = time.monotonic() - start, cpu_ticks(pid) - start_ticks
            drain(lanner)
            after = Counts.read(lanner)
            peak_mib = memory_mib(pid, "VmHWM")
            status = lanner.fetch("/readyz")[0]
        finally:
            lanner.kill()
            stage.close()
    opens = int(answer["output"].split()[0])
    submitted = after.submitted - before.submitted
    delivered = after.delivered - before.delivered
    dropped = after.dropped - before.dropped
    watched_rate = rate_of(watched)
    under = rate_of(answer)
    yield Row("one loop without Lanner, unlimited", f"{fastest:,.0f}/s")
    yield Row(
        "one loop under Lanner, unlimited",
        f"{watched_rate:,.0f}/s",
        f"{watched_rate / fastest:.0%} of without",
    )
    yield Row(
        "processor time of one open and close",
        f"{cpu_ns_per_open(watched):,.0f} ns",
        f"{cpu_ns_per_open(quiet):,.0f} ns without",
    )
    yield Row(f"{workers} loops without Lanner", f"{alone:,.0f}/s", f"asked for {RATE:,}/s")
    yield Row(f"{workers} loops under Lanner", f"{under:,.0f}/s", f"{under / alone:.0%} of without")
    yield Row("opens done", f"{opens:,}", f"in {took:.1f} s")
    yield Row("submitted by the kernel", f"{submitted:,.0f}", f"{submitted / opens:.1%} of opens")
    yield Row("dropped, counted", f"{dropped:,.0f}", f"{dropped / opens:.1%} of opens")
    yield Row("unaccounted", f"{opens - submitted - dropped:,.0f}", "", "0")
    yield Row("matched against the rules", f"{delivered:,.0f}", f"{delivered / took:,.0f}/s")
    yield Row("CPU of Lanner", f"{ticks / TICKS / took:.0%} of one core")
    yield Row("memory of Lanner (RSS)", f"{peak_mib:.0f} MiB at most", f"{rest_mib:.0f} at rest")
    yield Row("ready afterwards", "yes" if status == 200 else f"no: {status}", "", "yes")


def rate_of(answer: dict[str, object]) -> float:
    """Opens per second as the generator counted them."""
    opens, _, elapsed_ns, _ = map(int, str(answer["output"]).split())
    return opens * 1e9 / elapsed_ns


def cpu_ns_per_open(answer: dict[str, object]) -> float:
    """Processor time of the loop, which other load of the machine does not stretch."""
    opens, _, _, cpu_ns = map(int, str(answer["output"]).split())
    return cpu_ns / opens


@dataclass(frozen=True)
class Counts:
    """Events of type open so far, as /metrics says."""

    submitted: float
    delivered: float
    dropped: float

    @classmethod
    def read(cls, lanner: Lanner) -> "Counts":
        """One scrape each."""
        events = "lanner_events_total"
        return cls(
            submitted=lanner.total(events, default=0, type="open", stage="submitted"),
            delivered=lanner.total(events, default=0, type="open", stage="delivered"),
            dropped=lanner.total("lanner_events_dropped_total", default=0, type="open"),
        )


def drain(lanner: Lanner) -> None:
    """Wait until everything that the kernel submitted was looked at."""

    def is_empty() -> bool:
        counts = Counts.read(lanner)
        return counts.delivered >= counts.submitted

    wait_until(is_empty, 60, "the ring to be drained")


def cpu_ticks(pid: int) -> int:
    """User and system time of a process so far, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
