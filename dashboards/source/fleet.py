"""Fleet: all nodes side by side, on recorded sums, so that many nodes cost a panel no more."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.source import panels
from dashboards.source.frame import frame
from dashboards.source.queries import NODE, called, per_minute

_OURS = f"and on (instance, job) lanner_build_info{{{NODE}}}"
_CLUSTER = 'cluster=~"$cluster"'


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
            f"sum(instance:lanner_cpu:rate5m{{{NODE}}})", decimals=2,
        ))
        .with_panel(panels.lines(
            "Alerts by priority", "Alerts a minute, all nodes.",
            {"{{priority}}": per_minute(
                f"sum by (priority) (rule_priority:lanner_alerts:rate5m{{{_CLUSTER}}}) > 0")},
            unit="cpm", colours=panels.PRIORITY_COLOURS,
        ))
        .with_panel(panels.lines(
            "Alerts by namespace", "Alerts a minute in the ten busiest namespaces.",
            {"{{k8s_ns_name}}": per_minute(called(
                "topk(10, sum by (k8s_ns_name) "
                f"(namespace_priority:lanner_alerts:rate5m{{{_CLUSTER}}}) > 0)", "k8s_ns_name"))},
            unit="cpm",
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
                # Only labels that all have: tables are joined where all of those agree.
                f"max by (instance, version, kernel_release) (lanner_build_info{{{NODE}}})",
                f"max by (instance) (lanner_ready{{{NODE}}})",
                f"max by (instance) (lanner_rules_loaded{{{NODE}}})",
                f"max by (instance) (instance:lanner_cpu:rate5m{{{NODE}}})",
                f"max by (instance) (process_resident_memory_bytes {_OURS})",
                f"max by (instance) (instance:lanner_events_dropped:rate5m{{{NODE}}})",
            ],
            columns={
                "instance": "Node", "version": "Version", "kernel_release": "Kernel",
                "Value #B": "Ready", "Value #C": "Rules", "Value #D": "CPU", "Value #E": "Memory",
                "Value #F": "Lost/s",
            },
            units={"CPU": "percentunit", "Memory": "bytes", "Lost/s": "eps"}, sort="Lost/s",
            height=9,
        ))
        .with_panel(panels.listing(
            "Rules files", "Which content each node has loaded.",
            [f"count by (file, sha256) (lanner_rules_file_info{{{NODE}}})"],
            columns={"file": "File", "sha256": "SHA-256", "Value": "Nodes"}, sort="Nodes",
            height=6,
        ))
    )  # fmt: skip
