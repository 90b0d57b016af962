"""Kernel time to wall time: live events carry the monotonic clock, users read the epoch.

The difference between the two clocks changes when the wall clock is set or slewed, so it is
measured again from time to time.
"""

import time

RESYNC_NS = 1_000_000_000


class Clock:
    """Converts ns of CLOCK_MONOTONIC to ns since the epoch."""

    def __init__(self) -> None:
        self._offset_ns = 0
        self._next_ns = 0
        self.resync()

    def resync(self) -> None:
        """Measure the difference of the clocks, by the closest of three readings."""
        best = None
        for _ in range(3):
            before = time.monotonic_ns()
            epoch = time.time_ns()
            after = time.monotonic_ns()
            if best is None or after - before < best:
                best = after - before
                self._offset_ns = epoch - (before + after) // 2
        self._next_ns = time.monotonic_ns() + RESYNC_NS

    def offset_ns(self) -> int:
        """What to add to a kernel time stamp; measured anew once a second."""
        if time.monotonic_ns() >= self._next_ns:
            self.resync()
        return self._offset_ns
