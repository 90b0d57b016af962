"""Podman's storage on disk: what it tells of containers, and what it does not."""

import asyncio
import json

import pytest

from exporter.events.container import Container, ContainerType, Mount
from exporter.sources.runtimes.engine import EngineError, EventsUnsupportedError
from exporter.sources.runtimes.podman_storage import PodmanStorage

A, B, C = ("0123456789abcdef" * 4, "fedcba9876543210" * 4, "00ff" * 16)
METADATA = {"image-name": "reg.test:5000/team/box:2.1", "image-id": "ab12", "name": "other"}


def entry(container, **metadata):
    """An entry of the list."""
    return {
        "id": container,
        "names": ["boxy"],
        "image": "cd34",
        "metadata": json.dumps(METADATA | metadata),
        "created": "2026-11-26T00:42:34.119953529Z",
    }


@pytest.fixture
def root(tmp_path):
    """A storage with a list of either kind, and a specification."""
    directory = tmp_path / "overlay-containers"
    spec = directory / A / "userdata"
    spec.mkdir(parents=True)
    (directory / "containers.json").write_text(json.dumps([entry(A)]))
    (directory / "volatile-containers.json").write_text(
        json.dumps([entry(B), entry(C, **{"pod-id": "p"})])
    )
    (spec / "config.json").write_text(
        json.dumps({
            "annotations": {"io.podman.annotations.privileged": "TRUE"},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
            "mounts": [
                {"type": "proc", "destination": "/proc", "source": "proc"},
                {"type": "bind", "destination": "/etc/hosts", "source": f"/run/{A}/hosts"},
                {"type": "bind", "destination": "/data", "source": "/srv", "options": ["ro"]},
            ],
        })
    )  # fmt: skip
    return tmp_path


def fetch(root, container) -> Container | None:
    """One question."""
    return asyncio.run(PodmanStorage(str(root)).fetch(container))


def test_a_container_with_its_specification(root):
    """Name, image and namespaces; the host's mounts but for those that Podman makes itself."""
    found = fetch(root, A[:12])

    assert found == Container(
        id=A[:12].encode(),
        full_id=A.encode(),
        type=ContainerType.PODMAN,
        name=b"boxy",
        image=b"reg.test:5000/team/box:2.1",
        image_id=b"ab12",
        image_repository=b"reg.test:5000/team/box",
        image_tag=b"2.1",
        mounts=(
            Mount(source=b"/srv", destination=b"/data", is_rdwr=False, propagation=b"private"),
        ),
        is_privileged=True,
        host_network=True,
        host_ipc=True,
        created_time_ns=1_795_653_754_119_953_529,
    )


def test_a_container_that_is_not_to_be_kept(root):
    """`--rm`: in a list of its own, here without a specification."""
    found = fetch(root, B)

    assert found is not None
    assert (found.name, found.is_privileged, found.mounts) == (b"boxy", None, ())


def test_others_are_not_told(root, tmp_path):
    """CRI-O's share the storage, and have a socket; nobody knows the rest."""
    assert fetch(root, C) is None
    assert fetch(root, "77" * 6) is None
    (tmp_path / "empty").mkdir()
    assert fetch(tmp_path / "empty", A) is None


def test_odd_lists_are_an_error_or_nothing(root):
    """Half-written or foreign files raise nothing else."""
    for text in ("{", "7"):
        (root / "overlay-containers/containers.json").write_text(text)
        with pytest.raises(EngineError, match="no list of containers"):
            fetch(root, A)
    (root / "overlay-containers/containers.json").write_text('["x", 3, null]')
    assert fetch(root, A) is None


def test_only_what_was_asked_for_is_listed(root):
    """Stopped containers of years are nobody's business; those that end are noticed."""

    async def check() -> None:
        engine = PodmanStorage(str(root))
        assert await engine.list_ids() == []
        await engine.fetch(A[:12])
        await engine.fetch(B[:12])
        assert await engine.list_ids() == sorted([A, B])
        (root / "overlay-containers/volatile-containers.json").write_text("[]")
        assert await engine.list_ids() == [A]
        with pytest.raises(EventsUnsupportedError):
            await anext(engine.changes())

    asyncio.run(check())
