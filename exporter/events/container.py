"""Container, pod and user facts that fields of rules read; plain data, written by the state room.

Source: spec/state-tracking.md sections 9 and 10.
"""

from enum import IntEnum

from msgspec import Struct


class ContainerType(IntEnum):
    """Container engines as numbered in container events."""

    DOCKER = 0
    LXC = 1
    LIBVIRT_LXC = 2
    MESOS = 3
    RKT = 4
    CUSTOM = 5
    CRI = 6
    CONTAINERD = 7
    CRIO = 8
    BPM = 9
    STATIC = 10
    PODMAN = 11
    HOST = 0xFFFE
    UNKNOWN = 0xFFFF


class Mount(Struct, kw_only=True):
    """One mount of a container."""

    source: bytes = b""
    destination: bytes = b""
    mode: bytes = b""
    is_rdwr: bool = False
    propagation: bytes = b""


class Container(Struct, kw_only=True):
    """Metadata of one container as told by its runtime; keyed by the short id."""

    id: bytes
    full_id: bytes = b""
    type: ContainerType = ContainerType.UNKNOWN
    name: bytes = b""
    image: bytes = b""
    image_id: bytes = b""
    image_repository: bytes = b""
    image_tag: bytes = b""
    image_digest: bytes = b""
    user: bytes = b""
    ip: bytes = b""
    cni_json: bytes = b""
    labels: dict[bytes, bytes] = {}
    env: tuple[bytes, ...] = ()
    mounts: tuple[Mount, ...] = ()
    port_mappings: tuple[tuple[bytes, int, int], ...] = ()
    pod_sandbox_id: bytes = b""
    pod_sandbox_labels: dict[bytes, bytes] = {}
    is_pod_sandbox: bool = False
    is_privileged: bool | None = None
    host_pid: bool = False
    host_network: bool = False
    host_ipc: bool = False
    created_time_ns: int = 0
    health_probes: dict[str, tuple[bytes, tuple[bytes, ...]]] = {}
    """Healthcheck, LivenessProbe, ReadinessProbe -> (exe, args)."""
    size_bytes: int = 0
    """Length of the text that told it."""


class User(Struct, kw_only=True):
    """One line of passwd."""

    uid: int
    gid: int = 0
    name: bytes = b""
    home: bytes = b""
    shell: bytes = b""


class Group(Struct, kw_only=True):
    """One line of group."""

    gid: int
    name: bytes = b""
