"""What a restricted probe looks at: one cgroup subtree, or one process and its descendants.

Takes a cgroup directory or a pid, gives the numbers by which the kernel recognises its tasks.
"""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from exporter.errors import ProbeError

# /proc/mounts option -> enumerator in the kernel; the controller's name except for these.
_ENUMERATORS = {"blkio": "io_cgrp_id", "name=systemd": ""}


class CgroupScope(Struct, frozen=True):
    """A cgroup as the kernel tells it apart.

    cgroup_id: inode number of its directory. level: depth below its hierarchy's root (0).
    subsystem: index of the v1 controller whose hierarchy it belongs to; None for v2.
    """

    cgroup_id: int
    level: int
    subsystem: int | None


class _Mount(Struct, frozen=True):
    point: Path
    type: str
    options: tuple[str, ...]


def _read_mounts(mounts: Path) -> list[_Mount]:
    found = []
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        fields = line.split(" ")
        if len(fields) >= 4 and fields[2] in ("cgroup", "cgroup2"):
            point = fields[1].encode().decode("unicode_escape")
            found.append(_Mount(Path(point), fields[2], tuple(fields[3].split(","))))
    return found


def resolve_cgroup(
    path: Path, subsystems: Mapping[str, int], mounts: Path = Path("/proc/self/mounts")
) -> CgroupScope:
    """The cgroup behind a directory of a mounted hierarchy.

    subsystems: the kernel's enumerator of each controller -> its index. Raises ProbeError when
    the path is no cgroup directory or its hierarchy has no controller that tasks can be found by.
    """
    directory = path.resolve()
    if not directory.is_dir():
        raise ProbeError(
            f"the cgroup {path} does not exist",
            code="E_SCOPE_CGROUP",
            hint="give the directory of a cgroup below /sys/fs/cgroup",
        )
    mount = max(
        (m for m in _read_mounts(mounts) if directory.is_relative_to(m.point)),
        key=lambda m: len(m.point.parts),
        default=None,
    )
    if mount is None:
        raise ProbeError(
            f"{path} is not in a mounted cgroup hierarchy",
            code="E_SCOPE_CGROUP",
            hint="give the directory of a cgroup below /sys/fs/cgroup",
        )
    # A hierarchy may be mounted from below its root (in a container); ids still match, but the
    # depth is only known from the top.
    level = len(directory.relative_to(mount.point).parts)
    cgroup_id = directory.stat().st_ino
    if mount.type == "cgroup2":
        return CgroupScope(cgroup_id, level, None)
    for option in mount.options:
        index = subsystems.get(_ENUMERATORS.get(option, f"{option}_cgrp_id"))
        if index is not None:
            return CgroupScope(cgroup_id, level, index)
    raise ProbeError(
        f"the hierarchy of {path} has no controller",
        code="E_SCOPE_CGROUP",
        hint="use the same cgroup in the hierarchy of a controller such as memory or pids",
    )


def descendants(pid: int, proc: Path = Path("/proc")) -> set[int]:
    """The process and all processes below it that exist now. Raises ProbeError when it does not.

    Read until nothing new turns up: a child forked meanwhile is caught by the next round, or, once
    the probe is attached, by the probe.
    """
    if not (proc / str(pid)).is_dir():
        raise ProbeError(
            f"there is no process {pid}",
            code="E_SCOPE_PID",
            hint="give the id of a running process",
        )
    tree = {pid}
    while True:
        parents = _read_parents(proc)
        grown = set(tree)
        added = True
        while added:
            new = {child for child, parent in parents.items() if parent in grown} - grown
            added = bool(new)
            grown |= new
        if grown == tree:
            return tree
        tree = grown


def _read_parents(proc: Path) -> dict[int, int]:
    parents = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            parents[int(entry.name)] = int(stat.rpartition(b")")[2].split()[1])
    return parents
