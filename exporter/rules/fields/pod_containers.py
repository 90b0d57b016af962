"""Fields of the containers of a pod in a Kubernetes audit event, once for each kind of container.

Source: fields catalogue class "k8s_audit"; state-tracking.md section 13.
"""

from collections.abc import Callable, Iterable
from typing import Any

from exporter.events.event import Event
from exporter.rules.fields.audit_json import ABSENT, at, audit_document, items_at, text_of, texts
from exporter.rules.fields.field import Arg, ArgKind, Field, Reader
from exporter.rules.fields.field import ValueType as T

Values = Callable[[Any, Any], Iterable[Any] | None]
"""Container and pod spec -> values; None makes the whole field missing."""


def _required(*path: str) -> Values:
    """The value at a path, which every container must have."""

    def values(container: Any, _: Any) -> Iterable[Any] | None:
        found = at(container, *path)
        return None if found is ABSENT else (found,)

    return values


def _where_set(*path: str) -> Values:
    """The value at a path of the containers that have it."""

    def values(container: Any, _: Any) -> Iterable[Any]:
        found = at(container, *path)
        return () if found is ABSENT else (found,)

    return values


def _repository(container: Any, _: Any) -> Iterable[Any] | None:
    image = at(container, "image")
    return (image.partition("@")[0].partition(":")[0],) if isinstance(image, str) else None


def _joined(key: str) -> Values:
    def values(container: Any, _: Any) -> Iterable[Any]:
        words = at(container, key)
        if not isinstance(words, list):
            return ()
        return (b" ".join(map(text_of, words)).decode("utf-8", "surrogatepass"),)

    return values


def _effective(key: str) -> Values:
    """The reference engine looks right below container and spec, not below securityContext."""

    def values(container: Any, spec: Any) -> Iterable[Any]:
        own = at(container, key)
        found = at(spec, key) if own is ABSENT else own
        return (0 if found is ABSENT else found,)

    return values


def _host_ports(container: Any, _: Any) -> Iterable[Any]:
    ports = at(container, "ports")
    if not isinstance(ports, list):
        return ()
    found = []
    for port in ports:
        host = at(port, "hostPort")
        number = at(port, "containerPort") if host is ABSENT else host
        if number is not ABSENT:
            found.append(number)
    return found


def _binder(kind: str, values: Values) -> Callable[[Arg], Reader]:
    def bind(arg: Arg) -> Reader:
        index = arg if isinstance(arg, int) else None

        def read(event: Event) -> tuple[bytes, ...] | None:
            spec = at(audit_document(event), "requestObject", "spec")
            containers = items_at(spec, index, kind)
            if containers is None:
                return None
            found: list[Any] = []
            for container in containers:
                part = values(container, spec)
                if part is None:
                    return None
                found.extend(part)
            return texts(found)

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
