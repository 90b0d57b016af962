"""Fields of Kubernetes audit events (source k8s_audit).

Source: fields catalogue class "k8s_audit"; state-tracking.md section 13.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from exporter.events.event import Event
from exporter.rules.fields.audit_json import (
    ABSENT,
    at,
    audit_document,
    flatten,
    items_at,
    text_of,
    texts,
)
from exporter.rules.fields.field import Arg, ArgKind, Field, FieldClass, Reader
from exporter.rules.fields.field import ValueType as T
from exporter.rules.fields.pod_containers import container_fields

_Document = Mapping[str, Any]
_COST = 2000


def _scalar(*path: str) -> Reader:
    """Reader of the value at a path as text."""

    def read(event: Event) -> bytes | None:
        found = at(audit_document(event), *path)
        return None if found is ABSENT else text_of(found)

    return read


def _index(arg: Arg) -> int | None:
    return arg if isinstance(arg, int) else None


def _listed(values: Callable[[_Document, int | None], Iterable[Any] | None]) -> dict[str, Any]:
    """Reader and binder of a list field; an index picks one element of the first array."""

    def bind(arg: Arg) -> Reader:
        index = _index(arg)

        def read(event: Event) -> tuple[bytes, ...] | None:
            found = audit_document(event)
            items = None if found is None else values(found, index)
            return None if items is None else texts(list(items))

        return read

    return {"read": bind(None), "bind": bind, "is_list": True, "cost": _COST}


def _elements(*path: str) -> dict[str, Any]:
    return _listed(lambda found, index: items_at(found, index, *path))


def _below(array: Sequence[str], *path: str) -> dict[str, Any]:
    """Values at a path below each element of an array."""

    def values(found: _Document, index: int | None) -> Iterable[Any] | None:
        items = items_at(found, index, *array)
        return None if items is None else flatten(items, *path)

    return _listed(values)


_RULES = ("requestObject", "rules")
_VOLUMES = ("requestObject", "spec", "volumes")


def _subjects(kind: str, *, with_namespace: bool = False) -> dict[str, Any]:
    def values(found: _Document, _: int | None) -> Iterable[Any] | None:
        items = items_at(found, None, "requestObject", "subjects")
        if items is None:
            return None
        names: list[bytes] = []
        for item in items:
            name = at(item, "name")
            if at(item, "kind") != kind or name is ABSENT:
                continue
            namespace = at(item, "namespace") if with_namespace else ABSENT
            prefix = b"" if namespace is ABSENT else text_of(namespace) + b":"
            names.append(prefix + text_of(name))
        return [name.decode("utf-8", "surrogatepass") for name in names]

    return _listed(values)


def _ports(found: _Document, index: int | None) -> Iterable[Any] | None:
    items = items_at(found, index, "requestObject", "spec", "ports")
    return [items] if items is not None and index is None else items


def _volume_types(found: _Document, index: int | None) -> Iterable[Any] | None:
    items = items_at(found, index, *_VOLUMES)
    if items is None:
        return None
    return [key for item in items if isinstance(item, dict) for key in item if key != "name"]


def _host_paths(found: _Document) -> list[bytes]:
    items = items_at(found, None, *_VOLUMES) or ()
    return [text_of(path) for path in flatten(items, "hostPath", "path")]


def _bind_host_path(arg: Arg) -> Reader:
    key = arg if isinstance(arg, bytes) else b""

    def read(event: Event) -> bytes | None:
        found = audit_document(event)
        if found is None:
            return None
        for path in _host_paths(found):
            if path == key or (key.endswith(b"*") and path.startswith(key[:-1])):
                return b"true"
        return b"false"

    return read


def _bind_uri_parameter(arg: Arg) -> Reader:
    name = (arg if isinstance(arg, bytes) else b"").decode("utf-8", "replace")

    def read(event: Event) -> bytes | None:
        uri = at(audit_document(event), "requestURI")
        if not isinstance(uri, str):
            return None
        try:
            values = parse_qs(urlsplit(uri).query, keep_blank_values=True).get(name)
        except ValueError:
            return None
        return values[0].encode("utf-8", "surrogatepass") if values else None

    return read


def _bind_has_name(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Deprecated: always the text true."""
    return lambda event: None if audit_document(event) is None else b"true"


def _target_pod(event: Event) -> bytes | None:
    found = audit_document(event)
    if at(found, "objectRef", "resource") != "pods":
        return None
    if at(found, "objectRef", "subresource") is not ABSENT:
        return None
    name = at(found, "responseObject", "metadata", "name")
    return None if name is ABSENT else text_of(name)


