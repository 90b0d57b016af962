"""Processes that live for a millisecond: what watching costs, and whether each is seen whole."""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench_rules import load, own_rules
from tests.bench.exec_stages import stages
from tests.bench.options import RULE_SETS
from tests.bench.report import Row
from tests.integration.live import Lanner, Stage, compile_source, wait_until

TITLE = "short-lived processes (fork, exec, exit, wait of a static program)"
SOURCE = Path(__file__).with_name("exec_storm.c")
TICKS = os.sysconf("SC_CLK_TCK")
PACED = ((1, 1460, "15 %"), (2, 2870, "20 %"))
"""Worker processes, rounds a second of all, and the share of a core that Lanner may take."""

SECONDS = 20
STARTS = 20_000
RULES = """
- rule: Started
  desc: a round of the storm
  condition: evt.type = execve and proc.args startswith "true-"
  output: started (cmdline=%proc.cmdline parent=%proc.pname grandparent=%proc.aname[2])
  priority: INFO
"""


def run(*, quick: bool) -> Iterator[Row]:
    """Paced, with the default or given rules; by stage; at full speed, a rule on every start."""
    files = [path for one in RULE_SETS for path in one]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = str(compile_source(SOURCE, directory))
        stage = Stage()
        try:
            for workers, rate, bar in PACED:
                yield from paced(
                    directory, stage, (program, workers, rate), bar, 3 if quick else SECONDS
                )
            rounds = 2_000 if quick else 10_000
            yield from stages(stage, program, rounds, load(files) if files else own_rules())
            yield from complete(directory, stage, program, 2_000 if quick else STARTS)
        finally:
            stage.close()


def paced(
    directory: Path, stage: Stage, load: tuple[str, int, int], bar: str, seconds: int
) -> Iterator[Row]:
    """The same rate without and with Lanner, then both as fast as they go."""
    program, workers, rate = load
    limits = (program, "0", str(rate), str(seconds), str(workers))
    fastest = (program, "0", "0", str(max(2, seconds // 4)), str(workers))
    quiet = rate_of(stage.run(*fastest))
    alone = rate_of(stage.run(*limits))
    rules = [part for one in RULE_SETS for path in one for part in ("-r", str(path))]
    lanner = Lanner(directory, "--scope-pid", str(stage.pid), *rules)
    try:
        lanner.wait_ready()
        pid = lanner.process.pid
        watched = rate_of(stage.run(*fastest))
        time.sleep(1)
        start_ticks, start = cpu_ticks(pid), time.monotonic()
        under = rate_of(stage.run(*limits))
        took, ticks = time.monotonic() - start, cpu_ticks(pid) - start_ticks
        lost = lanner.total("lanner_events_dropped_total")
    finally:
        lanner.kill()
    loops = f"{workers} loop{'s' * (workers > 1)}"
    yield Row(
        f"{loops}, unlimited, under Lanner",
        f"{watched:,.0f}/s",
        f"{watched / quiet:.0%} of without",
    )
    yield Row(f"{loops}, asked for {rate:,}/s", f"{under:,.0f}/s", f"{alone:,.0f}/s without")
    yield Row(
        f"{loops}, CPU of Lanner",
        f"{ticks / TICKS / took:.1%} of a core",
        f"{ticks / TICKS / took / under * 1e6:.0f} us a round",
        bar,
    )
    yield Row(f"{loops}, events lost", f"{lost:,.0f}", "", "0")


def complete(directory: Path, stage: Stage, program: str, starts: int) -> Iterator[Row]:
    """Every start has its alert, with whole arguments, parent and grandparent."""
    rules = directory / "rules.yaml"
    rules.write_text(RULES)
    config = "outputs_queue: {capacity: 100000}\nstdout_output: {queue_capacity: 100000}\n"
    lanner = Lanner(
        directory, "--json", "-r", str(rules), "--scope-pid", str(stage.pid), config=config
    )
    try:
        lanner.wait_ready()
        answer = stage.run(program, str(starts // 2), "0", "0", "2")
        wait_until(lambda: len(lanner.lines) >= starts, 60, "an alert for each start")
        fields = [alert["output_fields"] for alert in lanner.alerts()]
        lost = lanner.total("lanner_events_dropped_total")
    finally:
        lanner.kill()
    whole = {
        alert["proc.cmdline"]
        for alert in fields
        if re.fullmatch(r"exe true-\d+-\d+ salt", alert["proc.cmdline"])
        and alert["proc.pname"] == alert["proc.aname[2]"] == "exec_storm"
    }
    yield Row(f"{starts:,} starts at full speed", f"{rate_of(answer):,.0f}/s")
    yield Row("of them seen whole", f"{len(whole):,}", f"{lost:,.0f} lost", f"{starts:,}")


def rate_of(answer: dict[str, object]) -> float:
    """Rounds per second as the generator counted them."""
    rounds, _, elapsed_ns = map(int, str(answer["output"]).split())
    return rounds * 1e9 / elapsed_ns


def cpu_ticks(pid: int) -> int:
    """User and system time of a process so far, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
