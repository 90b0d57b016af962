"""From the start of the process to /readyz, and the processor time of its parts."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import bench_rules, timed_start
from tests.bench.bench_parts import rules_text
from tests.bench.options import RULE_SETS
from tests.bench.report import Row
from tests.integration.live import Lanner, Stage, memory_mib

TITLE = "start (processor time of the parts: least of all tries)"
_SHOWN_FILTERS = 3


def run(*, quick: bool) -> Iterator[Row]:
    """Start it several times: the first time on a machine, again, and with many rules."""
    times = 2 if quick else 5
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as name, contextlib.closing(Stage()) as stage:
        directory = Path(name)
        kept = {"LANNER_PROBE_CACHE": str(directory / "cache")}
        many = directory / "many.yaml"
        many.write_text(rules_text(bench_rules.conditions()))
        sets = RULE_SETS or [[many]]
        for what, env, files, bar in (
            ("the first time (probe compiled)", {"LANNER_PROBE_CACHE": ""}, [], "3 s"),
            ("later (instructions kept)", kept, [], "0.8 s"),
            *((f"later, {' + '.join(path.stem for path in one)}", kept, one, "") for one in sets),
        ):
            options = ["--scope-pid", str(stage.pid), *(o for file in files for o in ("-r", file))]
            start(directory, options, env, memory)
            seconds = sorted(start(directory, options, env, memory) for _ in range(times))
            yield Row(
                f"start to ready, {what}",
                f"{statistics.median(seconds):.2f} s",
                f"{seconds[0]:.2f} to {seconds[-1]:.2f} s",
                bar or "1.5 s",
            )
            if env is kept:
                yield from parts(directory, options, env, times)
    yield Row("memory when ready (RSS)", f"{statistics.median(memory):.0f} MiB", "", "80 MiB")


def start(
    directory: Path, options: list[str | Path], env: dict[str, str], memory: list[float]
) -> float:
    """Start it once; seconds until ready. Appends the resident memory then."""
    lanner = Lanner(directory, *map(str, options), env=env)
    try:
        seconds = lanner.wait_ready()
        memory.append(memory_mib(lanner.process.pid, "VmRSS"))
    finally:
        lanner.kill()
    return seconds


def parts(
    directory: Path, options: list[str | Path], env: dict[str, str], times: int
) -> Iterator[Row]:
    """Processor time of each part, and its share of all; of the filters the longest by name."""
    command = [sys.executable, timed_start.__file__, "-c", str(directory / "lanner.yaml")]
    command += ["--listen", "127.0.0.1:0", *map(str, options)]
    least: dict[str, float] = {}
    for _ in range(times):
        done = subprocess.run(
            command,
            env=os.environ | env | {"PYTHONPATH": str(Path.cwd())},
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for part, (milliseconds, _) in json.loads(done.stdout).items():
            least[part] = min(milliseconds, least.get(part, milliseconds))
    total = least.pop("total")
    filters = {part: least.pop(part) for part in list(least) if part.startswith(timed_start.FILTER)}
    longest = sorted(filters, key=lambda part: filters[part], reverse=True)[:_SHOWN_FILTERS]
    least[f"{timed_start.FILTER} {len(filters)} calls"] = sum(filters.values())
    least |= {f"  {part}": filters[part] for part in longest}
    for part, milliseconds in least.items():
        yield Row(f"  {part}", f"{milliseconds:.1f} ms", f"{milliseconds / total:.0%}")
    yield Row("  all threads until ready", f"{total:.0f} ms")
