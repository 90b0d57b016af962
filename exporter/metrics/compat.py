"""Our facts under the names of falcosidekick and Falco, made of our own families at scrape time.

Takes a registry that has our families, adds the foreign ones that need no alert to be seen. Those
that count alerts are in the alerts room (`alerts/counters.py`). Sources: spec/peers.md 1b and 3c.
"""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

from exporter.metrics import families
from exporter.metrics.families import Family
from exporter.metrics.instruments import LabelValues, Reading
from exporter.metrics.registry import Registry

_NS_A_SECOND = 1_000_000_000
_DROP_GROUPS = {
    "clone_fork": ("clone", "clone3", "fork", "vfork"),
    "execve": ("execve", "execveat"),
    "connect": ("connect",),
    "open": ("open", "openat", "openat2", "creat"),
    "dir_file": (
        "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
        "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat",
    ),
    "other_interest": (),
    "close": ("close",),
    "proc": ("procexit",),
}  # fmt: skip
_GROUP_OF = {name: group for group, names in _DROP_GROUPS.items() for name in names}


def export_falcosidekick(registry: Registry) -> None:
    """What falcosidekick says of its inputs and outputs."""

    def inputs() -> Reading:
        accepted = registry.reading(families.QUEUE_ACCEPTED).get(("alerts",), 0)
        rejected = registry.reading(families.QUEUE_DROPPED).get(("alerts",), 0)
        return {("requests", "accepted"): accepted, ("requests", "rejected"): rejected}

    def outputs() -> Reading:
        counts: dict[LabelValues, float] = {}
        for (name, result), count in registry.reading(families.OUTPUT_ALERTS).items():
            key = (name, "ok" if result == "delivered" else "error")
            counts[key] = counts.get(key, 0) + count
        return counts

    registry.read(families.SIDEKICK_INPUTS, inputs)
    registry.read(families.SIDEKICK_OUTPUTS, outputs)


def export_falco(registry: Registry, *, hostname: str, version: str) -> None:
    """What Falco says of itself and of the kernel's events."""
    started_ns = time.time_ns() - time.monotonic_ns() + _process_start_ns()
    boot_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def one(family: Family, read: Callable[[], float], *labels: str) -> None:
        registry.read(family, lambda: {labels: read()})

    def total(family: Family) -> float:
        return sum(registry.reading(family).values())

    def submitted() -> float:
        events = registry.reading(families.EVENTS)
        return sum(count for (_, stage), count in events.items() if stage == "submitted")

    def rules_files() -> Reading:
        files = registry.reading(families.RULES_FILE_INFO)
        return {(Path(file).name, digest): 1 for file, digest in files}

    def buffer_drops() -> Reading:
        counts = dict.fromkeys(_DROP_GROUPS, 0.0)
        for (event, reason), count in registry.reading(families.EVENTS_DROPPED).items():
            if reason == "ring_full":
                counts[_GROUP_OF.get(event, "other_interest")] += count
        return {("exit", group): count for group, count in counts.items()}

    def age() -> float:
        return (time.time_ns() - started_ns) / _NS_A_SECOND

    one(families.FALCO_VERSION, lambda: 1, version)
    registry.read(families.FALCO_RULES_FILES, rules_files)
    one(families.FALCO_KERNEL, lambda: 1, platform.release())
    one(families.FALCO_HOSTNAME, lambda: 1, hostname)
    one(families.FALCO_ENGINE, lambda: 1, "modern_bpf", "syscall")
    one(families.FALCO_RELOAD_TIME, lambda: total(families.RELOAD_TIME) * _NS_A_SECOND)
    one(families.FALCO_START_TIME, lambda: started_ns)
    one(families.FALCO_BOOT_TIME, lambda: boot_ns)
    one(families.FALCO_DURATION, age)
    one(families.FALCO_CPUS, lambda: os.cpu_count() or 1)
    one(
        families.FALCO_QUEUE_DROPS,
        lambda: registry.reading(families.QUEUE_DROPPED).get(("alerts",), 0),
    )
    one(families.FALCO_CPU_USAGE, lambda: sum(os.times()[:2]) / max(age(), 1e-3))
    one(families.FALCO_RSS, lambda: _memory_pages()[1] * _page_bytes())
    one(families.FALCO_VSZ, lambda: _memory_pages()[0] * _page_bytes())
    one(families.FALCO_EVENTS_SEEN, lambda: submitted() + total(families.EVENTS_DROPPED))
    one(families.FALCO_DROPS, lambda: total(families.EVENTS_DROPPED))
    registry.read(families.FALCO_BUFFER_DROPS, buffer_drops)
    one(
        families.FALCO_THREADS,
        lambda: registry.reading(families.STATE_ENTRIES).get(("threads",), 0),
    )


def _process_start_ns() -> int:
    """Monotonic time of the start of this process."""
    stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
    ticks = int(stat.rpartition(")")[2].split()[19])
    since_boot = ticks * _NS_A_SECOND // os.sysconf("SC_CLK_TCK")
    suspended = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    return since_boot - suspended


def _memory_pages() -> tuple[int, int]:
    """Virtual and resident pages of this process."""
    virtual, resident, *_ = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(virtual), int(resident)


def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE")
