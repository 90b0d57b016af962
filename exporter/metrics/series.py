"""One child of a family: its value, and what a scrape prints of it besides.

Written by one thread without locks, read by scrapes from another. A scrape may see a histogram
between two of its additions; it never blocks the writer.
"""

import time
from bisect import bisect_left
from math import frexp

from msgspec import Struct, field

NATIVE_SCHEMA = 3
"""2**3 native buckets to each doubling: bounds 9 % apart."""

_MAX_NATIVE_BUCKETS = 160
ZERO_THRESHOLD = 2.0**-128
"""Observations up to here are zeros in the native form."""
_FRACTIONS = tuple(2.0 ** (step / 8) / 2 for step in range(8))
"""Upper bounds within [0.5, 1) of the native buckets of schema 3."""


class Exemplar(Struct, frozen=True, gc=False):
    """One observation to look up: labels such as (("alert", "7"),), value, seconds since epoch."""

    labels: tuple[tuple[str, str], ...]
    value: float
    time: float


class Child(Struct, kw_only=True):
    """What all children have.

    created: seconds since the epoch. touched: monotonic seconds of the newest change, where its
    owner cares for expiry. text: labels as printed, kept from scrape to scrape; wire: the same for
    the protobuf form.
    """

    created: float = field(default_factory=time.time)
    touched: float = 0.0
    text: str | None = None
    wire: bytes | None = None


class Series(Child, kw_only=True):
    """One child of a counter or gauge. The owner adds to `value` directly."""

    value: float = 0.0
    exemplar: Exemplar | None = None


class SummarySeries(Child, kw_only=True):
    """One child of a summary without quantiles."""

    count: int = 0
    total: float = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.count += 1
        self.total += value


class HistogramSeries(Child, kw_only=True):
    """One child of a histogram, in classic buckets and in native ones.

    counts: one place more than there are bounds. native: index of a bucket of `schema` -> count;
    bucket i holds what is above 2**((i - 1) / 2**schema) and up to 2**(i / 2**schema).
    exemplars: index of a classic bucket -> its newest exemplar.
    """

    bounds: tuple[float, ...]
    counts: list[int]
    total: float = 0.0
    schema: int = NATIVE_SCHEMA
    zeros: int = 0
    native: dict[int, int] = {}
    exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float, labels: tuple[tuple[str, str], ...] = ()) -> None:
        """Count one observation; labels, if any, make it an exemplar of its bucket.

        What is below zero (a clock was set back) counts as zero.
        """
        value = max(value, 0.0)
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.total += value
        if value <= ZERO_THRESHOLD:
            self.zeros += 1
        else:
            fraction, exponent = frexp(value)
            index = bisect_left(_FRACTIONS, fraction) + (exponent - 1) * 8
            # -(-a >> b) rounds up: bucket i lies in bucket ceil(i / 2) of the schema below.
            index = -(-index >> (NATIVE_SCHEMA - self.schema))
            native = self.native
            native[index] = native.get(index, 0) + 1
            if len(native) > _MAX_NATIVE_BUCKETS:
                self._coarsen()
        if labels:
            self.exemplars[bucket] = Exemplar(labels, value, time.time())

    def _coarsen(self) -> None:
        """Go on with half as many buckets to a doubling."""
        merged: dict[int, int] = {}
        for index, count in self.native.items():
            half = -(-index >> 1)
            merged[half] = merged.get(half, 0) + count
        # A scrape between the two assignments would take old buckets for new: see `snapshot`.
        self.schema, self.native = self.schema - 1, merged

    def snapshot(self) -> "Snapshot":
        """A copy whose parts agree: the writer may come between them, some try finds it idle."""
        copy = self._copy()
        for _ in range(4):
            is_whole = sum(copy.native.values()) + copy.zeros == sum(copy.counts)
            if is_whole and copy.schema == self.schema:
                break
            copy = self._copy()
        return copy

    def _copy(self) -> "Snapshot":
        return Snapshot(
            schema=self.schema,
            native=dict(self.native),
            zeros=self.zeros,
            counts=list(self.counts),
            total=self.total,
        )


class Snapshot(Struct, frozen=True, kw_only=True):
    """The numbers of a histogram at one moment; fields as in `HistogramSeries`."""

    counts: list[int]
    total: float
    schema: int
    zeros: int
    native: dict[int, int]
