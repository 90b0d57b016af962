"""Facts of containers out of answers in the shape of real engines, and out of hostile ones."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter._proto.cri_pb2 import (
    PROPAGATION_BIDIRECTIONAL,
    PROPAGATION_HOST_TO_CONTAINER,
    ContainerStatus,
    ContainerStatusResponse,
    ImageSpec,
    LinuxPodSandboxStatus,
    Namespace,
    NamespaceMode,
    NamespaceOption,
    PodSandboxMetadata,
    PodSandboxNetworkStatus,
    PodSandboxStatus,
    PodSandboxStatusResponse,
)
from exporter._proto.cri_pb2 import ContainerMetadata as CriName
from exporter._proto.cri_pb2 import Mount as CriMount
from exporter.events.container import ContainerType, Mount
from exporter.sources.runtimes import cri_facts, docker_facts
from exporter.sources.runtimes.facts import labels_of, time_ns

ID = "0123456789ab" + "c" * 52
POD_ID = "fedcba987654" + "d" * 52
UID = "1a2b3c4d-0000-1111-2222-333344445555"
HASH = "sha256:" + "0f" * 32


def docker_answer(**fields):
    """An inspected container, as Docker 20.10 tells it, cut to what is read."""
    answer = {
        "Id": ID,
        "Name": "/web",
        "Created": "2026-11-25T20:56:58.470974998Z",
        "Image": HASH,
        "HostConfig": {"Privileged": True, "PidMode": "host", "IpcMode": "private",
                       "NetworkMode": "default"},
        "Mounts": [{"Type": "bind", "Source": "/srv", "Destination": "/data", "Mode": "ro",
                    "RW": False, "Propagation": "rprivate"}],
        "Config": {"User": "app", "Env": ["A=1"], "Image": "reg.test/app:2",
                   "Labels": {"color": "red", "long": "x" * 101}},
        "NetworkSettings": {"IPAddress": "172.17.0.2",
                            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
                                      "81/tcp": None}},
    }  # fmt: skip
    return answer | fields


def test_docker_container():
    """Every fact of the table in its place."""
    image = {"RepoTags": ["reg.test/app:2"], "RepoDigests": [f"reg.test/app@{HASH}"]}
    found = docker_facts.container_facts(docker_answer(), image, ContainerType.DOCKER, 100)

    assert (found.id, found.full_id) == (ID[:12].encode(), ID.encode())
    assert (found.name, found.image, found.image_id) == (b"web", b"reg.test/app:2", b"0f" * 32)
    assert (found.image_repository, found.image_tag) == (b"reg.test/app", b"2")
    assert found.image_digest == HASH.encode()
    assert (found.user, found.ip, found.env) == (b"app", b"172.17.0.2", (b"A=1",))
    assert found.labels == {b"color": b"red"}
    assert found.mounts == (
        Mount(source=b"/srv", destination=b"/data", mode=b"ro", propagation=b"rprivate"),
    )
    assert found.port_mappings == ((b"0.0.0.0", 8080, 80),)
    assert (found.is_privileged, found.host_pid, found.host_network, found.host_ipc) == (
        True, True, False, False,
    )  # fmt: skip
    assert found.created_time_ns == 1_795_640_218_470_974_998
    assert not found.is_pod_sandbox


def test_docker_pod_sandbox_and_shared_network():
    """A name with k8s_POD is a sandbox's; a container in another's network has its address."""
    answer = docker_answer(
        Name="/k8s_POD_web-0_shop",
        HostConfig={"NetworkMode": f"container:{POD_ID}"},
        NetworkSettings={"IPAddress": "", "Networks": {}},
    )
    found = docker_facts.container_facts(
        answer, None, ContainerType.DOCKER, 100, shared_ip="10.0.0.7"
    )

    assert docker_facts.network_owner(answer) == POD_ID
    assert (found.is_pod_sandbox, found.ip, found.is_privileged) == (True, b"10.0.0.7", False)


def test_docker_user_defined_network():
    """Without an address of its own the first network's counts."""
    networks = {"a": {"IPAddress": ""}, "b": {"IPAddress": "10.1.0.2"}}

    assert docker_facts.own_ip({"NetworkSettings": {"Networks": networks}}) == "10.1.0.2"


def pod_answer(**options):
    """A pod sandbox, as containerd 1.6 tells it."""
    return PodSandboxStatusResponse(
        status=PodSandboxStatus(
            id=POD_ID,
            metadata=PodSandboxMetadata(name="web-0", uid=UID, namespace="shop"),
            network=PodSandboxNetworkStatus(ip="10.0.0.9"),
            linux=LinuxPodSandboxStatus(
                namespaces=Namespace(options=NamespaceOption(network=NamespaceMode.NODE))
            ),
            labels={"app": "web"},
            created_at=5,
            **options,
        ),
        info={"info": json.dumps({"image": "reg.test/pause:3"})},
    )


