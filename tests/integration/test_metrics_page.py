"""Our /metrics page as Prometheus' own tools see it."""

import shutil
import subprocess

import pytest


def test_promtool_finds_nothing_to_say(stage, lanner):
    """`promtool check metrics` passes on a page with alerts, silently."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing (Debian package prometheus)")
    stage.run("cat", "/etc/shadow")
    page = lanner.fetch("/metrics")[1]
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
