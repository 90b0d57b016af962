"""Processes that live for a millisecond are seen whole: arguments, parent and ancestors."""

import re

from tests.integration.live import ROOT, compile_source, wait_until

RULES = """
- rule: Started
  desc: a round of the storm
  condition: evt.type = execve and proc.args startswith "true-"
  output: >
    started (cmdline=%proc.cmdline parent=%proc.pname grandparent=%proc.aname[2]
    great=%proc.aname[3] ppid=%proc.ppid exe=%proc.exepath cwd=%proc.cwd)
  priority: INFO
"""
ROUNDS = 509
WORKERS = 2


def test_every_start_is_seen_with_its_ancestry(stage, start_lanner, tmp_path):
    """At full speed: one alert for each start, each complete, none twice."""
    storm = compile_source(ROOT / "tests/bench/exec_storm.c", tmp_path)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    lanner = start_lanner("--json", "-r", str(rules))
    lanner.wait_ready()

    answer = stage.run(str(storm), str(ROUNDS), "0", "0", str(WORKERS), cwd="/usr")

    assert answer["output"].split()[:2] == [str(ROUNDS * WORKERS), "0"]
    wait_until(lambda: len(lanner.lines) >= ROUNDS * WORKERS, 20, "an alert for each start")
    alerts = [alert["output_fields"] for alert in lanner.alerts()]
    seen = {alert["proc.cmdline"] for alert in alerts}
    assert seen == {
        f"exe true-{worker}-{number} salt" for worker in range(WORKERS) for number in range(ROUNDS)
    }
    assert len(alerts) == ROUNDS * WORKERS
    for alert in alerts:
        assert alert["proc.pname"] == "exec_storm"  # the worker
        assert alert["proc.aname[2]"] == "exec_storm"  # its parent
        assert alert["proc.aname[3]"].startswith("python")  # the stage
        assert alert["proc.exepath"] == str(storm)
        assert alert["proc.cwd"] == "/usr/"
        assert re.fullmatch(r"\d+", str(alert["proc.ppid"]))
