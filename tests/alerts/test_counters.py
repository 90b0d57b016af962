"""Alerts are counted under every name asked for, and series stay few however pods churn."""

import tracemalloc
from typing import Any

from exporter.alerts.counters import AlertCounters, CounterOptions
from exporter.metrics import families
from exporter.metrics.instruments import LabelValues
from exporter.metrics.registry import FamilyOptions, Registry
from exporter.rules.ast import Exists, FieldRef
from exporter.rules.priority import Priority
from exporter.rules.ruleset import Rule
from tests.alerts.conftest import make_alert

RULE = "Read sensitive file"
KEY = (RULE, "Warning", "syscall")


def make_rule(name: str = RULE, **fields) -> Rule:
    """A rule that the alerts of these tests come from."""
    values: dict[str, Any] = {
        "index": 0,
        "name": name,
        "desc": "",
        "condition": "evt.type exists",
        "ast": Exists(FieldRef("evt.type")),
        "output": "x",
        "priority": Priority.WARNING,
        "tags": ("T1005", "a.b-c"),
    }
    return Rule(**(values | fields))


class Counted:
    """Counters on a registry of their own."""

    def __init__(self, families_options=None, **options) -> None:
        self.registry = Registry(families_options)
        self.counters = AlertCounters(self.registry, CounterOptions(hostname="node1", **options))
        self.counters.begin([make_rule()])
        self.counters.housekeep(0.0)

    def alert(self, ns: str = "", pod: str = "", container: str = "", **fields) -> None:
        """Count one alert of this workload."""
        self.counters.count(
            make_alert(k8s_ns_name=ns, k8s_pod_name=pod, container=container, **fields)
        )

    def alerts(self, family=families.ALERTS) -> dict[LabelValues, float]:
        """Series of a family."""
        return dict(self.registry.reading(family))

    def lines(self, name: str) -> list[str]:
        """Sample lines of a family."""
        page = self.registry.page().body.decode()
        return [line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]


def test_a_rule_is_there_at_zero_under_every_name() -> None:
    """increase() sees the first alert of a rule, by whichever name it asks."""
    counted = Counted(programs=frozenset(families.PROGRAMS))

    for name in (
        "lanner_alerts_total",
        "lanner_rule_alerts_total",
        "falco_events",
        "falcosecurity_falcosidekick_falco_events_total",
        "falcosecurity_falco_rules_matches_total",
    ):
        (line,) = counted.lines(name)
        assert line.endswith("} 0.0")


def test_the_foreign_names_have_their_own_labels_and_numbers() -> None:
    """Two programs count priorities from Emergency = 0, one down from Emergency = 8."""
    counted = Counted(programs=frozenset(families.PROGRAMS), static_fields={"my-cluster": "eu"})
    counted.alert("shop", "web-1", "abc")

    assert counted.lines("falco_events")[-1] == (
        'falco_events{hostname="node1",k8s_ns_name="shop",k8s_pod_name="web-1",priority="4",'
        f'rule="{RULE}",source="syscall",tags=",T1005,files,"}} 1.0'
    )
    assert counted.lines("falcosecurity_falcosidekick_falco_events_total")[-1] == (
        'falcosecurity_falcosidekick_falco_events_total{hostname="node1",k8s_ns_name="shop",'
        'k8s_pod_name="web-1",my_cluster="eu",priority="4",priority_raw="warning",'
        f'rule="{RULE}",source="syscall"}} 1.0'
    )
    (line,) = counted.lines("falcosecurity_falco_rules_matches_total")
    assert line == (
        f'falcosecurity_falco_rules_matches_total{{priority="4",rule_name="{RULE}",'
        'source="syscall",tag_T1005="true",tag_a_b_c="true"} 1.0'
    )


def test_priorities_run_in_opposite_directions() -> None:
    """Emergency is 0 for falco-exporter and Falco, 8 for falcosidekick; Debug 7 and 1."""
    numbers = {}
    for priority in (Priority.EMERGENCY, Priority.DEBUG):
        counted = Counted(programs=frozenset(families.PROGRAMS))
        counted.counters.begin([make_rule("new", priority=priority)])
        numbers[priority] = (
            next(key[1] for key in counted.alerts(families.FALCO_EVENTS) if key[0] == "new"),
            next(key[2] for key in counted.alerts(families.SIDEKICK_EVENTS) if key[1] == "new"),
        )

    assert numbers == {Priority.EMERGENCY: ("0", "8"), Priority.DEBUG: ("7", "1")}


