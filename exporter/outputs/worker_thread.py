"""A daemon thread that makes blocking calls for one output.

Takes functions from the event loop, gives their results back as futures. Unlike a pool of
concurrent.futures it never holds up the end of the process: a pipe whose reader stands still can
block a write for ever, and shutdown must stay bounded.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

_Call = tuple[Callable[[], None], asyncio.Future[None], asyncio.AbstractEventLoop]


class WorkerThread:
    """Runs calls one after the other, in the order in which they were made."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[[], None]) -> None:
        """Run the function in the thread; its exception is raised here."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._calls.put((function, future, loop))
        await future

    def stop(self) -> None:
        """Let the thread end after the calls made so far; does not wait."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, future, loop = call
            error: BaseException | None = None
            try:
                function()
            except BaseException as caught:  # noqa: BLE001  handed to the caller, whatever it is
                error = caught
            try:
                loop.call_soon_threadsafe(_resolve, future, error)
            except RuntimeError:
                # The loop closed while the call was blocked: nobody waits any more.
                return


def _resolve(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
