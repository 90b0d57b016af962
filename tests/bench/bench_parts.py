"""What one open and close cost more under Lanner, part by part: processor time of the caller.

Rules of which each asks for one part more: the tracepoint alone, a filter that looks at arguments,
one that reads the path, and so on to whole sets (`--rules`, beside those of the bench). Each is
measured on a path below /etc, which most rules are about, on a long one, and on one of /proc.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import bench_rules
from tests.bench.options import RULE_SETS
from tests.bench.report import Row
from tests.integration.live import Lanner, compile_source

TITLE = "ns of one open and close, by part (processor time, least of all rounds)"
SOURCE = Path(__file__).with_name("load.c")
PATHS = ("/etc/hostname", json.__file__, "/proc/self/stat")
_OPENS = "evt.type in (open, openat, openat2)"
_NAMES = ", ".join(f"name-{number}" for number in range(20))
_STARTS = " or ".join(f"fd.name startswith /etc/start{number}/" for number in range(40))
PARTS = {
    "tracepoint, calls not asked for": ["evt.type = kill"],
    "hook, jump to the filter, arguments": [f"{_OPENS} and evt.rawres = -1000"],
    "the same and the task's name": [f"{_OPENS} and proc.name = no-such-name"],
    "path: read, looked over": [f"{_OPENS} and fd.name = /no/such/path"],
    "path: and 20 last components": [f"{_OPENS} and fd.filename in ({_NAMES})"],
    "path: and 40 beginnings": [f"{_OPENS} and ({_STARTS})"],
    "path: and a search": [f"{_OPENS} and fd.name contains no-such-part"],
    "close: what it closes, jump to the filter": ["evt.type = close and fd.num = -1000"],
    "two dozen rules": bench_rules.conditions()[:25],
    "about a hundred rules": bench_rules.conditions(),
}


def run(*, quick: bool) -> Iterator[Row]:
    """Rounds of: without Lanner, then under each set of rules."""
    seconds, rounds = (0.3, 3) if quick else (1.0, 8)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = str(compile_source(SOURCE, directory))
        sets = _rule_files(directory)
        least = {part: [float("inf")] * len(PATHS) for part in ("without Lanner", *sets)}
        for _ in range(rounds):
            _measure(program, seconds, least["without Lanner"])
            for part, files in sets.items():
                lanner = Lanner(directory, *(f"-r{file}" for file in files))
                try:
                    lanner.wait_ready()
                    _measure(program, seconds, least[part])
                finally:
                    lanner.kill()
    base = least["without Lanner"]
    yield Row(f"without Lanner, {PATHS[0]}", f"{base[0]:,.0f} ns", _others(base, "{:,.0f}"))
    for part in sets:
        more = [value - before for value, before in zip(least[part], base, strict=True)]
        yield Row(
            part, f"{more[0]:+,.0f} ns, {more[0] / base[0]:+.0%}", _others(more, "{:+,.0f}"), "18%"
        )


def _others(figures: list[float], form: str) -> str:
    pairs = list(zip(PATHS, figures, strict=True))[1:]
    return ", ".join(f"{Path(path).name} {form.format(value)}" for path, value in pairs)


def _rule_files(directory: Path) -> dict[str, list[Path]]:
    files = {}
    for number, (part, conditions) in enumerate(PARTS.items()):
        path = directory / f"part{number}.yaml"
        path.write_text(rules_text(conditions))
        files[part] = [path]
    return {**files, **{" + ".join(path.stem for path in own): list(own) for own in RULE_SETS}}


def _measure(program: str, seconds: float, least: list[float]) -> None:
    for place, path in enumerate(PATHS):
        least[place] = min(least[place], cpu_ns(program, seconds, path))


def cpu_ns(program: str, seconds: float, path: str) -> float:
    """Processor time of one open and close."""
    command = [program, "open", "1", str(seconds), "0", path]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    units, _, cpu = map(int, output.split())
    return cpu / units


def rules_text(conditions: list[str]) -> str:
    """A rules file (JSON is YAML) of these conditions."""
    return json.dumps(
        [
            {
                "rule": f"rule {number}",
                "desc": "a stand-in",
                "condition": condition,
                "output": "%evt.type %proc.name",
                "priority": "NOTICE",
            }
            for number, condition in enumerate(conditions)
        ]
    )
