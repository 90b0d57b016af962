"""Containers whose own cgroup has no controllers, as on hosts with cgroup v2 alone.

Execs and births tell the paths of five controllers; where these are those of directories further
up, the path of the cgroup v2 directory names the container. It travels with the record, so that a
process need not live until somebody reads it.
"""

import os
import uuid
from pathlib import Path

import pytest

from exporter.sources.probe.lifelines import BIRTHS, EXECVE
from tests.integration.containers import Container, cgroup2_mount
from tests.integration.probe_rig import Rig

V2_ALONE = """
umount -a -t cgroup && umount -a -t cgroup2 && umount /sys/fs/cgroup &&
mount -t cgroup2 none /sys/fs/cgroup && exec "$@"
"""
"""In a mount namespace of its own, so that runc finds a host with cgroup v2 alone."""

RULES = """
- rule: opened
  desc: x
  condition: evt.type in (open, openat) and fd.name endswith /etc/shadow
  output: "%container.id %proc.pname"
  priority: NOTICE
- rule: ran
  desc: x
  condition: evt.type=execve and proc.name in (true, cat) and container.id != host
  output: "%container.id %proc.exepath"
  priority: NOTICE
"""


@pytest.fixture(scope="module")
def mount():
    """Where the cgroup v2 hierarchy is."""
    found = cgroup2_mount()
    if found is None:
        pytest.skip("no cgroup v2 hierarchy is mounted")
    return found


@pytest.fixture
def lanner(start_lanner, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    lanner = start_lanner("--json", "-r", str(rules))
    lanner.wait_ready()
    return lanner


def run_in_v2(stage, container, *argv):
    """Run a program in a container that has no directory but one of cgroup v2."""
    command = container.command(*argv)
    answer = stage.run("unshare", "-m", "sh", "-c", V2_ALONE, "sh", *command)
    assert answer["returncode"] == 0, answer


def told(lanner, rule, seen):
    """Wait for as many alerts of one rule; the container of each."""
    for container in seen:
        lanner.wait_alert(
            lambda a, c=container: (
                a["rule"] == rule and a["output_fields"]["container.id"] == c.short_id
            )
        )
    return [a["output_fields"]["container.id"] for a in lanner.alerts() if a["rule"] == rule]


@pytest.mark.usefixtures("mount")
def test_containers_that_live_for_milliseconds(stage, lanner, tmp_path):
    """Each is known from its first program on, one after the other."""
    containers = [Container(tmp_path, cgroup="/lanner-v2/{id}") for _ in range(5)]
    try:
        for container in containers:
            run_in_v2(stage, container, "cat", "/etc/shadow")
    finally:
        for container in containers:
            container.remove()
    expected = [container.short_id for container in containers]

    assert told(lanner, "opened", containers) == expected
    assert told(lanner, "ran", containers) == expected


@pytest.mark.usefixtures("mount")
@pytest.mark.parametrize(
    "cgroup",
    [
        "/docker/" + "fedc" * 16 + "/docker/{id}",
        "/docker/{id}/system.slice/inner.service",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice"
        "/cri-containerd-"
        + "abcd" * 16
        + ".scope/kubepods.slice/a.slice/b.slice/docker-{id}.scope",
    ],
)
def test_nested_containers(stage, lanner, tmp_path, cgroup):
    """Engines in engines and services in containers, also deeper than paths of controllers go."""
    container = Container(tmp_path, cgroup=cgroup)
    try:
        run_in_v2(stage, container, "true")
    finally:
        container.remove()

    assert told(lanner, "ran", [container]) == [container.short_id]


@pytest.fixture
def directory(mount):
    """Makes directories of cgroup v2."""
    made: list[Path] = []

    def make(*names):
        path = mount
        for name in names:
            path /= name
            if not path.exists():
                path.mkdir()
                made.append(path)
        return path

    yield make
    for path in reversed(made):
        path.rmdir()


@pytest.fixture(scope="module")
def rig():
    rig = Rig()
    yield rig
    rig.close()


LEAVE = """
import threading
with open({procs!r}, "w") as file:
    file.write("0")
libc = __import__("ctypes").CDLL(None)
if {is_away}:
    assert not libc.unshare(0x20000)
if os.fork() == 0:
    os.execv("/bin/true", ["true"])
os.wait()
thread = threading.Thread(target=int); thread.start(); thread.join()
"""


def paths_told(rig, directory, *, is_away):
    """What the birth and the exec of a process in a directory tell of it, and threads' births."""
    pid, _, events = rig.run(LEAVE.format(procs=f"{directory}/cgroup.procs", is_away=is_away))
    mine = [e for e in events if e.live is not None and e.param(0) == 0]
    births = [e for e in mine if e.type.code in BIRTHS]
    execs = [e.live.cgroup_path for e in mine if e.type.code == EXECVE]
    threads = [e.live.cgroup_path for e in births if e.live.pid == pid != e.tid]
    children = [e.live.cgroup_path for e in births if e.live.ppid == pid]
    assert {e.live.cgroup_id for e in mine if e.live.ppid == pid} == {directory.stat().st_ino}
    return children, execs, threads


def test_what_records_tell(rig, mount, directory):
    """Births of processes and execs outside the host's mount namespace tell it, nothing else."""
    name = f"lanner-{uuid.uuid4().hex}"
    path = directory(name, "inner")
    told = f"/{name}/inner".encode()

    assert paths_told(rig, path, is_away=True) == ([told], [told], [None])
    assert paths_told(rig, path, is_away=False) == ([None], [None], [None])
    # The root is no container's, and many processes are there.
    assert paths_told(rig, mount, is_away=True) == ([None], [None], [None])


def test_a_path_is_told_in_whole_or_not_at_all(rig, directory):
    """Fifteen names are told, long ones too; the end of sixteen would be another path."""
    names = [f"{number:02}" + "n" * 238 for number in range(16)]
    whole = directory(*names[:15])
    expected = os.fsencode("/" + "/".join(names[:15]))

    assert paths_told(rig, whole, is_away=True) == ([expected], [expected], [None])
    assert paths_told(rig, directory(*names), is_away=True) == ([None], [None], [None])
