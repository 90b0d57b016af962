"""PromQL that several panels share."""

NODE = 'cluster=~"$cluster", instance=~"$instance"'
"""Matchers of one Lanner."""

RULE = f'{NODE}, rule=~"$rule", priority=~"$priority"'
"""Matchers of rule-level series, which exist from 0."""

WORKLOAD = f'{RULE}, k8s_ns_name=~"$namespace", k8s_pod_name=~"$pod"'
"""Matchers of series with workload labels, which begin with their first alert."""

URGENT = 'priority=~"Emergency|Alert|Critical"'


def of_rules(by: str, window: str = "$__rate_interval", matchers: str = RULE) -> str:
    """Alerts within the window by rule-level labels; complete, as those series begin at 0."""
    return f"sum by ({by}) (increase(lanner_rule_alerts_total{{{matchers}}}[{window}]))"


def of_workloads(by: str, window: str, matchers: str = WORKLOAD) -> str:
    """Alerts within the window by workload labels, the first ones included.

    A series that began within the window has its first value as well, which increase() cannot see.
    """
    series = f"lanner_alerts_total{{{matchers}}}"
    grown = f"increase({series}[{window}])"
    first = f"min_over_time({series}[{window}]) unless {series} offset {window}"
    return f"sum by ({by}) ({grown} + ({first} or {grown} * 0))"


def called(expression: str, label: str, name: str = "(host)") -> str:
    """The expression with a name for what has none: alerts of the host have no namespace."""
    return f'label_replace({expression}, "{label}", "{name}", "{label}", "")'


def losses(metric: str, by: str, matchers: str = NODE) -> str:
    """Per-second rates of what should not be: the sum, which is there when nothing is lost, and the
    ten largest parts of it.
    """
    parts = rate(metric, by, matchers)
    everything = f"sum(rate({metric}{{{matchers}}}[$__rate_interval]))"
    label = by.split(",", maxsplit=1)[0]
    return f'label_replace({everything}, "{label}", "all", "", "") or topk(10, {parts} > 0)'


def rate(metric: str, by: str, matchers: str = NODE) -> str:
    """Per-second rate of a counter."""
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def per_minute(rate_expression: str) -> str:
    """Alerts are rare: people count them by the minute."""
    return f"60 * {rate_expression}"


def quantile(q: float, metric: str, by: str = "", matchers: str = NODE) -> str:
    """Quantile of a classic histogram."""
    labels = f"le, {by}" if by else "le"
    return (
        f"histogram_quantile({q}, sum by ({labels}) "
        f"(rate({metric}_bucket{{{matchers}}}[$__rate_interval])))"
    )
