"""The two written forms of an alert: the JSON object and the text line.

Takes an `Alert`, gives bytes without the newline at the end. Pure functions; they run in the
workers of the outputs, never on the hot thread.
Source: spec/rule-language.md sections 18.3 and 19.
"""

from typing import Any

import msgspec
from msgspec import Struct

from exporter.alerts.alert import Alert
from exporter.alerts.timestamps import rfc3339_time

_ENCODER = msgspec.json.Encoder()
INTERNAL_SOURCE = "internal"
"""Source of Lanner's messages about itself; their JSON has no tags."""


class JsonOptions(Struct, frozen=True, kw_only=True):
    """Which optional keys JSON alerts carry; the defaults are the reference engine's."""

    has_output: bool = True
    has_message: bool = False
    has_output_fields: bool = True
    has_tags: bool = True


def json_line(alert: Alert, options: JsonOptions) -> bytes:
    """The alert as one JSON object with its keys in alphabetical order."""
    record: dict[str, Any] = {"hostname": alert.hostname}
    if options.has_message:
        record["message"] = alert.message
    if options.has_output:
        record["output"] = alert.output
    if options.has_output_fields:
        record["output_fields"] = alert.output_fields
    record["priority"] = str(alert.priority)
    record["rule"] = alert.rule
    record["source"] = alert.source
    if options.has_tags and alert.source != INTERNAL_SOURCE:
        record["tags"] = alert.tags
    record["time"] = rfc3339_time(alert.time_ns)
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return _ENCODER.encode(_encodable(record))


def text_line(alert: Alert) -> bytes:
    """The alert's line, escaped like the inside of a JSON string, so that it stays one line."""
    try:
        return _ENCODER.encode(alert.output)[1:-1]
    except UnicodeEncodeError:
        return _ENCODER.encode(clean_text(alert.output))[1:-1]


def clean_text(text: str) -> str:
    """The text with bytes that were no UTF-8 (kept as lone surrogates) turned into U+FFFD."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Surrogates that stand for no byte: nothing of ours makes them, a static field might.
        raw = text.encode("utf-8", "surrogatepass")
    return raw.decode("utf-8", "replace")


def _encodable(value: Any) -> Any:
    """The value with all text replaced that is no valid Unicode."""
    match value:
        case str():
            return clean_text(value)
        case dict():
            return {clean_text(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
        case _:
            return value