def test_no_foreign_name_unless_asked_for() -> None:
    """Without metrics.compat the page has our names only."""
    page = Counted().registry.page().body

    assert b"falco" not in page


def test_the_labels_of_a_family_are_a_choice() -> None:
    """A family without pods sums them up; one with the hostname has it."""
    labels = ("rule", "priority", "source", "k8s_ns_name", "hostname")
    counted = Counted({"lanner_alerts_total": FamilyOptions(labels=labels)})
    counted.alert("shop", "web-1")
    counted.alert("shop", "web-2")

    assert counted.alerts()[(*KEY, "shop", "node1")] == 2


def test_namespaces_that_are_not_shown_count_as_other() -> None:
    """Deny wins over allow; alerts of the host are always shown; nothing is lost."""
    counted = Counted(allow=("team-*",), deny=("team-x",))
    for namespace in ("team-a", "team-x", "kube-system", ""):
        counted.alert(namespace, "pod" if namespace else "")

    assert counted.alerts() == {
        (*KEY, "", "", ""): 1,
        (*KEY, "team-a", "pod", ""): 1,
        (*KEY, "other", "other", "other"): 2,
    }


def test_series_of_a_pod_outlive_it_by_the_grace() -> None:
    """They stay long enough for a last scrape, then go; those of other pods stay."""
    counted = Counted(gone_seconds=300.0)
    counted.alert("shop", "web-1", "c1")
    counted.alert("shop", "web-2", "c2")
    counted.counters.forget_workload("shop", "web-1")
    counted.counters.housekeep(20.0)
    counted.counters.housekeep(310.0)
    before = set(counted.alerts())
    counted.counters.housekeep(330.0)
    after = set(counted.alerts())

    assert (*KEY, "shop", "web-1", "c1") in before
    assert before - after == {(*KEY, "shop", "web-1", "c1")}
    assert counted.alerts(families.SERIES_EXPIRED)[("lanner_alerts_total",)] == 1
    assert counted.alerts(families.RULE_ALERTS)[KEY] == 2


def test_one_container_of_a_pod_may_end_alone() -> None:
    """With its name given only its series go."""
    counted = Counted(gone_seconds=10.0)
    counted.alert("shop", "web-1", "c1")
    counted.alert("shop", "web-1", "c2")
    counted.counters.forget_workload("shop", "web-1", "c1")
    for now in (20.0, 40.0):
        counted.counters.housekeep(now)

    assert {key[3:] for key in counted.alerts()} == {("", "", ""), ("shop", "web-1", "c2")}


def test_an_alert_after_the_end_is_shown_for_the_grace() -> None:
    """What comes late still has its series, and goes as well."""
    counted = Counted(gone_seconds=100.0)
    counted.alert("shop", "web-1")
    counted.counters.forget_workload("shop", "web-1")
    counted.counters.housekeep(20.0)
    counted.counters.housekeep(90.0)
    counted.alert("shop", "web-1")
    counted.counters.housekeep(130.0)
    shown = (*KEY, "shop", "web-1", "") in counted.alerts()
    counted.counters.housekeep(200.0)

    assert shown
    assert (*KEY, "shop", "web-1", "") not in counted.alerts()


def test_silent_workloads_expire_and_the_host_never() -> None:
    """Without word from the cluster, silence ends a series; those of rules at zero stay."""
    counted = Counted(idle_seconds=3600.0)
    counted.alert("shop", "web-1")
    counted.alert()
    counted.counters.housekeep(3599.0)
    before = len(counted.alerts())
    counted.counters.housekeep(3700.0)

    assert (before, counted.alerts()) == (2, {(*KEY, "", "", ""): 1})


