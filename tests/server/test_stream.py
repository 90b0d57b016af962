"""The log of alerts and the cursors in it: nothing is lost uncounted, whoever is slow."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from exporter._proto import outputs_pb2
from exporter.alerts.labels import Subject
from exporter.server.stream import AlertStream, Position, StreamOptions, Subscriber
from tests.alerts.conftest import make_alert

HISTORY, QUEUE = 5, 7


def make_stream(**options: int) -> AlertStream:
    """A stream with a short memory."""
    return AlertStream(StreamOptions(**({"history": HISTORY, "subscriber_queue": QUEUE} | options)))


def publish(stream: AlertStream, count: int) -> None:
    """So many alerts, whose rule is their sequence number."""
    first = stream.next_sequence
    stream.publish([make_alert(rule=str(n)) for n in range(first, first + count)])


async def take(subscriber: Subscriber, stream: AlertStream) -> list[int]:
    """Everything that waits for a subscriber now; closes the stream to find the end."""
    stream.is_closed = True
    got = [outputs_pb2.response.FromString(m).sequence async for m in subscriber.messages()]
    stream.is_closed = False
    return got


def read(subscriber: Subscriber, stream: AlertStream) -> list[int]:
    """The same, from outside a loop."""
    return asyncio.run(take(subscriber, stream))


def numbers(messages: list[bytes]) -> list[int]:
    """Sequence numbers of messages."""
    return [outputs_pb2.response.FromString(message).sequence for message in messages]


def test_a_slow_subscriber_loses_its_oldest_and_is_counted_before_it_notices() -> None:
    """The count is right while the subscriber still stands; another one loses nothing."""
    stream = make_stream()
    slow, quick = stream.subscribe(), stream.subscribe()
    publish(stream, QUEUE)
    got_quick = read(quick, stream)
    publish(stream, QUEUE)
    got_quick += read(quick, stream)
    counted = stream.dropped

    assert counted == QUEUE
    assert read(slow, stream) == list(range(QUEUE + 1, 2 * QUEUE + 1))
    assert got_quick == list(range(1, 2 * QUEUE + 1))
    assert stream.dropped == QUEUE


@given(st.lists(st.tuples(st.sampled_from("pab-"), st.integers(0, 20)), max_size=30))
def test_every_alert_is_taken_dropped_or_waiting(steps: list[tuple[str, int]]) -> None:
    """accepted == taken + dropped + waiting at every moment, also after someone has left."""
    stream = make_stream()
    subscribers = {"a": stream.subscribe(), "b": stream.subscribe()}
    taken = 0
    gone_waiting = 0
    for step, count in steps:
        if step == "p":
            publish(stream, count)
        elif step in subscribers:
            taken += len(read(subscribers[step], stream))
        elif step == "-" and "b" in subscribers:
            leaving = subscribers.pop("b")
            gone_waiting = stream.waiting
            stream.unsubscribe(leaving)
            gone_waiting -= stream.waiting

        assert stream.accepted == taken + stream.dropped + stream.waiting + gone_waiting


def test_nobody_following_only_the_history_is_kept() -> None:
    """Memory for slow subscribers is held only while there are subscribers."""
    stream = make_stream()
    subscriber = stream.subscribe()
    publish(stream, 20)
    with_one = sum(entry is not None for entry in stream._entries)
    stream.unsubscribe(subscriber)
    without = sum(entry is not None for entry in stream._entries)

    assert (with_one, without) == (QUEUE, HISTORY)


def test_get_drains_what_is_new_and_reading_does_not() -> None:
    """drain gives each alert once; read gives the history as often as asked."""
    stream = make_stream()
    publish(stream, 8)

    assert numbers(stream.read_history()) == [4, 5, 6, 7, 8]
    assert stream.history_depth == HISTORY
    assert numbers(stream.drain_history()) == [4, 5, 6, 7, 8]
    assert numbers(stream.drain_history()) == []
    assert numbers(stream.read_history(Position(6))) == [7, 8]


def test_a_client_that_comes_back_misses_nothing_that_is_kept() -> None:
    """From its number on; what is kept no more is counted."""
    stream = make_stream()
    publish(stream, 8)
    back = stream.subscribe(Position(6, stream.epoch))
    late = stream.subscribe(Position(1))
    publish(stream, 1)

    assert read(back, stream) == [7, 8, 9]
    assert read(late, stream) == [4, 5, 6, 7, 8, 9]
    assert stream.lost_history == 2


def test_numbers_of_another_process_mean_nothing() -> None:
    """With a foreign epoch, or a number from the future, all that is kept is sent."""
    stream = make_stream()
    publish(stream, 3)

    assert read(stream.subscribe(Position(2, "elsewhere")), stream) == [1, 2, 3]
    assert read(stream.subscribe(Position(99)), stream) == [1, 2, 3]
    assert stream.lost_history == 0


def test_a_subscriber_may_want_some_alerts_only() -> None:
    """The others pass it by, and are no loss."""
    stream = make_stream()

    def is_even(subject: Subject) -> bool:
        return int(subject.rule) % 2 == 0

    subscriber = stream.subscribe(test=is_even)
    publish(stream, 6)

    assert read(subscriber, stream) == [2, 4, 6]
    assert stream.dropped == 0


def test_a_batch_larger_than_the_log_is_no_trouble() -> None:
    """The newest stay."""
    stream = make_stream(history=0, subscriber_queue=3)
    subscriber = stream.subscribe()
    publish(stream, 100)

    assert read(subscriber, stream) == [98, 99, 100]
    assert stream.dropped == 97
    assert stream.drain_history() == []
