"""Pace of a replay: as fast as possible, or with the time between events kept."""

import time
from collections.abc import Callable

_NS_A_SECOND = 1e9


class Pace:
    """Waits until an event is due, counted from the first one. Events from the past do not wait.

    before_wait: called ahead of each wait. sleep: takes seconds. now_ns: the clock.
    """

    def __init__(
        self,
        before_wait: Callable[[], None],
        sleep: Callable[[float], None],
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._before_wait = before_wait
        self._now_ns = now_ns
        self._sleep = sleep
        self._offset_ns: int | None = None

    def wait(self, ts_ns: int) -> None:
        """Return when an event of this time is due."""
        now_ns = self._now_ns()
        if self._offset_ns is None:
            self._offset_ns = now_ns - ts_ns
        ahead_ns = ts_ns + self._offset_ns - now_ns
        if ahead_ns > 0:
            self._before_wait()
            self._sleep(ahead_ns / _NS_A_SECOND)
