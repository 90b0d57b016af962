"""Alerts that wait for the metadata of their container, for a short and bounded while.

Takes what an event of the hot thread may become: alerts, and those of rules that cannot decide
before the container's runtime has answered. Gives back, in order, what it has become when the
runtime has answered, when its time is over, or when too much waits. Matching goes on meanwhile.
The hot thread alone uses it; no locks.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Protocol

from msgspec import Struct

from exporter.alerts.maker import Draft
from exporter.events.event import Event

STEPS = ("held", "completed", "missed", "timed_out", "overflow", "memory")
"""What happens here: all that wait, and how each wait ended."""

Question = Callable[[Event], bool]
"""Whether a rule matches after all; asked with the copy of the event."""


class Pending(Protocol):
    """Who knows which containers are being asked for."""

    @property
    def pending(self) -> int:
        """How many are being asked for."""

    @property
    def arrived(self) -> Sized:
        """Answers that nobody has taken yet."""

    def is_pending(self, container: bytes) -> bool:
        """Whether the metadata of a container may still come."""


class Possible(Struct, frozen=True):
    """An alert that is to come. question: None when it comes for sure, whatever is told."""

    draft: Draft
    question: Question | None = None
    size_bytes: int = 0


class HoldOptions(Struct, frozen=True, kw_only=True):
    """Bounds. hold_ns: longest wait of one alert; 0: none waits. capacity, memory_bytes: of all."""

    hold_ns: int
    capacity: int
    memory_bytes: int


class _Waiting(Struct, frozen=True):
    """What one event may become, in order; only the first that does where only one may."""

    deadline_ns: int
    event: Event
    possible: Sequence[Possible]
    match_all: bool

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes + one.draft.size_bytes for one in self.possible)

    @property
    def sure(self) -> int:
        """Alerts that come for sure; one behind an open question comes only where all may."""
        if not self.match_all and self.possible[0].question is not None:
            return 0
        return sum(one.question is None for one in self.possible)

    def drafts(self) -> Iterator[Draft]:
        """The alerts that it has become."""
        for one in self.possible:
            if one.question is None or one.question(self.event):
                yield one.draft
                if not self.match_all:
                    return


class AlertHold:
    """Holds alerts of containers whose metadata is on its way.

    counts: alerts by step. decisions: answers of rules by step, whatever they became.
    """

    def __init__(self, lookups: Pending, options: HoldOptions) -> None:
        self.counts = dict.fromkeys(STEPS, 0)
        self.decisions = dict.fromkeys(STEPS, 0)
        self.options = options
        self.lookups = lookups
        self._held: dict[bytes, deque[_Waiting]] = {}
        self._size = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._size

    @property
    def has_news(self) -> bool:
        """Whether answers have come for which alerts may be waiting."""
        return self._size > 0 and len(self.lookups.arrived) > 0

    def must_wait(self, event: Event) -> bool:
        """Whether what this event becomes has to wait now."""
        thread = event.thread
        if thread is None or not thread.container_id or self.options.hold_ns <= 0:
            return False
        return thread.container_id not in event.host.containers and self.lookups.is_pending(
            thread.container_id
        )

    def put(
        self, event: Event, possible: Sequence[Possible], now_ns: int, *, match_all: bool = True
    ) -> list[Draft]:
        """Hold what one event may become; what is to be finished now, for want of room.

        event: a copy that nobody changes. possible: at least one. match_all: whether all of them
        may come, not only the first whose rule matches.
        """
        assert event.thread is not None
        waiting = _Waiting(now_ns + self.options.hold_ns, event, possible, match_all)
        self._held.setdefault(event.thread.container_id, deque()).append(waiting)
        self._count(waiting, "held", 1)
        ready: list[Draft] = []
        while self._held:
            if self._size > self.options.capacity:
                step = "overflow"
            elif self._bytes > self.options.memory_bytes:
                step = "memory"
            else:
                break
            oldest = min(self._held, key=lambda container: self._held[container][0].deadline_ns)
            ready += self._take(oldest, 1, step)
        return ready

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
            if self.lookups.is_pending(container):
                late = sum(waiting.deadline_ns <= now_ns for waiting in self._held[container])
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
        host = self._held[container][0].event.host
        step = "completed" if container in host.containers else "missed"
        return self._take(container, self._size, step)

    def _take(self, container: bytes, events: int, step: str) -> list[Draft]:
        queue = self._held[container]
        drafts: list[Draft] = []
        for _ in range(min(events, len(queue))):
            waiting = queue.popleft()
            self._count(waiting, step, -1)
            drafts += waiting.drafts()
        if not queue:
            del self._held[container]
        return drafts

    def _count(self, waiting: _Waiting, step: str, sign: int) -> None:
        sure = waiting.sure
        self._size += sign * len(waiting.possible)
        self._bytes += sign * waiting.size_bytes
        self.counts[step] += sure
        self.decisions[step] += len(waiting.possible) - sure
