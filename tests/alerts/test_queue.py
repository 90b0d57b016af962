"""The queue from the hot thread to the loop: bounded, in order, woken, and exact in its counts."""

import asyncio
import threading
from collections.abc import Sequence

from exporter.alerts.alert import Alert
from exporter.alerts.queue import AlertQueue
from tests.alerts.conftest import make_alert


def test_a_full_queue_refuses_the_newest() -> None:
    """Past its capacity the queue drops what comes last, and counts it."""
    queue = AlertQueue(2)
    kept = [queue.put(make_alert(seq=number)) for number in (1, 2, 3)]

    assert kept == [True, True, False]
    assert (queue.accepted, queue.dropped, len(queue)) == (2, 1, 2)


def test_what_was_put_before_the_loop_is_delivered() -> None:
    """Alerts that were there before the loop connected come first."""

    async def main() -> list[int]:
        queue = AlertQueue(10)
        queue.put(make_alert(seq=1))
        got: asyncio.Queue[list[int]] = asyncio.Queue()
        queue.connect(
            asyncio.get_running_loop(),
            lambda batch: got.put_nowait([a.seq for a in batch]),
        )
        queue.put(make_alert(seq=2))
        first = await got.get()
        return first if len(first) == 2 else first + await got.get()

    assert asyncio.run(main()) == [1, 2]


def test_nothing_is_lost_between_the_threads() -> None:
    """delivered + dropped == offered, in order, with a producer as fast as it can be."""
    offered = 20_011
    alerts = [make_alert(seq=number) for number in range(offered)]

    async def main() -> tuple[list[int], AlertQueue]:
        queue = AlertQueue(4096)
        got: list[int] = []

        def take(batch: Sequence[Alert]) -> None:
            got.extend(alert.seq for alert in batch)

        queue.connect(asyncio.get_running_loop(), take)
        producer = threading.Thread(target=lambda: [queue.put(alert) for alert in alerts])
        producer.start()
        await asyncio.to_thread(producer.join)
        queue.drain()
        return got, queue

    got, queue = asyncio.run(main())

    assert len(got) + queue.dropped == offered
    assert queue.accepted == len(got)
    assert got == sorted(got)


def test_drain_hands_over_the_rest_at_once() -> None:
    """At shutdown everything that waits is handed over without another turn of the loop."""

    async def main() -> list[int]:
        queue = AlertQueue(5000)
        got: list[int] = []
        queue.connect(asyncio.get_running_loop(), lambda batch: got.extend(a.seq for a in batch))
        for number in range(3001):
            queue.put(make_alert(seq=number))
        queue.drain()
        return got

    assert asyncio.run(main()) == list(range(3001))
