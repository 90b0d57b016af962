"""The protobuf form of the page: length-delimited messages of the Prometheus client model.

The only form with native histograms. Takes the children of one family, gives one delimited
MetricFamily in pieces. Source: proto/exporter/_proto/metrics.proto.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from exporter._proto import metrics_pb2 as pb
from exporter.metrics.family import Family, Kind
from exporter.metrics.instruments import LabelPairs, pairs_of
from exporter.metrics.series import (
    ZERO_THRESHOLD,
    Exemplar,
    HistogramSeries,
    Series,
    SummarySeries,
)
from exporter.metrics.text import Children

_TYPES = {
    Kind.COUNTER: pb.COUNTER,
    Kind.GAUGE: pb.GAUGE,
    Kind.SUMMARY: pb.SUMMARY,
    Kind.UNTYPED: pb.UNTYPED,
    Kind.HISTOGRAM: pb.HISTOGRAM,
}
_DOUBLE = Struct("<d").pack
_GAUGE, _COUNTER, _UNTYPED = b"\x12\x09\x09", b"\x1a\x09\x09", b"\x2a\x09\x09"
"""Fields 2, 3 and 5 of Metric, nine bytes long, and in them field 1, a double."""

_METRIC_TAG = b"\x22"
"""Field 4 of MetricFamily, length-delimited."""


class ProtobufEncoder:
    """Delimited MetricFamily messages."""

    content_type = (
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily;"
        " encoding=delimited"
    )

    def family(self, family: Family, children: Children) -> Iterator[bytes]:
        """One family. Without children there is nothing: the form wants one metric at least."""
        if not children:
            return
        parts = [
            pb.MetricFamily(
                name=family.name, help=family.help, type=_TYPES[family.kind], unit=family.unit
            ).SerializeToString()
        ]
        for key, child in children:
            wire = child.wire
            if wire is None:
                wire = child.wire = _lasting(family, key, child)
            # Two encodings one behind the other are the encoding of the merged message.
            metric = wire + _encoded(family.kind, child)
            size = len(metric)
            parts += (_METRIC_TAG, _LENGTHS[size] if size < 1024 else varint(size), metric)
        yield varint(sum(map(len, parts)))
        yield b"".join(parts)

    def end(self) -> bytes:
        """Nothing follows the last family."""
        return b""


def _encoded(kind: Kind, child: Any) -> bytes:
    """The part of a Metric behind its labels. Scalars, of which there are many, by hand."""
    match kind:
        case Kind.COUNTER:
            return _counter(child)
        case Kind.GAUGE:
            return _GAUGE + _DOUBLE(child.value)
        case Kind.UNTYPED:
            return _UNTYPED + _DOUBLE(child.value)
        case Kind.SUMMARY:
            return pb.Metric(summary=_summary(child)).SerializeToString()
        case Kind.HISTOGRAM:
            return pb.Metric(histogram=histogram(child)).SerializeToString()


def _lasting(family: Family, key: Any, child: Any) -> bytes:
    """The part of a Metric that is the same in every scrape."""
    metric = pb.Metric(label=label_pairs(pairs_of(family, key)))
    if family.kind is Kind.COUNTER:
        metric.counter.created_timestamp.CopyFrom(_timestamp(child.created))
    return metric.SerializeToString()


def _counter(child: Series) -> bytes:
    wire = _COUNTER + _DOUBLE(child.value)
    if child.exemplar is not None:
        counter = pb.Counter(exemplar=_exemplar(child.exemplar))
        wire += pb.Metric(counter=counter).SerializeToString()
    return wire


def _summary(child: SummarySeries) -> pb.Summary:
    return pb.Summary(
        sample_count=child.count,
        sample_sum=child.total,
        created_timestamp=_timestamp(child.created),
    )


def histogram(child: HistogramSeries) -> pb.Histogram:
    """Classic and native buckets of one child."""
    snapshot = child.snapshot()
    native = snapshot.native
    message = pb.Histogram(
        sample_count=sum(native.values()) + snapshot.zeros,
        sample_sum=snapshot.total,
        schema=snapshot.schema,
        zero_threshold=ZERO_THRESHOLD,
        zero_count=snapshot.zeros,
        created_timestamp=_timestamp(child.created),
    )
    seen = 0
    bounds = (*child.bounds, float("inf"))
    for place, (bound, count) in enumerate(zip(bounds, snapshot.counts, strict=True)):
        seen += count
        found = child.exemplars.get(place)
        exemplar = None if found is None else _exemplar(found)
        message.bucket.add(cumulative_count=seen, upper_bound=bound, exemplar=exemplar)
    last_index: int | None = None
    last_count = 0
    for index in sorted(native):
        if last_index is None or index != last_index + 1:
            offset = index if last_index is None else index - last_index - 1
            message.positive_span.add(offset=offset, length=0)
        message.positive_span[-1].length += 1
        message.positive_delta.append(native[index] - last_count)
        last_index, last_count = index, native[index]
    if not native:
        # An empty run tells a native histogram without observations from a classic one.
        message.positive_span.add(offset=0, length=0)
    return message


def _exemplar(exemplar: Exemplar) -> pb.Exemplar:
    return pb.Exemplar(
        label=label_pairs(exemplar.labels),
        value=exemplar.value,
        timestamp=_timestamp(exemplar.time),
    )


def label_pairs(pairs: LabelPairs) -> list[pb.LabelPair]:
    """Labels as messages; what is no Unicode becomes question marks, as in the text forms."""
    return [
        pb.LabelPair(name=name, value=value.encode("utf-8", "replace").decode())
        for name, value in pairs
    ]


def _timestamp(seconds: float) -> Timestamp:
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * 1e9))


def varint(value: int) -> bytes:
    """A length before a message."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_LENGTHS = tuple(varint(size) for size in range(1024))
