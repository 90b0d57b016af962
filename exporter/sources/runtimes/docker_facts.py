"""Answers of the Docker API (Docker and Podman) to `Container` facts; pure.

Source: spec/state-tracking.md section 10.1; Docker Engine API, container and image inspect.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from exporter.events.container import Container, ContainerType, Mount
from exporter.sources.runtimes.engine import SHORT_ID
from exporter.sources.runtimes.facts import as_bytes, dig, labels_of, time_ns
from exporter.sources.runtimes.images import docker_image

_HASH = "sha256:"
_POD = "k8s_POD"
_SHARED_NETWORK = "container:"


def container_facts(
    container: Mapping[str, Any],
    image: Mapping[str, Any] | None,
    kind: ContainerType,
    label_max_len: int,
    *,
    shared_ip: str = "",
) -> Container:
    """Facts of an inspected container.

    image: its inspected image, None when that is gone. shared_ip: address of the container whose
    network it shares.
    """
    full_id = str(container.get("Id") or "")
    name = str(container.get("Name") or "").removeprefix("/")
    host = container.get("HostConfig")
    named = docker_image(
        str(dig(container, "Config", "Image") or ""),
        _texts(dig(image, "RepoTags")),
        _texts(dig(image, "RepoDigests")),
    )
    return Container(
        id=as_bytes(full_id[:SHORT_ID]),
        full_id=as_bytes(full_id),
        type=kind,
        name=as_bytes(name),
        image=as_bytes(named.name),
        image_id=as_bytes(str(container.get("Image") or "").removeprefix(_HASH)),
        image_repository=as_bytes(named.repository),
        image_tag=as_bytes(named.tag),
        image_digest=as_bytes(named.digest),
        user=as_bytes(dig(container, "Config", "User")),
        ip=as_bytes(own_ip(container) or shared_ip),
        labels=labels_of(dig(container, "Config", "Labels"), label_max_len),
        env=tuple(as_bytes(item) for item in _texts(dig(container, "Config", "Env"))),
        mounts=tuple(
            _mount(item) for item in container.get("Mounts") or () if isinstance(item, dict)
        ),
        port_mappings=tuple(_ports(dig(container, "NetworkSettings", "Ports"))),
        is_pod_sandbox=_POD in name,
        is_privileged=bool(dig(host, "Privileged")),
        host_pid=dig(host, "PidMode") == "host",
        host_network=dig(host, "NetworkMode") == "host",
        host_ipc=dig(host, "IpcMode") == "host",
        created_time_ns=time_ns(container.get("Created")),
    )


def own_ip(container: Mapping[str, Any]) -> str:
    """The container's own IPv4 address; that of its first network where there are several."""
    settings = container.get("NetworkSettings")
    address = dig(settings, "IPAddress")
    if address:
        return str(address)
    networks = dig(settings, "Networks")
    found = networks.values() if isinstance(networks, dict) else ()
    return next((str(ip) for network in found if (ip := dig(network, "IPAddress"))), "")


def network_owner(container: Mapping[str, Any]) -> str:
    """Id of the container whose network this one uses; empty when it has its own."""
    mode = dig(container, "HostConfig", "NetworkMode")
    if isinstance(mode, str) and mode.startswith(_SHARED_NETWORK):
        return mode.removeprefix(_SHARED_NETWORK)
    return ""


def _texts(values: Any) -> list[str]:
    return [value for value in values or () if isinstance(value, str)]


def _mount(item: Mapping[str, Any]) -> Mount:
    return Mount(
        source=as_bytes(item.get("Source")),
        destination=as_bytes(item.get("Destination")),
        mode=as_bytes(item.get("Mode")),
        is_rdwr=bool(item.get("RW")),
        propagation=as_bytes(item.get("Propagation")),
    )


def _ports(ports: Any) -> Iterator[tuple[bytes, int, int]]:
    """(host address, host port, container port) of every published port."""
    for inner, outers in ports.items() if isinstance(ports, dict) else ():
        number = str(inner).partition("/")[0]
        for outer in outers or ():
            port = str(dig(outer, "HostPort") or "")
            if number.isdigit() and port.isdigit():
                yield as_bytes(dig(outer, "HostIp")), int(port), int(number)
