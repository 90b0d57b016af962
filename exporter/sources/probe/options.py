"""What a probe is asked for: calls, scope and sizes."""

from pathlib import Path

from msgspec import Struct

DEFAULT_RING_BYTES = 8 << 20
DEFAULT_SNAPLEN = 80
MAX_SNAPLEN = 4095
"""Room of the probe for what is read or written (bpf/layout.h)."""


class ProbeOptions(Struct, kw_only=True, frozen=True):
    """What to load.

    syscalls: names of system calls to report at first (`Probe.report` changes them); None for those
    that change something (DEFAULT_CALLS). Successful execs are reported with execve or execveat.
    followed: calls whose events are needed beside them, but for the state alone (`Probe.report`).
    procexit: report the end of threads. ring_bytes: size of the ring buffer, a power of two.
    snaplen: bytes that events show of what was read, written, sent or received; at most
    MAX_SNAPLEN. scope_cgroup: directory of the only cgroup subtree to look at. scope_pid: the only
    process to look at, with its descendants. self_test_seconds: how often the
    probe is tested; 0: never.
    """

    syscalls: frozenset[str] | None = None
    followed: frozenset[str] = frozenset()
    procexit: bool = True
    ring_bytes: int = DEFAULT_RING_BYTES
    snaplen: int = DEFAULT_SNAPLEN
    scope_cgroup: Path | None = None
    scope_pid: int | None = None
    self_test_seconds: float = 10.0