def cri_answer(info, **fields):
    """A container, as containerd 1.6 tells it."""
    return ContainerStatusResponse(
        status=ContainerStatus(
            id=ID,
            metadata=CriName(name="main"),
            image=ImageSpec(image="reg.test/app:2"),
            image_ref=f"reg.test/app@{HASH}",
            labels={"io.kubernetes.container.name": "main", "long": "x" * 101},
            created_at=7,
            mounts=[
                CriMount(
                    container_path="/data",
                    host_path="/srv",
                    readonly=True,
                    propagation=PROPAGATION_BIDIRECTIONAL,
                ),
                CriMount(
                    container_path="/x", host_path="/y", propagation=PROPAGATION_HOST_TO_CONTAINER
                ),
                CriMount(container_path="/x", host_path="/y"),
            ],
            **fields,
        ),
        info={"info": json.dumps(info)},
    )


INFO = {
    "sandboxID": POD_ID,
    "config": {"image": {"image": HASH}, "linux": {"security_context": {"privileged": True}}},
    "runtimeSpec": {"process": {"user": {"uid": 1000}, "env": ["A=1"]}},
}


def test_cri_container():
    """Facts of the container, the pod's names as labels, addresses and modes of the sandbox."""
    answer, pod = cri_answer(INFO), pod_answer()
    found = cri_facts.container_facts(answer, pod, POD_ID, ContainerType.CONTAINERD, 100)

    assert cri_facts.pod_of(cri_facts.info_of(answer.info)) == POD_ID
    assert (found.type, found.name, found.id) == (
        ContainerType.CONTAINERD, b"main", ID[:12].encode(),
    )  # fmt: skip
    assert (found.image, found.image_tag, found.image_digest) == (
        b"reg.test/app", b"2", HASH.encode(),
    )  # fmt: skip
    assert found.image_id == b"0f" * 32
    assert found.labels == {
        b"io.kubernetes.container.name": b"main",
        b"io.kubernetes.sandbox.id": POD_ID.encode(),
        b"io.kubernetes.pod.uid": UID.encode(),
        b"io.kubernetes.pod.name": b"web-0",
        b"io.kubernetes.pod.namespace": b"shop",
    }
    assert (found.pod_sandbox_id, found.pod_sandbox_labels) == (POD_ID.encode(), {b"app": b"web"})
    assert (found.user, found.ip, found.env) == (b"1000", b"10.0.0.9", (b"A=1",))
    assert (found.is_privileged, found.host_network, found.host_pid) == (True, True, False)
    assert [(m.is_rdwr, m.mode, m.propagation) for m in found.mounts] == [
        (False, b"", b"rshared"), (True, b"", b"rslave"), (True, b"", b"private"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("info", "is_privileged"),
    [
        ({}, None),
        ({"config": {}}, False),
        ({"privileged": False}, False),
        ({"privileged": True}, True),
        ({"runtimeSpec": {"annotations": {"io.kubernetes.cri-o.PrivilegedRuntime": "true"}}}, True),
    ],
)
def test_cri_privileged(info, is_privileged):
    """containerd's and CRI-O's ways to say it; silence is no answer."""
    found = cri_facts.container_facts(cri_answer(info), None, "", ContainerType.CRIO, 100)

    assert found.is_privileged is is_privileged


def test_cri_pod_sandbox():
    """The container that holds a pod's namespaces has the pod's name, labels and address."""
    found = cri_facts.sandbox_facts(pod_answer(), ContainerType.CONTAINERD, 100)

    assert (found.id, found.name, found.is_pod_sandbox) == (POD_ID[:12].encode(), b"web-0", True)
    assert (found.image_repository, found.image_tag) == (b"reg.test/pause", b"3")
    assert found.labels[b"io.kubernetes.pod.namespace"] == b"shop"
    assert found.pod_sandbox_labels == {b"app": b"web"}


@pytest.mark.parametrize(("size", "cni"), [(4096, b"{" * 4096), (4097, b"")])
def test_cri_o_network_result(size, cni):
    """CRI-O's CNI result is kept up to 4096 bytes."""
    pod = pod_answer(annotations={"io.kubernetes.cri-o.CNIResult": "{" * size})

    assert cri_facts.sandbox_facts(pod, ContainerType.CRIO, 100).cni_json == cni


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-11-25T20:56:58.470974998Z", 1_795_640_218_470_974_998),
        ("2026-11-25T22:56:58.5+02:00", 1_795_640_218_500_000_000),
        ("2026-11-25T20:56:58Z", 1_795_640_218_000_000_000),
        ("0001-01-01T00:00:00Z", 0),
        ("yesterday", 0),
        (None, 0),
    ],
)
def test_times(text, ns):
    """RFC 3339 to the nanosecond; what is no time is 0."""
    assert ns == time_ns(text)


def test_long_labels_are_left_out():
    """The limit is that of the value."""
    assert labels_of({"a": "xx", "b": "xxx", "c": None}, 2) == {b"a": b"xx"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=100)
@given(value=JSON, key=st.sampled_from(["Name", "HostConfig", "Config", "NetworkSettings", "Id"]))
def test_odd_docker_answers_never_raise_odd_errors(value, key):
    """An answer of another shape gives facts or one of the errors that a caller expects."""
    try:
        docker_facts.container_facts(docker_answer(**{key: value}), None, ContainerType.DOCKER, 9)
    except (TypeError, ValueError, AttributeError, LookupError):
        return
