"""The Kubernetes API: a list, a watch that goes on, and a server that says no.

The server is the mock of tests/kubernetes_api.py, over real HTTPS.
"""

import asyncio
import contextlib

import pytest

from exporter.events.container import ContainerType, Mount
from exporter.sources.runtimes.engine import Change, ChangeKind, EngineError
from exporter.sources.runtimes.pod_facts import facts_of, workload_of
from tests.kubernetes_api import HASH, ID, OTHER, Api, make_pod


def test_facts_of_a_pod():
    """Every fact in its place; the owner of the ReplicaSet is the Deployment."""
    found = facts_of(make_pod(), 100).containers[ID]

    assert (found.id, found.type, found.name) == (
        ID[:12].encode(), ContainerType.CONTAINERD, b"main",
    )  # fmt: skip
    assert (found.image_repository, found.image_tag, found.image_digest) == (
        b"reg.test/app", b"2", HASH.encode(),
    )  # fmt: skip
    assert found.labels == {
        b"io.kubernetes.pod.uid": b"uid-web-7d4b-x2x",
        b"io.kubernetes.pod.name": b"web-7d4b-x2x",
        b"io.kubernetes.pod.namespace": b"shop",
        b"io.kubernetes.workload.kind": b"Deployment",
        b"io.kubernetes.workload.name": b"web",
        b"io.kubernetes.container.name": b"main",
    }
    assert found.pod_sandbox_labels[b"app"] == b"web"
    assert found.mounts == (Mount(source=b"/srv", destination=b"/data", propagation=b"private"),)
    assert (found.ip, found.is_privileged, found.host_network, found.host_pid) == (
        b"10.0.0.9", True, True, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("owners", "workload"),
    [
        ([{"kind": "DaemonSet", "name": "log", "controller": True}], ("DaemonSet", "log")),
        ([{"kind": "ReplicaSet", "name": "own", "controller": True}], ("ReplicaSet", "own")),
        ([{"kind": "Node", "name": "n1"}], ("", "")),
        (None, ("", "")),
    ],
)
def test_workloads(owners, workload):
    """The controller alone owns; a ReplicaSet without the template's hash stands for itself."""
    assert workload == workload_of(make_pod(ownerReferences=owners))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all; making a certificate takes its time."""
    api = Api(tmp_path_factory.mktemp("api"))
    yield api
    api.close()


@pytest.fixture
def api(server):
    """The server as new."""
    server.pages = [{"metadata": {"resourceVersion": "5"}, "items": [make_pod()]}]
    server.requests.clear()
    server.status = 200
    server.token_file.write_text("first\n")
    return server


def test_the_list_is_read_in_pages(api):
    """All pages of this node's pods, with the token as it is at that time."""
    api.pages = [
        {"metadata": {"continue": "1"}, "items": [make_pod()]},
        {"metadata": {"resourceVersion": "6"}, "items": [make_pod("db-0", ids=(OTHER,))]},
    ]

    async def check() -> None:
        engine = api.engine()
        assert await engine.list_ids() == [ID, OTHER]
        api.token_file.write_text("second")
        await engine.list_ids()
        assert (await engine.fetch(OTHER[:12])).full_id == OTHER.encode()
        assert await engine.fetch("0" * 12) is None
        assert engine.pod(b"uid-db-0").labels[b"io.kubernetes.pod.name"] == b"db-0"
        assert engine.pod(b"nobody") is None
        await engine.close()

    asyncio.run(check())
    path, query, token = api.requests[0]
    assert (path, query["fieldSelector"]) == ("/api/v1/pods", ["spec.nodeName=node 1"])
    assert token == "Bearer first"
    assert api.requests[-1][2] == "Bearer second"


def test_the_watch_goes_on_where_it_ended(api):
    """Changes of containers, each once; a stream that ends is taken up from the last version."""
    api.watches.put([
        {"type": "MODIFIED", "object": make_pod(version="7")},
        {"type": "ADDED", "object": make_pod("db-0", "8", ids=(OTHER,))},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
    ])  # fmt: skip
    api.watches.put([{"type": "DELETED", "object": make_pod(version="10")}])
    api.watches.put([{"type": "ERROR", "object": {"code": 410, "message": "too old"}}])

    async def check() -> list[Change]:
        engine = api.engine()
        await engine.list_ids()
        found = []
        with pytest.raises(EngineError, match="too old"):  # noqa: PT012  changes come before it
            async for change in engine.changes():
                found.append(change)  # noqa: PERF401
        await engine.close()
        return found

    changes = asyncio.run(check())
    assert changes == [Change(ChangeKind.CAME, OTHER), Change(ChangeKind.WENT, ID)]
    versions = [q["resourceVersion"] for _, q, _ in api.requests if "watch" in q]
    assert versions == [["5"], ["9"], ["10"]]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ca_file": ""}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca_file": "/none"}, "cannot read /none"),
        ({"token_file": "/none"}, "cannot read the token"),
        ({"api": "https://127.0.0.1:1"}, "did not answer"),
    ],
)
def test_what_cannot_be_reached_is_said(api, changed, words):
    """Wrong certificates, files that are missing, nobody there: one sentence each."""

    async def check() -> None:
        engine = api.engine(**changed)
        with pytest.raises(EngineError, match=words):
            await engine.list_ids()
        await engine.close()

    asyncio.run(check())


def test_a_refusal_says_what_is_needed(api):
    """403: the service account lacks a right, and the error names it."""
    api.status = 403

    async def check() -> None:
        engine = api.engine()
        with contextlib.suppress(AssertionError), pytest.raises(EngineError) as caught:
            await engine.list_ids()
        assert "403" in str(caught.value)
        assert "list and watch of pods" in str(caught.value)
        await engine.close()

    asyncio.run(check())
