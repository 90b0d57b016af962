"""Containers, users and groups that a capture tells (state-tracking.md sections 9 and 10)."""

import json
from typing import Any

import pytest

from exporter.events.container import ContainerType
from exporter.state.metadata import parse_container as parse

FULL = {
    "id": "abc", "full_id": "abcdef", "type": 7, "name": "web", "image": "r/nginx:1",
    "imageid": "i", "imagerepo": "r/nginx", "imagetag": "1", "imagedigest": "sha256:d",
    "User": "0", "cni_json": "{}", "ip": "10.0.0.1", "labels": {"a": "b"}, "env": ["A=1"],
    "Mounts": [{"Source": "/s", "Destination": "/d", "Mode": "z", "RW": True,
                "Propagation": "private"}],
    "port_mappings": [{"HostIp": "0.0.0.0", "HostPort": 80, "ContainerPort": "8080"}],
    "pod_sandbox_id": "p", "pod_sandbox_labels": {"c": "d"}, "is_pod_sandbox": False,
    "privileged": True, "host_pid": True, "created_time": 5,
    "Healthcheck": {"exe": "/bin/c", "args": ["-x"]},
}  # fmt: skip


def as_json(data: object, *, wrapped: bool = True) -> bytes:
    return json.dumps({"container": data} if wrapped else data).encode() + b"\0"


def found(text: bytes) -> Any:
    """What is made of a text."""
    return parse(text)


def test_all_keys_are_taken_over():
    """Each key of the metadata has its field."""
    container = found(as_json(FULL))

    assert (container.id, container.full_id, container.type) == (
        b"abc", b"abcdef", ContainerType.CONTAINERD,
    )  # fmt: skip
    assert (container.image_repository, container.image_tag) == (b"r/nginx", b"1")
    assert (container.labels, container.env) == ({b"a": b"b"}, (b"A=1",))
    assert container.mounts[0].destination == b"/d"
    assert container.port_mappings == ((b"0.0.0.0", 80, 8080),)
    assert (container.is_privileged, container.host_pid, container.host_ipc) == (True, True, False)
    assert container.health_probes == {"Healthcheck": (b"/bin/c", (b"-x",))}


def test_old_events_have_no_wrapper():
    """Upgraded container events hold the object alone; nobody told whether it is privileged."""
    container = found(as_json({"id": "abc", "type": 99999, "name": "n"}, wrapped=False))

    assert (container.type, container.is_privileged) == (ContainerType.UNKNOWN, None)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b"null", b'{"container": 5}', b'{"container": {}}', b'{"id": 7}', b"\xff"],
)
def test_odd_texts_are_no_container(text):
    """Nothing that is not a container raises."""
    assert found(text) is None


@pytest.mark.parametrize(
    "field",
    [{key: odd} for key in FULL if key != "id" for odd in (None, 5, "x", [], {}, [5], {"a": 5})],
)
def test_odd_values_are_left_out(field):
    """A value of another kind is as if it were missing."""
    assert found(as_json({**FULL, **field})).id == b"abc"


def test_containers_come_and_go(captured):
    """An async event adds or removes; the rules still see a container on its last event.

    Whoever wants to know of ends is told after that event.
    """
    ended: list[bytes] = []
    captured.state.watch_container_ends(ended.append)
    captured("PPME_ASYNCEVENT_E", 5, plugin_id=0, name=b"container", data=as_json(FULL))
    assert captured.state.host.containers[b"abc"].name == b"web"
    gone = captured.seen(
        "PPME_ASYNCEVENT_E", 5, plugin_id=0, name=b"container_removed", data=as_json(FULL)
    )
    assert b"abc" in captured.state.host.containers
    assert ended == []
    captured.state.after(gone)

    assert captured.state.host.containers == {}
    assert ended == [b"abc"]


def test_health_probes_are_told_apart(captured):
    """The main program, its children, and a probe run beside it (10.2)."""
    facts = {"cgroups": [b"cpu=/docker/" + b"ab" * 32]}
    probe = {**FULL, "id": "ab" * 6}
    captured("PPME_ASYNCEVENT_E", 5, plugin_id=0, name=b"container", data=as_json(probe))
    captured.execve(9, b"/usr/bin/containerd-shim", cgroups=[b"cpu=/"])
    captured("clone", 10, res=0, tid=10, pid=10, ptid=9, vtid=1, vpid=1, flags=0, exe=b"x",
             **facts)  # fmt: skip
    captured.execve(10, b"/bin/app", ptid=9, **facts)
    captured.fork(10, 11, **facts)
    captured.fork(9, 12, **facts)
    captured.execve(12, b"/bin/c", args=[b"-x"], ptid=9, **facts)
    captured.fork(9, 13, **facts)
    found = [captured.thread(tid).category for tid in (10, 11, 12, 13)]

    assert found == ["container", "container", "healthcheck", ""]


def test_users_and_groups_are_told(captured):
    """Added and deleted, by container."""
    host = captured.state.host
    captured("PPME_USER_ADDED_E", 5, uid=7, gid=8, name=b"u", home=b"/h", shell=b"/s",
             container_id=b"abc")  # fmt: skip
    captured("PPME_GROUP_ADDED_E", 5, gid=8, name=b"g", container_id=b"")
    assert host.users[b"abc", 7].name == b"u"
    assert host.groups[b"", 8].name == b"g"
    captured("PPME_USER_DELETED_E", 5, uid=7, container_id=b"abc")
    captured("PPME_GROUP_DELETED_E", 5, gid=8, container_id=b"")

    assert (host.users, host.groups) == ({}, {})


def test_events_are_about_the_container_they_tell(captured):
    """Fields of an event that adds or removes a container describe it, though no thread made it."""
    text = b'{"container":{"id":"3ad7b26ded6d","name":"web","type":0}}\0'
    added = captured.seen("PPME_ASYNCEVENT_E", -1, name=b"container", data=text)
    removed = captured.seen("PPME_ASYNCEVENT_E", -1, name=b"container_removed", data=text)
    other = captured.seen("PPME_ASYNCEVENT_E", -1, name=b"container", data=b"{}\0")

    assert (added.container.name, removed.container.id) == (b"web", b"3ad7b26ded6d")
    assert other.container is None
