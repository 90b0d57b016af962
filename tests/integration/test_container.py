"""Events of real containers carry the container and the pod; the host's do not."""

import re
import uuid

import pytest

from tests.integration.containers import Container, cgroup2_mount

pytestmark = pytest.mark.container

SHADOW_RULE = "Sensitive file read by untrusted program"
SHELL_RULE = "Shell on a terminal in container"


def rules(alerts):
    """Names of the rules that fired, in order."""
    return [alert["rule"] for alert in alerts]


def test_sensitive_read_in_a_pod(stage, lanner, container):
    """The alert has the 12-character container id and the pod's uid."""
    since = len(lanner.lines)
    answer = stage.run(*container.command("cat", "/etc/shadow"))
    assert answer["returncode"] == 0, answer
    alert = lanner.wait_alert(lambda a: a["rule"] == SHADOW_RULE, since)

    fields = alert["output_fields"]
    assert container.short_id == fields["container.id"]
    assert re.fullmatch("[0-9a-f]{12}", fields["container.id"])
    assert container.pod_uid == fields["k8s.pod.uid"]
    assert container.short_id in alert["output"]


def test_shell_on_a_terminal_in_a_container(stage, lanner, container):
    """`runc run` with a terminal and a shell: exactly this rule fires, once."""
    since = len(lanner.lines)
    answer = stage.run(*container.command("/bin/sh", tty=True), tty=True, stdin="id; exit\n")
    assert "uid=0" in answer["output"]
    alerts = lanner.wait_barrier(stage, since)

    assert rules(alerts) == [SHELL_RULE]
    fields = alerts[0]["output_fields"]
    assert container.short_id == fields["container.id"]
    assert container.pod_uid == fields["k8s.pod.uid"]
    assert fields["proc.tty"] > 0


def test_shell_without_a_terminal_in_a_container(stage, lanner, container):
    """A shell as entry point, without a terminal, is normal: starting a container is no alert."""
    since = len(lanner.lines)
    stage.run(*container.command("/bin/sh", "-c", "id; ls /"))

    assert lanner.wait_barrier(stage, since) == []


def test_shell_on_a_terminal_on_the_host(stage, lanner):
    """The same shell with a terminal outside of any container is somebody at work."""
    since = len(lanner.lines)
    stage.run("/bin/sh", tty=True, stdin="id; exit\n")

    assert lanner.wait_barrier(stage, since) == []


def test_alert_counter_of_a_container(stage, lanner, container):
    """The counter of an alert in a container has the container's label, beside the host's."""
    since = len(lanner.lines)
    stage.run(*container.command("cat", "/etc/shadow"))
    lanner.wait_alert(lambda a: a["rule"] == SHADOW_RULE, since)

    series = [s for s in lanner.samples() if s.startswith("lanner_alerts_total{")]
    assert any(f'container="{container.short_id}"' in s and SHADOW_RULE in s for s in series)
    assert any('container=""' in s and SHADOW_RULE in s for s in series)


def test_program_in_the_writable_layer(stage, lanner, tmp_path):
    """On overlayfs the layer of an executable is told: a copy made inside is in the upper one."""
    container = Container(tmp_path, overlay=True)
    since = len(lanner.lines)
    try:
        script = "/bin/busybox true; cp /bin/busybox /opt/busybox; /opt/busybox true"
        answer = stage.run(*container.command("/bin/sh", "-c", script))
    finally:
        container.remove()
    alerts = lanner.wait_barrier(stage, since)

    assert [alert["rule"] for alert in alerts] == ["Dropped executable run in container"], answer
    assert alerts[0]["output_fields"]["proc.is_exe_upper_layer"] is True
    assert alerts[0]["output_fields"]["proc.exepath"] == "/opt/busybox"


def test_leaving_the_mount_namespace_on_the_host(stage, lanner):
    """`unshare -m` makes no container, whatever the name of the host's own cgroup."""
    since = len(lanner.lines)
    stage.run("unshare", "-m", "cat", "/etc/shadow")
    alert = lanner.wait_alert(lambda a: a["rule"] == SHADOW_RULE, since)

    assert alert["output_fields"]["container.id"] == "host"


@pytest.mark.parametrize(
    "cgroup",
    [
        "/docker/{id}",
        "/docker/" + "fedc" * 16 + "/docker/{id}",
        "/kubepods/pod{pod}/crio-{id}",
        "/libpod_parent/libpod-{id}",
        "/lanner-test/system.slice:cri-containerd:{id}",
        "/docker/{id}/system.slice/inner.service",
    ],
)
def test_layouts_of_engines(stage, lanner, tmp_path, cgroup):
    """The cgroup paths of engines, engines in engines, and services in a container, live."""
    container = Container(tmp_path, cgroup=cgroup)
    since = len(lanner.lines)
    try:
        answer = stage.run(*container.command("cat", "/etc/shadow"))
    finally:
        container.remove()
    assert answer["returncode"] == 0, answer
    alert = lanner.wait_alert(lambda a: a["rule"] == SHADOW_RULE, since)

    assert alert["output_fields"]["container.id"] == container.short_id


def test_a_container_in_cgroup_v2_alone(stage, lanner):
    """A directory without controllers, as rootless engines may have: its path names the id."""
    mount = cgroup2_mount()
    if mount is None:
        pytest.skip("no cgroup v2 hierarchy is mounted")
    container = uuid.uuid4().hex * 2
    directory = mount / f"libpod-{container}.scope"
    directory.mkdir()
    since = len(lanner.lines)
    move = f"echo $$ > {directory}/cgroup.procs; exec unshare -m cat /etc/shadow"
    try:
        answer = stage.run("/bin/sh", "-c", move)
    finally:
        directory.rmdir()
    assert answer["returncode"] == 0, answer
    alert = lanner.wait_alert(lambda a: a["rule"] == SHADOW_RULE, since)

    assert alert["output_fields"]["container.id"] == container[:12]
