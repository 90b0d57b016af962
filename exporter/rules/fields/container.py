"""Container and pod fields of system call events.

Source: fields catalogue class "container (plugin)"; state-tracking.md section 10.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from exporter.events.container import Container, ContainerType, Mount
from exporter.events.event import Event
from exporter.rules.fields.field import (
    SUGGESTED,
    Arg,
    ArgKind,
    Field,
    FieldClass,
    Reader,
    never,
    never_for,
)
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T
from exporter.rules.glob import compile_glob

HOST = b"host"
_SHORT_ID = 12
_HIDDEN_LABELS = (b"annotation.", b"io.kubernetes.")

_TYPE_NAMES: Mapping[ContainerType, bytes] = {
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


def _id(event: Event) -> bytes | None:
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


def _told(read: Callable[[Container], bytes]) -> Callable[[Container], bytes]:
    return lambda found: read(found) or _NOT_TOLD


def _is_on_host(event: Event) -> bool:
    return event.container is None and event.thread is not None and not event.thread.container_id


def _host_or(read: Callable[[Container], bytes]) -> Reader:
    """Like `of_container`, but the text `host` outside containers."""
    inner = of_container(read)
    return lambda event: HOST if _is_on_host(event) else inner(event)


def _start(event: Event) -> int | None:
    thread = event.thread
    return None if thread is None or not thread.container_id else thread.pidns_init_start_ts_ns


def _duration(event: Event) -> int | None:
    start = _start(event)
    return None if start is None else event.ts_ns - start


def _mount_text(mount: Mount) -> bytes:
    rdwr = b"true" if mount.is_rdwr else b"false"
    return b":".join((mount.source, mount.destination, mount.mode, rdwr, mount.propagation))


def _bind_mount(
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


def _source(mount: Mount) -> bytes:
    return mount.source


def _destination(mount: Mount) -> bytes:
    return mount.destination


def _by_source(read: Callable[[Mount], bytes]) -> Callable[[Arg], Reader]:
    return _bind_mount(read, _source)


def _labels(labels: Mapping[bytes, bytes]) -> bytes | None:
    shown = [
        b"%s:%s" % (key, value)
        for key, value in sorted(labels.items())
        if not key.startswith(_HIDDEN_LABELS)
    ]
    return b", ".join(shown) or None


def _bind_label(arg: Arg) -> Reader:
    key = arg if isinstance(arg, bytes) else b""
    return of_container(lambda found: found.labels.get(key))


def _kubernetes_label(name: bytes) -> Reader:
    key = b"io.kubernetes." + name
    return of_container(lambda found: found.labels.get(key))


def _pod_uid(event: Event) -> bytes | None:
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
        sandbox = event.host.containers.get(found.pod_sandbox_id[:_SHORT_ID])
        return read(found if sandbox is None else sandbox)

    return reader


def _pod_labels_of(found: Container) -> Mapping[bytes, bytes]:
    return found.pod_sandbox_labels or (found.labels if found.is_pod_sandbox else {})


def _bind_pod_label(arg: Arg) -> Reader:
    key = arg if isinstance(arg, bytes) else b""
    return of_sandbox(lambda found: _pod_labels_of(found).get(key))


_KNOWN_AT_ONCE = frozenset({"container.id", "container.start_ts", "container.duration"})
"""Fields that the kernel tells; all others wait for the runtime."""


def _told_by_runtimes(*fields: Field) -> tuple[Field, ...]:
    """The fields, each with the mark whether it is known only when the runtime has answered."""
    return tuple(
        structs.replace(field, is_late=not field.is_deprecated and field.name not in _KNOWN_AT_ONCE)
        for field in fields
    )


CLASS = FieldClass(
    "container",
    "fields of the container and pod an event comes from",
    ("syscall",),
    _told_by_runtimes(
        Field(
            "container.id",
            T.CHARBUF,
            (
                "first 12 characters of the container id from the cgroup; text host for host "
                "processes; empty/missing without thread entry"
            ),
            _id,
            inline="(t.container_id or b'host') if t is not None else None",
            cost=30,
            kernel="container.id",
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.image.repository",
            T.CHARBUF,
            "image name without tag and digest",
            of_container(_told(lambda c: c.image_repository)),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "k8s.ns.name",
            T.CHARBUF,
            "label io.kubernetes.pod.namespace of the container",
            _kubernetes_label(b"pod.namespace"),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.privileged",
            T.BOOL,
            "privileged flag",
            of_container(lambda c: c.is_privileged),
        ),
        Field(
            "container.start_ts",
            T.ABSTIME,
            "pid namespace start of the thread, ns since epoch (no engine metadata needed)",
            _start,
            print_as=P.DEC,
        ),
        Field(
            "container.mounts",
            T.CHARBUF,
            "all mounts as source:dest:mode:rdwr:propagation joined by commas",
            of_container(lambda c: b",".join(map(_mount_text, c.mounts))),
        ),
        Field(
            "container.mount.dest",
            T.CHARBUF,
            "mount destination by index or by source path",
            bind=_by_source(_destination),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "k8s.pod.name",
            T.CHARBUF,
            "label io.kubernetes.pod.name of the container",
            _kubernetes_label(b"pod.name"),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.full_id",
            T.CHARBUF,
            "full container id (engine metadata needed)",
            _host_or(_told(lambda c: c.full_id)),
        ),
        Field(
            "container.name",
            T.CHARBUF,
            "container name; text host on the host",
            _host_or(_told(lambda c: c.name)),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.image",
            T.CHARBUF,
            "image reference as used to start the container",
            of_container(_told(lambda c: c.image)),
        ),
        Field(
            "container.image.id",
            T.CHARBUF,
            "image id (12 characters for docker-like engines)",
            of_container(_told(lambda c: c.image_id)),
        ),
        Field(
            "container.type",
            T.CHARBUF,
            (
                "engine word: docker, podman, cri-o, containerd, lxc, bpm, libvirt, static, "
                "host, ..."
            ),
            _host_or(lambda c: _TYPE_NAMES.get(c.type, b"unknown")),
        ),
        Field(
            "container.mount",
            T.CHARBUF,
            "one mount by index or by source path (glob allowed)",
            bind=_by_source(_mount_text),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.source",
            T.CHARBUF,
            "mount source by index or by destination path",
            bind=_bind_mount(_source, _destination),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.mode",
            T.CHARBUF,
            "mount mode by index or source",
            bind=_by_source(lambda m: m.mode),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.rdwr",
            T.CHARBUF,
            "true/false text by index or source",
            bind=_by_source(lambda m: b"true" if m.is_rdwr else b"false"),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.propagation",
            T.CHARBUF,
            "propagation mode by index or source",
            bind=_by_source(lambda m: m.propagation),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.image.tag",
            T.CHARBUF,
            "image tag",
            of_container(_told(lambda c: c.image_tag)),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.image.digest",
            T.CHARBUF,
            "repository digest (sha256:...)",
            of_container(_told(lambda c: c.image_digest)),
        ),
        Field(
            "container.healthcheck",
            T.CHARBUF,
            "deprecated, never extracted",
            never,
            is_deprecated=True,
        ),
        Field(
            "container.liveness_probe",
            T.CHARBUF,
            "deprecated, never extracted",
            never,
            is_deprecated=True,
        ),
        Field(
            "container.readiness_probe",
            T.CHARBUF,
            "deprecated, never extracted",
            never,
            is_deprecated=True,
        ),
        Field(
            "container.duration",
            T.RELTIME,
            "event time minus container.start_ts",
            _duration,
            print_as=P.DEC,
        ),
        Field(
            "container.ip",
            T.CHARBUF,
            "primary IPv4 address of container or pod",
            of_container(lambda c: c.ip),
        ),
        Field(
            "container.cni.json",
            T.CHARBUF,
            "CNI result JSON of the pod sandbox (CRI engines)",
            of_container(lambda c: c.cni_json),
        ),
        Field(
            "container.host_pid",
            T.BOOL,
            "uses the host pid namespace",
            of_container(lambda c: c.host_pid),
        ),
        Field(
            "container.host_network",
            T.BOOL,
            "uses the host network namespace",
            of_container(lambda c: c.host_network),
        ),
        Field(
            "container.host_ipc",
            T.BOOL,
            "uses the host IPC namespace",
            of_container(lambda c: c.host_ipc),
        ),
        Field(
            "container.label",
            T.CHARBUF,
            "value of one container label",
            bind=_bind_label,
            arg=ArgKind.KEY,
            is_arg_required=True,
        ),
        Field(
            "container.labels",
            T.CHARBUF,
            (
                "all labels as key:value joined by ', ' (annotation. and io.kubernetes. labels "
                "left out)"
            ),
            of_container(lambda c: _labels(c.labels)),
        ),
        Field(
            "proc.is_container_healthcheck",
            T.BOOL,
            "deprecated, never extracted",
            never,
            is_deprecated=True,
        ),
        Field(
            "proc.is_container_liveness_probe",
            T.BOOL,
            "deprecated, never extracted",
            never,
            is_deprecated=True,
        ),
        Field(
            "proc.is_container_readiness_probe",
            T.BOOL,
            "deprecated, never extracted",
            never,
            is_deprecated=True,
        ),
        Field("k8s.pod.id", T.CHARBUF, "same as k8s.pod.uid (legacy name)", _pod_uid),
        Field("k8s.pod.uid", T.CHARBUF, "label io.kubernetes.pod.uid of the container", _pod_uid),
        Field(
            "k8s.pod.sandbox_id",
            T.CHARBUF,
            "first 12 characters of the pod sandbox id",
            of_container(lambda c: c.pod_sandbox_id[:_SHORT_ID] or None),
        ),
        Field(
            "k8s.pod.full_sandbox_id",
            T.CHARBUF,
            "full pod sandbox id",
            of_container(lambda c: c.pod_sandbox_id or None),
        ),
        Field(
            "k8s.pod.label",
            T.CHARBUF,
            "one label of the pod sandbox",
            bind=_bind_pod_label,
            arg=ArgKind.KEY,
            is_arg_required=True,
        ),
        Field(
            "k8s.pod.labels",
            T.CHARBUF,
            "all pod sandbox labels as key:value joined by ', '",
            of_sandbox(lambda c: _labels(_pod_labels_of(c))),
        ),
        Field("k8s.pod.ip", T.CHARBUF, "pod IPv4 address", of_sandbox(lambda c: c.ip or None)),
        Field(
            "k8s.pod.cni.json",
            T.CHARBUF,
            "CNI result JSON of the pod",
            of_sandbox(lambda c: c.cni_json or None),
        ),
        Field(
            "k8s.rc.name",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.rc.id",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.rc.label",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            bind=never_for,
            arg=ArgKind.KEY,
            is_arg_required=True,
            is_deprecated=True,
        ),
        Field(
            "k8s.rc.labels",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.svc.name",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.svc.id",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.svc.label",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            bind=never_for,
            arg=ArgKind.KEY,
            is_arg_required=True,
            is_deprecated=True,
        ),
        Field(
            "k8s.svc.labels",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.ns.id",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.ns.label",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            bind=never_for,
            arg=ArgKind.KEY,
            is_arg_required=True,
            is_deprecated=True,
        ),
        Field(
            "k8s.ns.labels",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.rs.name",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.rs.id",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.rs.label",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            bind=never_for,
            arg=ArgKind.KEY,
            is_arg_required=True,
            is_deprecated=True,
        ),
        Field(
            "k8s.rs.labels",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.deployment.name",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.deployment.id",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
        Field(
            "k8s.deployment.label",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            bind=never_for,
            arg=ArgKind.KEY,
            is_arg_required=True,
            is_deprecated=True,
        ),
        Field(
            "k8s.deployment.labels",
            T.CHARBUF,
            "deprecated, never extracted (needs the k8smeta plugin)",
            never,
            is_deprecated=True,
        ),
    ),
)
