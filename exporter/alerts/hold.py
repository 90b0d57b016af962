"""Alerts that wait for the metadata of their container, for a short and bounded while.

Takes drafts of the hot thread, gives them back in order when the container's runtime has answered,
when their time is over, or when too many wait. Matching goes on meanwhile. The hot thread alone
uses it; no locks.
"""

from collections import deque
from collections.abc import Sized
from typing import Protocol

from exporter.alerts.maker import Draft
from exporter.events.event import Event

STEPS = ("held", "completed", "missed", "timed_out", "overflow")
"""What happens to alerts here: all that wait, and how each wait ended."""


class Pending(Protocol):
    """Who knows which containers are being asked for."""

    @property
    def arrived(self) -> Sized:
        """Answers that nobody has taken yet."""

    def is_pending(self, container: bytes) -> bool:
        """Whether the metadata of a container may still come."""


class AlertHold:
    """Holds alerts of containers whose metadata is on its way.

    hold_ns: longest wait of one alert. capacity: alerts held at most. counts: by step.
    """

    def __init__(self, lookups: Pending, *, hold_ns: int, capacity: int) -> None:
        self.counts = dict.fromkeys(STEPS, 0)
        self.hold_ns = hold_ns
        self.capacity = capacity
        self._lookups = lookups
        self._held: dict[bytes, deque[tuple[int, Event, Draft]]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def has_news(self) -> bool:
        """Whether answers have come for which alerts may be waiting."""
        return self._size > 0 and len(self._lookups.arrived) > 0

    def must_wait(self, event: Event) -> bool:
        """Whether an alert of this event has to wait now."""
        thread = event.thread
        if thread is None or not thread.container_id or self.hold_ns <= 0:
            return False
        return thread.container_id not in event.host.containers and self._lookups.is_pending(
            thread.container_id
        )

    def put(self, event: Event, draft: Draft, now_ns: int) -> list[Draft]:
        """Hold one alert; those that are to be finished now, because there is no more room."""
        assert event.thread is not None
        queue = self._held.setdefault(event.thread.container_id, deque())
        queue.append((now_ns + self.hold_ns, event, draft))
        self._size += 1
        self.counts["held"] += 1
        if self._size <= self.capacity:
            return []
        oldest = min(self._held, key=lambda container: self._held[container][0][0])
        return self._take(oldest, 1, "overflow")

    def before(self, event: Event) -> list[Draft]:
        """Those to be finished before an alert of this event, to keep its container's order."""
        thread = event.thread
        if thread is None or thread.container_id not in self._held:
            return []
        return self._answered(thread.container_id)

    def due(self, now_ns: int) -> list[Draft]:
        """Those whose wait is over: the runtime has answered, or the time is up."""
        ready: list[Draft] = []
        for container in tuple(self._held):
            if self._lookups.is_pending(container):
                late = sum(deadline <= now_ns for deadline, _, _ in self._held[container])
                ready += self._take(container, late, "timed_out")
            else:
                ready += self._answered(container)
        return ready

    def rest(self) -> list[Draft]:
        """All that are held, at the end."""
        ready: list[Draft] = []
        for container in tuple(self._held):
            ready += self._take(container, self._size, "timed_out")
        return ready

    def _answered(self, container: bytes) -> list[Draft]:
        host = self._held[container][0][1].host
        step = "completed" if container in host.containers else "missed"
        return self._take(container, self._size, step)

    def _take(self, container: bytes, count: int, step: str) -> list[Draft]:
        queue = self._held[container]
        taken = [queue.popleft()[2] for _ in range(min(count, len(queue)))]
        if not queue:
            del self._held[container]
        self._size -= len(taken)
        self.counts[step] += len(taken)
        return taken
