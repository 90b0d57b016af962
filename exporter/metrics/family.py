"""What a metric family is: the form of every declaration in `families.py`."""

from dataclasses import dataclass, replace
from enum import StrEnum

OVERFLOW_VALUE = "other"
"""Value of every unbounded label of a series past the ceiling of its family."""


class Kind(StrEnum):
    """Kinds of family, named as in the exposition formats; a summary has no quantiles here."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    UNTYPED = "untyped"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family.

    name: full name as scraped, `_total` included. unit: last word of the name before `_total`,
    empty for plain numbers. unbounded: those of `labels` that the ceiling `max_series` guards.
    optional: those of `labels` that the configuration may leave out; those also in `off` are left
    out unless it asks for them. program: whose name this is, where it is not ours.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    unbounded: frozenset[str] = frozenset()
    max_series: int = 0
    buckets: tuple[float, ...] = ()
    optional: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    program: str = ""

    @property
    def default_labels(self) -> tuple[str, ...]:
        """The labels when the configuration says nothing."""
        return tuple(name for name in self.labels if name not in self.off)

    def narrowed(self, labels: tuple[str, ...], max_series: int) -> "Family":
        """The family with these labels only and this ceiling; 0 for the declared one."""
        return replace(
            self,
            labels=labels,
            unbounded=self.unbounded & set(labels),
            max_series=max_series or self.max_series,
        )

    def widened(self, labels: tuple[str, ...]) -> "Family":
        """The family with further labels behind its own."""
        more = tuple(name for name in labels if name not in self.labels)
        return replace(self, labels=(*self.labels, *more))
