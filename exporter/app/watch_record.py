"""How long nobody watched before this start: the one loss that no counter of the kernel can tell.

A small file is touched every few seconds while events are read. The next start compares it with
the clock: what lies between the last sign of life and the new probe was not seen by anyone.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

BEAT_SECONDS = 5.0
"""How often the file is written; the end of a killed run is known so exactly."""

_LOOK_SECONDS = 0.05
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NS = 1e9


class _Sign(Struct, frozen=True):
    """A sign of life. boottime_ns: CLOCK_BOOTTIME, which goes on while the machine sleeps."""

    boot_id: str
    boottime_ns: int


def record_path(directory: Path | None, scope: str) -> Path | None:
    """Where signs of life are kept; those who watch the same share a file.

    directory: a place that only we can write to, None for nowhere. scope: what is watched.
    """
    if directory is None:
        return None
    return directory / f"watched-{hashlib.sha256(scope.encode()).hexdigest()[:16]}.json"


class WatchRecord:
    """The gap before this run, and the signs of life of this run.

    path: None keeps no record. is_watching: whether events are being received now. on_gap: told
    the gap in seconds once it is known, if there was a run before.
    """

    def __init__(
        self,
        path: Path | None,
        is_watching: Callable[[], bool],
        on_gap: Callable[[float], None] = lambda _seconds: None,
        boot_id: str | None = None,
    ) -> None:
        self.gap_seconds: float | None = None
        """Seconds without anyone watching before this run; None when no run before is known."""
        self._path = path
        self._is_watching = is_watching
        self._on_gap = on_gap
        self._boot_id = _BOOT_ID.read_text().strip() if boot_id is None else boot_id

    async def run(self) -> None:
        """Find the gap once the source is attached, then leave signs of life until cancelled."""
        while not self._is_watching():  # noqa: ASYNC110 - another thread opens the source
            await asyncio.sleep(_LOOK_SECONDS)
        self.begin(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        try:
            while self._is_watching():
                self.beat(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            self.beat(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def begin(self, now_ns: int) -> None:
        """Events are received from now on. now_ns: CLOCK_BOOTTIME."""
        last = self._read()
        if last is None:
            return
        # After a boot the machine was not watched since it came up.
        since_ns = last.boottime_ns if last.boot_id == self._boot_id else 0
        self.gap_seconds = max(0, now_ns - since_ns) / _NS
        self._on_gap(self.gap_seconds)

    def beat(self, now_ns: int) -> None:
        """Leave a sign of life. Failing to write is no error: the next gap is unknown then."""
        if self._path is None:
            return
        temporary = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            temporary.write_bytes(msgspec.json.encode(_Sign(self._boot_id, now_ns)))
            temporary.replace(self._path)

    def _read(self) -> _Sign | None:
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Sign)
        except (OSError, msgspec.DecodeError):
            return None
