"""Instruments: the children of a family, made on first use, bounded, and given to scrapes.

Takes increments from the thread that owns an instrument, gives (labels, child) at scrape time.
The lock-free form rests on one rule: an instrument has one writing thread.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import cast

from exporter.metrics.family import OVERFLOW_VALUE, Family
from exporter.metrics.series import HistogramSeries, Series, SummarySeries

LabelValues = tuple[str, ...]
LabelPairs = tuple[tuple[str, str], ...]
Reading = Mapping[LabelValues, float]
"""Label values in the family's order -> value."""

PairsReading = Mapping[LabelPairs, float]
"""Labels -> value, for families whose children differ in their labels."""


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
        """Drop the children whose label values `keep` refuses. For the writing thread."""
        self.forget_where(lambda values, _child: not keep(values))

    def forget_where(self, is_over: Callable[[LabelValues, Series], bool]) -> int:
        """Drop the children that `is_over` names; how many. For the writing thread."""
        over = [v for v, child in list(self._children.items()) if is_over(v, child)]
        for values in over:
            del self._children[values]
        return len(over)

    def reading(self) -> dict[LabelValues, float]:
        """The values now."""
        return {values: child.value for values, child in list(self._children.items())}

    def __len__(self) -> int:
        return len(self._children)

    def children(self) -> list[tuple[LabelValues, Series]]:
        """Labels and child of every series."""
        # list(dict.items()) is one C call, so the writing thread cannot change the dict under it.
        return list(self._children.items())


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

    def children(self) -> list[tuple[LabelValues, HistogramSeries]]:
        """Labels and child of every series."""
        return list(self._children.items())


class SummaryFamily:
    """The children of one summary family."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._children: dict[LabelValues, SummarySeries] = {}

    def labels(self, *values: str) -> SummarySeries:
        """The child with these label values, made on first use; hot callers keep it."""
        return self._children.get(values) or self._children.setdefault(values, SummarySeries())

    def forget_except(self, keep: Callable[[LabelValues], bool]) -> None:
        """Drop the children whose label values `keep` refuses."""
        for values in [v for v in list(self._children) if not keep(v)]:
            del self._children[values]

    def children(self) -> list[tuple[LabelValues, SummarySeries]]:
        """Labels and child of every series."""
        return list(self._children.items())


class ReadFamily:
    """A counter or gauge whose values live elsewhere and are read at scrape time.

    Children are kept from scrape to scrape for their printed labels and their time of creation.
    """

    def __init__(
        self, family: Family, read: Callable[[], Reading] | Callable[[], PairsReading]
    ) -> None:
        self.family = family
        self._read = read
        self._children: dict[LabelValues | LabelPairs, Series] = {}

    def reading(self) -> Reading:
        """The values now."""
        return cast("Reading", self._read())

    def children(self) -> list[tuple[LabelValues | LabelPairs, Series]]:
        """Labels and child of every series of this moment's reading."""
        before = self._children
        now: dict[LabelValues | LabelPairs, Series] = {}
        for key, value in self._read().items():
            child = now[key] = before.get(key) or Series()
            child.value = float(value)
        self._children = now
        return list(now.items())


Instrument = ScalarFamily | HistogramFamily | SummaryFamily | ReadFamily


def overflow_key(family: Family, values: Sequence[str]) -> LabelValues:
    """The label values with every unbounded one replaced by "other"."""
    return tuple(
        OVERFLOW_VALUE if name in family.unbounded else value
        for name, value in zip(family.labels, values, strict=True)
    )


def pairs_of(family: Family, key: LabelValues | LabelPairs) -> LabelPairs:
    """Names and values of a child's labels by name, whichever way its family keys them."""
    return tuple(
        sorted(
            part if isinstance(part, tuple) else (name, part)
            for name, part in zip_longest(family.labels, key, fillvalue="")
        )
    )
