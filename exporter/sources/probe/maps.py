"""The kernel maps of one probe: their shapes in the order of bpf/maps.h, and their elements."""

import os
import struct
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from exporter.errors import ProbeError
from exporter.sources.probe import kernel, source_text
from exporter.sources.probe.kernel import MapShape
from exporter.sources.probe.syscalls import MAX_NUMBER, Hook, Step

REASONS = (
    "ia32", "scratch_busy", "no_step", "scope_full", "ring_full", "unknown_call", "no_descriptor",
)  # fmt: skip
"""Reasons counted beside lost events, in the order of bpf/maps.h."""

BEAT_FULL = "beat_full"
"""Counted behind them; no loss."""

NAMES_MAX = 4096
"""Users whose names are tested in the kernel, as far as they differ from those without a name."""

RENAMED_MAX = 65536
"""Threads with a new name that no event has told yet."""

SCOPE_PIDS_MAX = 65536
"""Processes that a process tree in scope may have at one time."""

FILTER_MEMORY_BYTES = 8 * source_text.EVENT_CODES + source_text.FILTER_TEXTS_BYTES
"""Of one CPU: a counter of events left out by event code, then room for texts."""

EVENT_COUNTERS = struct.Struct("<QQQQ")
"""struct event_counters."""

SYSCALL_INFO = struct.Struct("<IIIIQ")
"""struct syscall_info."""

READER = struct.Struct("<QQ")
"""struct reader: whether the reader of the ring sleeps, and when it was woken."""

_MMAPABLE = 1 << 10
_PORTS = 1 << 16
_POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")


@cache
def possible_cpus() -> int:
    """Number of CPU ids that the kernel may use."""
    return source_text.possible_cpus(_POSSIBLE_CPUS.read_text())


def _shapes(ring_bytes: int) -> dict[str, MapShape]:
    """Each map, in the order of bpf/maps.h."""
    array, percpu = kernel.ARRAY, kernel.PERCPU_ARRAY
    cpus = possible_cpus()
    return {
        "events": MapShape(kernel.RINGBUF, 0, 0, ring_bytes),
        "scratch": MapShape(array, 4, source_text.SCRATCH_BYTES, cpus),
        "syscalls": MapShape(array, 4, SYSCALL_INFO.size, MAX_NUMBER),
        "steps": MapShape(kernel.PROG_ARRAY, 4, 4, len(Step) + len(Hook)),
        "counters": MapShape(percpu, 4, EVENT_COUNTERS.size, source_text.EVENT_CODES),
        "reasons": MapShape(percpu, 4, 8, len(REASONS) + 1),
        "scope_pids": MapShape(kernel.HASH, 4, 1, SCOPE_PIDS_MAX),
        "filters": MapShape(kernel.PROG_ARRAY, 4, 4, MAX_NUMBER + 4),
        "filter_memory": MapShape(array, 4, FILTER_MEMORY_BYTES, cpus),
        "filter_ports": MapShape(array, 4, 4, _PORTS),
        "exit_steps": MapShape(kernel.PROG_ARRAY, 4, 4, len(Step)),
        "judged": MapShape(array, 4, source_text.JUDGED_BYTES, cpus),
        "needles": MapShape(array, 4, source_text.NEEDLES_BYTES, 1),
        "names": MapShape(kernel.HASH, 4, 8, NAMES_MAX),
        "renamed": MapShape(kernel.HASH, 4, 4, RENAMED_MAX),
        "reader": MapShape(array, 4, READER.size, 1, _MMAPABLE),
    }


class Maps:
    """The maps by name; keys are 32-bit numbers. Every method raises ProbeError."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._fds)

    def __getitem__(self, name: str) -> int:
        """The map's descriptor."""
        if name not in self._fds:
            raise ProbeError("the probe is not open", code="E_CLOSED")
        return self._fds[name]

    def create(self, ring_bytes: int) -> None:
        """Make all of them. ring_bytes: size of the ring buffer, a power of two."""
        for name, shape in _shapes(ring_bytes).items():
            self._fds[name] = kernel.create_map(f"lanner_{name}", shape)

    def empty_programs(self, names: Iterable[str]) -> None:
        """Put new arrays in place of these, for programs of another kind.

        From the first program on that uses it, the kernel has an array hold programs of that one's
        kind only.
        """
        for name in names:
            old, new = self._fds[name], kernel.create_map(f"lanner_{name}", _shapes(0)[name])
            self._fds[name] = new  # at the same place: `numbered` goes by the order
            os.close(old)

    def numbered(self, only: Collection[str] | None = None) -> dict[int, int]:
        """Number in bpf/maps.h -> descriptor, of all maps or those of some names."""
        return {
            number: fd
            for number, (name, fd) in enumerate(self._fds.items(), start=1)
            if only is None or name in only
        }

    def put(self, name: str, key: int, value: bytes) -> None:
        """Set one element."""
        kernel.update_map(self[name], struct.pack("<I", key), value)

    def put_program(self, name: str, key: int, program: int) -> None:
        """Set one element of a program array."""
        self.put(name, key, struct.pack("<I", program))

    def remove(self, name: str, key: int) -> None:
        """Remove one element, if it is there."""
        kernel.delete_element(self[name], struct.pack("<I", key))

    def read(self, name: str, key: int, size: int) -> bytes:
        """One element of `size` bytes (of all CPUs together for per-CPU maps)."""
        return kernel.read_map(self[name], struct.pack("<I", key), size)

    def close(self) -> None:
        """Let go of the descriptors; may be called twice."""
        while self._fds:
            os.close(self._fds.popitem()[1])
