"""Times to the nanosecond, in UTC and on the local clock."""

import time

import pytest

from exporter.alerts import timestamps
from tests.factories import NOW_NS


@pytest.fixture
def berlin(monkeypatch):
    """A machine one hour east of UTC in winter."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    timestamps._local_clock.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    timestamps._local_clock.cache_clear()


@pytest.mark.usefixtures("berlin")
def test_forms() -> None:
    """JSON and ISO times are UTC, the clock is local, all keep nine digits."""
    assert timestamps.rfc3339_time(NOW_NS) == "2023-11-14T22:13:20.123456789Z"
    assert timestamps.iso_time(NOW_NS) == "2023-11-14T22:13:20.123456789+0000"
    assert timestamps.clock_time(NOW_NS) == "23:13:20.123456789"
    assert timestamps.rfc3339_time(1) == "1970-01-01T00:00:00.000000001Z"
