"""Counts alerts where they are made, so that one that is lost later still counts.

Takes alerts on the hot thread, adds to the alert families of the metrics room.
"""

from collections.abc import Iterable

from exporter.alerts.alert import Alert
from exporter.metrics import families
from exporter.metrics.instruments import HistogramSeries
from exporter.metrics.registry import Registry
from exporter.rules.ruleset import Rule

_NS_A_SECOND = 1e9
_HOST = ("", "", "")


class AlertCounters:
    """Alerts by rule and workload, time of the newest, detection latency. One writing thread."""

    def __init__(self, registry: Registry) -> None:
        self._alerts = registry.counter(families.ALERTS)
        self._last = registry.gauge(families.LAST_ALERT)
        self._latency: HistogramSeries = registry.histogram(families.DETECTION_LATENCY).labels()

    def begin(self, rules: Iterable[Rule]) -> None:
        """Give every rule its series at 0, so that rate() sees the first alert."""
        for rule in rules:
            self._alerts.labels(rule.name, str(rule.priority), rule.source, *_HOST)

    def keep_only(self, rules: Iterable[Rule]) -> None:
        """Drop the series of rules that are not among these; for after a reload."""
        known = {(rule.name, str(rule.priority), rule.source) for rule in rules}
        for family in (self._alerts, self._last):
            family.forget_except(lambda values: values[:3] in known)

    def count(self, alert: Alert) -> None:
        """Count one alert."""
        labels = (
            alert.rule,
            str(alert.priority),
            alert.source,
            alert.k8s_ns_name,
            alert.k8s_pod_name,
            alert.container,
        )
        self._alerts.labels(*labels).value += 1
        self._last.labels(*labels).value = alert.time_ns / _NS_A_SECOND
        if alert.latency_ns >= 0:
            self._latency.observe(alert.latency_ns / _NS_A_SECOND)
