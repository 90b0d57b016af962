"""The protobuf page says the same as the text page, and native buckets hold what they should."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter._proto import metrics_pb2 as pb
from exporter.metrics import families
from exporter.metrics.protobuf import histogram, varint
from exporter.metrics.registry import Registry
from exporter.metrics.series import ZERO_THRESHOLD, HistogramSeries
from tests.metrics.test_registry import full_registry

ACCEPT = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A varint and the place behind it."""
    value = shift = 0
    while data[place] & 0x80:
        value |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | data[place] << shift, place + 1


def decode(body: bytes) -> list[pb.MetricFamily]:
    """The delimited messages of a page."""
    found, place = [], 0
    while place < len(body):
        size, place = read_varint(body, place)
        found.append(pb.MetricFamily.FromString(body[place : place + size]))
        place += size
    return found


def native_counts(message: pb.Histogram) -> dict[int, int]:
    """Bucket index -> count, of the spans and deltas."""
    counts: dict[int, int] = {}
    deltas, index, count = iter(message.positive_delta), 0, 0
    for span in message.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            counts[index] = count
            index += 1
    assert next(deltas, None) is None
    return counts


def make_series() -> HistogramSeries:
    """An empty histogram."""
    return HistogramSeries(bounds=(0.1, 1.0), counts=[0, 0, 0])


def test_both_pages_say_the_same() -> None:
    """Families, kinds, labels and values of scalars are those of the text page."""
    registry = full_registry()
    found = {family.name: family for family in decode(registry.page(ACCEPT).body)}
    alerts = found["lanner_rule_info"]
    labels = {pair.name: pair.value for pair in alerts.metric[0].label}

    text = registry.page().body.decode()
    assert [name for name in found if not name.startswith("process_")] == [
        line.split()[2]
        for line in text.splitlines()
        if line.startswith("# TYPE") and " process_" not in line
    ]
    assert labels["rule"] == 'rule "\\\n'
    assert alerts.type == pb.GAUGE
    assert found["lanner_rule_alerts_total"].metric[0].counter.exemplar.label[0].value == "7"
    assert found["lanner_rule_alerts_total"].metric[0].counter.created_timestamp.seconds > 0
    assert found["lanner_rule_evaluation_seconds"].metric[0].summary.sample_count == 1
    assert found["falco_events"].type == pb.UNTYPED
    assert found["lanner_detection_latency_seconds"].unit == "seconds"


def test_a_value_that_is_no_unicode_does_not_break_the_page() -> None:
    """Lone surrogates, as bytes of file names may become, are replaced in every form."""
    registry = Registry()
    registry.read(families.QUEUE_DEPTH, lambda: {("a\udcff",): 1})
    pages = [registry.page(accept).body for accept in ("", ACCEPT)]

    assert b'queue="a?"' in pages[0]
    assert any(f.metric[0].label and f.metric[0].label[0].value == "a?" for f in decode(pages[1]))


@given(st.lists(st.floats(min_value=1e-9, max_value=1e6)))
def test_native_buckets_hold_what_lies_between_their_bounds(values: list[float]) -> None:
    """Bucket i counts what is above 2**((i-1)/2**schema) and at most 2**(i/2**schema)."""
    child = make_series()
    for value in values:
        child.observe(value)
    message = histogram(child)
    base = 2.0 ** (2.0**-message.schema)
    expected: dict[int, int] = {}
    for value in values:
        index = math.ceil(math.log2(value) * 2**message.schema - 1e-9)
        expected[index] = expected.get(index, 0) + 1

    assert native_counts(message) == expected
    assert message.sample_count == len(values)
    assert [bucket.cumulative_count for bucket in message.bucket][-1] == len(values)
    assert message.schema <= 3
    assert base >= 2.0**0.125


def test_the_number_of_native_buckets_is_bounded() -> None:
    """A histogram over 60 doublings takes wider buckets, and counts the same."""
    child = make_series()
    for exponent in range(-600, 601):
        child.observe(2.0 ** (exponent / 20))
    counts = native_counts(histogram(child))

    assert len(child.native) <= 160
    assert sum(counts.values()) == 1201
    assert child.schema < 3
    assert (min(counts), max(counts)) == (
        math.ceil(-30 * 2**child.schema),
        math.ceil(30 * 2**child.schema),
    )


def test_zero_and_less_are_zeros() -> None:
    """What no logarithm has goes to the bucket of zeros; a negative time adds nothing."""
    child = make_series()
    for value in (0.0, -5.0, ZERO_THRESHOLD):
        child.observe(value)
    message = histogram(child)

    assert (message.zero_count, message.sample_count) == (3, 3)
    assert message.sample_sum == pytest.approx(ZERO_THRESHOLD)


def test_a_native_histogram_without_observations_is_one() -> None:
    """One empty span tells it from a classic histogram."""
    message = histogram(make_series())

    assert [(span.offset, span.length) for span in message.positive_span] == [(0, 0)]
    assert message.HasField("zero_threshold")


@given(st.integers(min_value=0, max_value=2**40))
def test_lengths_are_varints(value: int) -> None:
    """decode(encode(n)) == n."""
    assert read_varint(varint(value), 0) == (value, len(varint(value)))
