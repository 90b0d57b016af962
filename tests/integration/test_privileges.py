"""A running Lanner has the rights that watching needs, and no way to more."""

import subprocess
import sys
from pathlib import Path

from exporter.app.privileges import KEPT
from tests.integration.live import AS_IN_THE_CHART, LANNER, wait_until

OPENED = """
- rule: {name}
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/{name}
  output: "%fd.name"
  priority: WARNING
"""
MADE = """
- rule: made
  desc: a call that had no filter before
  condition: evt.type in (mkdir, mkdirat) and fs.path.name endswith /made-for-lanner
  output: "%fs.path.name"
  priority: WARNING
"""
MENDING = """
import os, sys, time
from exporter.app.privileges import drop_privileges
from exporter.events.host import Host
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.options import ProbeOptions

child = os.fork()
if not child:
    while os.getppid() != 1:
        os.path.isdir("/") and os.access("/", 0)
        try:
            os.mkdir("/")
        except OSError:
            time.sleep(0.01)
    os._exit(0)
try:
    source = ProbeSource(Host(), ProbeOptions(syscalls=frozenset({"mkdir"}), scope_pid=child))
    source.open()
    drop_privileges()
    probe = source.probe
    for hook in sorted(probe.attached):
        probe.reattach(hook)
    source.poll(time.monotonic_ns())
    end = time.monotonic() + 10
    while time.monotonic() < end and not source.poll(time.monotonic_ns() + 50_000_000):
        pass
    print(sorted(probe.attached), probe.missing(), source.delivered > 0)
finally:
    os.kill(child, 9)
"""


def status_lines(pid):
    """The status of each thread, by key."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (line.partition(":") for line in (task / "status").read_text().splitlines())
        yield {key: value.strip() for key, _, value in lines}


def test_every_thread_has_dropped_its_capabilities(stage, start_lanner):
    """All threads keep the same few, gain none by exec, and rules can still be loaded."""
    lanner = start_lanner()
    lanner.wait_ready()

    threads = list(status_lines(lanner.process.pid))
    assert len(threads) > 1
    for thread in threads:
        assert int(thread["CapEff"], 16) & ~KEPT == 0, thread
        assert int(thread["CapPrm"], 16) & ~KEPT == 0, thread
        assert thread["NoNewPrivs"] == "1"
    assert lanner.fetch("/-/reload", method="POST")[0] == 200
    stage.run("cat", "/etc/shadow")
    wait_until(lambda: lanner.lines, 10, "an alert after the reload")


def test_privileges_can_be_kept(start_lanner):
    """Where a program that Lanner starts needs more, the configuration says so."""
    lanner = start_lanner(config="drop_privileges: false\n")
    lanner.wait_ready()

    assert {thread["NoNewPrivs"] for thread in status_lines(lanner.process.pid)} == {"0"}


def test_a_reload_that_needs_another_filter(stage, start_lanner, tmp_path):
    """With the chart's capabilities: programs for new calls are loaded after the drop."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(OPENED.format(name="hostname"))
    lanner = start_lanner("--json", "-r", str(rules), command=AS_IN_THE_CHART)
    lanner.wait_ready()
    stage.run("cat", "/etc/hostname")
    lanner.wait_alert(lambda alert: alert["rule"] == "hostname")

    rules.write_text(OPENED.format(name="passwd") + MADE)
    assert lanner.fetch("/-/reload", method="POST")[0] == 200
    stage.run("cat", "/etc/hostname")
    stage.run("cat", "/etc/passwd")
    stage.run("mkdir", str(tmp_path / "made-for-lanner"))
    lanner.wait_alert(lambda alert: alert["rule"] == "made")
    assert [alert["rule"] for alert in lanner.alerts()] == ["hostname", "passwd", "made"]
    assert not any("error" in line for line in lanner.log)


def test_the_probe_is_mended_after_the_drop():
    """With the chart's capabilities, less what is dropped: hooks can be attached anew."""
    command = [*AS_IN_THE_CHART[: -len(LANNER)], sys.executable, "-c", MENDING]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.endswith("[] True\n"), done.stderr
