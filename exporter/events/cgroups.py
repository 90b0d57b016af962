"""Cgroups of a process: the strings that events and process lists carry, as pairs.

Source: spec/scap-format.md sections 7 and 10.
"""

from functools import lru_cache

from exporter.events.strings import split_strings

_SUBSYSTEMS = {b"perf": b"perf_event", b"mem": b"memory", b"io": b"blkio"}
"""Name inside the kernel -> name in /proc/PID/cgroup, by which rules know it."""


_MAX_BYTES = 4096
"""Longer lists, which only damaged captures hold, count as none."""


def parse_cgroups(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """(subsystem, path) pairs of `name=path` strings.

    Subsystems get their names of /proc. A string without `=` spoils the whole list. Remembered,
    because processes come by the thousand and cgroups by the dozen.
    """
    return _parse(data) if len(data) <= _MAX_BYTES else ()


@lru_cache(maxsize=1024)
def _parse(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    pairs = []
    for item in split_strings(data):
        name, sign, path = item.partition(b"=")
        if not sign:
            return ()
        name = name.replace(b"_cgroup", b"", 1)
        pairs.append((_SUBSYSTEMS.get(name, name), path))
    return tuple(pairs)
