"""What a busy machine loses to Lanner: loads with and without it, in alternating rounds.

The rules are Lanner's own and a set of about a hundred; `--rules FILE[,FILE...]` takes those of
files instead, once for each set. Each load is one of load.c, and runs for `--seconds` in sum.
Beside each figure stands what is promised.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import bench_rules
from tests.bench.bench_parts import rules_text
from tests.bench.options import LOAD_SECONDS, RULE_SETS
from tests.bench.report import Row
from tests.integration.live import Lanner, compile_source, memory_mib

TITLE = "load with and without Lanner (rate of the load, CPU and losses of Lanner)"
SOURCE = Path(__file__).with_name("load.c")
ROUNDS = 6
_SETTLE_SECONDS = 1
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """One load. slower: how much slower it may get. cpu: share of a core Lanner may use."""

    name: str
    kind: str
    workers: int
    slower: float
    cpu: float
    rate: int = 0

    def run(self, program: str, seconds: float) -> tuple[float, float]:
        """Units a second, and ns of processor time a unit."""
        command = [program, self.kind, str(self.workers), str(seconds), str(self.rate)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        units, elapsed_ns, cpu_ns = map(int, output.split())
        return units * 1e9 / elapsed_ns, cpu_ns / units


LOADS = (
    Load("open+close, 1 process", "open", 1, 0.18, 0.02),
    Load("open+close, 2 processes", "open", 2, 0.18, 0.02),
    Load("openat of names+close, 1 process", "names", 1, 0.25, 0.02),
    Load("fork+exec+exit, 1 process", "exec", 1, 0.12, 0.15),
    Load("fork+exec+exit, 2 processes", "exec", 2, 0.12, 0.20),
    Load("TCP connect+accept+close, 1 process", "tcp", 1, 0.08, 0.05),
    Load("TCP connect+accept+close, 2 processes", "tcp", 2, 0.15, 0.05),
    Load("mix of opens, TCP and execs, 1 process", "mix", 1, 0.15, 0.15),
    Load("mix of opens, TCP and execs, 2 processes", "mix", 2, 0.15, 0.15),
    Load("50,000 open+close a second", "open", 1, 0.01, 0.01, rate=50_000),
)


@dataclass
class Figures:
    """Of one load by round: alone, or under one set of rules.

    costs: ns of processor time a unit, which other work on the machine hardly changes.
    """

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    lost: float = 0
    memory_mib: float = 0

    def take(self, rate: float, cost: float) -> None:
        """The figures of one round."""
        self.rates.append(rate)
        self.costs.append(cost)


def rule_sets(directory: Path) -> dict[str, list[Path]]:
    """Name -> rules files; none for Lanner's own."""
    if RULE_SETS:
        return {" + ".join(path.stem for path in files): files for files in RULE_SETS}
    many = directory / "many.yaml"
    many.write_text(rules_text(bench_rules.conditions()))
    return {"Lanner's own rules": [], "about a hundred rules": [many]}


def run(*, quick: bool) -> Iterator[Row]:
    """Rounds of: every load alone, then every load under each set of rules."""
    seconds, rounds = (1.0, 2) if quick else (sum(LOAD_SECONDS or [60.0]) / ROUNDS, ROUNDS)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = str(compile_source(SOURCE, directory))
        sets = rule_sets(directory)
        alone = {load.name: Figures() for load in LOADS}
        under = {rules: {load.name: Figures() for load in LOADS} for rules in sets}
        for _ in range(rounds):
            for load in LOADS:
                alone[load.name].take(*load.run(program, seconds))
            for rules, files in sets.items():
                measure(directory, program, seconds, files, under[rules])
        for rules, figures in under.items():
            yield from rows(rules, alone, figures)


def measure(
    directory: Path, program: str, seconds: float, files: list[Path], figures: dict[str, Figures]
) -> None:
    """Every load once under one Lanner."""
    options = [option for file in files for option in ("-r", str(file))]
    lanner = Lanner(directory, *options)
    try:
        lanner.wait_ready()
        # The filters of rare calls follow "ready"; bench start tells what a start costs.
        time.sleep(_SETTLE_SECONDS)
        pid = lanner.process.pid
        for load in LOADS:
            lost, ticks, start = lost_by(lanner), cpu_ticks(pid), time.monotonic()
            rate, cost = load.run(program, seconds)
            took = time.monotonic() - start
            one = figures[load.name]
            one.cpu.append((cpu_ticks(pid) - ticks) / TICKS / took)
            one.take(rate, cost)
            one.lost += lost_by(lanner) - lost
            one.memory_mib = max(one.memory_mib, memory_mib(pid, "VmRSS"))
    finally:
        lanner.kill()


def rows(rules: str, alone: dict[str, Figures], figures: dict[str, Figures]) -> Iterator[Row]:
    """Four lines a load."""
    for load in LOADS:
        one, without = figures[load.name], alone[load.name]
        rate, base = statistics.median(one.rates), statistics.median(without.rates)
        cost, least = min(one.costs), min(without.costs)
        yield Row(
            f"{rules}: {load.name}",
            f"{rate / base - 1:+.1%}",
            f"{rate:,.0f}/s of {base:,.0f}/s",
            f"-{load.slower:.0%}",
        )
        yield Row(
            "  processor time of one", f"{cost / least - 1:+.1%}", f"{cost:,.0f} of {least:,.0f} ns"
        )
        yield Row(
            "  CPU of Lanner",
            f"{statistics.median(one.cpu):.1%}",
            f"{one.memory_mib:.0f} MiB",
            f"{load.cpu:.0%}",
        )
        yield Row("  events lost", f"{one.lost:,.0f}", "", "0")


def lost_by(lanner: Lanner) -> float:
    """Events lost so far, whatever the reason."""
    return lanner.total("lanner_events_dropped_total", default=0)


def cpu_ticks(pid: int) -> int:
    """User and system time of a process so far, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
