"""Kubernetes CRI answers to `Container` facts; pure.

Source: spec/state-tracking.md section 10.1; the Container Runtime Interface, version runtime.v1.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from exporter._proto.cri_pb2 import (
    PROPAGATION_BIDIRECTIONAL,
    PROPAGATION_HOST_TO_CONTAINER,
    PROPAGATION_PRIVATE,
    ContainerStatusResponse,
    NamespaceMode,
    PodSandboxStatus,
    PodSandboxStatusResponse,
)
from exporter._proto.cri_pb2 import Mount as CriMount
from exporter.events.container import Container, ContainerType, Mount
from exporter.sources.runtimes.engine import SHORT_ID
from exporter.sources.runtimes.facts import as_bytes, dig, labels_of
from exporter.sources.runtimes.images import cri_image, split_name

_TYPES = {"containerd": ContainerType.CONTAINERD, "cri-o": ContainerType.CRIO}
_PROPAGATIONS = {
    PROPAGATION_PRIVATE: b"private",
    PROPAGATION_HOST_TO_CONTAINER: b"rslave",
    PROPAGATION_BIDIRECTIONAL: b"rshared",
}
_CNI_RESULT = "io.kubernetes.cri-o.CNIResult"
_MAX_CNI_BYTES = 4096


def runtime_type(name: str) -> ContainerType:
    """The kind of engine by the name a runtime gives itself."""
    return _TYPES.get(name, ContainerType.CRI)


def container_facts(
    answer: ContainerStatusResponse,
    pod: PodSandboxStatusResponse | None,
    pod_id: str,
    kind: ContainerType,
    label_max_len: int,
) -> Container:
    """Facts of a container. pod: its sandbox, None when that could not be asked."""
    status = answer.status
    info = info_of(answer.info)
    image = cri_image(status.image.image, status.image_ref, status.annotations)
    sandbox = None if pod is None else pod.status
    labels = dict(status.labels)
    if pod_id:
        labels["io.kubernetes.sandbox.id"] = pod_id
    if sandbox is not None:
        labels.update(_pod_names(sandbox))
    options = None if sandbox is None else sandbox.linux.namespaces.options
    return Container(
        id=as_bytes(status.id[:SHORT_ID]),
        full_id=as_bytes(status.id),
        type=kind,
        name=as_bytes(status.metadata.name),
        image=as_bytes(image.name),
        image_id=as_bytes(_image_id(info, status.image_id)),
        image_repository=as_bytes(image.repository),
        image_tag=as_bytes(image.tag),
        image_digest=as_bytes(image.digest),
        user=as_bytes(_user(info, answer)),
        ip=b"" if sandbox is None else as_bytes(sandbox.network.ip),
        cni_json=b"" if sandbox is None else _cni_json(sandbox),
        labels=labels_of(labels, label_max_len),
        env=tuple(
            as_bytes(item) for item in dig(info, "runtimeSpec", "process", "env") or () if item
        ),
        mounts=tuple(_mount(mount) for mount in status.mounts),
        pod_sandbox_id=as_bytes(pod_id),
        pod_sandbox_labels={} if sandbox is None else labels_of(sandbox.labels, label_max_len),
        is_privileged=_is_privileged(info),
        host_pid=options is not None and options.pid == NamespaceMode.NODE,
        host_network=options is not None and options.network == NamespaceMode.NODE,
        host_ipc=options is not None and options.ipc == NamespaceMode.NODE,
        created_time_ns=status.created_at,
    )


def sandbox_facts(
    answer: PodSandboxStatusResponse, kind: ContainerType, label_max_len: int
) -> Container:
    """Facts of the container that only keeps a pod's namespaces (the pause container)."""
    status = answer.status
    info = info_of(answer.info)
    image = cri_image(str(dig(info, "image") or ""), "", status.annotations)
    options = status.linux.namespaces.options
    return Container(
        id=as_bytes(status.id[:SHORT_ID]),
        full_id=as_bytes(status.id),
        type=kind,
        name=as_bytes(status.metadata.name),
        image=as_bytes(image.name),
        image_repository=as_bytes(image.repository),
        image_tag=as_bytes(image.tag),
        image_digest=as_bytes(image.digest),
        ip=as_bytes(status.network.ip),
        cni_json=_cni_json(status),
        labels=labels_of({**status.labels, **_pod_names(status)}, label_max_len),
        pod_sandbox_id=as_bytes(status.id),
        pod_sandbox_labels=labels_of(status.labels, label_max_len),
        is_pod_sandbox=True,
        is_privileged=_is_privileged(info),
        host_pid=options.pid == NamespaceMode.NODE,
        host_network=options.network == NamespaceMode.NODE,
        host_ipc=options.ipc == NamespaceMode.NODE,
        created_time_ns=status.created_at,
    )


def info_of(info: Mapping[str, str]) -> dict[str, Any]:
    """What a verbose answer tells beyond the protocol; empty when it is no JSON object."""
    try:
        document = msgspec.json.decode(info.get("info", "{}"))
    except msgspec.DecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def pod_of(info: Mapping[str, Any]) -> str:
    """Id of the pod sandbox of a container; empty when the runtime does not tell."""
    for found in (
        info.get("sandboxID"),
        dig(info, "runtimeSpec", "annotations", "io.kubernetes.cri.sandbox-id"),
        dig(info, "runtimeSpec", "annotations", "io.kubernetes.cri-o.SandboxID"),
    ):
        if isinstance(found, str) and found:
            return found
    return ""


def _pod_names(status: PodSandboxStatus) -> dict[str, str]:
    return {
        "io.kubernetes.pod.uid": status.metadata.uid,
        "io.kubernetes.pod.name": status.metadata.name,
        "io.kubernetes.pod.namespace": status.metadata.namespace,
    }


def _image_id(info: Mapping[str, Any], image_id: str) -> str:
    """The kubelet starts containers by `sha256:<id>`; else the id that the runtime tells."""
    config = dig(info, "config", "image", "image")
    tag = split_name(config)[1] if isinstance(config, str) else ""
    return tag or image_id.removeprefix("sha256:")


def _user(info: Mapping[str, Any], answer: ContainerStatusResponse) -> str:
    uid = dig(info, "runtimeSpec", "process", "user", "uid")
    if isinstance(uid, int):
        return str(uid)
    return str(answer.status.user.linux.uid) if answer.status.HasField("user") else ""


def _is_privileged(info: Mapping[str, Any]) -> bool | None:
    """Whether a container has all of the host's privileges; None when the runtime says nothing."""
    context = dig(info, "config", "linux", "security_context")
    for found in (
        info.get("privileged"),
        dig(context, "privileged"),
        dig(info, "runtimeSpec", "annotations", "io.kubernetes.cri-o.PrivilegedRuntime"),
    ):
        if found is not None:
            return found in (True, "true")
    # False is left out of the JSON of a message.
    return False if dig(info, "config") is not None else None


def _mount(mount: CriMount) -> Mount:
    return Mount(
        source=as_bytes(mount.host_path),
        destination=as_bytes(mount.container_path),
        is_rdwr=not mount.readonly,
        propagation=_PROPAGATIONS.get(mount.propagation, b"unknown"),
    )


def _cni_json(status: PodSandboxStatus) -> bytes:
    text = as_bytes(status.annotations.get(_CNI_RESULT, ""))
    return text if len(text) <= _MAX_CNI_BYTES else b""
