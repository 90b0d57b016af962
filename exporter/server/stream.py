"""The alert stream: one log of the newest alerts, and a cursor in it for every subscriber.

Takes batches of alerts in the event loop's thread, gives encoded protobuf messages. Publishing
costs the same however many follow; an alert is encoded once, when the first wants it. A slow
subscriber whose cursor falls out of the log loses the oldest, counted; the others lose nothing.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence

from msgspec import Struct

from exporter.alerts.alert import Alert
from exporter.alerts.labels import Subject
from exporter.server.messages import encode_alert

AlertTest = Callable[[Subject], bool]


class StreamOptions(Struct, frozen=True, kw_only=True):
    """history: alerts kept for `get` and for those who resume.

    subscriber_queue: alerts a subscriber may be behind. max_subscribers: followers at a time.
    """

    history: int = 1024
    subscriber_queue: int = 8192
    max_subscribers: int = 1024


class Position(Struct, frozen=True):
    """Where a client was: the sequence number it saw last, and in which stream (`epoch`)."""

    after: int
    epoch: str = ""


class _Entry(Struct):
    """alert: until it is encoded, then None: a message is a third of its size."""

    subject: Subject
    alert: Alert | None
    message: bytes = b""


class Subscriber:
    """One follower; iterate `messages()` to receive. Made by `AlertStream.subscribe`."""

    def __init__(self, stream: "AlertStream", start: int, test: AlertTest | None) -> None:
        self.start = start
        self.at = start
        """Sequence number of the next alert to look at."""
        self._stream = stream
        self._test = test

    async def messages(self) -> AsyncIterator[bytes]:
        """The messages as they come, until the stream is closed."""
        stream, test = self._stream, self._test
        while True:
            while self.at < stream.next_sequence:
                stream.catch_up(self)
                entry, sequence = stream.entry(self.at), self.at
                self.at += 1
                if test is None or test(entry.subject):
                    yield stream.message(entry, sequence)
            if stream.is_closed:
                return
            await stream.news.wait()


class AlertStream:
    """Fan-out to subscribers, and the recent history that `get` drains. Loop's thread only.

    Sequence numbers count what was published, from 1. epoch: random name of this stream; numbers
    of different streams have nothing to do with each other.
    """

    def __init__(self, options: StreamOptions) -> None:
        self.options = options
        self.epoch = secrets.token_hex(8)
        self.next_sequence = 1
        self.is_closed = False
        self.news = asyncio.Event()
        self.lost_history = 0
        """Alerts that those who resumed asked for and that were kept no more."""
        self.sent = {"sub": 0, "get": 0}
        self.rejected = {"subscribers": 0, "metadata": 0}
        """Calls refused, by reason."""
        self._first = 1
        self._drained = 1
        self._subscribers: set[Subscriber] = set()
        self._dropped = 0
        self._accepted = 0
        # A ring: place of an alert is its number modulo the size.
        self._entries: list[_Entry | None] = [None] * max(
            1, options.history, options.subscriber_queue
        )

    @property
    def subscriber_count(self) -> int:
        """Followers now."""
        return len(self._subscribers)

    @property
    def history_depth(self) -> int:
        """Alerts that the next get would return."""
        return self.next_sequence - max(self._drained, self._history_start)

    @property
    def dropped(self) -> int:
        """Alerts that slow subscribers lost, those they do not know of yet included."""
        return self._dropped + sum(self._overrun(s) for s in list(self._subscribers))

    @property
    def accepted(self) -> int:
        """Alerts times subscribers."""
        followed = sum(self.next_sequence - s.start for s in list(self._subscribers))
        return self._accepted + followed

    @property
    def waiting(self) -> int:
        """Alerts that subscribers have not taken yet."""
        limit = self.options.subscriber_queue
        return sum(min(self.next_sequence - s.at, limit) for s in list(self._subscribers))

    def publish(self, alerts: Sequence[Alert]) -> None:
        """Give the alerts to every subscriber and keep them for `get`."""
        entries, size = self._entries, len(self._entries)
        for alert in alerts:
            entries[self.next_sequence % size] = _Entry(subject_of(alert), alert)
            self.next_sequence += 1
        self._forget()
        if alerts:
            self._wake()

    def subscribe(
        self, position: Position | None = None, test: AlertTest | None = None
    ) -> Subscriber:
        """A new follower: of every alert from now on, or from a position on.

        test: which alerts it wants. What is not kept any more is counted in `lost_history`.
        """
        start = self.next_sequence if position is None else self._resume(position)
        subscriber = Subscriber(self, start, test)
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a follower."""
        if subscriber in self._subscribers:
            self._subscribers.discard(subscriber)
            self._dropped += self._overrun(subscriber)
            self._accepted += self.next_sequence - subscriber.start
            self._forget()

    def drain_history(self) -> list[bytes]:
        """The kept alerts since the last call, oldest first."""
        start = max(self._drained, self._history_start)
        self._drained = self.next_sequence
        return self._messages(start, None)

    def read_history(
        self, position: Position | None = None, test: AlertTest | None = None
    ) -> list[bytes]:
        """The kept alerts, from a position on if there is one; the next call gives them again."""
        start = self._history_start if position is None else self._resume(position)
        return self._messages(start, test)

    def close(self) -> None:
        """Let every follower's stream end after what waits for it."""
        self.is_closed = True
        self._wake()

    def catch_up(self, subscriber: Subscriber) -> None:
        """Move a subscriber that was too slow to the oldest alert it may still have."""
        overrun = self._overrun(subscriber)
        self._dropped += overrun
        subscriber.at += overrun

    def entry(self, sequence: int) -> _Entry:
        """The alert with this number, which must be kept still."""
        entry = self._entries[sequence % len(self._entries)]
        assert entry is not None
        return entry

    def message(self, entry: _Entry, sequence: int) -> bytes:
        """The encoded alert."""
        if entry.alert is not None:
            entry.message = encode_alert(entry.alert, sequence)
            entry.alert = None
        return entry.message

    @property
    def _history_start(self) -> int:
        return max(1, self._first, self.next_sequence - self.options.history)

    def _messages(self, start: int, test: AlertTest | None) -> list[bytes]:
        found = []
        for sequence in range(start, self.next_sequence):
            entry = self.entry(sequence)
            if test is None or test(entry.subject):
                found.append(self.message(entry, sequence))
        self.sent["get"] += len(found)
        return found

    def _resume(self, position: Position) -> int:
        is_same = position.epoch in ("", self.epoch) and position.after < self.next_sequence
        if not is_same:
            # Another process made the numbers: all that is kept is new to this client.
            return self._first
        wanted = position.after + 1
        start = max(wanted, self._first)
        self.lost_history += start - wanted
        return start

    def _overrun(self, subscriber: Subscriber) -> int:
        oldest = max(self._first, self.next_sequence - self.options.subscriber_queue)
        return max(0, oldest - subscriber.at)

    def _forget(self) -> None:
        """Let go of what nobody may ask for: with no subscriber, the history is enough."""
        keep = self.options.history
        if self._subscribers:
            keep = max(keep, self.options.subscriber_queue)
        size = len(self._entries)
        first = max(self._first, self.next_sequence - keep)
        for sequence in range(max(self._first, self.next_sequence - size), first):
            self._entries[sequence % size] = None
        self._first = first

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()


def subject_of(alert: Alert) -> Subject:
    """What filters look at."""
    return Subject(
        rule=alert.rule,
        priority=alert.priority,
        source=alert.source,
        tags=alert.tags,
        hostname=alert.hostname,
        k8s_ns_name=alert.k8s_ns_name,
        k8s_pod_name=alert.k8s_pod_name,
        container=alert.container,
    )
