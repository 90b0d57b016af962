"""What container and pod fields say of events built for the purpose."""

import pytest

from exporter.events.container import Container, ContainerType, Mount
from exporter.events.host import Host
from tests.factories import NOW_NS, make_event, make_thread
from tests.live_contexts import make_live
from tests.rules.fields.reading import read


def boxed():
    """An event in a container of a pod with metadata."""
    labels = {
        b"app": b"web",
        b"io.kubernetes.pod.name": b"web-1",
        b"io.kubernetes.pod.namespace": b"prod",
        b"io.kubernetes.pod.uid": b"u-1",
    }
    box = Container(
        id=b"0123456789ab",
        full_id=b"0123456789abcdef",
        type=ContainerType.CONTAINERD,
        name=b"web",
        image=b"reg/web:1",
        image_repository=b"reg/web",
        image_tag=b"1",
        labels=labels,
        is_privileged=True,
        mounts=(Mount(source=b"/etc", destination=b"/host/etc", is_rdwr=True),),
        pod_sandbox_id=b"fedcba9876543210",
    )
    sandbox = Container(
        id=b"fedcba987654", ip=b"10.1.2.3", pod_sandbox_labels={b"tier": b"front"}, cni_json=b"{}"
    )
    host = Host(containers={box.id: box, sandbox.id: sandbox})
    thread = make_thread("x", container_id=box.id, pidns_init_start_ts_ns=NOW_NS - 9)
    return make_event("kill", proc=thread, host=host)


CONTAINER = {
    "container.id": b"0123456789ab",
    "container.full_id": b"0123456789abcdef",
    "container.name": b"web",
    "container.type": b"containerd",
    "container.image": b"reg/web:1",
    "container.image.repository": b"reg/web",
    "container.image.tag": b"1",
    "container.privileged": True,
    "container.mounts": b"/etc:/host/etc::true:",
    "container.mount[0]": b"/etc:/host/etc::true:",
    "container.mount[1]": None,
    "container.mount.dest[/e*]": b"/host/etc",
    "container.mount.dest[/proc*]": None,
    "container.mount.source[/host/*]": b"/etc",
    "container.mount.rdwr[/etc]": b"true",
    "container.label[app]": b"web",
    "container.label[none]": None,
    "container.labels": b"app:web",
    "container.start_ts": NOW_NS - 9,
    "container.duration": 9,
    "container.healthcheck": None,
    "k8s.pod.name": b"web-1",
    "k8s.ns.name": b"prod",
    "k8s.pod.uid": b"u-1",
    "k8s.pod.id": b"u-1",
    "k8s.pod.sandbox_id": b"fedcba987654",
    "k8s.pod.full_sandbox_id": b"fedcba9876543210",
    "k8s.pod.ip": b"10.1.2.3",
    "k8s.pod.label[tier]": b"front",
    "k8s.pod.labels": b"tier:front",
    "k8s.deployment.name": None,
}


@pytest.mark.parametrize("text", CONTAINER)
def test_container_fields(text):
    """Metadata of the container and of its pod's sandbox."""
    assert CONTAINER[text] == read(text, boxed())


def test_containers_without_metadata_have_an_id_only():
    """Until the runtime answers only what the cgroup and the kernel tell is there."""
    thread = make_thread("x", container_id=b"0123456789ab", pod_uid=b"u-2")
    event = make_event("kill", proc=thread)

    assert read("container.id", event) == b"0123456789ab"
    assert read("container.name", event) is None
    assert read("container.privileged", event) is None
    assert read("k8s.pod.uid", event) is None
    event.live = make_live(1000)
    assert read("k8s.pod.uid", event) == b"u-2"


def test_texts_the_runtime_left_empty_are_unknown():
    """Metadata may come in parts: what is empty reads `<NA>`, and a list of nothing is empty."""
    host = Host(containers={b"c1": Container(id=b"c1", type=ContainerType.CRI)})
    event = make_event("kill", proc=make_thread("x", container_id=b"c1"), host=host)

    names = ("name", "full_id", "image", "image.id", "image.repository", "image.tag")
    assert {read(f"container.{name}", event) for name in names} == {b"<NA>"}
    assert (read("container.type", event), read("container.mounts", event)) == (b"cri", b"")
