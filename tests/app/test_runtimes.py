"""Container runtimes by the configuration: where their sockets are, and what is missing."""

import pytest

from exporter.app.logs import start_log
from exporter.app.runtimes import Runtimes, kubernetes_place, path_below
from exporter.config.containers import ContainersSection
from exporter.errors import ConfigError
from exporter.sources.runtimes.follower import Place


@pytest.fixture
def host(tmp_path):
    """Another root directory, as a pod sees the node's."""
    for directory in ("run/user/1000/podman", "run/user/7/podman", "var", "deep"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "deep/loop").symlink_to("loop")
    (tmp_path / "deep/up").symlink_to("../../../../run")
    for name in ("run/docker.sock", "run/user/1000/podman/podman.sock"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/run/docker.sock", "run/docker.sock"),
        ("/var/run/docker.sock", "run/docker.sock"),
        ("/var/run/../run/./docker.sock", "run/docker.sock"),
        ("/deep/up/docker.sock", "run/docker.sock"),
        ("/../../run/none.sock", "run/none.sock"),
        ("/deep/loop/x", "deep/loop/x"),
    ],
)
def test_paths_of_another_root(host, path, found):
    """Links are followed inside that root, absolute ones too, and never out of it."""
    assert path_below(str(host), path) == str(host / found)


def places(section: ContainersSection) -> list[tuple[str, str]]:
    """Where the engines are looked for."""
    runtimes = Runtimes(section, start_log("error", "json"))
    return [(place.name, place.socket) for place in runtimes._places()]


def test_every_socket_once(host):
    """Two names of one socket are one engine; patterns are those that exist."""
    found = places(ContainersSection(host_root=str(host)))

    assert found == [
        ("podman", f"{host}/run/podman/podman.sock"),
        ("podman", f"{host}/run/user/1000/podman/podman.sock"),
        ("docker", f"{host}/run/docker.sock"),
        ("cri", f"{host}/run/containerd/containerd.sock"),
        ("cri", f"{host}/run/crio/crio.sock"),
        ("cri", f"{host}/run/k3s/containerd/containerd.sock"),
        ("cri", f"{host}/run/host-containerd/containerd.sock"),
        ("containerd", f"{host}/run/containerd/containerd.sock"),
        ("containerd", f"{host}/run/host-containerd/containerd.sock"),
        ("podman-storage", f"{host}/var/lib/containers/storage"),
        ("podman-storage", f"{host}/run/containers/storage"),
    ]


def test_the_host_s_root_from_the_environment(host, monkeypatch):
    """HOST_ROOT stands in for the setting, as in other tools that run in a pod."""
    monkeypatch.setenv("HOST_ROOT", str(host))

    assert ("docker", f"{host}/run/docker.sock") in places(ContainersSection())


def kubernetes(**settings: object) -> ContainersSection:
    """A section with the API switched on."""
    return ContainersSection.model_validate({"kubernetes": {"enabled": True, **settings}})


@pytest.fixture
def no_cluster(monkeypatch):
    """An environment outside of any cluster."""
    for name in ("KUBERNETES_SERVICE_HOST", "NODE_NAME", "LANNER_HOSTNAME"):
        monkeypatch.delenv(name, raising=False)


def test_a_socket_where_we_may_not_look(tmp_path, as_nobody):
    """Without root the directory of a runtime is often closed: then there is nothing for us."""
    closed = tmp_path / "containerd"
    closed.mkdir()
    (closed / "containerd.sock").touch()
    closed.chmod(0)
    with as_nobody():
        socket = path_below(str(tmp_path), "/containerd/containerd.sock")
        place = Place("cri", socket, lambda: pytest.fail("not to be connected to"))
        assert not place.exists()

    assert socket == str(closed / "containerd.sock")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"node_name": "n"}, r"kubernetes\.api is not set.*KUBERNETES_SERVICE_HOST"),
        ({"api": "https://api"}, r"kubernetes\.node_name is not set.*NODE_NAME"),
    ],
)
@pytest.mark.usefixtures("no_cluster")
def test_what_is_missing_for_the_api(settings, words):
    """Outside of a cluster the address and the node have to be said."""
    with pytest.raises(ConfigError, match=words):
        kubernetes_place(kubernetes(**settings))


@pytest.mark.parametrize(
    ("host", "url"),
    [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
)
@pytest.mark.usefixtures("no_cluster")
def test_the_api_of_the_cluster(monkeypatch, host, url):
    """In a pod the environment says where the API is."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("LANNER_HOSTNAME", "node1")
    place = kubernetes_place(kubernetes())

    assert (place.name, place.socket, place.exists()) == ("kubernetes", url, True)
