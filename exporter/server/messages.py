"""Alerts as messages of the gRPC stream. Source of the encoding: spec/peers.md 1e."""

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from exporter._proto import outputs_pb2, schema_pb2
from exporter.alerts.alert import Alert, FieldValue
from exporter.alerts.forms import clean_text

_SOURCES = {"syscall": 0, "k8s_audit": 1, "internal": 2}
_PLUGIN_SOURCE = 3
_NS_A_SECOND = 1_000_000_000


def encode_alert(alert: Alert, sequence: int = 0) -> bytes:
    """The alert as a falco.outputs.response message; sequence: its place in the stream."""
    seconds, nanos = divmod(alert.time_ns, _NS_A_SECOND)
    # The map holds strings: JSON of everything that is none, "null" for a missing value.
    fields = {clean_text(key): _field_text(value) for key, value in alert.output_fields.items()}
    return outputs_pb2.response(
        time=Timestamp(seconds=seconds, nanos=nanos),
        priority=schema_pb2.priority.Name(alert.priority),
        source_deprecated=schema_pb2.source.Name(_SOURCES.get(alert.source, _PLUGIN_SOURCE)),
        rule=clean_text(alert.rule),
        output=clean_text(alert.output),
        output_fields=fields,
        hostname=clean_text(alert.hostname),
        tags=[clean_text(tag) for tag in alert.tags],
        source=clean_text(alert.source),
        sequence=sequence,
    ).SerializeToString()


def _field_text(value: FieldValue) -> str:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list | tuple):
        value = [clean_text(item) if isinstance(item, str) else item for item in value]
    return msgspec.json.encode(value).decode()
