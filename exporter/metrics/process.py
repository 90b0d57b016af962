"""What every client library of Prometheus tells of its own process, the `process_*` families.

Takes /proc, gives families for the page. Their names and meaning are not ours, so they are not
declared in `families.py`. Source: proc(5); Prometheus' "Writing client libraries", standard and
runtime collectors.
"""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exporter.metrics.family import Family, Kind
from exporter.metrics.series import Series
from exporter.metrics.text import Children

_CPU = Family(
    "process_cpu_seconds_total", Kind.COUNTER, "Total user and system CPU time spent in seconds."
)
_START = Family(
    "process_start_time_seconds",
    Kind.GAUGE,
    "Start time of the process since unix epoch in seconds.",
)
_VIRTUAL = Family("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory size in bytes.")
_RESIDENT = Family("process_resident_memory_bytes", Kind.GAUGE, "Resident memory size in bytes.")
_OPEN_FDS = Family("process_open_fds", Kind.GAUGE, "Number of open file descriptors.")
_MAX_FDS = Family("process_max_fds", Kind.GAUGE, "Maximum number of open file descriptors.")

_UTIME, _STIME, _STARTTIME, _VSIZE, _RSS = 11, 12, 19, 20, 21
"""Places in /proc/PID/stat behind the name, which is in brackets."""


class ProcessFamilies:
    """The families of this process. proc: where the proc file system is mounted."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._ticks_a_second = os.sysconf("SC_CLK_TCK")
        self._children: dict[str, Series] = {}

    def families(self) -> Iterator[tuple[Family, Children]]:
        """Each with its one series; those that cannot be read are missing."""
        for family, value in self._read():
            child = self._children.setdefault(family.name, Series())
            child.value = value
            yield family, [((), child)]

    def _read(self) -> Iterator[tuple[Family, float]]:
        with suppress(OSError):
            stat = (self._proc / "self/stat").read_bytes().rpartition(b")")[2].split()
            booted = self._boot_seconds()
            yield _VIRTUAL, float(stat[_VSIZE])
            yield _RESIDENT, float(int(stat[_RSS]) * resource.getpagesize())
            yield _START, booted + int(stat[_STARTTIME]) / self._ticks_a_second
            yield _CPU, (int(stat[_UTIME]) + int(stat[_STIME])) / self._ticks_a_second
        with suppress(OSError):
            # The descriptor of the listing is one of them, as in other libraries.
            yield _OPEN_FDS, float(sum(1 for _ in (self._proc / "self/fd").iterdir()))
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield _MAX_FDS, float("inf") if most == resource.RLIM_INFINITY else float(most)

    def _boot_seconds(self) -> int:
        """When the machine started, in seconds since the epoch."""
        lines = (self._proc / "stat").read_bytes().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(b"btime "))
