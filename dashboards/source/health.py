"""Lanner health: does it see everything, keep up, and deliver; and what does that cost."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards.source import panels
from dashboards.source.frame import frame
from dashboards.source.queries import NODE, losses, per_minute, quantile, rate

_OURS = f"and on (instance, job) lanner_build_info{{{NODE}}}"


def build() -> Dashboard:
    """The dashboard."""
    board = frame(
        "lanner-health", "Lanner / Health",
        "Whether Lanner sees, keeps up and delivers on each node.", ("cluster", "instance"),
    )  # fmt: skip
    for part in (_state, _events, _latency, _queues, _outputs, _series, _process):
        board = part(board)
    return board


def _state(board: Dashboard) -> Dashboard:
    return (
        board
        .with_panel(panels.number(
            "Ready", "Nodes that read and match events.", f"sum(lanner_ready{{{NODE}}})",
            steps=panels.GOOD,
        ))
        .with_panel(panels.number(
            "Not ready", "Nodes where Lanner runs and does not detect.",
            f"count(lanner_ready{{{NODE}}} == 0) or vector(0)", steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "Events lost in all", "Within the time range.",
            f"sum(increase(lanner_events_dropped_total{{{NODE}}}[$__range]))",
            steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "Alerts lost", "Alerts that found a queue full, or whose delivery failed.",
            f"sum(increase(lanner_queue_dropped_total{{{NODE}}}[$__range]))"
            f' + sum(increase(lanner_output_alerts_total{{{NODE}, result="failed"}}[$__range]))',
            steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "Reloads failed", "Nodes whose newest attempt to load rules failed.",
            f"count(lanner_last_reload_successful{{{NODE}}} == 0) or vector(0)",
            steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "Detection p99", "99 of 100 alerts come sooner after their event.",
            "histogram_quantile(0.99, sum by (le) "
            f"(increase(lanner_detection_latency_seconds_bucket{{{NODE}}}[$__range])))",
            unit="s",
        ))
    )  # fmt: skip


def _events(board: Dashboard) -> Dashboard:
    seen, filtered = (
        f'increase(lanner_events_total{{{NODE}, stage="{stage}"}}[$__range])'
        for stage in ("seen", "filtered")
    )

    def busiest(stage: str) -> str:
        by_type = rate("lanner_events_total", "type", f'{NODE}, stage="{stage}"')
        return f"topk(10, {by_type} > 0)"

    return (
        board.with_row(Row("Events"))
        .with_panel(panels.number(
            "Left out in the kernel", "Of the events seen, those that no loaded rule can match.",
            f"sum({filtered}) / sum({seen})", unit="percentunit", decimals=1, height=9,
        ))
        .with_panel(panels.lines(
            "Events by stage", "Seen by the probe, filtered in the kernel, submitted, matched.",
            {"{{stage}}": rate("lanner_events_total", "stage")}, unit="eps", width=10, height=9,
        ))
        .with_panel(panels.lines(
            "Events seen, by type", "The ten busiest types in the kernel.",
            {"{{type}}": busiest("seen")}, unit="eps", width=10, height=9,
        ))
        .with_panel(panels.ranking(
            "Left out, by type", "Of the busiest types. What is near zero costs Python most: "
            "`lanner rules explain` names the rules that need every such event.",
            {"{{type}}": f"sort_desc((sum by (type) ({filtered}) / (sum by (type) ({seen}) > 0))"
                         f" and topk(12, sum by (type) ({seen})))"},
            unit="percentunit", colours="continuous-greens", highest=1, width=8, height=10,
        ))
        .with_panel(panels.lines(
            "Events submitted, by type", "The ten busiest types that leave the kernel.",
            {"{{type}}": busiest("submitted")}, unit="eps", width=8, height=10,
        ))
        .with_panel(panels.lines(
            "Events matched, by type", "The ten busiest types that reach the rules.",
            {"{{type}}": busiest("delivered")}, unit="eps", width=8, height=10,
        ))
        .with_panel(panels.lines(
            "Events lost", "By reason; counted in the kernel where the loss happened there.",
            {"{{reason}}": losses("lanner_events_dropped_total", "reason")}, unit="eps",
        ))
        .with_panel(panels.lines(
            "Events impaired", "Delivered without some part, such as an argument cut short.",
            {"{{type}} {{reason}}": losses("lanner_events_impaired_total", "type, reason")},
            unit="eps",
        ))
    )  # fmt: skip


def _latency(board: Dashboard) -> Dashboard:
    latency = "lanner_detection_latency_seconds"
    return (
        board.with_row(Row("Latency"))
        .with_panel(panels.lines(
            "Detection latency", "From the kernel's timestamp of an event to its alert.",
            {f"p{q * 100:.0f}": quantile(q, latency) for q in (0.5, 0.9, 0.99)},
            unit="s",
        ))
        .with_panel(panels.lines(
            "Delivery latency", "From an alert to its delivery by an output, p99.",
            {"{{output}}": quantile(0.99, "lanner_delivery_latency_seconds", "output")}, unit="s",
        ))
    )  # fmt: skip


def _queues(board: Dashboard) -> Dashboard:
    full = panels.thresholds((None, "green"), (0.5, "orange"), (0.8, "red"))
    return (
        board.with_row(Row("Queues"))
        .with_panel(panels.lines(
            "How full", "Alerts waiting over what the queue holds, on the fullest node.",
            {"{{queue}}": "max by (queue) "
                f"(lanner_queue_depth{{{NODE}}} / (lanner_queue_capacity{{{NODE}}} > 0))"},
            unit="percentunit", steps=full, highest=1,
        ))
        .with_panel(panels.lines(
            "Lost for lack of room", "Alerts that found their queue full.",
            {"{{queue}}": per_minute(rate("lanner_queue_dropped_total", "queue"))}, unit="cpm",
        ))
    )  # fmt: skip


def _outputs(board: Dashboard) -> Dashboard:
    return (
        board.with_row(Row("Outputs"))
        .with_panel(panels.lines(
            "Alerts by output", "Delivered and failed.",
            {"{{output}} {{result}}":
                per_minute(rate("lanner_output_alerts_total", "output, result"))},
            unit="cpm",
        ))
        .with_panel(panels.lines(
            "gRPC stream", "Alerts sent to subscribers and lost by slow ones.",
            {
                "sent": per_minute(
                    f"sum(rate(lanner_grpc_alerts_sent_total{{{NODE}}}[$__rate_interval]))"),
                "lost": per_minute(
                    f"sum(rate(lanner_grpc_alerts_dropped_total{{{NODE}}}[$__rate_interval]))"),
            },
            unit="cpm", width=8,
        ))
        .with_panel(panels.number(
            "gRPC subscribers", "Clients that follow the stream now.",
            f"sum(lanner_grpc_subscribers{{{NODE}}})", height=8,
        ))
    )  # fmt: skip


def _series(board: Dashboard) -> Dashboard:
    return (
        board.with_row(Row("State, rules and series"))
        .with_panel(panels.lines(
            "State", "Entries of the tables that fields are read from.",
            {"{{table}}": f"sum by (table) (lanner_state_entries{{{NODE}}})"}, width=8,
        ))
        .with_panel(panels.lines(
            "Loads of rules", "Attempts to load rules while running, by result.",
            {"{{result}}": f"sum by (result) (increase(lanner_reloads_total{{{NODE}}}"
                           "[$__rate_interval]))"},
            bars=True, width=8,
        ))
        .with_panel(panels.lines(
            "Series below their ceiling", "Of each family, on the node that has the most.",
            {"{{family}}": "max by (family) "
                f"(lanner_metric_series{{{NODE}}} / (lanner_metric_series_limit{{{NODE}}} > 0))"},
            unit="percentunit", width=8, highest=1,
        ))
    )  # fmt: skip


def _process(board: Dashboard) -> Dashboard:
    return (
        board.with_row(Row("What it costs"))
        .with_panel(panels.lines(
            "CPU", "Processor time, of one core.",
            {"{{instance}}": f"rate(process_cpu_seconds_total[$__rate_interval]) {_OURS}"},
            unit="percentunit", width=8,
        ))
        .with_panel(panels.lines(
            "Memory", "Resident memory of each process.",
            {"{{instance}}": f"process_resident_memory_bytes {_OURS}"}, unit="bytes", width=8,
        ))
        .with_panel(panels.lines(
            "HTTP requests", "Scrapes and others, by path and status.",
            {"{{path}} {{status}}": rate("lanner_http_requests_total", "path, status")},
            unit="reqps", width=8,
        ))
    )  # fmt: skip
