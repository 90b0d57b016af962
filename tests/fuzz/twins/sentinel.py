"""Notices at once when a scene reached what it must never change."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WATCHED = (
    "/", "/etc", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/hostname", "/etc/ssl", "/root",
    "/usr", "/usr/bin", "/usr/bin/python3.11", "/usr/bin/true", "/usr/bin/busybox", "/usr/lib",
    "/usr/lib/x86_64-linux-gnu/libc.so.6", "/dev/null", "/dev/shm", "/tmp",
)  # fmt: skip
_BUSY = {"/tmp", "/root", "/dev/shm", "/dev/null"}
"""Whose times change all the time."""


class Sentinel:
    """Remembers how the machine's own files were when it was made."""

    def __init__(self) -> None:
        self._before = _look()

    def check(self, scene: Mapping[str, Any]) -> None:
        """Raises AssertionError, with the scene, when one of the files is not as it was."""
        now = _look()
        if now == self._before:
            return
        changed = {
            path: (self._before.get(path), now.get(path))
            for path in self._before.keys() | now.keys()
            if self._before.get(path) != now.get(path)
        }
        raise AssertionError(f"the machine has changed: {changed}, after {json.dumps(scene)}")


def _look() -> dict[str, tuple[int, ...]]:
    """Path -> mode, owner, and size and time of change where these mean something."""
    found: dict[str, tuple[int, ...]] = {}
    for path in (*map(Path, _WATCHED), *sorted(Path("/etc/pam.d").iterdir())):
        if path.exists():
            facts = os.stat(path)  # noqa: PTH116
            found[str(path)] = (facts.st_mode, facts.st_uid, facts.st_gid)
            if str(path) not in _BUSY:
                found[str(path)] += (facts.st_size, facts.st_mtime_ns)
    return found
