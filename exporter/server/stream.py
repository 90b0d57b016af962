"""The alert stream: every subscriber gets every alert, each through its own bounded queue.

Takes batches of alerts in the event loop's thread, gives encoded protobuf messages. An alert is
encoded once, however many follow. A slow subscriber loses only its own, counted.
Source of the encoding: spec/peers.md 1e.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import Struct

from exporter._proto import outputs_pb2, schema_pb2
from exporter.alerts.alert import Alert, FieldValue
from exporter.alerts.forms import clean_text

_SOURCES = {"syscall": 0, "k8s_audit": 1, "internal": 2}
_PLUGIN_SOURCE = 3
_NS_A_SECOND = 1_000_000_000


class StreamOptions(Struct, frozen=True, kw_only=True):
    """history: alerts kept for `get`. subscriber_queue: alerts waiting for one slow subscriber."""

    history: int = 1024
    subscriber_queue: int = 8192


class Subscriber:
    """One follower; iterate `messages()` to receive."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._is_closed = False

    def offer(self, messages: Sequence[bytes]) -> int:
        """Queue the messages for this follower; how many did not fit."""
        room = self._capacity - len(self._waiting)
        self._waiting.extend(messages[:room] if room > 0 else ())
        self._wake.set()
        return max(0, len(messages) - max(room, 0))

    def close(self) -> None:
        """End `messages()` once what waits is sent."""
        self._is_closed = True
        self._wake.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """The messages as they come, until the stream is closed."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._is_closed:
                return
            self._wake.clear()
            await self._wake.wait()


class AlertStream:
    """Fan-out to subscribers, and the recent history that `get` drains. Loop's thread only."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._subscribers: set[Subscriber] = set()
        self._history: deque[Alert] = deque(maxlen=options.history)
        self._is_closed = False
        self.dropped = 0
        self.sent = {"sub": 0, "get": 0}

    @property
    def subscriber_count(self) -> int:
        """Followers now."""
        return len(self._subscribers)

    @property
    def history_depth(self) -> int:
        """Alerts that the next get would return."""
        return len(self._history)

    def publish(self, alerts: Sequence[Alert]) -> None:
        """Give the alerts to every subscriber and keep them for `get`."""
        self._history.extend(alerts)
        if self._subscribers:
            messages = [encode_alert(alert) for alert in alerts]
            for subscriber in self._subscribers:
                self.dropped += subscriber.offer(messages)

    def subscribe(self) -> Subscriber:
        """A new follower, who gets every alert published from now on."""
        subscriber = Subscriber(self._options.subscriber_queue)
        if self._is_closed:
            subscriber.close()
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a follower and what waits for it."""
        self._subscribers.discard(subscriber)

    def drain_history(self) -> list[bytes]:
        """The kept alerts, oldest first; they are kept no longer."""
        messages = [encode_alert(alert) for alert in self._history]
        self._history.clear()
        self.sent["get"] += len(messages)
        return messages

    def close(self) -> None:
        """Let every follower's stream end after what waits for it."""
        self._is_closed = True
        for subscriber in self._subscribers:
            subscriber.close()


def encode_alert(alert: Alert) -> bytes:
    """The alert as a falco.outputs.response message."""
    seconds, nanos = divmod(alert.time_ns, _NS_A_SECOND)
    # The map holds strings: JSON of everything that is none, "null" for a missing value.
    fields = {clean_text(key): _field_text(value) for key, value in alert.output_fields.items()}
    return outputs_pb2.response(
        time=Timestamp(seconds=seconds, nanos=nanos),
        priority=schema_pb2.priority.Name(alert.priority),
        source_deprecated=schema_pb2.source.Name(_SOURCES.get(alert.source, _PLUGIN_SOURCE)),
        rule=clean_text(alert.rule),
        output=clean_text(alert.output),
        output_fields=fields,
        hostname=clean_text(alert.hostname),
        tags=[clean_text(tag) for tag in alert.tags],
        source=clean_text(alert.source),
    ).SerializeToString()


def _field_text(value: FieldValue) -> str:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list | tuple):
        value = [clean_text(item) if isinstance(item, str) else item for item in value]
    return msgspec.json.encode(value).decode()
