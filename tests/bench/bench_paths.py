"""What one open and close cost more under Lanner, by how the file is named: processor time.

An absolute path, relative ones that the kernel makes absolute, and one that it does not, so that
its event is sent. All of them name the same file, which no rule looks at.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench_load import SOURCE, rule_sets
from tests.bench.report import Row
from tests.integration.live import Lanner, compile_source

TITLE = "ns of one open and close, by kind of path (processor time, least of all rounds)"
KINDS = {
    "absolute": ("open", "{directory}/name"),
    "name in the working directory": ("open", "name"),
    "./name": ("open", "./name"),
    "../directory/name": ("open", "../four/name"),
    "name below a descriptor": ("names", "{directory}"),
    "with // in it: sent": ("open", ".//name"),
}


def run(*, quick: bool) -> Iterator[Row]:
    """Rounds of every kind alone, then under each set of rules."""
    seconds, rounds = (0.1, 5) if quick else (0.3, 20)
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        program = str(compile_source(SOURCE, top))
        directory = top / "two" / "three" / "four"
        directory.mkdir(parents=True)
        (directory / "name").touch()
        alone = measure(program, directory, seconds, rounds)
        for rules, files in rule_sets(top).items():
            lanner = Lanner(top, *[option for file in files for option in ("-r", str(file))])
            try:
                lanner.wait_ready()
                under = measure(program, directory, seconds, rounds)
            finally:
                lanner.kill()
            for kind, base in alone.items():
                cost = under[kind]
                yield Row(
                    f"{rules}: {kind}", f"+{cost - base:,.0f} ns", f"{cost:,.0f} of {base:,.0f} ns"
                )


def measure(program: str, directory: Path, seconds: float, rounds: int) -> dict[str, float]:
    """ns of processor time by kind, the least of the rounds."""
    least = dict.fromkeys(KINDS, float("inf"))
    for _ in range(rounds):
        for kind, (unit, path) in KINDS.items():
            where = path.format(directory=directory)
            command = [program, unit, "1", str(seconds), "0", where]
            output = subprocess.run(
                command, check=True, capture_output=True, text=True, cwd=directory
            ).stdout
            units, _, cpu = map(int, output.split())
            least[kind] = min(least[kind], cpu / units)
    return least