def _first_container(event: Event) -> Any:
    items = items_at(audit_document(event), 0, "requestObject", "spec", "containers")
    return ABSENT if items is None else items[0]


def _first_image(event: Event) -> bytes | None:
    image = at(_first_container(event), "image")
    return None if image is ABSENT else text_of(image)


def _first_repository(event: Event) -> bytes | None:
    image = _first_image(event)
    return None if image is None else image.partition(b"@")[0].partition(b":")[0]


def _any_privileged(event: Event) -> bytes | None:
    found = audit_document(event)
    items = items_at(found, None, "requestObject", "spec", "containers")
    if items is None:
        return None
    return b"true" if True in flatten(items, "securityContext", "privileged") else b"false"


def _annotation(name: str) -> Reader:
    return _scalar("annotations", name)


def _field(name: str, desc: str, read: Reader) -> Field:
    return Field(f"ka.{name}", T.CHARBUF, desc, read, cost=_COST)


def _list_field(
    name: str, desc: str, how: Mapping[str, Any], arg: ArgKind = ArgKind.INDEX
) -> Field:
    kept = dict(how) if arg is not ArgKind.NONE else {**how, "bind": None}
    return Field(f"ka.{name}", T.CHARBUF, desc, arg=arg, **kept)


def _keyed(name: str, desc: str, bind: Callable[[Arg], Reader]) -> Field:
    return Field(
        f"ka.{name}",
        T.CHARBUF,
        desc,
        bind=bind,
        arg=ArgKind.KEY,
        is_arg_required=True,
        cost=_COST,
    )


_SPEC = ("requestObject", "spec")
_CONTEXT = (*_SPEC, "securityContext")
_ONE = ArgKind.NONE

