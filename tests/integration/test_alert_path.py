"""The main job: a sensitive file read on the live kernel becomes an alert, a line and a metric."""

import re
import socket

import pytest

from tests.integration.live import wait_until

RULE = "Sensitive file read by untrusted program"
SHADOW = "/etc/shadow"


def is_rule(name):
    """A test for alerts of one rule."""
    return lambda alert: alert["rule"] == name


def test_every_rule_counts_from_zero(lanner):
    """Each enabled rule has its series from the start, so that increase() sees its first alert."""
    loaded = int(lanner.total("lanner_rules_loaded"))
    series = [name for name in lanner.samples() if name.startswith("lanner_alerts_total{")]
    names = set(re.findall(r'rule="([^"]*)"', " ".join(series)))

    assert loaded == len(names)
    assert loaded >= 12
    assert RULE in names


def test_shadow_read_from_a_script_raises_one_alert(stage, lanner):
    """`cat /etc/shadow` run by a Python process: one alert, its rule's counter goes up by one."""
    before = lanner.total("lanner_alerts_total", rule=RULE)
    since = len(lanner.lines)

    assert stage.run("cat", SHADOW)["returncode"] == 0
    alert = lanner.wait_alert(is_rule(RULE), since)

    assert before + 1 == lanner.total("lanner_alerts_total", rule=RULE)
    assert alert["priority"] == "Warning"
    assert alert["source"] == "syscall"
    assert alert["hostname"] == socket.gethostname()
    fields = alert["output_fields"]
    assert fields["fd.name"] == SHADOW
    assert fields["proc.name"] == "cat"
    assert fields["proc.cmdline"] == f"cat {SHADOW}"
    assert fields["proc.pname"].startswith("python")
    assert fields["user.name"] == "root"
    assert fields["evt.type"] == "openat"


def test_alert_tells_the_process_that_did_it(stage, lanner):
    """proc.pid is the pid that the parent of the process saw."""
    since = len(lanner.lines)
    answer = stage.run("cat", SHADOW)
    alert = lanner.wait_alert(is_rule(RULE), since)

    assert answer["pid"] == alert["output_fields"]["proc.pid"]


def test_host_process_is_on_the_host(stage, lanner):
    """The machine's own cgroup path may look like a container's; its processes are the host's."""
    since = len(lanner.lines)
    stage.run("cat", SHADOW)
    alert = lanner.wait_alert(is_rule(RULE), since)

    assert alert["output_fields"]["container.id"] == "host"


def test_trusted_program_raises_nothing(stage, lanner):
    """passwd reads the same file for its work; a later alert shows that its event was looked at."""
    since = len(lanner.lines)
    assert stage.run("passwd", "-S", "root")["returncode"] == 0
    stage.run("cat", SHADOW)
    lanner.wait_alert(is_rule(RULE), since)

    names = [alert["output_fields"].get("proc.name") for alert in lanner.alerts(since)]
    assert names == ["cat"]


def test_text_line_and_metric_of_a_fresh_start(stage, start_lanner):
    """Without --json: Falco's text line; the counter goes from 0 to 1, latency is observed once."""
    lanner = start_lanner()
    lanner.wait_ready()
    assert lanner.total("lanner_alerts_total", rule=RULE) == 0

    stage.run("cat", SHADOW)
    wait_until(lambda: lanner.lines, 5, "a line on stdout")

    pattern = rf"\d\d:\d\d:\d\d\.\d{{9}}: Warning Sensitive file read .*file={SHADOW} .*"
    assert re.fullmatch(pattern, lanner.lines[0][1])
    assert lanner.total("lanner_alerts_total", rule=RULE) == 1
    assert lanner.total("lanner_detection_latency_seconds_count") == 1
    assert lanner.total("lanner_detection_latency_seconds_sum") > 0


def test_health_and_readiness(lanner):
    """/healthz is alive; /readyz is ready: probe attached and rules loaded."""
    assert lanner.fetch("/healthz")[0] == 200
    assert lanner.fetch("/readyz")[0] == 200
    assert lanner.total("lanner_probe_attached") == 1


@pytest.mark.parametrize("program", ["cat", "head"])
def test_events_by_type_are_counted(stage, lanner, program):
    """An exec in scope is seen once, and filtered in the kernel where no rule can match it."""

    def count(stage_name):
        name = "lanner_events_total"
        return lanner.total(name, default=0, type="execve", stage=stage_name)

    seen, filtered = count("seen"), count("filtered")
    stage.run(program, "/etc/hostname")

    wait_until(lambda: count("seen") > seen, 5, "the execve to be counted")
    assert count("seen") - seen == count("filtered") - filtered == 1
