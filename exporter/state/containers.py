"""Containers: from a process's cgroup paths and mount namespace to container id and pod uid.

Source: spec/state-tracking.md section 10; the table of engines there is followed in its order.
"""

import re
from collections.abc import Callable, Iterable

from exporter.events.container import ContainerType
from exporter.events.host import INITIAL_MNTNS

ID_LENGTH = 12
"""Characters of a container id that are shown."""

_Match = tuple[bytes, ContainerType]
Matcher = Callable[[bytes], _Match | None]

_FULL_ID = 64
_HEX = frozenset(b"0123456789abcdefABCDEF")


def _runc_id(path: bytes, prefix: bytes, suffix: bytes) -> bytes | None:
    """The 64 hex digits between the last prefix and the last suffix (or the end)."""
    start = path.rfind(prefix)
    if start < 0:
        return None
    start += len(prefix)
    end = path.rfind(suffix) if suffix else len(path)
    if end - start != _FULL_ID:
        return None
    found = path[start:end]
    return found[:ID_LENGTH] if _HEX.issuperset(found) else None


def _runc(kind: ContainerType, *layouts: tuple[bytes, bytes]) -> Matcher:
    def match(path: bytes) -> _Match | None:
        for prefix, suffix in layouts:
            found = _runc_id(path, prefix, suffix)
            if found is not None:
                return found, kind
        return None

    return match


_CTR = re.compile(rb"/([A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*)/")
_NOT_A_CONTAINER = (b".service", b".slice", b".scope")


def _containerd(path: bytes) -> _Match | None:
    found = _CTR.search(path)
    if found is None:
        return None
    rest = path[found.end() :]
    if not 1 <= len(rest) <= _FULL_ID or rest.endswith(_NOT_A_CONTAINER) or b"/" in rest:
        return None
    return rest[:ID_LENGTH], ContainerType.CONTAINERD


def _lxc(path: bytes) -> _Match | None:
    for prefix in (b"/lxc/", b"/lxc.payload/", b"/lxc.payload."):
        start = path.find(prefix)
        if start >= 0:
            name = path[start + len(prefix) :].split(b"/", 1)[0]
            if name:
                return name, ContainerType.LXC
    return None


_LIBVIRT_OLD = re.compile(rb"/([^/]+)\.libvirt-lxc\Z")
_LIBVIRT_SYSTEMD = re.compile(rb"-lxc\\x2.(.+?)\.scope(?:/libvirt)?\Z", re.DOTALL)


def _libvirt_lxc(path: bytes) -> _Match | None:
    found = _LIBVIRT_OLD.search(path) or _LIBVIRT_SYSTEMD.search(path)
    if found is not None:
        return found[1], ContainerType.LIBVIRT_LXC
    start = path.find(b"/libvirt/lxc/")
    if start >= 0:
        name = path[start + len(b"/libvirt/lxc/") :].split(b"/", 1)[0]
        if name:
            return name, ContainerType.LIBVIRT_LXC
    return None


_BPM = re.compile(rb"bpm-([A-Za-z0-9._-]+?)(?:\.scope|\Z)")


def _bpm(path: bytes) -> _Match | None:
    found = _BPM.search(path)
    return None if found is None else (found[1], ContainerType.BPM)


_PODMAN_ENDS = (b".scope", b".scope/container", b"")

MATCHERS: tuple[Matcher, ...] = (
    _runc(
        ContainerType.PODMAN,
        *((prefix, end) for prefix in (b"/libpod-", b"/libpod-payload-") for end in _PODMAN_ENDS),
    ),
    _runc(ContainerType.DOCKER, (b"/", b""), (b"/docker-", b".scope")),
    _runc(
        ContainerType.CRI,
        (b"/", b""),
        (b"/crio-", b""),
        (b"/cri-containerd-", b".scope"),
        (b"/crio-", b".scope"),
        (b":cri-containerd:", b""),
        (b"/docker-", b".scope"),
        (b"/nerdctl-", b".scope"),
    ),
    _containerd,
    _lxc,
    _libvirt_lxc,
    _bpm,
)
"""Engines in the order they are asked; each looks at all paths only through `match_cgroups`."""

Cgroups = Iterable[tuple[bytes, bytes]]


def match_cgroups(cgroups: Cgroups) -> tuple[bytes, ContainerType] | None:
    """Container id and engine by the first cgroup path that any engine accepts; None for the host.

    cgroups: (subsystem, path) pairs in the order of the event. The engine is a first guess: several
    write the same layout, and only their sockets know whose container it is.
    """
    seen: set[bytes] = set()
    for _, path in cgroups:
        if path in seen:
            continue
        seen.add(path)
        for matcher in MATCHERS:
            found = matcher(path)
            if found is not None:
                return found
    return None


_POD = re.compile(
    rb"(?:/|-)pod([0-9a-fA-F]{8}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_]"
    rb"[0-9a-fA-F]{12}|[0-9a-fA-F]{32})(?=\.slice|/|\Z)"
)


def pod_uid(cgroups: Cgroups) -> bytes:
    """Pod uid from a path component `pod<uid>` (systemd writes `_` for `-`); empty for none."""
    for _, path in cgroups:
        found = _POD.search(path)
        if found is not None:
            return found[1].replace(b"_", b"-")
    return b""


_NESTED = re.compile(
    rb".*/(?:(?:docker|cri-containerd|crio|nerdctl|libpod|libpod-payload)-)?"
    rb"([0-9a-fA-F]{64})(?:\.scope)?/",
    re.DOTALL,
)


def _match_nested(cgroups: Cgroups) -> tuple[bytes, ContainerType] | None:
    """A container that made cgroups of its own below its id (systemd or an engine inside it)."""
    for _, path in cgroups:
        found = _NESTED.match(path)
        if found is not None:
            return found[1][:ID_LENGTH], ContainerType.UNKNOWN
    return None


class ContainerRule:
    """Decides host or container for one process.

    host_mntns: inode number of pid 1's mount namespace, 0 when unknown. host_cgroups: cgroups of
    pid 1; a machine may itself run in a container whose id then stands in every path, so that id
    alone never makes a container.
    """

    def __init__(self, host_mntns: int = 0, host_cgroups: Cgroups = ()) -> None:
        self.host_mntns = host_mntns
        own = match_cgroups(host_cgroups)
        self.host_id = b"" if own is None else own[0]

    def decide(self, cgroups: Cgroups, mntns: int) -> tuple[bytes, bytes, ContainerType]:
        """Container id, pod uid and engine; empty ids and HOST on the host.

        mntns: 0 when unknown (captures): then the cgroup decides alone.
        """
        if self.is_host_mntns(mntns):
            return b"", b"", ContainerType.HOST
        found = match_cgroups(cgroups) if not mntns else self.claim(cgroups)
        if found is None or found[0] == self.host_id:
            return b"", b"", ContainerType.HOST
        return found[0], pod_uid(cgroups), found[1]

    def is_host_mntns(self, mntns: int) -> bool:
        """Whether a mount namespace is the host's own; False for an unknown one."""
        return mntns != 0 and mntns in {self.host_mntns, INITIAL_MNTNS}

    def claim(self, cgroups: Cgroups) -> tuple[bytes, ContainerType] | None:
        """The id that live cgroup paths name, whoever it belongs to; None when they name none."""
        # An id further up counts for live processes only: their mount namespace backs it.
        return match_cgroups(cgroups) or _match_nested(cgroups)
