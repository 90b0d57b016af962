"""Fleet: all nodes side by side, on recorded sums, so that many nodes cost a panel no more."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.source import panels
from dashboards.source.frame import frame
from dashboards.source.queries import NODE

_OURS = f"and on (instance, job) lanner_build_info{{{NODE}}}"


def build() -> Dashboard:
    """The dashboard."""
    return (
        frame(
            "lanner-fleet", "Lanner / Fleet",
            "Every node: version, rules, load, losses.", ("cluster", "instance"),
        )
        .with_panel(panels.number(
            "Nodes", "Nodes that are scraped.", f"count(lanner_build_info{{{NODE}}})",
        ))
        .with_panel(panels.number(
            "Ready", "Nodes that read and match events.", f"sum(lanner_ready{{{NODE}}})",
            steps=panels.GOOD,
        ))
        .with_panel(panels.number(
            "Versions", "Different versions of Lanner.",
            f"count(count by (version) (lanner_build_info{{{NODE}}}))",
            steps=panels.thresholds((None, "green"), (2, "orange")),
        ))
        .with_panel(panels.number(
            "Sets of rules", "Contents under the rules file with the most of them.",
            f"max(count by (file) (count by (file, sha256) (lanner_rules_file_info{{{NODE}}})))",
            steps=panels.thresholds((None, "green"), (2, "orange")),
        ))
        .with_panel(panels.number(
            "Events lost", "Events a second, all nodes.",
            f"sum(instance:lanner_events_dropped:rate5m{{{NODE}}})", unit="eps",
            steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "CPU of all", "Cores that all Lanners use together.",
            f"sum(instance:lanner_cpu:rate5m{{{NODE}}})",
        ))
        .with_panel(panels.lines(
            "Alerts by priority", "Alerts a second, all nodes.",
            {"{{priority}}": "sum by (priority) (rule_priority:lanner_alerts:rate5m)"},
            unit="cps",
        ))
        .with_panel(panels.lines(
            "Alerts by namespace", "The ten busiest namespaces; the host is unnamed.",
            {"{{k8s_ns_name}}":
                "topk(10, sum by (k8s_ns_name) (namespace_priority:lanner_alerts:rate5m))"},
            unit="cps",
        ))
        .with_panel(panels.lines(
            "Events by node", "Events that reach the rules, a second.",
            {"{{instance}}":
                f'instance:lanner_events:rate5m{{{NODE}, stage="delivered"}}'}, unit="eps",
        ))
        .with_panel(panels.lines(
            "Detection latency by node", "p99 over five minutes.",
            {"{{instance}}": f"instance:lanner_detection_latency_seconds:p99_5m{{{NODE}}}"},
            unit="s",
        ))
        .with_panel(panels.listing(
            "Every node", "What each node runs, and what that costs.",
            [
                f"lanner_build_info{{{NODE}}}",
                f"lanner_ready{{{NODE}}}",
                f"lanner_rules_loaded{{{NODE}}}",
                f"instance:lanner_cpu:rate5m{{{NODE}}}",
                f"process_resident_memory_bytes {_OURS}",
                f"instance:lanner_events_dropped:rate5m{{{NODE}}}",
            ],
            columns={
                "instance": "Node", "version": "Version", "kernel_release": "Kernel",
                "Value #B": "Ready", "Value #C": "Rules", "Value #D": "CPU", "Value #E": "Memory",
                "Value #F": "Lost/s",
            },
            units={"CPU": "percentunit", "Memory": "bytes", "Lost/s": "eps"}, sort="Lost/s",
            height=12,
        ))
        .with_panel(panels.listing(
            "Rules files", "Which content each node has loaded.",
            [f"count by (file, sha256) (lanner_rules_file_info{{{NODE}}})"],
            columns={"file": "File", "sha256": "SHA-256", "Value": "Nodes"}, sort="Nodes",
        ))
    )  # fmt: skip
