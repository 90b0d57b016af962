"""A running Lanner has the rights that watching needs, and no way to more."""

from pathlib import Path

from exporter.app.privileges import KEPT
from tests.integration.live import wait_until


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
