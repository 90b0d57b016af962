"""Lookups: container ids on their way to the runtimes' clients, and facts on their way back.

The hot thread asks for ids that it meets and takes what has arrived between two events; the event
loop answers. Two bounded deques, each with one end a thread, and no lock: deque operations are
atomic. An id is asked for once; what the runtimes tell of themselves needs no asking.
Source: spec/state-tracking.md section 10.1.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

from msgspec import Struct

from exporter.events.container import Container

MAX_WANTED = 1024
"""Ids that wait to be asked for; past it an id is asked for when it is met the next time."""

MAX_ARRIVED = 65536
"""Facts that wait for the hot thread; it takes all of them between two events."""

_MAX_ASKED = 8192

MISS_REASONS = ("no_socket", "not_found", "timeout", "error", "queue_full")


Wake = Callable[[Callable[[], None]], object]
"""Lets the event loop call a function in its own thread."""


class Missed(Struct, frozen=True):
    """No runtime could tell of a container. id: as it was asked for."""

    id: bytes
    reason: str


class Gone(Struct, frozen=True):
    """A container does not exist any more. id: first 12 characters."""

    id: bytes


Arrival = Container | Missed | Gone


class Lookups:
    """Both directions between the hot thread and the event loop.

    has_runtime: whether any runtime is connected; set by the loop. pending: ids whose facts were
    asked for and may still come. misses: by reason, counted by the hot thread. lost: arrivals
    refused because the hot thread stood still, counted by the loop.
    """

    def __init__(self) -> None:
        self.has_runtime = False
        self.misses = dict.fromkeys(MISS_REASONS, 0)
        self.lost = 0
        self.arrived: deque[Arrival] = deque()
        self._asked: OrderedDict[bytes, bool] = OrderedDict()
        self.pending = 0
        self._wanted: deque[bytes] = deque()
        self._is_woken = False
        self._wake: Wake | None = None
        self._take: Callable[[bytes], None] | None = None

    # The hot thread's side

    def want(self, container: bytes) -> None:
        """Ask for a container without facts, once; the answer comes by `arrived`."""
        if container in self._asked:
            return
        if not self.has_runtime:
            self._miss(container, "no_socket")
        elif len(self._wanted) >= MAX_WANTED:
            self.misses["queue_full"] += 1
        else:
            self._remember(container, is_pending=True)
            self._wanted.append(container)
            # The reader clears the flag before it looks: it sees the id, or is woken again.
            if not self._is_woken and self._wake is not None:
                self._is_woken = True
                self._wake(self._hand_over)

    def is_pending(self, container: bytes) -> bool:
        """Whether the facts of a container were asked for and may still come."""
        return self.pending > 0 and self._asked.get(container, False)

    def settle(self, arrival: Arrival) -> None:
        """Note that an arrival was taken: nobody waits for it any more."""
        if isinstance(arrival, Missed):
            self._miss(arrival.id, arrival.reason)
        elif isinstance(arrival, Container) and arrival.id in self._asked:
            self._remember(arrival.id, is_pending=False)

    def forget(self, container: bytes) -> None:
        """A container has ended: should it start again, it is asked for again.

        An answer that is on its way stays awaited: alerts of a container that lived for a
        millisecond wait for it.
        """
        if not self._asked.get(container, True):
            del self._asked[container]

    def _miss(self, container: bytes, reason: str) -> None:
        self.misses[reason] = self.misses.get(reason, 0) + 1
        self._remember(container, is_pending=False)

    def _remember(self, container: bytes, *, is_pending: bool) -> None:
        self.pending += is_pending - self._asked.get(container, False)
        self._asked[container] = is_pending
        if len(self._asked) > _MAX_ASKED:
            self.pending -= self._asked.popitem(last=False)[1]

    # The event loop's side

    def connect(self, wake: Wake, take: Callable[[bytes], None]) -> None:
        """Hand every wanted id to `take` in the loop's thread from now on.

        wake: the loop's `call_soon_threadsafe`.
        """
        self._take = take
        self._wake = wake
        self._is_woken = True
        wake(self._hand_over)

    def told(self, container: Container) -> None:
        """Pass facts of a container to the hot thread."""
        self._arrive(container)

    def gone(self, container: bytes) -> None:
        """Pass on that a container does not exist any more; its first 12 characters."""
        self._arrive(Gone(container))

    def missed(self, container: bytes, reason: str) -> None:
        """Pass on that nobody could tell of a container that was asked for."""
        self._arrive(Missed(container, reason))

    def connected(self, *, is_any: bool) -> None:
        """Say whether there is any runtime to ask."""
        self.has_runtime = is_any

    def _arrive(self, arrival: Arrival) -> None:
        if len(self.arrived) >= MAX_ARRIVED:
            self.lost += 1
            return
        self.arrived.append(arrival)

    def _hand_over(self) -> None:
        self._is_woken = False
        while self._wanted and self._take is not None:
            self._take(self._wanted.popleft())
