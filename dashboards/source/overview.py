"""Security overview: what happened, how bad, where, and where to look next."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.source import panels
from dashboards.source.frame import frame, investigation
from dashboards.source.queries import NODE, URGENT, WORKLOAD, called, of_rules, of_workloads

POD = investigation(pod="${__data.fields.Pod}")


def build() -> Dashboard:
    """The dashboard."""
    variables = ("cluster", "instance", "namespace", "pod", "rule", "priority")
    urgent = f'{NODE}, rule=~"$rule", {URGENT}'
    workloads = of_workloads("k8s_ns_name, k8s_pod_name, container", "$__range")
    newest = (
        f"sort_desc(lanner_last_alert_timestamp_seconds{{{WORKLOAD}}} > time() - $__range_s) * 1000"
    )
    return (
        frame(
            "lanner-overview", "Lanner / Security overview",
            "What Lanner found in the cluster: how much, how bad, where.", variables,
        )
        .with_panel(panels.number(
            "Alerts", "Alerts of all rules within the time range.",
            f"sum({of_rules('rule', '$__range')})",
        ))
        .with_panel(panels.number(
            "Critical and above", "Alerts of priority Critical, Alert or Emergency.",
            f"sum({of_rules('rule', '$__range', urgent)})",
            steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "Rules that fired", "Different rules with at least one alert within the time range.",
            f"count({of_rules('rule', '$__range')} > 0) or vector(0)",
        ))
        .with_panel(panels.number(
            "Namespaces", "Namespaces with at least one alert within the time range.",
            f"count({of_workloads('k8s_ns_name', '$__range')} > 0) or vector(0)",
        ))
        .with_panel(panels.number(
            "Nodes watched", "Nodes on which Lanner reads and matches events.",
            f"sum(lanner_ready{{{NODE}}})", steps=panels.GOOD, link="/d/lanner-fleet",
        ))
        .with_panel(panels.number(
            "Events lost", "Events lost within the time range, on all nodes.",
            f"sum(increase(lanner_events_dropped_total{{{NODE}}}[$__range]))",
            steps=panels.NONE_IS_GOOD, link="/d/lanner-health",
        ))
        .with_panel(panels.by_priority(
            "Alerts by priority", "Alerts in each interval. Counted from 0, so the first is there.",
            of_rules("priority"), width=14,
        ))
        .with_panel(panels.field_map(
            "Alerts by namespace", "A row a namespace, a cell an interval.",
            "{{k8s_ns_name}}",
            called(of_workloads("k8s_ns_name", "$__rate_interval"), "k8s_ns_name"), width=10,
        ))
        .with_panel(panels.ranking(
            "Top rules", "Rules with the most alerts within the time range.",
            {"{{rule}}": f"sort_desc(topk(10, {of_rules('rule', '$__range')} > 0))"}, width=12,
        ))
        .with_panel(panels.ranking(
            "Top workloads", "Pods, or containers without a pod, with the most alerts.",
            {
                "{{k8s_ns_name}} {{k8s_pod_name}} {{container}}":
                    f"sort_desc(topk(10, {called(workloads, 'k8s_ns_name')} > 0))"
            },
            width=12,
        ))
        .with_row(Row("Newest alerts"))
        .with_panel(panels.listing(
            "Newest alerts", "The newest alert of each rule and workload. A click leads closer.",
            [newest],
            columns={
                "Value": "Last", "priority": "Priority", "rule": "Rule",
                "k8s_ns_name": "Namespace", "k8s_pod_name": "Pod", "container": "Container",
                "instance": "Node",
            },
            units={"Last": "dateTimeFromNow"},
            links={"Namespace": investigation(), "Pod": POD, "Rule": RULES},
            sort="Last", height=12,
        ))
    )  # fmt: skip


RULES = "/d/lanner-rules?var-rule=${__data.fields.Rule}&${__url_time_range}"
