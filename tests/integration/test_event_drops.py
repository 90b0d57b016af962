"""What the kernel loses is told: by an alert, a line in the log, or the end, as configured."""

import os
import struct
from pathlib import Path

import pytest

from exporter.alerts.event_drops import RULE
from exporter.sources.probe import kernel
from tests.integration.live import ROOT, compile_source, wait_until

RULES = """
- rule: Opened
  desc: one file is opened
  condition: evt.type = open and fd.name = /etc/hostname
  output: opened
  priority: INFO
"""
OPENS = 20_011


@pytest.fixture
def flood(stage, tmp_path):
    """Makes far more opens than fit into a small ring."""
    storm = compile_source(ROOT / "tests/bench/open_storm.c", tmp_path)

    def run():
        stage.run(str(storm), "/etc/hostname", str(OPENS), "0", "0", "1")

    return run


@pytest.fixture
def rules(tmp_path):
    """A rules file that takes every open of the flood."""
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return str(file)


def test_an_alert_tells_of_losses(start_lanner, flood, rules):
    """The alert goes the way of all alerts, and its figures are those of the metrics."""
    lanner = start_lanner("--json", "-r", rules, config="probe: {ring_size: 64KiB}\n")
    lanner.wait_ready()
    flood()

    alert = lanner.wait_alert(lambda alert: alert["rule"] == RULE)

    fields = alert["output_fields"]
    assert (alert["source"], alert["priority"]) == ("internal", "Debug")
    assert 0 < fields["n_drops"] <= fields["n_evts"]
    assert "tags" not in alert
    dropped = lanner.total("lanner_events_dropped_total", type="open", reason="ring_full")
    delivered = lanner.total("lanner_events_total", type="open", stage="delivered")
    assert dropped + delivered == OPENS
    assert fields["n_drops"] <= dropped
    assert lanner.total("lanner_alerts_total", rule=RULE, source="internal") == 1
    assert any("events were lost" in line for line in lanner.log)


def test_exit_on_losses(start_lanner, flood, rules):
    """With the action `exit` the process ends with status 1 and one sentence."""
    lanner = start_lanner(
        "-r",
        rules,
        config="probe: {ring_size: 64KiB}\nsyscall_event_drops: {actions: [exit], threshold: 0}\n",
    )
    lanner.wait_ready()
    flood()

    assert lanner.process.wait(15) == 1
    assert any("events were lost within a second" in line for line in lanner.log)
    assert not any("Traceback" in line for line in lanner.log)


_PROG_GET_FD_BY_ID = 13


def _programs(pid) -> set[int]:
    """Ids of the BPF programs that a process holds."""
    found = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        _, is_program, rest = entry.read_text().partition("prog_id:")
        if is_program:
            found.add(int(rest.split()[0]))
    return found


def _is_loaded(program: int) -> bool:
    """Whether the kernel still has a program of this id."""
    fd = kernel._bpf(_PROG_GET_FD_BY_ID, struct.pack("<III", program, 0, 0))
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def test_killed_and_started_again_under_load(start_lanner, flood, rules):
    """kill -9 leaves nothing in the kernel; the next start sees events and processes at once."""
    first = start_lanner("--json", "-r", rules)
    first.wait_ready()
    flood()
    programs = _programs(first.process.pid)
    assert len(programs) > 20
    assert all(_is_loaded(program) for program in programs)
    first.process.kill()
    first.process.wait(15)
    wait_until(
        lambda: not any(_is_loaded(program) for program in programs), 10, "the programs' end"
    )
    second = start_lanner("--json", "-r", rules)
    second.wait_ready()
    flood()

    second.wait_alert(lambda alert: alert["rule"] == "Opened")
    assert second.total("lanner_state_entries", table="threads") > 3
    # From the last sign of life of the first, at most a few seconds before its end.
    gap = second.total("lanner_unwatched_seconds")
    assert 0 < gap < 30
    assert any("nobody watched before this start" in line for line in second.log)
    assert second.stop() == 0


def test_two_at_a_time(start_lanner, flood, rules):
    """Two instances side by side each see everything; stopping one leaves the other alone."""
    both = [start_lanner("--json", "-r", rules) for _ in range(2)]
    for lanner in both:
        lanner.wait_ready()
    flood()
    for lanner in both:
        lanner.wait_alert(lambda alert: alert["rule"] == "Opened")
    assert both[0].stop() == 0
    since = len(both[1].lines)
    flood()

    both[1].wait_alert(lambda alert: alert["rule"] == "Opened", since)
    assert both[1].fetch("/readyz")[0] == 200
