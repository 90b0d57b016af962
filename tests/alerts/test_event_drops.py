"""Losses are told when they are many, and not more often than wanted."""

import pytest

from exporter.alerts.event_drops import RULE, DropOptions, Drops, DropWatch, drop_alert
from exporter.alerts.forms import JsonOptions, json_line
from exporter.alerts.maker import AlertOptions

SECOND = 1_000_000_000


class Totals:
    """Running totals that a test sets."""

    def __init__(self):
        self.delivered = self.lost = 0

    def read(self):
        return self.delivered, self.lost


def watch(totals, **options):
    return DropWatch(DropOptions(**options), totals.read, 0)


@pytest.mark.parametrize(
    ("delivered", "lost", "threshold", "is_told"),
    [
        (100, 0, 0.0, False),
        (0, 0, 0.0, False),
        (1_000_000, 1, 0.0, True),
        (90, 10, 0.1, False),
        (89, 11, 0.1, True),
        (0, 1, 1.0, False),
        (0, 1, 0.9, True),
    ],
)
def test_threshold(delivered, lost, threshold, is_told):
    """Told when the lost share of all events of the second exceeds the threshold."""
    totals = Totals()
    watched = watch(totals, threshold=threshold)
    totals.delivered, totals.lost = delivered, lost

    expected = Drops(delivered + lost, lost, SECOND) if is_told else None
    assert watched.due(SECOND) == expected


def test_each_second_counts_alone():
    """Nothing before a second is over; then the difference to the second before."""
    totals = Totals()
    watched = watch(totals, threshold=0.5, max_burst=10)
    totals.lost = 7

    assert watched.due(SECOND - 1) is None
    assert watched.due(SECOND + 5) == Drops(7, 7, SECOND + 5)
    assert watched.due(2 * SECOND + 5) is None
    totals.delivered, totals.lost = 1, 9
    assert watched.due(3 * SECOND + 5) == Drops(3, 2, SECOND)


def test_notices_are_bounded_in_rate():
    """max_burst notices at once, then one each 1/rate seconds."""
    totals = Totals()
    watched = watch(totals, threshold=0, max_burst=2, rate=0.25)
    told = []
    for second in range(1, 14):
        totals.lost += 1
        if watched.due(second * SECOND) is not None:
            told.append(second)

    assert told == [1, 2, 5, 9, 13]


def test_simulated_losses():
    """With simulated losses every event counts as lost, to try out receivers."""
    totals = Totals()
    watched = watch(totals, is_simulated=True)
    totals.delivered = 3

    assert watched.due(SECOND) == Drops(6, 3, SECOND)


def test_the_alert():
    """An internal alert: what was lost, out of how many, since when, and why so far."""
    alert = drop_alert(
        Drops(100, 40, 1_000_000_007),
        {"ring_full": 50},
        11,
        AlertOptions(hostname="h", static_fields=(("env", "test"),)),
    )

    assert (alert.rule, alert.source, alert.seq) == (RULE, "internal", 11)
    assert alert.output_fields == {
        "env": "test",
        "interval_ns": 1_000_000_007,
        "n_drops": 40,
        "n_drops_ring_full_total": 50,
        "n_evts": 100,
    }
    assert "40 of 100 events were lost" in alert.output
    assert b'"source":"internal"' in json_line(alert, JsonOptions())
