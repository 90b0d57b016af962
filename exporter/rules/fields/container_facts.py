"""What container and pod fields read: facts of the container of an event's thread, and of its pod.

Source: fields catalogue class "container (plugin)"; state-tracking.md section 10.
"""

from collections.abc import Callable, Mapping
from typing import Any

from exporter.events.container import Container, ContainerType, Mount
from exporter.events.event import Event
from exporter.rules.fields.field import Arg, Reader
from exporter.rules.glob import compile_glob

HOST = b"host"
SHORT_ID = 12
_HIDDEN_LABELS = (b"annotation.", b"io.kubernetes.")

TYPE_NAMES: Mapping[ContainerType, bytes] = {
    ContainerType.DOCKER: b"docker",
    ContainerType.LXC: b"lxc",
    ContainerType.LIBVIRT_LXC: b"libvirt-lxc",
    ContainerType.MESOS: b"mesos",
    ContainerType.RKT: b"rkt",
    ContainerType.CUSTOM: b"custom",
    ContainerType.CRI: b"cri",
    ContainerType.CONTAINERD: b"containerd",
    ContainerType.CRIO: b"cri-o",
    ContainerType.BPM: b"bpm",
    ContainerType.STATIC: b"static",
    ContainerType.PODMAN: b"podman",
    ContainerType.HOST: HOST,
}


def container_id(event: Event) -> bytes | None:
    """Id of the container of the event's thread, `host` outside of containers."""
    if event.container is not None:
        return event.container.id
    thread = event.thread
    return None if thread is None else thread.container_id or HOST


def container_of(event: Event) -> Container | None:
    """Metadata of the container of the event's thread; None on the host and while unknown.

    Events that tell of a container are about that one.
    """
    if event.container is not None:
        return event.container
    thread = event.thread
    if thread is None or not thread.container_id:
        return None
    return event.host.containers.get(thread.container_id)


def of_container(read: Callable[[Container], Any]) -> Reader:
    """Reader of a fact of the container; missing without metadata."""

    def reader(event: Event) -> Any:
        found = container_of(event)
        return None if found is None else read(found)

    return reader


_NOT_TOLD = b"<NA>"
"""Texts that the runtime left empty read so: they are there, but not known."""


def told(read: Callable[[Container], bytes]) -> Callable[[Container], bytes]:
    """The text, or what stands for one that the runtime left empty."""
    return lambda found: read(found) or _NOT_TOLD


def _is_on_host(event: Event) -> bool:
    return event.container is None and event.thread is not None and not event.thread.container_id


def host_or(read: Callable[[Container], bytes]) -> Reader:
    """Like `of_container`, but the text `host` outside containers."""
    inner = of_container(read)
    return lambda event: HOST if _is_on_host(event) else inner(event)


def start_ts(event: Event) -> int | None:
    """When the pid namespace of a thread in a container began."""
    thread = event.thread
    return None if thread is None or not thread.container_id else thread.pidns_init_start_ts_ns


def duration(event: Event) -> int | None:
    """How long ago that was."""
    start = start_ts(event)
    return None if start is None else event.ts_ns - start


def mount_text(mount: Mount) -> bytes:
    """A mount as `container.mounts` shows it."""
    rdwr = b"true" if mount.is_rdwr else b"false"
    return b":".join((mount.source, mount.destination, mount.mode, rdwr, mount.propagation))


def bind_mount(
    read: Callable[[Mount], bytes], key_of: Callable[[Mount], bytes]
) -> Callable[[Arg], Reader]:
    """Binder of a fact of one mount: by index, or by a glob over its source or destination."""

    def bind(arg: Arg) -> Reader:
        if isinstance(arg, int):
            index = arg

            def by_index(found: Container) -> bytes | None:
                mounts = found.mounts
                return read(mounts[index]) if 0 <= index < len(mounts) else None

            return of_container(by_index)
        matches = compile_glob(arg if isinstance(arg, bytes) else b"")

        def by_key(found: Container) -> bytes | None:
            return next((read(mount) for mount in found.mounts if matches(key_of(mount))), None)

        return of_container(by_key)

    return bind


def mount_source(mount: Mount) -> bytes:
    """Where a mount comes from."""
    return mount.source


def mount_destination(mount: Mount) -> bytes:
    """Where a mount is in the container."""
    return mount.destination


def by_source(read: Callable[[Mount], bytes]) -> Callable[[Arg], Reader]:
    """`bind_mount` with a glob over the source."""
    return bind_mount(read, mount_source)


def shown_labels(labels: Mapping[bytes, bytes]) -> bytes | None:
    """All labels in one text, but for those of Kubernetes itself."""
    shown = [
        b"%s:%s" % (key, value)
        for key, value in sorted(labels.items())
        if not key.startswith(_HIDDEN_LABELS)
    ]
    return b", ".join(shown) or None


def bind_label(arg: Arg) -> Reader:
    """A label of the container by its key."""
    key = arg if isinstance(arg, bytes) else b""
    return of_container(lambda found: found.labels.get(key))


def kubernetes_label(name: bytes) -> Reader:
    """A label that the kubelet gives each container."""
    key = b"io.kubernetes." + name
    return of_container(lambda found: found.labels.get(key))


def pod_uid(event: Event) -> bytes | None:
    """The runtime's label; live, where it may come late, the uid in the cgroup path without it.

    Captures hold what the runtime said, and the reference engine looks at nothing else.
    """
    found = container_of(event)
    uid = None if found is None else found.labels.get(b"io.kubernetes.pod.uid")
    if uid is None and event.live is not None and event.thread is not None:
        return event.thread.pod_uid or None
    return uid


def of_sandbox(read: Callable[[Container], Any]) -> Reader:
    """Reader of a fact of the pod: of the container itself, else of its sandbox container."""

    def reader(event: Event) -> Any:
        found = container_of(event)
        if found is None:
            return None
        if found.cni_json:
            return read(found)
        sandbox = event.host.containers.get(found.pod_sandbox_id[:SHORT_ID])
        return read(found if sandbox is None else sandbox)

    return reader


def pod_labels_of(found: Container) -> Mapping[bytes, bytes]:
    """Labels of the pod that a container belongs to."""
    return found.pod_sandbox_labels or (found.labels if found.is_pod_sandbox else {})


def bind_pod_label(arg: Arg) -> Reader:
    """A label of the pod by its key."""
    key = arg if isinstance(arg, bytes) else b""
    return of_sandbox(lambda found: pod_labels_of(found).get(key))
