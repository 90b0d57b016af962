"""Rules: how often each fires, what it costs, which never fired, which fire too often."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.source import panels
from dashboards.source.frame import frame
from dashboards.source.queries import NODE, RULE, of_rules

_INFO = 'lanner_rule_info{cluster=~"$cluster", instance=~"$instance", rule=~"$rule"}'


def build() -> Dashboard:
    """The dashboard."""
    chosen = f'{NODE}, rule=~"$rule"'
    known = f"max by (rule, priority, source, tags) ({_INFO})"
    fired = f"sum by (rule, priority, source) (lanner_rule_alerts_total{{{chosen}}}) > 0"
    cost = (
        f"sum by (rule) (rate(lanner_rule_evaluation_seconds_sum{{{chosen}}}[$__range]))"
        f" / sum by (rule) (rate(lanner_rule_evaluation_seconds_count{{{chosen}}}[$__range]))"
    )
    last = f"max by (rule) (lanner_last_alert_timestamp_seconds{{{chosen}}} > 0) * 1000"
    return (
        frame(
            "lanner-rules", "Lanner / Rules",
            "Hits, cost and silence of every loaded rule.",
            ("cluster", "instance", "rule", "priority"),
        )
        .with_panel(panels.number(
            "Rules loaded", "Enabled rules, on the node that has the most.",
            f"max(lanner_rules_loaded{{{NODE}}})", steps=panels.GOOD,
        ))
        .with_panel(panels.number(
            "Fired", "Rules with an alert within the time range.",
            f"count({of_rules('rule', '$__range')} > 0) or vector(0)",
        ))
        .with_panel(panels.number(
            "Silent rules", "Loaded rules without any alert since Lanner started.",
            f"count({known} unless on (rule, source) ({fired})) or vector(0)",
        ))
        .with_panel(panels.number(
            "Failing checks", "Checks that raised an error within the time range.",
            f"sum(increase(lanner_rule_errors_total{{{NODE}}}[$__range])) or vector(0)",
            steps=panels.NONE_IS_GOOD,
        ))
        .with_panel(panels.number(
            "Files", "Rules files in use.",
            f"count(count by (file) (lanner_rules_file_info{{{NODE}}}))",
        ))
        .with_panel(panels.number(
            "Age of the rules", "Time since a node loaded its rules, for the oldest.",
            f"time() - min(lanner_last_reload_success_timestamp_seconds{{{NODE}}})", unit="s",
        ))
        .with_panel(panels.lines(
            "Hits by rule", "Alerts in each interval, a colour a rule.",
            {"{{rule}}": f"topk(15, {of_rules('rule')} > 0)"}, bars=True, width=16, height=10,
        ))
        .with_panel(panels.ranking(
            "Noisiest", "Alerts within the time range; what fires all day is read by nobody.",
            {"{{rule}}": f"sort_desc(topk(10, {of_rules('rule', '$__range')} > 0))"}, height=10,
        ))
        .with_panel(panels.ranking(
            "Most expensive", "Mean time to evaluate a rule's condition alone, on sampled events.",
            {"{{rule}}": f"sort_desc(topk(15, {cost}))"}, unit="s", width=12, height=11,
        ))
        .with_panel(panels.listing(
            "Never fired", "Loaded rules without any alert since Lanner started.",
            [f"{known} unless on (rule, source) ({fired})"],
            columns={"rule": "Rule", "priority": "Priority", "source": "Source", "tags": "Tags"},
            width=12, height=11,
        ))
        .with_panel(panels.listing(
            "All rules", "Every loaded rule with its hits and its newest alert.",
            [known, of_rules("rule", "$__range", RULE), last],
            columns={
                "rule": "Rule", "priority": "Priority", "source": "Source", "Value #B": "Alerts",
                "Value #C": "Last", "tags": "Tags",
            },
            units={"Last": "dateTimeFromNow"}, sort="Alerts", height=14,
        ))
    )  # fmt: skip
