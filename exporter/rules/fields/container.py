"""Container and pod fields of system call events.

Source: fields catalogue class "container (plugin)"; state-tracking.md section 10.
"""

from msgspec import structs

from exporter.rules.fields.container_facts import (
    SHORT_ID,
    TYPE_NAMES,
    bind_label,
    bind_mount,
    bind_pod_label,
    by_source,
    container_id,
    duration,
    host_or,
    kubernetes_label,
    mount_destination,
    mount_source,
    mount_text,
    of_container,
    of_sandbox,
    pod_labels_of,
    pod_uid,
    shown_labels,
    start_ts,
    told,
)
from exporter.rules.fields.field import (
    SUGGESTED,
    ArgKind,
    Field,
    FieldClass,
    never,
    never_for,
)
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T

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
            container_id,
            inline="(t.container_id or b'host') if t is not None else None",
            cost=30,
            kernel="container.id",
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.image.repository",
            T.CHARBUF,
            "image name without tag and digest",
            of_container(told(lambda c: c.image_repository)),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "k8s.ns.name",
            T.CHARBUF,
            "label io.kubernetes.pod.namespace of the container",
            kubernetes_label(b"pod.namespace"),
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
            start_ts,
            print_as=P.DEC,
        ),
        Field(
            "container.mounts",
            T.CHARBUF,
            "all mounts as source:dest:mode:rdwr:propagation joined by commas",
            of_container(lambda c: b",".join(map(mount_text, c.mounts))),
        ),
        Field(
            "container.mount.dest",
            T.CHARBUF,
            "mount destination by index or by source path",
            bind=by_source(mount_destination),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "k8s.pod.name",
            T.CHARBUF,
            "label io.kubernetes.pod.name of the container",
            kubernetes_label(b"pod.name"),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.full_id",
            T.CHARBUF,
            "full container id (engine metadata needed)",
            host_or(told(lambda c: c.full_id)),
        ),
        Field(
            "container.name",
            T.CHARBUF,
            "container name; text host on the host",
            host_or(told(lambda c: c.name)),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.image",
            T.CHARBUF,
            "image reference as used to start the container",
            of_container(told(lambda c: c.image)),
        ),
        Field(
            "container.image.id",
            T.CHARBUF,
            "image id (12 characters for docker-like engines)",
            of_container(told(lambda c: c.image_id)),
        ),
        Field(
            "container.type",
            T.CHARBUF,
            (
                "engine word: docker, podman, cri-o, containerd, lxc, bpm, libvirt, static, "
                "host, ..."
            ),
            host_or(lambda c: TYPE_NAMES.get(c.type, b"unknown")),
        ),
        Field(
            "container.mount",
            T.CHARBUF,
            "one mount by index or by source path (glob allowed)",
            bind=by_source(mount_text),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.source",
            T.CHARBUF,
            "mount source by index or by destination path",
            bind=bind_mount(mount_source, mount_destination),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.mode",
            T.CHARBUF,
            "mount mode by index or source",
            bind=by_source(lambda m: m.mode),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.rdwr",
            T.CHARBUF,
            "true/false text by index or source",
            bind=by_source(lambda m: b"true" if m.is_rdwr else b"false"),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.mount.propagation",
            T.CHARBUF,
            "propagation mode by index or source",
            bind=by_source(lambda m: m.propagation),
            arg=ArgKind.INDEX_OR_KEY,
            is_arg_required=True,
        ),
        Field(
            "container.image.tag",
            T.CHARBUF,
            "image tag",
            of_container(told(lambda c: c.image_tag)),
            flags=frozenset({SUGGESTED}),
        ),
        Field(
            "container.image.digest",
            T.CHARBUF,
            "repository digest (sha256:...)",
            of_container(told(lambda c: c.image_digest)),
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
            duration,
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
            bind=bind_label,
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
            of_container(lambda c: shown_labels(c.labels)),
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
        Field("k8s.pod.id", T.CHARBUF, "same as k8s.pod.uid (legacy name)", pod_uid),
        Field("k8s.pod.uid", T.CHARBUF, "label io.kubernetes.pod.uid of the container", pod_uid),
        Field(
            "k8s.pod.sandbox_id",
            T.CHARBUF,
            "first 12 characters of the pod sandbox id",
            of_container(lambda c: c.pod_sandbox_id[:SHORT_ID] or None),
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
            bind=bind_pod_label,
            arg=ArgKind.KEY,
            is_arg_required=True,
        ),
        Field(
            "k8s.pod.labels",
            T.CHARBUF,
            "all pod sandbox labels as key:value joined by ', '",
            of_sandbox(lambda c: shown_labels(pod_labels_of(c))),
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
