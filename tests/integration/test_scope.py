"""What the probe watches can be narrowed in the kernel, to a process tree or a cgroup."""

import contextlib
import shutil
import uuid

import pytest

from tests.integration.containers import cgroup2_mount, cgroup_mounts
from tests.integration.live import Lanner, Stage


@pytest.fixture
def cgroup():
    """A cgroup v2 directory of our own, with a stage in a directory below it."""
    mount = cgroup2_mount()
    if mount is None:
        pytest.skip("cgroup v2 is not mounted")
    directory = mount / f"lanner-test-{uuid.uuid4().hex[:12]}"
    inner = directory / "inner"
    inner.mkdir(parents=True)
    with contextlib.closing(Stage()) as stage:
        (inner / "cgroup.procs").write_text(str(stage.pid))
        yield directory, stage
    inner.rmdir()
    directory.rmdir()


def read_shadow(stage):
    """Make an alert; the pid it must have."""
    return stage.run("cat", "/etc/shadow")["pid"]


def seen(lanner):
    """Pids of the alerts so far."""
    return [alert["output_fields"]["proc.pid"] for alert in lanner.alerts()]


def test_scope_of_a_cgroup(cgroup, stage, tmp_path):
    """--scope-cgroup: the directory and all below it are watched, nothing else is."""
    directory, inside = cgroup
    lanner = Lanner(tmp_path, "--json", "--scope-cgroup", str(directory))
    try:
        lanner.wait_ready()
        read_shadow(stage)
        pid = read_shadow(inside)
        lanner.wait_alert(lambda alert: alert["output_fields"]["proc.pid"] == pid)

        assert seen(lanner) == [pid]
    finally:
        lanner.kill()


def test_scope_of_a_process_tree(stage, lanner, cgroup):
    """--scope-pid: processes beside the tree are not seen, grandchildren of it are."""
    _, outside = cgroup
    before = len(lanner.lines)
    read_shadow(outside)
    answer = stage.run("sh", "-c", "sh -c 'cat /etc/shadow; true'; true")
    assert answer["returncode"] == 0
    lanner.wait_barrier(stage, before)

    parents = [alert["output_fields"]["proc.pcmdline"] for alert in lanner.alerts(before)]
    assert parents[0] == "sh -c cat /etc/shadow; true"
    assert len(parents) == 2


def test_unknown_cgroup_is_an_error(tmp_path):
    """A directory that is no cgroup ends the start with one sentence and status 1."""
    lanner = Lanner(tmp_path, "--scope-cgroup", str(tmp_path))

    assert lanner.process.wait(30) == 1
    lanner.stop()
    assert "Traceback" not in "\n".join(lanner.log)
    assert str(tmp_path) in "\n".join(lanner.log)


@pytest.mark.parametrize(
    "pattern",
    [
        "kubepods/burstable/pod{uid}/{id}",
        "kubepods.slice/kubepods-pod{uid_}.slice/cri-containerd-{id}.scope",
        "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice/crio-{id}.scope",
    ],
)
def test_container_of_a_cgroup_path(pattern, stage, lanner):
    """Paths of both cgroup drivers of the kubelet, without a runtime: container id and pod uid."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is missing")
    identity, uid = uuid.uuid4().hex + uuid.uuid4().hex, str(uuid.uuid4())
    path = pattern.format(id=identity, uid=uid, uid_=uid.replace("-", "_"))
    # In v1 a new cpuset takes no process before it is configured.
    leaves = [mount / path for mount in cgroup_mounts() if mount.name != "cpuset"]
    made = [d for leaf in leaves for d in (leaf, *leaf.parents) if not d.exists()]
    for leaf in leaves:
        leaf.mkdir(parents=True)
    since = len(lanner.lines)
    enter = "; ".join(f"echo $$ > {leaf}/cgroup.procs" for leaf in leaves)
    script = f"{enter}; unshare -m sh -c 'cat /etc/shadow; true'; true"
    try:
        stage.run("sh", "-c", script)
    finally:
        for directory in made:
            directory.rmdir()
    lanner.wait_barrier(stage, since)

    fields = lanner.alerts(since)[0]["output_fields"]
    assert (fields["container.id"], fields["k8s.pod.uid"]) == (identity[:12], uid)