def test_rules_that_left_take_their_series_along() -> None:
    """After a reload, series of removed rules go; what Lanner says of itself stays."""
    counted = Counted(programs=frozenset(families.PROGRAMS))
    counted.alert(rule="Falco internal: syscall event drop", source="internal")
    counted.counters.begin([make_rule("new")])
    counted.counters.keep_only([make_rule("new")])
    counted.counters.housekeep(1.0)

    for name in ("lanner_rule_alerts_total", "falco_events"):
        assert [line.split('rule="')[1].split('"')[0] for line in counted.lines(name)] == [
            "Falco internal: syscall event drop",
            "new",
        ]
    assert len(counted.lines("falcosecurity_falco_rules_matches_total")) == 1


def test_ten_thousand_pods_an_hour_stay_flat() -> None:
    """Pods that come and go every second keep the number of series and the memory bounded.

    Laws: no alert is lost to the ceiling, and the second half of the hour needs no more memory
    than the first.
    """
    counted = Counted(programs=frozenset(families.PROGRAMS), gone_seconds=60.0)
    counters, pods, sizes, series = counted.counters, 10_000, [], []
    tracemalloc.start()
    try:
        for number in range(pods):
            now = number * 3600 / pods
            counters.housekeep(now)
            counted.alert("shop", f"web-{number}", f"c{number}")
            if number >= 10:
                counters.forget_workload("shop", f"web-{number - 10}")
            if number % 500 == 499:
                counted.registry.page()
                sizes.append(tracemalloc.get_traced_memory()[0])
                series.append(len(counted.alerts()))
    finally:
        tracemalloc.stop()

    assert max(series) < 400
    assert max(sizes[10:]) < 1.2 * max(sizes[:10])
    assert counted.alerts(families.RULE_ALERTS)[KEY] == pods
    assert counted.alerts(families.SERIES_OVERFLOW)[("lanner_alerts_total",)] == 0


def test_pods_that_nobody_reports_gone_meet_the_ceiling() -> None:
    """Without word from the cluster the ceiling holds, and every alert is counted."""
    counted = Counted({"lanner_alerts_total": FamilyOptions(max_series=500)})
    for number in range(10_007):
        counted.counters.housekeep(number * 0.36)
        counted.alert("shop", f"web-{number}")
    values = counted.alerts()

    assert len(values) <= 501
    assert values[(*KEY, "other", "other", "other")] > 9000
    overflow = counted.alerts(families.SERIES_OVERFLOW)[("lanner_alerts_total",)]
    expired = counted.alerts(families.SERIES_EXPIRED)[("lanner_alerts_total",)]
    assert overflow + expired + len(values) - 2 == 10_007


def test_the_last_container_of_a_pod_takes_the_pod_along() -> None:
    """A container that ends is forgotten alone while another of its pod is known."""
    counted = Counted(programs=frozenset({families.FALCO_EXPORTER}), gone_seconds=10.0)
    for container in ("c1", "c2"):
        counted.alert("shop", "web-1", container)
    counted.alert("", "", "c3")
    shown = []
    for now, ended in ((0.0, ("c1", "unknown")), (100.0, ("c2", "c3"))):
        for container in ended:
            counted.counters.forget_container(container)
        counted.counters.housekeep(now + 20)
        counted.counters.housekeep(now + 40)
        pods = {key[5] for key in counted.alerts(families.FALCO_EVENTS)}
        shown.append(({key[5] for key in counted.alerts()}, pods))

    assert shown == [({"", "c2", "c3"}, {"", "web-1"}), ({""}, {""})]


def test_an_alert_after_the_end_of_its_container_ends_as_well() -> None:
    """Alerts may wait for metadata until their container is gone."""
    counted = Counted(gone_seconds=10.0)
    counted.counters.forget_container("c1")
    counted.alert("shop", "web-1", "c1")
    shown = (*KEY, "shop", "web-1", "c1") in counted.alerts()
    for now in (20.0, 40.0):
        counted.counters.housekeep(now)

    assert shown
    assert counted.alerts() == {(*KEY, "", "", ""): 0}


def test_memory_for_pods_is_bounded() -> None:
    """Neither containers whose end is never told pile up, nor those that ended."""
    counted = Counted()
    for number in range(5003):
        counted.alert("shop", f"web-{number}", f"c{number}")
        counted.counters.forget_container(f"other-{number}")

    assert len(counted.counters._pods) <= 4096
    assert len(counted.counters._ended) <= 4096
