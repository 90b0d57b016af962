"""The alerting rules: correct for promtool, tested one by one, explained, about metrics we have."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter.metrics.families import FAMILIES

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "dashboards" / "alerts").glob("*.yaml"))
TESTS = sorted((ROOT / "dashboards" / "alerts" / "tests").glob("*.yaml"))
CHART_COPIES = ROOT / "charts" / "lanner" / "files" / "alerts"
FOREIGN = {"up", "process_cpu_seconds_total"}
"""Metrics that Prometheus and its client library make."""


def run(*command: str) -> None:
    """Run a program that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict[str, object]]:
    """All rules of all files."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[str]:
    """Names of all alerts."""
    return [str(rule["alert"]) for rule in rules() if "alert" in rule]


def tool(name: str) -> str:
    """A program of the Debian packages that make setup-dev installs."""
    found = shutil.which(name)

    assert found, f"{name} is missing: run make setup-dev"
    return found


def test_promtool_takes_the_rules() -> None:
    """`promtool check rules` finds nothing wrong."""
    run(tool("promtool"), "check", "rules", *map(str, RULES))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_runs_the_tests(path: Path) -> None:
    """`promtool test rules` passes: each alert fires when it should, and not before."""
    run(tool("promtool"), "test", "rules", str(path))


def test_every_alert_and_record_is_tested() -> None:
    """No rule without a case in which it is expected to give something."""
    cases = [case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]
    fired = {
        entry["alertname"]
        for case in cases
        for entry in case.get("alert_rule_test", ())
        if entry.get("exp_alerts")
    }
    silent = {
        entry["alertname"]
        for case in cases
        for entry in case.get("alert_rule_test", ())
        if not entry.get("exp_alerts")
    }
    read = {entry["expr"] for case in cases for entry in case.get("promql_expr_test", ())}
    # The quantile is tested as what LannerSlowDetection compares.
    latency = "instance:lanner_detection_latency_seconds:p99_5m"

    assert fired == set(alerts())
    assert silent == set(alerts())
    assert read == {rule["record"] for rule in rules() if "record" in rule} - {latency}


def test_every_alert_has_its_runbook() -> None:
    """The runbook link of an alert leads to a section of its own."""
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)

    assert sorted(sections) == sorted(alerts())
    for rule in rules():
        if "alert" in rule:
            annotations = rule["annotations"]
            assert isinstance(annotations, dict)
            assert annotations["runbook_url"] == f"docs/runbooks.md#{str(rule['alert']).lower()}"


def test_every_metric_is_one_that_we_export() -> None:
    """A rule about a metric that does not exist never fires, and nobody notices."""
    known = {family.name for family in FAMILIES} | FOREIGN
    known |= {f"{name}_{suffix}" for name in known for suffix in ("bucket", "sum", "count")}
    for rule in rules():
        text = re.sub(r'"[^"]*"', "", str(rule["expr"]))
        text = re.sub(r"\b(by|on|group_left|without|ignoring)\s*\([^)]*\)", "", text)
        text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", text)
        names = set(re.findall(r"\b(?:lanner_|process_|up\b)\w*", text))
        assert names, rule
        assert names <= known, rule


def test_the_chart_carries_these_files() -> None:
    """What the chart installs is what is tested here."""
    copies = {path.name: path.read_text() for path in CHART_COPIES.glob("*.yaml")}

    assert copies == {path.name: path.read_text() for path in RULES}


class TestAlertmanager:
    """The example of routing."""

    PATH = ROOT / "dashboards" / "alertmanager" / "alertmanager.yaml"

    def test_amtool_takes_it(self) -> None:
        """`amtool check-config` finds nothing wrong."""
        run(tool("amtool"), "check-config", str(self.PATH))

    @pytest.mark.parametrize(
        ("labels", "receiver"),
        [
            ("lanner=security severity=critical alertname=LannerCriticalAlert", "pager"),
            ("lanner=security severity=warning alertname=LannerWarningBurst", "security"),
            ("lanner=security severity=info alertname=LannerNoisyRule", "log"),
            ("lanner=health severity=critical alertname=LannerDown", "pager"),
            ("lanner=health severity=warning alertname=LannerDroppingEvents", "platform"),
            ("alertname=SomethingElse severity=critical", "team"),
        ],
    )
    def test_alerts_reach_who_must_know(self, labels: str, receiver: str) -> None:
        """`amtool config routes test` with the labels that our rules set."""
        run(
            tool("amtool"), "config", "routes", "test", f"--config.file={self.PATH}",
            f"--verify.receivers={receiver}", *labels.split(),
        )  # fmt: skip

    def test_every_severity_and_sort_is_routed(self) -> None:
        """The labels that routes look at are on every alert."""
        for rule in rules():
            if "alert" in rule:
                labels = rule["labels"]
                assert isinstance(labels, dict)
                assert labels["severity"] in {"critical", "warning", "info"}
                assert labels["lanner"] in {"security", "health"}
