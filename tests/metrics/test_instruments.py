"""Counters, gauges and histograms count exactly, and the ceiling of a family holds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.families import Family, Kind
from exporter.metrics.instruments import HistogramFamily, ScalarFamily
from exporter.metrics.text import TextEncoder

GUARDED = Family(
    "t_total",
    Kind.COUNTER,
    "Test.",
    ("rule", "pod"),
    unbounded=frozenset({"pod"}),
    max_series=3,
)
TIMES = Family("t_seconds", Kind.HISTOGRAM, "Test.", unit="seconds", buckets=(0.1, 1.0, 10.0))


def make_counter() -> tuple[ScalarFamily, list[str]]:
    """A guarded counter and the overflows it reported."""
    overflows: list[str] = []
    return ScalarFamily(GUARDED, overflows.append), overflows


def values_of(counter: ScalarFamily) -> dict[tuple[str, str], float]:
    """(rule, pod) -> value as a scrape sees it."""
    return {(rule, pod): child.value for (rule, pod), child in counter.children()}


def test_past_the_ceiling_unbounded_labels_become_other() -> None:
    """A label set past the ceiling keeps its rule, its pod is "other", and it is counted."""
    counter, overflows = make_counter()
    for pod in ("a", "b", "c", "d", "e"):
        counter.labels("r", pod).value += 1

    assert values_of(counter) == {("r", "a"): 1, ("r", "b"): 1, ("r", "c"): 1, ("r", "other"): 2}
    assert overflows == ["t_total", "t_total"]


def test_the_ceiling_never_refuses_a_rule_without_a_pod() -> None:
    """Zero series of rules are made however full the family is."""
    counter, overflows = make_counter()
    for pod in ("a", "b", "c"):
        counter.labels("r", pod)
    counter.labels("late rule", "")

    assert ("late rule", "") in values_of(counter)
    assert overflows == []


def test_a_wrong_number_of_labels_is_refused() -> None:
    """A label set that does not fit its family is a ValueError, not a broken page."""
    counter, _ = make_counter()

    with pytest.raises(ValueError, match="takes labels"):
        counter.labels("r")


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcdefgh"))))
def test_no_increment_is_lost_to_the_ceiling(increments: list[tuple[str, str]]) -> None:
    """The sum over all series is the number of increments, a ceiling or not."""
    counter, overflows = make_counter()
    for rule, pod in increments:
        counter.labels(rule, pod).value += 1
    values = values_of(counter)

    assert sum(values.values()) == len(increments)
    assert sum(v for (_, pod), v in values.items() if pod == "other") == len(overflows)


def test_forgotten_series_are_gone() -> None:
    """Children that are not kept leave the page."""
    counter, _ = make_counter()
    counter.labels("old", "")
    counter.labels("new", "")
    counter.forget_except(lambda values: values[0] == "new")

    assert list(values_of(counter)) == [("new", "")]


@given(st.lists(st.floats(min_value=0, max_value=100)))
def test_buckets_are_cumulative_and_bounds_belong_to_them(times: list[float]) -> None:
    """Each bucket counts the observations up to and including its bound."""
    family = HistogramFamily(TIMES)
    child = family.labels()
    for seconds in times:
        child.observe(seconds)
    page = b"".join(TextEncoder().family(TIMES, family.children())).decode()
    buckets = {
        bound: float(value)
        for bound, value in re.findall(r'(?m)^t_seconds_bucket\{le="(.*)"\} (.*)$', page)
    }

    assert buckets == {
        "0.1": sum(t <= 0.1 for t in times),
        "1.0": sum(t <= 1 for t in times),
        "10.0": sum(t <= 10 for t in times),
        "+Inf": len(times),
    }
