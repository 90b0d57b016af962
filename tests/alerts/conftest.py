"""Factories of alerts."""

from typing import Any

from exporter.alerts.alert import Alert
from exporter.rules.priority import Priority
from tests.factories import NOW_NS


def make_alert(**fields: Any) -> Alert:
    """An alert with plausible defaults."""
    values: dict[str, Any] = {
        "seq": 1,
        "time_ns": NOW_NS,
        "made_ns": NOW_NS + 1_000_000,
        "rule": "Read sensitive file",
        "priority": Priority.WARNING,
        "source": "syscall",
        "message": "read by cat",
        "output": "22:13:20.123456789: Warning read by cat",
        "output_fields": {"evt.time": NOW_NS, "proc.name": "cat"},
        "hostname": "node1",
        "tags": ("T1005", "files"),
    }
    return Alert(**(values | fields))
