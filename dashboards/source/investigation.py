"""Pod and namespace investigation: everything known of one workload's alerts."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.source import panels
from dashboards.source.frame import frame
from dashboards.source.overview import RULES
from dashboards.source.queries import URGENT, WORKLOAD, of_workloads


def build() -> Dashboard:
    """The dashboard."""
    variables = ("cluster", "instance", "namespace", "pod", "rule", "priority")
    workload = "rule, priority, k8s_ns_name, k8s_pod_name, container"
    last = f"lanner_last_alert_timestamp_seconds{{{WORKLOAD}}}"
    return (
        frame(
            "lanner-investigation", "Lanner / Pod and namespace investigation",
            "Alerts of the chosen namespaces and pods, rule by rule.", variables,
        )
        .with_panel(panels.number(
            "Alerts", "Alerts of the chosen workloads within the time range.",
            f"sum({of_workloads('rule', '$__range')})",
        ))
        .with_panel(panels.number(
            "Critical and above", "Of these, Critical, Alert or Emergency.",
            f"sum({of_workloads('rule', '$__range', f'{WORKLOAD}, {URGENT}')}) or vector(0)",
            steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "Rules", "Different rules that fired.",
            f"count({of_workloads('rule', '$__range')} > 0) or vector(0)",
        ))
        .with_panel(panels.number(
            "Containers", "Different containers that raised alerts.",
            f"count({of_workloads('container', '$__range')} > 0) or vector(0)",
        ))
        .with_panel(panels.number(
            "Newest alert", "How long ago the newest alert was.",
            f"time() - max({last} > 0)", unit="s",
        ))
        .with_panel(panels.number(
            "Nodes", "Nodes on which they were.",
            f"count({of_workloads('instance', '$__range')} > 0) or vector(0)",
        ))
        .with_panel(panels.lines(
            "Alerts by rule", "Alerts in each interval, a colour a rule.",
            {"{{rule}}": f"{of_workloads('rule', '$__rate_interval')} > 0"},
            bars=True, width=14, height=10,
        ))
        .with_panel(panels.ranking(
            "Alerts by container", "Containers with the most alerts.",
            {
                "{{k8s_pod_name}} {{container}}": "sort_desc(topk(15, "
                f"{of_workloads('k8s_pod_name, container', '$__range')} > 0))"
            },
            width=10, height=10,
        ))
        .with_panel(panels.by_priority(
            "Alerts by priority", "Alerts in each interval.",
            of_workloads("priority", "$__rate_interval"), width=12,
        ))
        .with_panel(panels.field_map(
            "When each rule fired", "A row a rule, a cell an interval.",
            "{{rule}}", of_workloads("rule", "$__rate_interval"), width=12,
        ))
        .with_panel(panels.listing(
            "Rules that fired", "Per rule and container: how often, and the newest alert.",
            [
                f"max by ({workload}) ({last} > 0) * 1000",
                of_workloads(workload, "$__range"),
            ],
            columns={
                "Value #A": "Last", "Value #B": "Alerts", "priority": "Priority", "rule": "Rule",
                "k8s_ns_name": "Namespace", "k8s_pod_name": "Pod", "container": "Container",
            },
            units={"Last": "dateTimeFromNow"}, links={"Rule": RULES}, sort="Last", height=12,
        ))
    )  # fmt: skip
