"""Specifications of containers as runtimes read them: mounts and namespaces.

Source: the OCI runtime specification, config.json.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from exporter.events.container import Mount
from exporter.sources.runtimes.facts import as_bytes, dig

_MAX_BYTES = 16 << 20

_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})


class SpecFacts(Struct, frozen=True):
    """What a specification tells. mounts: of the host's directories."""

    mounts: tuple[Mount, ...] = ()
    env: tuple[bytes, ...] = ()
    uid: int | None = None
    host_pid: bool = False
    host_network: bool = False
    host_ipc: bool = False
    annotations: Any = None


def spec_facts(data: bytes) -> SpecFacts:
    """Facts of a specification; none of what is no JSON."""
    try:
        spec = msgspec.json.decode(data) if data else {}
    except msgspec.DecodeError:
        spec = {}
    own = {dig(item, "type") for item in dig(spec, "linux", "namespaces") or ()}
    uid = dig(spec, "process", "user", "uid")
    return SpecFacts(
        mounts=tuple(_mounts(dig(spec, "mounts") or ())),
        env=tuple(as_bytes(item) for item in dig(spec, "process", "env") or ()),
        uid=uid if isinstance(uid, int) else None,
        host_pid=bool(own) and "pid" not in own,
        host_network=bool(own) and "network" not in own,
        host_ipc=bool(own) and "ipc" not in own,
        annotations=dig(spec, "annotations"),
    )


def read_spec(path: Path) -> SpecFacts:
    """Facts of a specification on disk; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return spec_facts(file.read(_MAX_BYTES))
    except OSError:
        return SpecFacts()


def _mounts(items: Any) -> Iterator[Mount]:
    """Mounts of the host's directories; file systems of the kernel are no mounts to users."""
    for item in items:
        options = dig(item, "options") or []
        if dig(item, "type") != "bind" and not {"bind", "rbind"} & set(options):
            continue
        yield Mount(
            source=as_bytes(dig(item, "source")),
            destination=as_bytes(dig(item, "destination")),
            is_rdwr="ro" not in options,
            propagation=next(
                (as_bytes(option) for option in options if option in _PROPAGATIONS), b"private"
            ),
        )
