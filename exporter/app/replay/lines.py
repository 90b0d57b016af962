"""Lines of a replay on their way to standard output: kept for a batch of events, then written.

Whole lines, in order, one system call a batch. Alerts are never dropped: who reads slowly slows the
replay down.
"""

from collections.abc import Callable
from typing import BinaryIO

from exporter.alerts.alert import Alert
from exporter.errors import OutputError
from exporter.outputs.lines import LineOptions, payload

_FULL = 512
"""Lines that are written although their batch of events is not through: bounds the memory."""


class LineWriter:
    """Takes alerts and finished lines; `flush` writes what came since.

    has_alerts: False drops the alerts' lines. before_write: called ahead of each write.
    """

    def __init__(
        self,
        out: BinaryIO,
        options: LineOptions,
        *,
        has_alerts: bool = True,
        before_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._out = out
        self._options = options
        self._has_alerts = has_alerts
        self._before_write = before_write
        self._parts: list[bytes] = []
        self.line = self._parts.append
        """Takes one finished line with its newline; never writes."""

    def put(self, alert: Alert) -> bool:
        """Take one alert. Raises what `flush` raises."""
        if self._has_alerts:
            self._parts.append(payload((alert,), self._options))
            self.flush_full()
        return True

    def flush_full(self) -> None:
        """Write when enough has come to be worth it. Raises what `flush` raises."""
        if len(self._parts) >= _FULL:
            self.flush()

    def flush(self) -> None:
        """Write everything. Raises BrokenPipeError when the reader is gone, OutputError."""
        if not self._parts:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        self._before_write()
        try:
            self._out.write(data)
            self._out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"standard output cannot be written: {error.strerror}", code="O001"
            ) from error
