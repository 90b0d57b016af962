"""What one open and close cost more under Lanner, part by part: processor time of the caller.

Rules of which each asks for one part more: the tracepoint alone, a filter that looks at arguments,
one that reads the path, a whole set.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import bench_rules
from tests.bench.report import Row
from tests.integration.live import Lanner, compile_source

TITLE = "ns of one open and close, by part (processor time, least of all rounds)"
SOURCE = Path(__file__).with_name("load.c")
_OPENS = "evt.type in (open, openat, openat2)"
PARTS = {
    "tracepoint, calls not asked for": ["evt.type = kill"],
    "filter that looks at arguments": [f"{_OPENS} and evt.rawres = -1000"],
    "filter that reads the path": [f"{_OPENS} and fd.name = /no/such/path"],
    "about a hundred rules": bench_rules.conditions(),
}


def run(*, quick: bool) -> Iterator[Row]:
    """Rounds of: without Lanner, then under each set of rules."""
    seconds, rounds = (0.5, 3) if quick else (3.0, 8)
    figures: dict[str, list[float]] = {"without Lanner": []}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = str(compile_source(SOURCE, directory))
        for _ in range(rounds):
            figures["without Lanner"].append(cpu_ns(program, seconds))
            for part, conditions in PARTS.items():
                rules = directory / "rules.yaml"
                rules.write_text(rules_text(conditions))
                lanner = Lanner(directory, "-r", str(rules))
                try:
                    lanner.wait_ready()
                    figures.setdefault(part, []).append(cpu_ns(program, seconds))
                finally:
                    lanner.kill()
    base = min(figures["without Lanner"])
    for part, values in figures.items():
        least = min(values)
        yield Row(part, f"{least:,.0f} ns", f"+{least - base:,.0f} ns, +{least / base - 1:.0%}")


def cpu_ns(program: str, seconds: float) -> float:
    """Processor time of one open and close."""
    command = [program, "open", "1", str(seconds), "0"]
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
