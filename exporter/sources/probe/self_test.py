"""Self-test of the probe: calls of our own that must come back through the ring.

The kernel may hold an attachment and run nothing, and the ring's positions lie in memory that
others can write to. So now and then Lanner makes a system call that exists nowhere, and lets a
thread of its own end; the probe answers each with a record of eight bytes, which the reader hands
over here. What stays silent is attached anew, once; Lanner ends when that does not help.
"""

import ctypes
import struct
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from exporter.errors import ProbeError

BEAT_CALL = 511
"""Number of a system call that no kernel has; the last that the probe's map has room for."""

HOOKS = ("hook_sys_exit", "hook_exit")
"""Programs that answer, by their number in bpf/beat.h."""

_BEAT = struct.Struct("<II")
_MAGIC = 0x74616562

_ANSWER_NS = 1_000_000_000
"""From then on an answer is missing once the reader is past the place where it would be."""

_STUCK_NS = 10_000_000_000
"""A reader that got nothing in so long, though there is something, reads at the wrong place."""


_UNKNOWN = -1


class Tested(Protocol):
    """The probe, as far as it is tested."""

    @property
    def attached(self) -> frozenset[str]:
        """The hooks that are attached."""

    def missing(self) -> list[str]:
        """Attached hooks that the kernel does not hold any more."""

    def reattach(self, program: str) -> None:
        """Attach a hook anew. Raises ProbeError."""

    def positions(self) -> tuple[int, int]:
        """Bytes of the ring that were taken and given so far."""

    def skip(self) -> None:
        """Go on reading with the next record that is written."""

    def pressed(self) -> int:
        """How often the ring had no room for something."""


class SelfTest:
    """Tests one probe every interval_ns; 0: never. Used by the thread that reads the ring.

    delivered: how many events were read so far. results: (part, result) -> how often; part is a
    hook or `ring`, result is passed, repaired, or unclear (the ring was full).
    """

    def __init__(self, probe: Tested, interval_ns: int, delivered: Callable[[], int]) -> None:
        self.results: Counter[tuple[str, str]] = Counter()
        self._probe = probe
        self._interval_ns = interval_ns
        self._delivered = delivered
        self._next_ns = 0
        self._asked_ns = 0
        """When the test that runs was begun; 0 while none does."""
        self._is_over: Callable[[], bool] = bool
        self._end = _UNKNOWN
        """Where the answers are at the latest: what was given when all was done."""
        self._seen = (0, 0)
        self._silent: set[str] = set()
        self._is_second = False

    def hears(self, record: bytes) -> bool:
        """Whether a record is an answer; then it is noted."""
        if len(record) != _BEAT.size:
            return False
        magic, hook = _BEAT.unpack(record)
        if magic != _MAGIC or hook >= len(HOOKS):
            return False
        self._silent.discard(HOOKS[hook])
        return True

    def tick(self, now_ns: int) -> list[str]:
        """Begin a test or look at its answers, if it is time; the parts that were repaired.

        Called often. Raises ProbeError when a repair failed or did not help.
        """
        if self._asked_ns:
            return self._judge(now_ns)
        if not self._next_ns:
            self._next_ns = now_ns + self._interval_ns
        if not self._interval_ns or now_ns < self._next_ns:
            return []
        missing = self._probe.missing()
        for hook in missing:
            self._reattach(hook)
        self._ask(now_ns)
        return missing

    def _ask(self, now_ns: int) -> None:
        probe = self._probe
        self._silent = set(HOOKS) & probe.attached
        self._seen = (probe.pressed(), self._delivered())
        self._asked_ns = now_ns
        self._is_over = make_beats()
        self._end = _UNKNOWN
        self._note_end()

    def _note_end(self) -> None:
        if self._is_over():
            self._end = self._probe.positions()[1]

    def _judge(self, now_ns: int) -> list[str]:
        taken, given = self._probe.positions()
        pressed, delivered = self._seen
        if taken > given:
            return self._repair(["ring"], now_ns)
        if not self._silent:
            self._finish("passed", now_ns)
        elif now_ns - self._asked_ns < _ANSWER_NS:
            pass
        elif self._end == _UNKNOWN:
            self._note_end()
        elif taken < self._end:
            if self._delivered() == delivered and now_ns - self._asked_ns >= _STUCK_NS:
                return self._repair(["ring"], now_ns)
        elif self._probe.pressed() != pressed:
            self._finish("unclear", now_ns)
        else:
            return self._repair(sorted(self._silent), now_ns)
        return []

    def _finish(self, result: str, now_ns: int) -> None:
        self._asked_ns = 0
        self._is_second = False
        self._next_ns = now_ns + self._interval_ns
        for hook in set(HOOKS) & self._probe.attached:
            self.results[hook, result] += 1

    def _repair(self, parts: list[str], now_ns: int) -> list[str]:
        """Mend, and test again at once."""
        if self._is_second:
            raise ProbeError(
                f"the kernel does not run {' and '.join(parts)} of the probe, though it is attached"
                if "ring" not in parts
                else "the ring of the probe cannot be read any more",
                code="E_SILENT",
                hint="attaching anew did not help; start Lanner again",
            )
        self._is_second = True
        for part in parts:
            if part == "ring":
                self._probe.skip()
                self.results[part, "repaired"] += 1
            else:
                self._reattach(part)
        self._ask(now_ns)
        return parts

    def _reattach(self, hook: str) -> None:
        self._probe.reattach(hook)
        self.results[hook, "repaired"] += 1


def make_beats() -> Callable[[], bool]:
    """Do what the probe answers: the system call, and the end of a thread.

    Returns a function that tells whether the thread is gone. `join` does not: it waits for the end
    of the thread's Python code, and on a busy machine the kernel's end may come much later.
    """
    ctypes.CDLL(None).syscall(ctypes.c_long(BEAT_CALL))
    thread = threading.Thread(target=int, name="self-test", daemon=True)
    thread.start()
    thread.join()
    entry = Path(f"/proc/self/task/{thread.native_id}")
    return lambda: not entry.exists()
