"""Fields of the containers of a pod in a Kubernetes audit event, once for each kind of container.

Source: fields catalogue class "k8s_audit"; state-tracking.md section 13.
"""

from collections.abc import Callable, Iterable
from typing import Any

from exporter.events.event import Event
from exporter.rules.fields.audit_json import (
    ABSENT,
    at,
    audit_document,
    present,
    text_of,
    texts,
    values_at,
)
from exporter.rules.fields.field import Arg, ArgKind, Field, Reader
from exporter.rules.fields.field import ValueType as T

_Spec = Any
Values = Callable[[_Spec, str, int | None], Iterable[Any] | None]
"""Pod spec, kind of container and index -> values; None makes the field missing."""


def repository_of(image: bytes) -> bytes:
    """The image text up to its first colon or @, even where a registry's port is what follows."""
    return image.partition(b":")[0].partition(b"@")[0]


def _required(key: str) -> Values:
    """The value of a key that every container must have."""

    def values(spec: _Spec, kind: str, index: int | None) -> Iterable[Any] | None:
        found = values_at(spec, index, kind, key)
        return None if found is None or any(v is ABSENT for v in found) else found

    return values


def _where_set(*path: str) -> Values:
    """The value at a path of the containers that have it."""

    def values(spec: _Spec, kind: str, index: int | None) -> Iterable[Any] | None:
        return present(values_at(spec, index, kind, *path))

    return values


def _repository(spec: _Spec, kind: str, index: int | None) -> Iterable[Any] | None:
    images = _required("image")(spec, kind, index)
    return None if images is None else [repository_of(text_of(i)).decode() for i in images]


def _joined(key: str) -> Values:
    """The words of an array of the containers that have it, one text a container."""

    def values(spec: _Spec, kind: str, index: int | None) -> Iterable[Any] | None:
        found = values_at(spec, index, kind, key)
        if found is None:
            return None
        return [
            b" ".join(map(text_of, words)).decode() for words in found if isinstance(words, list)
        ]

    return values


def _effective(key: str) -> Values:
    """The reference engine looks right below container and spec, not below securityContext."""

    def values(spec: _Spec, kind: str, index: int | None) -> Iterable[Any] | None:
        of_pod = at(spec, key)
        default = "0" if of_pod is ABSENT else of_pod
        found = values_at(spec, index, kind, key)
        return None if found is None else [default if v is ABSENT else v for v in found]

    return values


def _host_ports(spec: _Spec, kind: str, index: int | None) -> Iterable[Any] | None:
    found = values_at(spec, index, kind, "ports")
    if found is None:
        return None
    numbers = []
    for ports in found:
        if ports is ABSENT:
            continue
        if not isinstance(ports, list):
            return None
        for port in ports:
            host = at(port, "hostPort")
            number = at(port, "containerPort") if host is ABSENT else host
            if number is not ABSENT:
                numbers.append(number)
    return numbers


def _binder(kind: str, values: Values) -> Callable[[Arg], Reader]:
    def bind(arg: Arg) -> Reader:
        index = arg if isinstance(arg, int) else None

        def read(event: Event) -> tuple[bytes, ...] | None:
            spec = at(audit_document(event), "requestObject", "spec")
            return texts(values(spec, kind, index))

        return read

    return bind


def container_fields(kind: str, words: str, *, has_ports: bool = True) -> tuple[Field, ...]:
    """The fields of one kind of container. kind: key in the pod spec. words: for descriptions."""
    context = "securityContext"
    table: tuple[tuple[str, str, Values], ...] = (
        ("args", "args joined by blanks, one text each", _joined("args")),
        ("command", "command joined by blanks, one text each", _joined("command")),
        ("name", "names", _required("name")),
        ("image", "images", _required("image")),
        ("image.repository", "image text cut at the first colon or @", _repository),
        ("host_port", "hostPort of every port, else its containerPort", _host_ports),
        ("privileged", f"{context}.privileged where set", _where_set(context, "privileged")),
        (
            "allow_privilege_escalation",
            f"{context}.allowPrivilegeEscalation where set",
            _where_set(context, "allowPrivilegeEscalation"),
        ),
        (
            "read_only_fs",
            f"{context}.readOnlyRootFilesystem where set",
            _where_set(context, "readOnlyRootFilesystem"),
        ),
        ("run_as_user", f"{context}.runAsUser where set", _where_set(context, "runAsUser")),
        ("eff_run_as_user", "runAsUser of container, else spec, else 0", _effective("runAsUser")),
        ("run_as_group", f"{context}.runAsGroup where set", _where_set(context, "runAsGroup")),
        (
            "eff_run_as_group",
            "runAsGroup of container, else spec, else 0",
            _effective("runAsGroup"),
        ),
        ("proc_mount", f"{context}.procMount where set", _where_set(context, "procMount")),
        (
            "add_capabilities",
            f"{context}.capabilities.add, one JSON text a container",
            _where_set(context, "capabilities", "add"),
        ),
    )
    fields = []
    for name, desc, values in table:
        if name == "host_port" and not has_ports:
            continue
        bind = _binder(kind, values)
        fields.append(
            Field(
                f"ka.req.pod.{kind}.{name}",
                T.CHARBUF,
                f"{words}: {desc}",
                read=bind(None),
                bind=bind,
                arg=ArgKind.INDEX,
                is_list=True,
                cost=4000,
            )
        )
    return tuple(fields)
