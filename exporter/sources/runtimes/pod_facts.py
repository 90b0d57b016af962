"""Pods of the Kubernetes API to `Container` facts; pure.

Source: Kubernetes API, core/v1 Pod; spec/state-tracking.md section 10.1 for the names of labels.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, structs

from exporter.events.container import Container, ContainerType, Mount
from exporter.sources.runtimes.engine import SHORT_ID
from exporter.sources.runtimes.facts import as_bytes, dig, labels_of, time_ns
from exporter.sources.runtimes.images import cri_image

_TYPES = {
    "containerd": ContainerType.CONTAINERD,
    "cri-o": ContainerType.CRIO,
    "docker": ContainerType.DOCKER,
}
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_SPECS = ("containers", "initContainers", "ephemeralContainers")
_TEMPLATE_HASH = "pod-template-hash"
WORKLOAD_KIND = "io.kubernetes.workload.kind"
WORKLOAD_NAME = "io.kubernetes.workload.name"
"""Labels of ours that tell the workload a pod belongs to; Kubernetes has none for it."""


def pod_uid_of(pod: Any) -> str:
    """Uid of a pod; empty for what is none."""
    return str(dig(pod, "metadata", "uid") or "")


def workload_of(pod: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and name of the workload that owns a pod; empty texts for a pod of its own.

    A Deployment owns its pods through a ReplicaSet, named after it and the hash of the template.
    """
    owners = dig(pod, "metadata", "ownerReferences") or ()
    owner = next((item for item in owners if dig(item, "controller")), None)
    kind, name = str(dig(owner, "kind") or ""), str(dig(owner, "name") or "")
    template = dig(pod, "metadata", "labels", _TEMPLATE_HASH)
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return "Deployment", name.removesuffix(f"-{template}")
    return kind, name


class PodFacts(Struct, frozen=True):
    """One pod. shared: what its containers have in common. containers: by full id, once known."""

    shared: Container
    containers: dict[str, Container]


def facts_of(pod: Mapping[str, Any], label_max_len: int) -> PodFacts:
    """Facts of a pod and of every container of it that has an id by now."""
    spec, status = pod.get("spec"), pod.get("status")
    shared = _shared(pod, label_max_len)
    specs = {dig(item, "name"): item for key in _SPECS for item in dig(spec, key) or ()}
    volumes = {
        dig(volume, "name"): dig(volume, "hostPath", "path")
        for volume in dig(spec, "volumes") or ()
    }
    found = {}
    for item in (item for key in _STATUSES for item in dig(status, key) or ()):
        scheme, _, full_id = str(dig(item, "containerID") or "").partition("://")
        if not full_id:
            continue
        name = str(dig(item, "name") or "")
        own = specs.get(name)
        image = cri_image(str(dig(item, "image") or ""), _image_ref(dig(item, "imageID")), {})
        found[full_id] = structs.replace(
            shared,
            id=as_bytes(full_id[:SHORT_ID]),
            full_id=as_bytes(full_id),
            type=_TYPES.get(scheme, ContainerType.CRI),
            name=as_bytes(name),
            image=as_bytes(image.name),
            image_repository=as_bytes(image.repository),
            image_tag=as_bytes(image.tag),
            image_digest=as_bytes(image.digest),
            labels={**shared.labels, b"io.kubernetes.container.name": as_bytes(name)},
            mounts=tuple(_mounts(own, volumes)),
            is_privileged=bool(dig(own, "securityContext", "privileged")),
            created_time_ns=time_ns(dig(item, "state", "running", "startedAt")),
        )
    return PodFacts(shared, found)


def _shared(pod: Mapping[str, Any], label_max_len: int) -> Container:
    kind, name = workload_of(pod)
    labels = {
        "io.kubernetes.pod.uid": pod_uid_of(pod),
        "io.kubernetes.pod.name": dig(pod, "metadata", "name"),
        "io.kubernetes.pod.namespace": dig(pod, "metadata", "namespace"),
    }
    if kind:
        labels |= {WORKLOAD_KIND: kind, WORKLOAD_NAME: name}
    return Container(
        id=b"",
        ip=as_bytes(dig(pod, "status", "podIP")),
        labels=labels_of(labels, label_max_len),
        pod_sandbox_labels=labels_of(dig(pod, "metadata", "labels"), label_max_len),
        host_pid=bool(dig(pod, "spec", "hostPID")),
        host_network=bool(dig(pod, "spec", "hostNetwork")),
        host_ipc=bool(dig(pod, "spec", "hostIPC")),
    )


def merged(runtime: Container, pod: Container) -> Container:
    """What a runtime tells, with what only the API knows; the runtime's word wins."""
    facts = {
        name: getattr(runtime, name) or getattr(pod, name)
        for name in Container.__struct_fields__
        if name not in {"type", "labels", "pod_sandbox_labels", "is_privileged"}
    }
    return Container(
        **facts,
        type=runtime.type,
        labels={**pod.labels, **runtime.labels},
        pod_sandbox_labels={**pod.pod_sandbox_labels, **runtime.pod_sandbox_labels},
        is_privileged=pod.is_privileged if runtime.is_privileged is None else runtime.is_privileged,
    )


def _image_ref(image_id: Any) -> str:
    """`docker-pullable://repo@sha256:…` and `docker://sha256:…` without what stands before."""
    return str(image_id or "").rpartition("://")[2]


def _mounts(container: Any, volumes: Mapping[Any, Any]) -> Iterator[Mount]:
    """Mounts of the host's directories; those of other volumes have no path a rule could name."""
    for item in dig(container, "volumeMounts") or ():
        source = volumes.get(dig(item, "name"))
        if source:
            yield Mount(
                source=as_bytes(source),
                destination=as_bytes(dig(item, "mountPath")),
                is_rdwr=not dig(item, "readOnly"),
                propagation=b"private",
            )
