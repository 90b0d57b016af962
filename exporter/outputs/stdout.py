"""Standard output: one alert a line, as text or JSON.

Takes batches of alerts, writes each batch with as few system calls as it takes, in a thread of its
own: a reader that stands still blocks that thread, never the loop. What is written is flushed,
because nothing is buffered here.
"""

import os
from collections.abc import Sequence

from exporter.alerts.alert import Alert
from exporter.errors import OutputError
from exporter.outputs.lines import LineOptions, payload
from exporter.outputs.worker_thread import WorkerThread

STDOUT_FD = 1


class StdoutOutput:
    """Writes to a file descriptor, standard output unless told otherwise."""

    name = "stdout"
    max_batch = 256

    def __init__(self, options: LineOptions, fd: int = STDOUT_FD) -> None:
        self._options = options
        self._fd = fd
        self._thread = WorkerThread("output-stdout")

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Write the alerts. Raises OutputError when the reader is gone or the disk is full."""
        await self._thread.call(lambda: self._write(payload(alerts, self._options)))

    async def close(self) -> None:
        """Let the thread end; the descriptor stays open, it is not ours."""
        self._thread.stop()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise OutputError(
                f"standard output cannot be written: {error.strerror}", code="O001"
            ) from error
