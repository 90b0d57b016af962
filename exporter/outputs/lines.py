"""Alerts as lines, text or JSON: what standard output gets, live and in a replay.

Takes alerts, gives bytes. Pure.
"""

from collections.abc import Sequence

from msgspec import Struct

from exporter.alerts.alert import Alert
from exporter.alerts.forms import JsonOptions, json_line, text_line


class LineOptions(Struct, frozen=True, kw_only=True):
    """json: options of the JSON form; None for text lines."""

    json: JsonOptions | None = None


def payload(alerts: Sequence[Alert], options: LineOptions) -> bytes:
    """The lines of a batch, newline after each."""
    json = options.json
    if json is None:
        return b"".join([text_line(alert) + b"\n" for alert in alerts])
    return b"".join([json_line(alert, json) + b"\n" for alert in alerts])
