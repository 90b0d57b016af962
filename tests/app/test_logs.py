"""Lanner's own log: structured lines on standard error, whatever becomes of their reader."""

import json
import subprocess
import sys

SCRIPT = """
import logging, os, sys
from exporter.app.logs import start_log
log = start_log("info", "json")
{setup}
log.debug("hidden")
log.info("ready", rules=3)
logging.getLogger("uvicorn.error").error("from a library")
print("alive")
"""


def run(setup: str = "") -> tuple[str, str]:
    """Log from a process of its own: standard output and error."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(setup=setup)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, done.stderr


def test_lines_are_json_on_standard_error() -> None:
    """One object a line with event, level and time; libraries' messages too; stdout stays clean."""
    out, err = run()
    records = [json.loads(line) for line in err.splitlines()]

    assert out == "alive\n"
    assert [(r["event"], r["level"]) for r in records] == [
        ("ready", "info"),
        ("from a library", "error"),
    ]
    assert (records[0]["rules"], records[1]["logger"]) == (3, "uvicorn.error")


def test_a_log_without_reader_stops_nothing() -> None:
    """When nobody reads standard error any more the program goes on."""
    setup = "r, w = os.pipe(); os.dup2(w, 2); os.close(w); os.close(r)"

    assert run(setup) == ("alive\n", "")
