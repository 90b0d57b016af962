"""The queue and worker before an output: order, bounds, failures, shutdown; nothing uncounted."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from exporter.alerts.alert import Alert
from exporter.errors import OutputError
from exporter.outputs.delivery import Delivery
from tests.alerts.conftest import make_alert


class ScriptedOutput:
    """Receives until told to fail or to stand still."""

    name = "scripted"
    max_batch = 3

    def __init__(self, failures: Sequence[bool] = ()) -> None:
        self.received: list[int] = []
        self.is_closed = False
        self.gate = asyncio.Event()
        self.gate.set()
        self._failures = list(failures)

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Take the batch, when the gate is open."""
        await self.gate.wait()
        if self._failures and self._failures.pop(0):
            raise OutputError("receiver said no")
        self.received += [alert.seq for alert in alerts]

    async def close(self) -> None:
        """Note it."""
        self.is_closed = True


def alerts(count: int) -> list[Alert]:
    """Alerts numbered from 0."""
    return [make_alert(seq=number) for number in range(count)]


def test_alerts_arrive_in_order() -> None:
    """What is offered arrives once, in order, in batches."""

    async def main() -> tuple[ScriptedOutput, Delivery, list[float]]:
        output = ScriptedOutput()
        times: list[float] = []
        delivery = Delivery(output, 100, on_delivered=times.append)
        delivery.start()
        delivery.offer(alerts(11))
        await delivery.stop(5)
        return output, delivery, times

    output, delivery, times = asyncio.run(main())

    assert output.received == list(range(11))
    assert (delivery.delivered, delivery.failed, delivery.dropped) == (11, 0, 0)
    assert len(times) == 11
    assert output.is_closed


def test_a_full_queue_drops_the_newest() -> None:
    """An output that stands still fills its queue; what comes then is dropped and counted."""

    async def main() -> Delivery:
        output = ScriptedOutput()
        output.gate.clear()
        delivery = Delivery(output, 5, on_delivered=lambda _: None)
        delivery.start()
        delivery.offer(alerts(4))
        await asyncio.sleep(0)
        delivery.offer(alerts(4))
        assert (delivery.depth, delivery.accepted, delivery.dropped) == (5, 5, 3)
        output.gate.set()
        await delivery.stop(5)
        return delivery

    delivery = asyncio.run(main())

    assert (delivery.depth, delivery.delivered, delivery.dropped) == (0, 5, 3)


def test_a_stop_is_bounded() -> None:
    """An output that never answers cannot hold up the end; what it leaves is counted as dropped."""

    async def main() -> Delivery:
        output = ScriptedOutput()
        output.gate.clear()
        delivery = Delivery(output, 100)
        delivery.start()
        delivery.offer(alerts(7))
        await asyncio.sleep(0)
        await delivery.stop(0.05)
        return delivery

    delivery = asyncio.run(main())

    assert (delivery.depth, delivery.delivered, delivery.dropped) == (0, 0, 7)


@given(
    st.lists(st.integers(min_value=0, max_value=9), max_size=12),
    st.lists(st.booleans(), max_size=12),
)
def test_every_alert_is_accounted_for(bursts: list[int], failures: list[bool]) -> None:
    """delivered + failed + dropped == offered, whatever fails and whatever is full."""

    async def main() -> tuple[Delivery, ScriptedOutput, int]:
        output = ScriptedOutput(failures)
        errors: list[OutputError] = []
        delivery = Delivery(output, 8, on_failure=errors.append)
        delivery.start()
        for count in bursts:
            delivery.offer(alerts(count))
            await asyncio.sleep(0)
        await delivery.stop(5)
        return delivery, output, len(errors)

    delivery, output, errors = asyncio.run(main())

    assert delivery.delivered + delivery.failed + delivery.dropped == sum(bursts)
    assert delivery.delivered == len(output.received)
    assert (delivery.failed > 0) == (errors > 0)
