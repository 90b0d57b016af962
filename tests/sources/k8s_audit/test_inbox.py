"""Laws of the inbox: order, bounds, waking, and that nothing taken is lost at the end."""

import json
import select
import threading
import time

import pytest

from exporter.events.host import Host
from exporter.sources.k8s_audit.events import AuditOptions
from exporter.sources.k8s_audit.inbox import AuditInbox


def document(*names: object) -> bytes:
    """A list of events with these ids."""
    items = [{"auditID": str(n), "stageTimestamp": "2024-05-01T12:00:00Z"} for n in names]
    return json.dumps({"kind": "EventList", "items": items}).encode()


def names(events) -> list[str]:
    """The ids of events."""
    return [json.loads(event.param(1))["auditID"] for event in events]


def soon() -> int:
    """A deadline that an idle machine never waits for."""
    return time.monotonic_ns() + 20_000_000_000


def poll_until(inbox: AuditInbox, count: int) -> list[str]:
    """Poll for so many events; a machine may be slow, so only the test's own limit ends it."""
    found: list[str] = []
    while len(found) < count:
        found += names(inbox.poll(soon()))
    return found


@pytest.fixture
def inbox():
    """An open inbox."""
    box = AuditInbox(Host())
    box.open()
    yield box
    box.close()


def test_events_come_in_the_order_of_the_documents(inbox):
    """Across documents and within them; numbered from 1."""
    for number in range(7):
        assert inbox.offer(document(f"{number}a", f"{number}b"))

    assert poll_until(inbox, 14) == [f"{n}{letter}" for n in range(7) for letter in "ab"]


def test_polling_waits_for_an_event_and_no_longer(inbox):
    """A thread that polls is woken by an offer; without one the deadline ends the wait."""
    assert inbox.poll(time.monotonic_ns() + 1_000_000) == []
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(poll_until(inbox, 1)))
    thread.start()
    inbox.offer(document("late"))
    thread.join()

    assert found == ["late"]


def test_the_descriptor_is_readable_while_events_wait_and_not_after(inbox):
    """What another source waits with; many wake-ups are one."""
    waiter = select.poll()
    waiter.register(inbox.wake_fd, select.POLLIN)
    for number in range(3):
        inbox.offer(document(number))
        assert waiter.poll(20_000)

    assert poll_until(inbox, 3) == ["0", "1", "2"]
    while inbox.waiting_bytes:  # the last wake-up may come after its event was taken
        time.sleep(0.001)
    assert inbox.take() == []
    assert waiter.poll(0) == []


def test_a_full_inbox_refuses_and_takes_again_later():
    """Bounded in bytes; a document is refused whole, and nothing that was taken is lost."""
    payload = 600
    one = document("x" * payload)
    inbox = AuditInbox(Host(), queue_bytes=len(one))
    assert not inbox.offer(one)  # not open yet
    inbox.open()
    taken = 0
    while inbox.offer(one):
        taken += 1
        assert taken < 10_000
    # Parsed events wait as well, up to the same number of bytes and one event more.
    assert 1 <= taken <= 2 + len(one) // payload + 1

    assert len(poll_until(inbox, taken)) == taken
    while not inbox.offer(one):
        time.sleep(0.001)
    assert len(poll_until(inbox, 1)) == 1
    inbox.close()


def test_a_document_larger_than_the_queue_has_its_turn():
    """The limit of the queue is no limit of a document."""
    inbox = AuditInbox(Host(), queue_bytes=10)
    inbox.open()

    assert inbox.offer(document("a"))
    assert poll_until(inbox, 1) == ["a"]
    inbox.close()


def test_draining_gives_everything_taken_and_takes_nothing_more():
    """Documents that wait are parsed first; after it the inbox has ended."""
    inbox = AuditInbox(Host(), queue_bytes=1)
    inbox.open()
    inbox.offer(document(*range(503)))
    found = names(inbox.drain())

    assert found == [str(n) for n in range(503)]
    assert inbox.is_ended
    assert not inbox.offer(document("late"))
    inbox.close()
    inbox.close()


def test_losses_are_counted_by_reason_and_told():
    """Each part that is no event, once."""
    told: list[str] = []
    inbox = AuditInbox(Host(), AuditOptions(max_event_bytes=80), on_problem=told.append)
    inbox.open()
    for data in (b"no", b"5", document("x" * 80), document("ok")):
        inbox.offer(data)

    assert poll_until(inbox, 1) == ["ok"]
    assert inbox.losses() == {
        ("pluginevent", "not_json"): 1,
        ("pluginevent", "not_audit"): 1,
        ("pluginevent", "too_large"): 1,
    }
    assert len(told) == 3
    inbox.close()


class Feeder:
    """Offers one document when it starts."""

    def __init__(self, inbox: AuditInbox) -> None:
        self.inbox = inbox
        self.too_long = 3
        self.stopped_while_open: bool | None = None

    def start(self) -> None:
        """Offer."""
        assert self.inbox.offer(document("fed"))

    def stop(self) -> None:
        """Note whether the inbox still took documents."""
        if self.stopped_while_open is None:
            self.stopped_while_open = self.inbox.is_open


def test_feeders_live_within_the_inbox():
    """Started once it is open, stopped before it closes; what they lose counts."""
    inbox = AuditInbox(Host())
    feeder = Feeder(inbox)
    inbox.feeders.append(feeder)
    inbox.open()

    assert poll_until(inbox, 1) == ["fed"]
    assert inbox.losses() == {("pluginevent", "too_large"): 3}
    inbox.close()
    assert feeder.stopped_while_open is True
