"""A loop in a thread of its own, so that blocking clients can talk to servers under test."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and give its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a plain function in the loop's thread."""

        async def calling() -> T:
            return function(*args)

        return self.run(calling())

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until the condition, asked in the loop's thread, holds."""
        deadline = time.monotonic() + 60
        while not self.call(condition):
            assert time.monotonic() < deadline, "the condition did not come true in time"

    def close(self) -> None:
        """Stop the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(60)
        self.loop.close()


@pytest.fixture
def loop_thread():
    """A running loop."""
    thread = LoopThread()
    yield thread
    thread.close()
