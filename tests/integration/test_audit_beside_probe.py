"""Audit events and the kernel's in one live `lanner run`, and audit events without root."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from tests.integration.live import LANNER, ROOT, Lanner, wait_until

RULES = """
- rule: Opened
  desc: d
  condition: evt.type in (open, openat) and fd.name = /etc/hostname
  output: opened %fd.name
  priority: INFO
- rule: Secret read
  desc: d
  condition: ka.verb = get and ka.target.resource = secrets
  output: secret %ka.target.name
  priority: INFO
  source: k8s_audit
"""
AUDIT = "k8s_audit: {enabled: true}\n"


def send(lanner: Lanner, *names: str) -> int:
    """Send a batch of reads of these secrets; the status."""
    items = [
        {
            "auditID": name,
            "verb": "get",
            "stageTimestamp": "2024-05-01T12:00:00Z",
            "objectRef": {"resource": "secrets", "namespace": "prod", "name": name},
        }
        for name in names
    ]
    request = urllib.request.Request(
        f"http://127.0.0.1:{lanner.port}/k8s-audit",
        data=json.dumps({"kind": "EventList", "items": items}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)


def outputs(lanner: Lanner) -> list[str]:
    """The messages of all alerts so far, without times and facts of containers."""
    messages = [line.partition(" Informational ")[2] for _, line in lanner.lines]
    return [message.partition(" container_id=")[0] for message in messages]


def test_both_sources_raise_alerts_in_one_process(stage, start_lanner, tmp_path):
    """Neither waits for the other: an idle kernel does not delay audit events, nor they it."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    lanner = start_lanner("-r", str(rules), config=AUDIT)
    lanner.wait_ready()
    expected: list[str] = []
    for number in range(7):
        assert send(lanner, f"{number}a", f"{number}b") == 200
        expected += [f"secret {number}a", f"secret {number}b"]
        wait_until(lambda: outputs(lanner) == expected, 10, expected[-1])  # noqa: B023
        stage.run("cat", "/etc/hostname")
        expected.append("opened /etc/hostname")
        wait_until(lambda: outputs(lanner) == expected, 10, expected[-1])  # noqa: B023

    assert lanner.total("lanner_events_total", type="pluginevent", stage="delivered") == 14
    assert lanner.total("lanner_alerts_total", rule="Secret read", k8s_ns_name="prod") == 14
    assert lanner.total("lanner_probe_attached") == 1
    assert send(lanner, *(str(number) for number in range(97))) == 200
    assert lanner.stop() == 0
    assert outputs(lanner) == expected + [f"secret {number}" for number in range(97)]


@pytest.fixture
def open_directory():
    """A directory that everybody may read; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def test_without_the_probe_no_root_is_needed(open_directory):
    """`--source k8s_audit` runs as nobody."""
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *LANNER]
    if subprocess.run([*as_nobody, "version"], capture_output=True, check=False).returncode:
        pytest.skip(f"nobody may not read {LANNER[0]}")
    rules = open_directory / "rules.yaml"
    rules.write_text(RULES)
    lanner = Lanner(
        open_directory,
        "--source",
        "k8s_audit",
        "--grpc-socket",
        "",
        "-r",
        str(rules),
        command=as_nobody,
    )
    try:
        lanner.wait_ready()
        assert send(lanner, "one") == 200
        wait_until(lambda: outputs(lanner) == ["secret one"], 10, "the alert")
        assert lanner.total("lanner_probe_attached") == 0
        assert lanner.stop() == 0
    finally:
        lanner.kill()


def test_strangers_are_refused_before_anything_is_loaded():
    """One sentence and status 1 when the web hook would be open to the network."""
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "run", "--source", "k8s_audit", "--listen", ":0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 1
    assert "would take events from anybody" in done.stderr
    assert "k8s_audit.token_file" in done.stderr
    assert done.stdout == ""
