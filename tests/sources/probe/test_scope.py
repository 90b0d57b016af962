"""Scopes: from a directory or a pid to what the kernel compares."""

import pytest

from exporter.errors import ProbeError
from exporter.sources.probe.scope import CgroupScope, descendants, resolve_cgroup

SUBSYSTEMS = {"memory_cgrp_id": 4, "io_cgrp_id": 3, "cpu_cgrp_id": 1}


@pytest.fixture
def tree(tmp_path):
    """A hybrid machine: v1 controllers, a named v1 hierarchy without one, and v2."""
    lines = []
    for name, kind, options in (
        ("memory", "cgroup", "rw,memory"),
        ("blkio", "cgroup", "rw,blkio"),
        ("systemd", "cgroup", "rw,name=systemd"),
        ("unified v2", "cgroup2", "rw"),
    ):
        (tmp_path / name / "a" / "b").mkdir(parents=True)
        point = str(tmp_path / name).replace(" ", "\\040")
        lines.append(f"cgroup {point} {kind} {options} 0 0")
    mounts = tmp_path / "mounts"
    mounts.write_text("proc /proc proc rw 0 0\n" + "\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "level", "subsystem"),
    [
        ("memory/a/b", 2, 4),
        ("memory", 0, 4),
        ("blkio/a", 1, 3),
        ("unified v2/a/b", 2, None),
        ("memory/a/../a/b", 2, 4),
    ],
)
def test_cgroup_directories(tree, path, level, subsystem):
    """A directory becomes its inode number, its depth and its hierarchy."""
    found = resolve_cgroup(tree / path, SUBSYSTEMS, tree / "mounts")

    assert found == CgroupScope((tree / path).stat().st_ino, level, subsystem)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("memory/none", "does not exist"),
        ("mounts", "does not exist"),
        (".", "not in a mounted cgroup hierarchy"),
        ("systemd/a", "has no controller"),
    ],
)
def test_what_cannot_be_a_scope_is_told(tree, path, message):
    """Each way to be wrong has its own sentence and says what to give instead."""
    with pytest.raises(ProbeError, match=message) as caught:
        resolve_cgroup(tree / path, SUBSYSTEMS, tree / "mounts")

    assert caught.value.hint


def make_proc(root, parents):
    for pid, parent in parents.items():
        (root / str(pid)).mkdir()
        (root / str(pid) / "stat").write_bytes(b"%d (a) b) c) S %d 1 1" % (pid, parent))
    (root / "self").mkdir()


def test_descendants_are_found_whatever_the_name(tmp_path):
    """All processes below one are found, though names hold parentheses and pids are unordered."""
    make_proc(tmp_path, {1: 0, 50: 1, 10: 50, 7: 10, 60: 1})

    assert descendants(50, tmp_path) == {50, 10, 7}


def test_a_process_that_does_not_exist_is_told(tmp_path):
    """The pid is in the message."""
    with pytest.raises(ProbeError, match="no process 9"):
        descendants(9, tmp_path)
