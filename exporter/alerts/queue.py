"""The one queue between the hot thread and the event loop.

Takes alerts from the hot thread, gives them to the loop in batches. Bounded; when it is full the
newest alert is refused and counted, because the older ones are nearer to the cause of a flood, and
because dropping at the tail needs no lock.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from exporter.alerts.alert import Alert

_BATCH = 1024
"""Alerts handed over in one go; the loop serves others between two batches."""


class AlertQueue:
    """One writing thread, one reading loop, no lock: deque operations are atomic.

    accepted and dropped are written by the putting thread only.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.accepted = 0
        self.dropped = 0
        self._alerts: deque[Alert] = deque()
        self._is_woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._take: Callable[[Sequence[Alert]], None] | None = None

    def __len__(self) -> int:
        return len(self._alerts)

    def connect(
        self, loop: asyncio.AbstractEventLoop, take: Callable[[Sequence[Alert]], None]
    ) -> None:
        """Deliver to `take` in the loop's thread from now on, beginning with what is waiting."""
        self._take = take
        self._loop = loop
        self._is_woken = True
        loop.call_soon_threadsafe(self._drain)

    def put(self, alert: Alert) -> bool:
        """Hand one alert over; False when the queue is full and the alert is lost. Never blocks."""
        if len(self._alerts) >= self.capacity:
            self.dropped += 1
            return False
        self._alerts.append(alert)
        self.accepted += 1
        # One wake-up for many alerts. The reader clears the flag before it looks into the deque, so
        # an alert is either seen by that look or wakes the loop again.
        if not self._is_woken and self._loop is not None:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._drain)
        return True

    def drain(self) -> None:
        """Hand over everything that waits now; for the loop's thread, at shutdown."""
        while self._alerts:
            self._hand_over()

    def _drain(self) -> None:
        self._is_woken = False
        self._hand_over()
        if self._alerts and not self._is_woken and self._loop is not None:
            self._is_woken = True
            self._loop.call_soon(self._drain)

    def _hand_over(self) -> None:
        alerts = self._alerts
        # The putting thread only appends, so this many are there to be taken.
        batch = [alerts.popleft() for _ in range(min(len(alerts), _BATCH))]
        if batch and self._take is not None:
            self._take(batch)
