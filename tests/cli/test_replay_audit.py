"""Audit logs on the command line: a day in a cluster, by every way a log can be given."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "audit"
RULES, LOG = str(HERE / "rules.yaml"), HERE / "log.jsonl"
ALERTS = (HERE / "alerts.txt").read_text().splitlines()
"""The alerts of the log, as its events say by eye."""
REPLAY = ("replay", "--source", "k8s_audit", "-r", RULES, "-o", "rule_matching=all")


def without_time(text: str) -> list[str]:
    """The lines, without their times, which are those of the reader's time zone."""
    return [line.partition(" ")[2] for line in text.splitlines()]


def events() -> list[object]:
    """All events of the log, those in lists too."""
    documents = map(json.loads, LOG.read_bytes().splitlines())
    return [event for document in documents for event in document.get("items", [document])]


def test_the_rules_are_valid(lanner):
    """No error and no warning: the shapes in which audit rules are written."""
    assert lanner("rules", "validate", RULES) == (0, f"{RULES}: Ok\n", "")


def test_a_log_raises_its_alerts(lanner):
    """In the order of the events; nothing else."""
    status, out, err = lanner(*REPLAY, str(LOG))

    assert (status, err) == (0, "")
    assert without_time(out) == ALERTS


def _as_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(LOG.read_bytes()))


def _as_directory(path: Path) -> None:
    lines = LOG.read_bytes().splitlines()
    path.mkdir()
    (path / "b").write_bytes(b"\n".join(lines[:7]))
    (path / "a").write_bytes(gzip.compress(b"\n".join(lines[7:])))
    os.utime(path / "b", (1, 1))


def _as_list(path: Path) -> None:
    path.write_text(json.dumps({"kind": "EventList", "items": events()}))


def _as_array(path: Path) -> None:
    path.write_text(json.dumps(events()))


@pytest.mark.parametrize("write", [_as_gzip, _as_directory, _as_list, _as_array])
def test_every_way_a_log_can_be_stored(lanner, tmp_path, write):
    """The same alerts from all of them."""
    write(tmp_path / "log")
    status, out, err = lanner(*REPLAY, str(tmp_path / "log"))

    assert (status, err) == (0, "")
    assert without_time(out) == ALERTS


def test_standard_input_and_lines_that_are_no_events():
    """What cannot be read is told with its line, and costs neither the others nor the status."""
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *REPLAY, "-"],
        input=b'garbage\n{"kind":"Pod"}\n' + LOG.read_bytes(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    err = done.stderr.decode()

    assert done.returncode == 0
    assert without_time(done.stdout.decode()) == ALERTS
    assert "<stdin>:1: no JSON: 'garbage'" in err
    assert "<stdin>:2: an object of kind 'Pod'; expected Event or EventList" in err


def test_alerts_as_json(lanner):
    """Lists are arrays, what is missing is null, the time is that of the stage."""
    _, out, _ = lanner(*REPLAY, str(LOG), "--json")
    alerts = [json.loads(line) for line in out.splitlines()]
    (attach,) = [a for a in alerts if a["output_fields"].get("ka.target.subresource") == "attach"]
    (binding,) = [a for a in alerts if a["rule"] == "Everything given away"]

    assert {alert["source"] for alert in alerts} == {"k8s_audit"}
    assert attach["time"] == "2024-05-01T12:00:09.009009000Z"
    assert attach["output_fields"]["ka.uri.param[command]"] is None
    assert binding["output_fields"]["ka.req.binding.subjects.user_names"] == ["eve"]
    assert json.loads(binding["output_fields"]["ka.req.binding.subjects"][2])["kind"] == "Group"


def test_any_field_of_any_event(lanner):
    """--fields prints what an output could, --filter chooses with what a condition could."""
    status, out, err = lanner(
        "replay", "--source", "k8s_audit", str(LOG),
        "--filter", "ka.verb = create and ka.target.resource = pods and ka.response.code = 201",
        "--fields", "%evt.num %ka.resp.name %ka.req.pod.containers.image[0] %evt.pluginname",
    )  # fmt: skip

    assert (status, err) == (0, "")
    # The second pod's name is generated, the refused one has no response.
    assert out.splitlines() == [
        "1 web (registry.example/shop/web:1.4) k8saudit",
        "2 tool-x7k2p (registry.example/shop/a:1) k8saudit",
        "3 proxy (registry.example/base/proxy@sha256:0f) k8saudit",
        "4 caps (docker.io/acme/caps:2) k8saudit",
        "6 backup (registry.example/ops/backup:3) k8saudit",
    ]


def test_a_rule_test_on_an_audit_log(lanner, tmp_path):
    """`lanner rules test` finds the alerts that a replay finds."""
    _, lines, _ = lanner("replay", "--source", "k8s_audit", "-r", RULES, str(LOG), "--json")
    counts = Counter(json.loads(line)["rule"] for line in lines.splitlines())
    test = tmp_path / "test.yaml"
    test.write_text(
        f"rules: [{RULES}]\ntests:\n  - name: a day\n    audit_log: {LOG}\n"
        f"    expect_counts: {json.dumps(counts)}\n"
    )
    status, _, err = lanner("rules", "test", str(test))

    assert (status, err) == (0, "")
    assert len(counts) > 10