CLASS = FieldClass(
    "k8s_audit",
    "fields of Kubernetes audit events",
    ("k8s_audit",),
    (
        _field("auditid", "auditID", _scalar("auditID")),
        _field("stage", "stage", _scalar("stage")),
        _field(
            "auth.decision",
            "annotation authorization.k8s.io/decision",
            _annotation("authorization.k8s.io/decision"),
        ),
        _field(
            "auth.reason",
            "annotation authorization.k8s.io/reason",
            _annotation("authorization.k8s.io/reason"),
        ),
        _field(
            "auth.openshift.decision",
            "annotation authentication.openshift.io/decision",
            _annotation("authentication.openshift.io/decision"),
        ),
        _field(
            "auth.openshift.username",
            "annotation authentication.openshift.io/username",
            _annotation("authentication.openshift.io/username"),
        ),
        _field(
            "validations.admission.policy.failure",
            "annotation validation.policy.admission.k8s.io/validation_failure",
            _annotation("validation.policy.admission.k8s.io/validation_failure"),
        ),
        _field(
            "security.pod.violations",
            "annotation pod-security.kubernetes.io/audit-violations",
            _annotation("pod-security.kubernetes.io/audit-violations"),
        ),
        _field("user.name", "user.username", _scalar("user", "username")),
        _list_field("user.groups", "user.groups", _elements("user", "groups"), _ONE),
        _field(
            "impuser.name",
            "impersonatedUser.username",
            _scalar("impersonatedUser", "username"),
        ),
        _field("verb", "verb", _scalar("verb")),
        _field("uri", "requestURI", _scalar("requestURI")),
        _keyed(
            "uri.param", "first value of one query parameter of requestURI", _bind_uri_parameter
        ),
        _field("target.name", "objectRef.name", _scalar("objectRef", "name")),
        _field("target.namespace", "objectRef.namespace", _scalar("objectRef", "namespace")),
        _field("target.resource", "objectRef.resource", _scalar("objectRef", "resource")),
        _field("target.subresource", "objectRef.subresource", _scalar("objectRef", "subresource")),
        _field(
            "target.pod.name",
            "name of the pod that was made, if the target resource is pods itself",
            _target_pod,
        ),
        _list_field(
            "req.binding.subjects",
            "requestObject.subjects, each as JSON text",
            _elements("requestObject", "subjects"),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.user_names",
            "names of subjects of kind User",
            _subjects("User"),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.serviceaccount_names",
            "names of subjects of kind ServiceAccount",
            _subjects("ServiceAccount"),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.serviceaccount_ns_names",
            "namespace:name of subjects of kind ServiceAccount",
            _subjects("ServiceAccount", with_namespace=True),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.group_names",
            "names of subjects of kind Group",
            _subjects("Group"),
            _ONE,
        ),
        _keyed("req.binding.subject.has_name", "deprecated; always the text true", _bind_has_name),
        _field(
            "req.binding.role",
            "requestObject.roleRef.name",
            _scalar("requestObject", "roleRef", "name"),
        ),
        _field("req.configmap.name", "objectRef.name", _scalar("objectRef", "name")),
        _field(
            "req.configmap.obj", "requestObject.data as JSON text", _scalar("requestObject", "data")
        ),
        *container_fields("containers", "pod containers"),
        *container_fields("initContainers", "pod init containers"),
        *container_fields("ephemeralContainers", "pod ephemeral containers", has_ports=False),
        _field("req.container.image", "image of the first container", _first_image),
        _field(
            "req.container.image.repository",
            "image repository of the first container",
            _first_repository,
        ),
        _field(
            "req.container.host_network",
            "requestObject.spec.hostNetwork",
            _scalar(*_SPEC, "hostNetwork"),
        ),
        _field(
            "req.container.privileged",
            "true if any container is privileged, else false",
            _any_privileged,
        ),
        _field("req.pod.host_ipc", "requestObject.spec.hostIPC", _scalar(*_SPEC, "hostIPC")),
        _field(
            "req.pod.host_network",
            "requestObject.spec.hostNetwork",
            _scalar(*_SPEC, "hostNetwork"),
        ),
        _field("req.pod.host_pid", "requestObject.spec.hostPID", _scalar(*_SPEC, "hostPID")),
        _field(
            "req.pod.run_as_user",
            "requestObject.spec.securityContext.runAsUser",
            _scalar(*_CONTEXT, "runAsUser"),
        ),
        _field(
            "req.pod.run_as_group",
            "requestObject.spec.securityContext.runAsGroup",
            _scalar(*_CONTEXT, "runAsGroup"),
        ),
        _field(
            "req.pod.fs_group",
            "requestObject.spec.securityContext.fsGroup",
            _scalar(*_CONTEXT, "fsGroup"),
        ),
        _list_field(
            "req.pod.supplemental_groups",
            "requestObject.spec.securityContext.supplementalGroups",
            _elements(*_CONTEXT, "supplementalGroups"),
            _ONE,
        ),
        _list_field(
            "req.role.rules", "requestObject.rules, each as JSON text", _elements(*_RULES), _ONE
        ),
        _list_field(
            "req.role.rules.apiGroups",
            "apiGroups of all role rules",
            _below(_RULES, "apiGroups"),
        ),
        _list_field(
            "req.role.rules.nonResourceURLs",
            "nonResourceURLs of all role rules",
            _below(_RULES, "nonResourceURLs"),
        ),
        _list_field("req.role.rules.verbs", "verbs of all role rules", _below(_RULES, "verbs")),
        _list_field(
            "req.role.rules.resources",
            "resources of all role rules",
            _below(_RULES, "resources"),
        ),
        _field("req.service.type", "requestObject.spec.type", _scalar(*_SPEC, "type")),
        _list_field("req.service.ports", "requestObject.spec.ports as JSON text", _listed(_ports)),
        _keyed(
            "req.volume.hostpath",
            "text true if some volume hostPath is the key (or starts with it if it ends in *)",
            _bind_host_path,
        ),
        _list_field(
            "req.pod.volumes.hostpath",
            "hostPath.path of every volume that has one",
            _below(_VOLUMES, "hostPath", "path"),
        ),
        _list_field(
            "req.pod.volumes.flexvolume_driver",
            "flexVolume.driver of the volumes",
            _below(_VOLUMES, "flexVolume", "driver"),
        ),
        _list_field(
            "req.pod.volumes.volume_type",
            "source key names of the volumes",
            _listed(_volume_types),
        ),
        _field(
            "resp.name",
            "responseObject.metadata.name",
            _scalar("responseObject", "metadata", "name"),
        ),
        _field("response.code", "responseStatus.code as text", _scalar("responseStatus", "code")),
        _field("response.reason", "responseStatus.reason", _scalar("responseStatus", "reason")),
        _field("useragent", "userAgent", _scalar("userAgent")),
        _list_field(
            "sourceips",
            "sourceIPs of the role rules in the request (not those of the audit event)",
            _below(_RULES, "sourceIPs"),
        ),
        _list_field(
            "cluster.name",
            "annotation cluster_name, if it is a list",
            _elements("annotations", "cluster_name"),
        ),
    ),
)
