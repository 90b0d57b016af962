"""Speed and memory of `lanner replay` on a busy node's capture, beside sysdig on the same file.

The whole command runs in a process of its own, start included. LANNER_BENCH_CAPTURE names another
capture to replay instead.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench_rules import conditions
from tests.bench.replay_load import build
from tests.bench.report import Row

TITLE = "replay (a capture of a busy node; the whole command, start included)"

_MANY = 93
_FILTER = "evt.type in (open, openat) and fd.name startswith /secret/"
_LANNER = [sys.executable, "-m", "exporter", "replay"]
_SETTINGS = ["-o", "append_output=[]"]
_SLOWEST = 150_000


def _rules(conditions: list[str]) -> str:
    """A rules file with these conditions."""
    return "".join(
        f"- rule: rule {number}\n  desc: bench\n  condition: >\n    {text}\n"
        f"  output: bench %proc.name %fd.name\n  priority: DEBUG\n"
        for number, text in enumerate(conditions)
    )


def _run(command: list[str]) -> tuple[float, float, int]:
    """Seconds, peak memory in MiB, lines of output."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.stderr is not None
        with process.stderr as errors:
            assert process.returncode == 0, errors.read().decode()
        output.seek(0)
        return seconds, usage.ru_maxrss / 1024, sum(1 for _ in output)


def run(*, quick: bool) -> Iterator[Row]:
    """One row a ruleset; the last ones are sysdig with a filter of one rule."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        capture, events = _capture(directory, quick=quick)
        size = capture.stat().st_size
        yield Row("the capture", f"{events:,} events, {size >> 20} MiB")
        sets = {
            "no rules": _rules(["evt.type = open and never = true"])
            .replace("  priority", "  enabled: false\n  priority")
            .replace("never = true", "proc.pid = 0"),
            "25 rules": _rules(conditions()[:25]),
            f"{_MANY} rules": _rules(conditions()[:_MANY]),
        }
        commands = {"the default rules": [*_LANNER, str(capture)]}
        for what, text in sets.items():
            file = directory / f"{what}.yaml"
            file.write_text(text, encoding="utf-8")
            commands[what] = [*_LANNER, str(capture), "-r", str(file)]
        sysdig = shutil.which("sysdig")
        theirs = None if sysdig is None else _run([sysdig, "-r", str(capture), _FILTER])[0]
        for what, command in commands.items():
            seconds, memory, alerts = _run([*command, *_SETTINGS])
            against = "sysdig is not installed"
            if theirs is not None:
                against = f"sysdig, one filter: {events / theirs:,.0f}/s: {seconds / theirs:.1f} x"
            yield Row(
                f"{what}: {alerts} alerts",
                f"{events / seconds:,.0f} events/s",
                against,
                f"{_SLOWEST:,}/s" if what == "25 rules" else "",
            )
            yield Row("  peak memory", f"{memory:.0f} MiB", "", "150 MiB")


def _capture(directory: Path, *, quick: bool) -> tuple[Path, int]:
    given = os.environ.get("LANNER_BENCH_CAPTURE")
    if given is not None:
        command = [*_LANNER, given, "--summary", "-o", "stdout_output.enabled=false", "--json"]
        import json

        summary = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return Path(given), int(summary["summary"]["events"])
    capture = directory / "busy.scap"
    return capture, build(capture, 200_000 if quick else 3_000_000)
