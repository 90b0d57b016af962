"""Counters, gauges and histograms that one thread writes without locks.

Takes increments from the thread that owns an instrument, gives prometheus_client metric families at
scrape time. The lock-free form rests on one rule: an instrument has one writing thread. The scrape
reads from another thread and may see a histogram between two of its additions; it never blocks
the writer.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from prometheus_client.metrics_core import Metric

from exporter.metrics.families import OVERFLOW_VALUE, Family, Kind

LabelValues = tuple[str, ...]
Reading = Mapping[LabelValues, float]
"""Label values in the family's order -> value."""


class Series(Struct):
    """One child of a counter or gauge. The owner adds to `value` directly."""

    value: float = 0.0


class HistogramSeries(Struct):
    """One child of a histogram; `counts` has one place more than the family has buckets."""

    bounds: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def metric_of(family: Family) -> Metric:
    """An empty prometheus_client metric for a family."""
    name = family.name.removesuffix("_total") if family.kind is Kind.COUNTER else family.name
    return Metric(name, family.help, family.kind, family.unit)


class ScalarFamily:
    """The children of one counter or gauge family, bounded by the family's ceiling."""

    def __init__(self, family: Family, on_overflow: Callable[[str], None]) -> None:
        self.family = family
        self._on_overflow = on_overflow
        self._children: dict[LabelValues, Series] = {}

    def labels(self, *values: str) -> Series:
        """The child with these label values, made on first use; hot callers keep it.

        Past the ceiling, the child whose unbounded labels are all "other"; the bounded labels stay.
        Label sets with empty unbounded labels are always admitted, so the rules bound their number.
        """
        child = self._children.get(values)
        if child is not None:
            return child
        family = self.family
        if len(values) != len(family.labels):
            raise ValueError(f"{family.name} takes labels {family.labels}, not {values}")
        if family.max_series and len(self._children) >= family.max_series:
            names = zip(family.labels, values, strict=True)
            if any(value for name, value in names if name in family.unbounded):
                self._on_overflow(family.name)
                values = overflow_key(family, values)
        return self._children.setdefault(values, Series())

    def forget_except(self, keep: Callable[[LabelValues], bool]) -> None:
        """Drop the children whose label values `keep` refuses."""
        for values in [v for v in list(self._children) if not keep(v)]:
            del self._children[values]

    def __len__(self) -> int:
        return len(self._children)

    def collect(self) -> Iterator[Metric]:
        """The family as prometheus_client prints it."""
        # list(dict.items()) is one C call, so the writing thread cannot change the dict under it.
        reading = {values: child.value for values, child in list(self._children.items())}
        yield scalar_metric(self.family, reading)


class HistogramFamily:
    """The children of one histogram family."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._children: dict[LabelValues, HistogramSeries] = {}

    def labels(self, *values: str) -> HistogramSeries:
        """The child with these label values, made on first use; hot callers keep it."""
        child = self._children.get(values)
        if child is None:
            buckets = self.family.buckets
            child = HistogramSeries(bounds=buckets, counts=[0] * (len(buckets) + 1))
            self._children[values] = child
        return child

    def collect(self) -> Iterator[Metric]:
        """The family as prometheus_client prints it."""
        family = self.family
        metric = metric_of(family)
        bounds = [repr(bound) for bound in family.buckets] + ["+Inf"]
        for values, child in list(self._children.items()):
            labels = dict(zip(family.labels, values, strict=True))
            seen = 0
            for bound, count in zip(bounds, list(child.counts), strict=True):
                seen += count
                metric.add_sample(f"{family.name}_bucket", labels | {"le": bound}, seen)
            # The count is the sum of the buckets just printed, so that the two always agree.
            metric.add_sample(f"{family.name}_count", labels, seen)
            metric.add_sample(f"{family.name}_sum", labels, child.total)
        yield metric


class ReadFamily:
    """A counter or gauge whose values live elsewhere and are read at scrape time."""

    def __init__(self, family: Family, read: Callable[[], Reading]) -> None:
        self.family = family
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The family as prometheus_client prints it."""
        yield scalar_metric(self.family, self._read())


def overflow_key(family: Family, values: Sequence[str]) -> LabelValues:
    """The label values with every unbounded one replaced by "other"."""
    return tuple(
        OVERFLOW_VALUE if name in family.unbounded else value
        for name, value in zip(family.labels, values, strict=True)
    )


def scalar_metric(family: Family, reading: Reading) -> Metric:
    """A prometheus_client counter or gauge with these values."""
    metric = metric_of(family)
    for values, value in reading.items():
        metric.add_sample(family.name, dict(zip(family.labels, values, strict=True)), value)
    return metric
