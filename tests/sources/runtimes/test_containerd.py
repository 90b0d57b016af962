"""containerd's own containers: facts out of its records and their specifications."""

import json

import pytest

from exporter._proto import containerd_pb2 as api
from exporter.events.container import ContainerType, Mount
from exporter.sources.runtimes.containerd import container_facts

SPEC = {
    "process": {"user": {"uid": 7}, "env": ["A=1"]},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "ro"]},
        {"destination": "/x", "source": "/y", "options": ["rbind", "rslave"]},
    ],
    "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
}


def record(spec=b"", **fields):
    """A container as containerd lists it."""
    found = api.Container(id="box-with-a-long-name", image="reg.test/app:2", **fields)
    found.spec.value = spec
    found.created_at.FromNanoseconds(1_795_640_218_470_974_998)
    return found


def test_facts():
    """Name, image, user, mounts of the host's directories, and which namespaces are the host's."""
    found = container_facts(record(json.dumps(SPEC).encode(), labels={"a": "b"}), 100)

    assert (found.id, found.full_id) == (b"box-with-a-l", b"box-with-a-long-name")
    assert (found.name, found.type) == (b"box-with-a-long-name", ContainerType.CONTAINERD)
    assert (found.image_repository, found.image_tag) == (b"reg.test/app", b"2")
    assert (found.user, found.env, found.labels) == (b"7", (b"A=1",), {b"a": b"b"})
    assert found.mounts == (
        Mount(source=b"/srv", destination=b"/data", propagation=b"private"),
        Mount(source=b"/y", destination=b"/x", is_rdwr=True, propagation=b"rslave"),
    )
    assert (found.host_pid, found.host_network, found.host_ipc) == (False, True, True)
    assert found.created_time_ns == 1_795_640_218_470_974_998


def test_a_name_given_by_nerdctl():
    """nerdctl keeps the name that its user gave in a label."""
    assert container_facts(record(labels={"nerdctl/name": "web"}), 100).name == b"web"


@pytest.mark.parametrize("spec", [b"", b"not json", b"[]", b'{"linux": 5}'])
def test_odd_specifications(spec):
    """Without a readable specification the record alone tells."""
    found = container_facts(record(spec), 100)

    assert (found.host_network, found.user, found.mounts) == (False, b"", ())
