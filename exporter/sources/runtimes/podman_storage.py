"""Podman's storage on disk: names and images of containers that no service tells of in time.

Podman needs no service, and one that runs answers for a container only when `podman run` has let
go of its locks: too late for one that lives for a moment. What it writes before the container's
program runs tells name and image, and the container's specification its mounts and namespaces.
Source: containers/storage, `<driver>-containers/containers.json` below the graph root, and
`volatile-containers.json` below the run root for those that are not to be kept.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from exporter.events.container import Container, ContainerType
from exporter.sources.runtimes.engine import Change, EngineError, EventsUnsupportedError
from exporter.sources.runtimes.facts import as_bytes, dig, time_ns
from exporter.sources.runtimes.images import split_name
from exporter.sources.runtimes.oci_spec import read_spec

_LISTS = ("*-containers/containers.json", "*-containers/volatile-containers.json")
_MAX_BYTES = 32 << 20
_PRIVILEGED = "io.podman.annotations.privileged"
_SHORT_ID = 12


class PodmanStorage:
    """One graph root or run root. Tells only of containers that it was asked for."""

    name = "podman-storage"

    def __init__(self, root: str) -> None:
        self.socket = root
        self._root = Path(root)
        self._told: set[str] = set()

    async def list_ids(self) -> list[str]:
        """Full ids of the containers that were asked for and still exist."""
        if self._told:
            listed = await asyncio.to_thread(self._read)
            self._told &= {str(dig(entry, "id")) for _, entry in listed}
        return sorted(self._told)

    async def fetch(self, container: str) -> Container | None:
        """Facts of a container by its id, or its first 12 characters."""
        found = await asyncio.to_thread(self._find, container)
        if found is not None:
            self._told.add(found.full_id.decode())
        return found

    def pod(self, _uid: bytes) -> Container | None:
        """There are no pods of Kubernetes here."""
        return None

    async def changes(self) -> AsyncIterator[Change]:
        """None are told: looking for them all the time would cost more than they are worth."""
        raise EventsUnsupportedError(f"{self.socket} tells no events")
        yield

    async def close(self) -> None:
        """Nothing is kept open."""

    def _find(self, container: str) -> Container | None:
        for directory, entry in self._read():
            if str(dig(entry, "id")).startswith(container):
                return container_facts(directory, entry)
        return None

    def _read(self) -> list[tuple[Path, Any]]:
        """(directory, entry) of every container in the lists."""
        found: list[tuple[Path, Any]] = []
        try:
            paths = [path for pattern in _LISTS for path in self._root.glob(pattern)]
            for path in paths:
                if path.stat().st_size > _MAX_BYTES:
                    raise EngineError(f"{path} is too big to be a list of containers")
                entries = msgspec.json.decode(path.read_bytes() or b"[]")
                found += [(path.parent, entry) for entry in entries or ()]
        except OSError as error:
            raise EngineError(
                f"cannot read {self.socket}: {os.strerror(error.errno or 0)}"
            ) from None
        except (msgspec.DecodeError, TypeError) as error:
            raise EngineError(f"{self.socket} holds no list of containers: {error}") from None
        return found


def container_facts(directory: Path, entry: Any) -> Container | None:
    """Facts of one entry; None for those of CRI-O, which shares the storage and has a socket."""
    full_id = str(dig(entry, "id") or "")
    try:
        metadata = msgspec.json.decode(str(dig(entry, "metadata") or "{}"))
    except msgspec.DecodeError:
        metadata = {}
    if dig(metadata, "pod-id") is not None:
        return None
    names = dig(entry, "names")
    name = names[0] if isinstance(names, list) and names else dig(metadata, "name")
    image = str(dig(metadata, "image-name") or "")
    repository, tag = split_name(image)
    spec = read_spec(directory / full_id / "userdata/config.json")
    privileged = dig(spec.annotations, _PRIVILEGED)
    return Container(
        id=as_bytes(full_id[:_SHORT_ID]),
        full_id=as_bytes(full_id),
        type=ContainerType.PODMAN,
        name=as_bytes(name),
        image=as_bytes(image),
        image_id=as_bytes(dig(metadata, "image-id") or dig(entry, "image")),
        image_repository=as_bytes(repository),
        image_tag=as_bytes(tag),
        mounts=tuple(mount for mount in spec.mounts if full_id.encode() not in mount.source),
        is_privileged=None if privileged is None else str(privileged).lower() == "true",
        host_pid=spec.host_pid,
        host_network=spec.host_network,
        host_ipc=spec.host_ipc,
        created_time_ns=time_ns(dig(entry, "created")),
    )
