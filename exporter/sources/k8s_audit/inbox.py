"""AuditInbox: live audit documents on their way to the hot thread.

Takes documents from the event loop (web hook) and from followers of files, parses them in a thread
of its own, gives events to the hot thread. Bounded in bytes on both sides of the parser; a full
inbox refuses the document, so that the sender keeps it and sends it again. The hot thread takes no
lock: it pops from a deque and learns of new events by a descriptor that becomes readable.
"""

import contextlib
import os
import queue
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.sources.k8s_audit.events import EVENT_NAME, AuditEvents, AuditOptions

DEFAULT_QUEUE_BYTES = 32 << 20
_BATCH_EVENTS = 1024
_FULL_WAIT_SECONDS = 0.002
_NS_PER_MS = 1_000_000


class Feeder(Protocol):
    """Something that offers documents from a thread of its own, such as a follower of a file.

    too_long: documents lost because they were too large to be offered.
    """

    too_long: int

    def start(self) -> None:
        """Begin to offer."""

    def stop(self) -> None:
        """End before this returns; may be called twice."""


class AuditInbox:
    """A `Source` of live audit events that other threads fill; alone or beside another source.

    queue_bytes: documents waiting for the parser at most, and as much again in parsed events.
    on_problem: told about each part of a document that is lost, in the parser's thread.
    """

    def __init__(
        self,
        host: Host,
        options: AuditOptions | None = None,
        *,
        queue_bytes: int = DEFAULT_QUEUE_BYTES,
        on_problem: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self.feeders: list[Feeder] = []
        """Started when the inbox opens, stopped before it closes."""
        self._parser = AuditEvents(host, options, on_problem)
        self._queue_bytes = queue_bytes
        self._documents: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._events: deque[Event] = deque()
        self._offer_lock = threading.Lock()
        # Each of these has one writing thread; the differences are what waits.
        self._offered_bytes = 0
        self._parsed_bytes = 0
        self._put_bytes = 0
        self._taken_bytes = 0
        self._is_open = False
        self._is_ended = True
        self._is_draining = False
        self._is_woken = False
        self._wake = -1
        self._waiter = select.poll()
        self._thread = threading.Thread(target=self._parse, name="k8s-audit", daemon=True)

    @property
    def wake_fd(self) -> int:
        """Descriptor that is readable while events may wait; known once the inbox is open."""
        return self._wake

    @property
    def is_ended(self) -> bool:
        """Whether it is closed, or not open yet."""
        return self._is_ended

    @property
    def waiting_bytes(self) -> int:
        """Bytes of documents that wait for the parser."""
        return self._offered_bytes - self._parsed_bytes

    def open(self) -> None:
        """Begin to take documents."""
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._waiter.register(self._wake, select.POLLIN)
        self._is_ended = False
        self._is_open = True
        self._thread.start()
        for feeder in self.feeders:
            feeder.start()

    def offer(self, document: bytes) -> bool:
        """Hand a document over, from any thread; False when the inbox is full or closed."""
        with self._offer_lock:
            waiting = self._offered_bytes - self._parsed_bytes
            # A document larger than the whole queue still has its turn when nothing else waits.
            if not self._is_open or (waiting and waiting + len(document) > self._queue_bytes):
                return False
            self._offered_bytes += len(document)
            self._documents.put(document)
        return True

    @property
    def is_open(self) -> bool:
        """Whether documents are taken at all."""
        return self._is_open

    def take(self) -> list[Event]:
        """Events that wait, some of them when they are many; for the hot thread."""
        if self._is_woken:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            # Cleared before the deque is looked at: what is appended later wakes again.
            self._is_woken = False
        events = self._events
        if not events:
            return []
        batch = [events.popleft() for _ in range(min(len(events), _BATCH_EVENTS))]
        self._taken_bytes += sum(len(event.raw[1]) for event in batch)
        return batch

    def poll(self, deadline_ns: int) -> list[Event]:
        """Events that wait, or the first to come before time.monotonic_ns() == deadline_ns."""
        while True:
            events = self.take()
            wait_ms = (deadline_ns - time.monotonic_ns()) // _NS_PER_MS
            if events or wait_ms <= 0:
                return events
            # May return for a wake-up whose events were taken already: hence the loop.
            self._waiter.poll(wait_ms)

    def drain(self) -> list[Event]:
        """Take no more documents; the events of those that were taken."""
        self._stop()
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """Release everything; may be called twice."""
        self._stop()
        if self._wake >= 0:
            self._waiter.unregister(self._wake)
            os.close(self._wake)
            self._wake = -1

    def _stop(self) -> None:
        for feeder in self.feeders:
            feeder.stop()
        with self._offer_lock:
            self._is_open = False
        self._is_draining = True
        self._documents.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._is_ended = True

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Parts of documents lost so far, by (event name, reason); see `AuditEvents`."""
        losses = self._parser.losses.copy()
        for feeder in self.feeders:
            losses["too_large"] += feeder.too_long
        return {(EVENT_NAME, reason): n for reason, n in losses.items() if n}

    def _parse(self) -> None:
        """The parser's thread: until the end is asked for, after everything before it."""
        while (document := self._documents.get()) is not None:
            try:
                for event in self._parser.of(document):
                    self._put(event)
            except Exception as error:  # noqa: BLE001  one odd document must not end the parser
                self._parser.lose("parser", f"{type(error).__name__}: {error}")
            self._parsed_bytes += len(document)

    def _put(self, event: Event) -> None:
        # The reader is behind: let the documents wait, and their senders when they are too many.
        # Asleep rather than on a lock, which the hot thread would have to take.
        while not self._is_draining and self._put_bytes - self._taken_bytes > self._queue_bytes:
            time.sleep(_FULL_WAIT_SECONDS)
        self._put_bytes += len(event.raw[1])
        self._events.append(event)
        self._announce()

    def _announce(self) -> None:
        if not self._is_woken:
            os.eventfd_write(self._wake, 1)
            # Set after the write: the reader clears it only after it has read.
            self._is_woken = True
