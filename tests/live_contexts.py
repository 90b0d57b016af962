"""Factory of live contexts for tests: name what matters, the rest is a host process of root."""

from typing import Any

from exporter.events.live import LiveContext

HOST_MNTNS = 4026531841
START_NS = 50_000_000_000


def make_live(pid: int = 1000, **fields: Any) -> LiveContext:
    """What the probe reads of a host process started 50 s after boot by pid 1."""
    values: dict[str, Any] = {
        "pid": pid,
        "ptid": 1,
        "vtid": pid,
        "vpid": pid,
        "pidns_level": 0,
        "uid": 0,
        "gid": 0,
        "loginuid": 0xFFFFFFFF,
        "sid": pid,
        "pgid": pid,
        "vpgid": pid,
        "tty": 0,
        "mntns": HOST_MNTNS,
        "cgroup_id": 77,
        "start_boottime_ns": START_NS,
        "comm": b"cat",
    }
    return LiveContext(**{**values, **fields})
