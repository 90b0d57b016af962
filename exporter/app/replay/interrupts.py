"""Ctrl-C during a replay: between two batches of events, so that no line is cut or written twice.

A wait (for a pipe that gives nothing, for an event that is not due) ends at once.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Takes SIGINT over while it is entered; a second one raises KeyboardInterrupt anywhere."""

    def __init__(self) -> None:
        self.is_set = False
        """Whether the signal came."""
        self._is_waiting = False
        self._before = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        is_first, self.is_set = not self.is_set, True
        if self._is_waiting or not is_first:
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """In here the signal raises KeyboardInterrupt."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or the signal raises KeyboardInterrupt."""
        with self.waiting():
            time.sleep(seconds)
