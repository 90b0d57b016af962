"""Delivery: the queue and the worker that stand before one output.

Takes alerts from the event loop, gives them to the output in order and in batches. A slow or broken
output fills its own queue only. Law: delivered + failed + dropped + waiting == offered.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from exporter.alerts.alert import Alert
from exporter.errors import OutputError
from exporter.outputs.output import Output

_NS_A_SECOND = 1e9


class Delivery:
    """One output's queue and worker. Loop's thread only.

    on_delivered: called with the seconds each delivered alert took since it was made. on_failure:
    called with the error of each failed batch.
    """

    def __init__(
        self,
        output: Output,
        capacity: int,
        *,
        on_delivered: Callable[[float], None] = lambda _seconds: None,
        on_failure: Callable[[OutputError], None] = lambda _error: None,
    ) -> None:
        self.output = output
        self.capacity = capacity
        self.accepted = 0
        self.dropped = 0
        self.delivered = 0
        self.failed = 0
        self._on_delivered = on_delivered
        self._on_failure = on_failure
        self._waiting: deque[Alert] = deque()
        self._sending = 0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._worker: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """Alerts neither delivered, failed nor dropped yet."""
        return len(self._waiting) + self._sending

    def start(self) -> None:
        """Begin to deliver."""
        self._worker = asyncio.create_task(self._work(), name=f"output {self.output.name}")

    def offer(self, alerts: Sequence[Alert]) -> None:
        """Queue the alerts; those that find the queue full are dropped and counted."""
        room = max(0, self.capacity - self.depth)
        taken = alerts[:room]
        self._waiting.extend(taken)
        self.accepted += len(taken)
        self.dropped += len(alerts) - len(taken)
        self._wake.set()

    async def stop(self, timeout_seconds: float) -> None:
        """Deliver what waits, at most so long, then close; the rest is counted as dropped."""
        self._is_closing = True
        self._wake.set()
        if self._worker is not None:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._worker
            except TimeoutError:
                self.dropped += len(self._waiting)
                self._waiting.clear()
        await self.output.close()

    async def _work(self) -> None:
        while True:
            if not self._waiting:
                if self._is_closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            size = min(len(self._waiting), self.output.max_batch)
            batch = [self._waiting.popleft() for _ in range(size)]
            self._sending = size
            try:
                await self.output.send(batch)
            except OutputError as error:
                self.failed += size
                self._on_failure(error)
            except asyncio.CancelledError:
                self.dropped += size
                raise
            else:
                self.delivered += size
                now_ns = time.time_ns()
                for alert in batch:
                    self._on_delivered((now_ns - alert.made_ns) / _NS_A_SECOND)
            finally:
                self._sending = 0
