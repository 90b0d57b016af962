"""Laws of two sources as one: neither waits for the other, and both are drained."""

import json
import os
import select
import threading
import time

import pytest

from exporter.events.host import Host
from exporter.sources.k8s_audit.inbox import AuditInbox
from exporter.sources.merged import MergedSource
from tests.factories import make_event


class Pipe:
    """A main source that waits on a descriptor, as the probe does: a byte is an event."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)
        self.waiter = select.poll()
        self.waiter.register(self.reading, select.POLLIN)
        self.is_ended = False
        self.closed = 0

    def push(self) -> None:
        """One event."""
        os.write(self.writing, b"x")

    def poll(self, deadline_ns: int):
        """Events, or nothing when the deadline came or the other descriptor woke us."""
        self.waiter.poll(max(0, (deadline_ns - time.monotonic_ns()) // 1_000_000))
        try:
            return [make_event("openat") for _ in os.read(self.reading, 100)]
        except BlockingIOError:
            return []

    def wake_with(self, fd: int) -> None:
        """Wait for that one too."""
        self.waiter.register(fd, select.POLLIN)

    def drain(self):
        """What is left."""
        self.is_ended = True
        return self.poll(0)

    def close(self) -> None:
        """Release."""
        self.closed += 1


@pytest.fixture
def parts():
    """Main source, inbox, and the two merged."""
    main, inbox = Pipe(), AuditInbox(Host())
    merged = MergedSource(main, inbox)
    inbox.open()
    merged.connect()
    yield main, inbox, merged
    merged.close()
    os.close(main.reading)
    os.close(main.writing)


DOCUMENT = json.dumps({"kind": "Event", "stageTimestamp": "2024-05-01T12:00:00Z"}).encode()


def soon() -> int:
    """A deadline that a test never waits for."""
    return time.monotonic_ns() + 20_000_000_000


def sources(events) -> list[str]:
    """Where events came from."""
    return [event.source for event in events]


def test_either_ends_the_wait(parts):
    """A poll that waits returns with the first event of any source."""
    main, inbox, merged = parts
    for send, source in ((main.push, "syscall"), (lambda: inbox.offer(DOCUMENT), "k8s_audit")):
        found: list[str] = []

        def wait(found=found) -> None:
            while not found:
                found += sources(merged.poll(soon()))

        thread = threading.Thread(target=wait)
        thread.start()
        send()
        thread.join(20)
        assert found == [source]


def test_a_busy_source_does_not_starve_the_other(parts):
    """With the main source always full, events of the inbox come at the next poll."""
    main, inbox, merged = parts
    inbox.offer(DOCUMENT)
    found: set[str] = set()
    polls = 0
    while found != {"syscall", "k8s_audit"}:
        main.push()
        found |= set(sources(merged.poll(soon())))
        polls += 1
        assert polls < 100_000


def test_draining_takes_what_both_have(parts):
    """And ends both."""
    main, inbox, merged = parts
    main.push()
    inbox.offer(DOCUMENT)

    assert sorted(sources(merged.drain())) == ["k8s_audit", "syscall"]
    assert merged.is_ended
    assert inbox.is_ended
