"""Start, reload and end of a live `lanner run`."""

import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import psutil

from tests.integration.live import LANNER, ROOT, compile_source, wait_until

RULES = """
- macro: opened
  condition: (evt.type = open and fd.name = /etc/hostname)
- rule: Storm
  desc: one alert for every open of the storm
  condition: opened
  output: opened (file=%fd.name pid=%proc.pid)
  priority: INFO
"""
SECOND = """
- rule: Second
  desc: a rule that the reload adds
  condition: evt.type = mkdir and proc.name = stage
  output: made
  priority: INFO
"""
BROKEN = "- rule: Broken\n  desc: d\n  condition: evt.type = \n  output: o\n  priority: INFO\n"


def test_bad_rules_at_start_are_an_error_with_a_place(tmp_path):
    """Exit status 1, and one message that names file, line, column and what was expected."""
    rules = tmp_path / "broken.yaml"
    rules.write_text("- rule: Broken\n  desc: d\n  condition: evt.type = and\n  output: o\n")
    done = subprocess.run(
        [*LANNER, "run", "-r", str(rules), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 1
    assert re.search(rf"{re.escape(str(rules))}:\d+:\d+", done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_term_drains_and_ends_with_status_0(stage, start_lanner):
    """Every alert of an event before the signal is written before the end."""
    lanner = start_lanner("--json")
    lanner.wait_ready()
    for _ in range(7):
        stage.run("cat", "/etc/shadow")

    assert lanner.stop(signal.SIGTERM) == 0
    assert len(lanner.lines) == 7
    assert not lanner.socket.exists()


def test_interrupt_ends_with_status_0(start_lanner):
    """Control-C is a normal end too, without a traceback."""
    lanner = start_lanner()
    lanner.wait_ready()

    assert lanner.stop(signal.SIGINT) == 0
    assert "Traceback" not in "\n".join(lanner.log)


def test_term_while_the_probe_compiles_ends_with_status_0(start_lanner):
    """Being told to stop before anything runs is no failure, and leaves no child behind."""
    lanner = start_lanner(env={"LANNER_PROBE_CACHE": ""})
    process = psutil.Process(lanner.process.pid)
    wait_until(process.children, 10, "the processes that compile the probe")
    children = process.children()

    assert lanner.stop(signal.SIGTERM) == 0
    assert "Traceback" not in "\n".join(lanner.log)
    wait_until(
        lambda: not any(child.is_running() for child in children), 10, "the end of its children"
    )


def test_reload_under_load_loses_nothing(stage, start_lanner, tmp_path):
    """SIGHUP ten times during a storm: one alert for each open, counters keep, new rules appear."""
    storm = compile_source(ROOT / "tests/bench/open_storm.c", tmp_path)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    lanner = start_lanner("--json", "-r", str(rules))
    lanner.wait_ready()
    tries = 2003

    def reloads():
        return lanner.total("lanner_reloads_total", result="success")

    before = reloads()
    rules.write_text(RULES + SECOND)
    command = (str(storm), "/etc/hostname", str(tries), "500", "0", "1")
    runner = threading.Thread(target=stage.run, args=command)
    runner.start()
    done = 0
    while runner.is_alive():
        count = reloads()
        lanner.process.send_signal(signal.SIGHUP)
        wait_until(lambda count=count: reloads() > count, 10, "the reload")
        done += 1
    runner.join()
    wait_until(lambda: len(lanner.lines) >= tries, 20, f"{tries} lines")

    assert done >= 3
    assert before + done == reloads()
    assert lanner.total("lanner_alerts_total", rule="Storm") == tries
    assert lanner.total("lanner_alerts_total", rule="Second") == 0
    assert len(lanner.lines) == tries


def test_bad_reload_keeps_the_old_rules(stage, start_lanner, tmp_path):
    """A broken file at reload: a metric says so, the old rules go on matching; a good one heals."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    storm = compile_source(ROOT / "tests/bench/open_storm.c", tmp_path)
    lanner = start_lanner("--json", "-r", str(rules))
    lanner.wait_ready()
    rules.write_text(BROKEN)
    lanner.process.send_signal(signal.SIGHUP)
    wait_until(lambda: lanner.total("lanner_last_reload_successful") == 0, 10, "the failed reload")

    stage.run(str(storm), "/etc/hostname", "3", "0", "0", "1")
    wait_until(lambda: len(lanner.lines) == 3, 10, "three alerts of the old rules")

    assert lanner.fetch("/readyz")[0] == 200
    assert any(str(rules) in line for line in lanner.log)
    rules.write_text(RULES)
    lanner.process.send_signal(signal.SIGHUP)
    wait_until(lambda: lanner.total("lanner_last_reload_successful") == 1, 10, "the good reload")


def test_loads_without_kernel_headers(stage, tmp_path, start_lanner):
    """With /lib/modules and /usr/src hidden it loads and raises alerts."""
    hide = tmp_path / "lanner-without-headers"
    empty = tmp_path / "empty"
    empty.mkdir()
    masks = "\n".join(
        f"mount --bind {empty} {directory}"
        for directory in ("/lib/modules", "/usr/src")
        if Path(directory).is_dir()
    )
    hide.write_text(f'#!/bin/sh -e\n{masks}\nexec {LANNER[0]} "$@"\n')
    hide.chmod(0o755)
    lanner = start_lanner(command=[shutil.which("unshare"), "-m", str(hide)])

    lanner.wait_ready()
    stage.run("cat", "/etc/shadow")
    wait_until(lambda: lanner.lines, 5, "the alert")
