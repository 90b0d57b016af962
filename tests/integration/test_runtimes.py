"""Alerts of containers of real engines carry names, images, labels and pods."""

import asyncio
import os
import socket
import subprocess
from typing import Any

import pytest

from exporter.sources.runtimes.cri import CriEngine
from exporter.sources.runtimes.engine import Change, ChangeKind
from tests.integration.engines import Containerd, Docker, Podman, missing_programs
from tests.integration.live import AS_IN_THE_CHART, Lanner, wait_until
from tests.kubernetes_api import Api, make_pod

pytestmark = pytest.mark.container

RULES = """
- rule: shadow in a container
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and container.id != host
  output: >
    name=%container.name repo=%container.image.repository tag=%container.image.tag
    pod=%k8s.ns.name/%k8s.pod.name uid=%k8s.pod.uid app=%k8s.pod.label[app] type=%container.type
    color=%container.label[color] mount=%container.mount.dest[0] full=%container.full_id
    privileged=%container.privileged hostnet=%container.host_network
    workload=%container.label[io.kubernetes.workload.name]
    sandbox=%k8s.pod.full_sandbox_id image_id=%container.image.id user=%proc.name
  priority: WARNING
"""
COMMAND = ("sh", "-c", "/bin/cat /etc/shadow; exec sleep 600")
LABELS = {"color": "red"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Short, because paths of sockets are."""
    return tmp_path_factory.mktemp("e")


@pytest.fixture(scope="module")
def containerd(base):
    """containerd, with an image and a pause image of its own."""
    reason = missing_programs("containerd", "ctr", "runc")
    if reason:
        pytest.skip(reason)
    engine = Containerd(base / "c")
    yield engine
    engine.stop()


@pytest.fixture
def watch(tmp_path):
    """A Lanner that knows only the test's engines, and only containers' alerts."""
    started: list[Lanner] = []

    def start(config: str, *, is_scoped: bool = True) -> Lanner:
        rules = tmp_path / "rules.yaml"
        rules.write_text(RULES)
        directory = tmp_path / f"lanner-{len(started)}"
        directory.mkdir()
        scope = ("--scope-pid", str(os.getpid())) if is_scoped else ()
        options = ("--json", *scope, "-r", str(rules))
        # Asking the engines works with the rights that the chart gives.
        lanner = Lanner(directory, *options, config=config, command=AS_IN_THE_CHART)
        started.append(lanner)
        lanner.wait_ready()
        return lanner

    yield start
    for lanner in started:
        lanner.kill()


def sockets(hold: str = "5s", *, storage: str = "", **engines: str) -> str:
    """The configuration of these engines and no others."""
    lists = ", ".join(
        f"{name}: [{engines[name]}]" if name in engines else f"{name}: []"
        for name in ("docker", "podman", "cri", "containerd")
    )
    podman = f"podman_storage: [{storage}]"
    return f"containers: {{hold: {hold}, {podman}, sockets: {{{lists}}}}}\n"


def wait_engine(lanner: Lanner, engine: str) -> None:
    """Until the engine answers."""
    wait_until(
        lambda: lanner.total("lanner_container_runtime_up", engine=engine, default=0) == 1,
        10,
        f"{engine} to be connected",
    )


def alert_of(lanner: Lanner, container: str) -> dict[str, Any]:
    """The first alert of a container, with its fields."""
    return lanner.wait_alert(lambda a: a["output_fields"]["container.id"] == container[:12])


def test_a_pod_through_the_cri(watch, containerd):
    """A pod made through containerd's CRI socket: every name in the first alert of its life."""
    lanner = watch(sockets(cri=str(containerd.socket)))
    wait_engine(lanner, "cri")
    pod = containerd.run_pod(*COMMAND, name="web-0", namespace="shop", labels={"app": "web"})
    alert = alert_of(lanner, pod.container)

    assert f"pod=shop/web-0 uid={pod.uid} app=web type=containerd" in alert["output"]
    fields = alert["output_fields"]
    assert fields["container.name"] == "main"
    assert fields["container.full_id"] == pod.container
    assert fields["container.image.repository"] == "lanner.test/team/box"
    assert fields["container.image.tag"] == "2.1"
    assert fields["container.mount.dest[0]"] == "/data"
    assert fields["container.privileged"] is False
    assert fields["container.host_network"] is True
    assert fields["k8s.pod.full_sandbox_id"] == pod.sandbox
    labels = {"k8s_ns_name": "shop", "k8s_pod_name": "web-0", "container": pod.container[:12]}
    assert lanner.total("lanner_alerts_total", **labels) == 1
    assert lanner.total("lanner_alert_holds_total", step="timed_out") == 0


def test_a_pod_older_than_lanner(watch, containerd):
    """Its facts come with the list at the start, and its exec'd shell's alert has them."""
    pod = containerd.run_pod("sleep", "600", name="old-0", namespace="shop", labels={})
    # Its shim is nobody's descendant any more; the alerts are told apart by the container.
    lanner = watch(sockets(cri=str(containerd.socket)), is_scoped=False)
    wait_engine(lanner, "cri")
    task = ["ctr", "-a", str(containerd.socket), "-n", "k8s.io", "task", "exec"]
    subprocess.run(
        [*task, "--exec-id", "e1", pod.container, "/bin/cat", "/etc/shadow"],
        check=True, capture_output=True,
    )  # fmt: skip
    alert = alert_of(lanner, pod.container)

    assert alert["output_fields"]["k8s.pod.name"] == "old-0"
    assert alert["output_fields"]["container.name"] == "main"


def test_docker(watch, base, containerd):
    """A container of a real dockerd."""
    reason = missing_programs("dockerd")
    if reason:
        pytest.skip(reason)
    docker = Docker(base / "d", containerd.socket)
    try:
        lanner = watch(sockets(docker=str(docker.socket)))
        wait_engine(lanner, "docker")
        container = docker.run(*COMMAND, name="docky", labels=LABELS)
        fields = alert_of(lanner, container)["output_fields"]
        blink = docker.run("/bin/cat", "/etc/shadow", name="blink", labels=LABELS, is_kept=False)
        brief = alert_of(lanner, blink)["output_fields"]
    finally:
        docker.stop()

    assert fields["container.name"] == "docky"
    assert fields["container.type"] == "docker"
    assert fields["container.image.repository"] == "lanner.test/team/box"
    assert fields["container.label[color]"] == "red"
    assert fields["container.full_id"] == container
    assert fields["k8s.pod.name"] is None
    # Told when it was created: `docker run --rm` of one short program has its names as well.
    assert (brief["container.name"], brief["container.label[color]"]) == ("blink", "red")


def test_podman(watch, base):
    """A container of a real Podman, through its API service."""
    reason = missing_programs("podman", "runc")
    if reason:
        pytest.skip(reason)
    podman = Podman(base / "p")
    try:
        lanner = watch(sockets(podman=str(podman.socket)))
        wait_engine(lanner, "podman")
        container = podman.run(*COMMAND, name="poddy", labels=LABELS)
        fields = alert_of(lanner, container)["output_fields"]
    finally:
        podman.stop()

    assert fields["container.name"] == "poddy"
    assert fields["container.type"] == "podman"
    assert fields["container.image.tag"] == "2.1"
    assert fields["container.label[color]"] == "red"


def test_a_podman_container_that_lives_for_a_moment(watch, base):
    """`podman run --rm` of one program: its service answers too late, its storage tells at once."""
    reason = missing_programs("podman", "runc")
    if reason:
        pytest.skip(reason)
    podman = Podman(base / "s")
    try:
        lanner = watch(sockets(storage=str(podman.root), podman=str(podman.socket)))
        wait_engine(lanner, "podman")
        wait_engine(lanner, "podman-storage")
        for name in ("blink-1", "blink-2"):
            podman.run_to_end("/bin/cat", "/etc/shadow", name=name)
        wait_until(lambda: len(lanner.lines) >= 2, 10, "two alerts")
    finally:
        podman.stop()

    for alert, name in zip(lanner.alerts(), ("blink-1", "blink-2"), strict=True):
        fields = alert["output_fields"]
        assert fields["container.name"] == name
        assert fields["container.type"] == "podman"
        assert fields["container.image.repository"] == "lanner.test/team/box"
        assert fields["container.privileged"] is False


def test_an_engine_that_hangs(watch, base, containerd):
    """A socket that takes connections and never answers: alerts come late, never not at all."""
    path = base / "hang.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(16)
        lanner = watch(sockets("200ms", docker=str(path)))
        pod = containerd.run_pod(*COMMAND, name="alone-0", namespace="shop", labels={})
        alert = alert_of(lanner, pod.container)

    assert alert["output_fields"]["container.name"] is None
    assert alert["output_fields"]["k8s.pod.uid"] == pod.uid
    assert lanner.total("lanner_alert_holds_total", step="timed_out") == 1


def test_a_pod_without_a_runtime_to_ask(watch, container, tmp_path):
    """The Kubernetes API alone names a pod's container (here a mock of it, told of a runc one)."""
    directory = tmp_path / "api"
    directory.mkdir()
    api = Api(directory)
    api.pages = [
        {
            "metadata": {"resourceVersion": "1"},
            "items": [make_pod("web-7d4b-abc", ids=(container.id,))],
        }
    ]
    try:
        lanner = watch(
            "containers:\n  podman_storage: []\n"
            "  sockets: {docker: [], podman: [], cri: [], containerd: []}\n"
            f"  kubernetes: {{enabled: true, api: '{api.url}', node_name: node1,\n"
            f"    token_file: {api.token_file}, ca_file: {api.ca_file}}}\n"
        )
        wait_engine(lanner, "kubernetes")
        subprocess.run(container.command("cat", "/etc/shadow"), check=True, capture_output=True)
        fields = alert_of(lanner, container.id)["output_fields"]
    finally:
        api.close()

    assert fields["container.name"] == "main"
    assert fields["container.image.repository"] == "reg.test/app"
    assert fields["k8s.pod.name"] == "web-7d4b-abc"
    assert fields["k8s.pod.label[app]"] == "web"
    assert fields["container.label[io.kubernetes.workload.name]"] == "web"


def test_a_container_of_ctr(watch, containerd):
    """containerd's own API names what no kubelet made; its id may be any word."""
    lanner = watch(sockets(containerd=str(containerd.socket)))
    wait_engine(lanner, "containerd")
    containerd.run_plain("box-of-ctr-1", *COMMAND)
    fields = alert_of(lanner, "box-of-ctr-1")["output_fields"]

    assert fields["container.name"] == "box-of-ctr-1"
    assert fields["container.type"] == "containerd"
    assert fields["container.image.repository"] == "lanner.test/team/box"
    assert fields["container.image.tag"] == "2.1"


def test_containerd_tells_of_pods(containerd):
    """Also where the CRI has no events: a container is told when it starts and when it goes."""

    async def check() -> None:
        engine = CriEngine(str(containerd.socket), 100)
        found: list[Change] = []

        async def follow() -> None:
            async for change in engine.changes():
                found.append(change)  # noqa: PERF401  it never ends

        task = asyncio.create_task(follow())
        await engine.list_ids()
        pod = await asyncio.to_thread(
            containerd.run_pod, "sleep", "600", name="told-0", namespace="shop", labels={}
        )
        await asyncio.to_thread(containerd.remove_pod, pod)
        async with asyncio.timeout(10):
            while Change(ChangeKind.WENT, pod.container) not in found:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert Change(ChangeKind.CAME, pod.container) in found
        task.cancel()
        await engine.close()

    asyncio.run(check())
