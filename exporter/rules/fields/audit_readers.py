"""How fields of Kubernetes audit events are read: paths, lists, and the few that compute.

Takes nothing but the event's document, so each reader says where in it the value lies.
Source: state-tracking.md section 13.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from exporter.events.event import Event
from exporter.rules.fields.audit_json import (
    ABSENT,
    at,
    audit_document,
    leaves,
    present,
    text_of,
    texts,
    values_at,
)
from exporter.rules.fields.field import Arg, Reader
from exporter.rules.fields.pod_containers import repository_of
from exporter.rules.fields.uri import query_parameter

_Document = Mapping[str, Any]
COST = 2000


def scalar(*path: str) -> Reader:
    """Reader of the value at a path as text."""

    def read(event: Event) -> bytes | None:
        found = at(audit_document(event), *path)
        return None if found is ABSENT else text_of(found)

    return read


def listed(values: Callable[[_Document, int | None], Iterable[Any] | None]) -> dict[str, Any]:
    """Reader and binder of a list field; an index picks one element of the first array."""

    def bind(arg: Arg) -> Reader:
        index = arg if isinstance(arg, int) else None

        def read(event: Event) -> tuple[bytes, ...] | None:
            found = audit_document(event)
            return None if found is None else texts(values(found, index))

        return read

    return {"read": bind(None), "bind": bind, "is_list": True, "cost": COST}


def elements(*path: str) -> dict[str, Any]:
    """Elements of the array at a path; anything but an array is a wrong type, hence missing."""

    def values(document: _Document, _: int | None) -> Iterable[Any] | None:
        found = at(document, *path)
        return found if isinstance(found, list) else None

    return listed(values)


def where_set(*path: str) -> dict[str, Any]:
    """Values at a path through arrays, of the elements that have it."""
    return listed(lambda document, index: present(values_at(document, index, *path)))


def of_rules(key: str) -> dict[str, Any]:
    """Elements of an array that each rule of a role may have."""

    def values(document: _Document, index: int | None) -> Iterable[Any] | None:
        found = values_at(document, index, "requestObject", "rules", key)
        return (
            None
            if found is None
            else [i for array in found if isinstance(array, list) for i in array]
        )

    return listed(values)


SPEC = ("requestObject", "spec")
CONTEXT = (*SPEC, "securityContext")
VOLUMES = (*SPEC, "volumes")


def subjects(kind: str, *, with_namespace: bool = False) -> dict[str, Any]:
    """Names of the subjects of one kind that a binding gives rights to."""

    def values(document: _Document, _: int | None) -> Iterable[Any] | None:
        found = at(document, "requestObject", "subjects")
        if not isinstance(found, list):
            return None
        names = []
        for subject in found:
            name = at(subject, "name")
            if at(subject, "kind") != kind or name is ABSENT:
                continue
            namespace = at(subject, "namespace") if with_namespace else ABSENT
            prefix = b"" if namespace is ABSENT else text_of(namespace) + b":"
            names.append((prefix + text_of(name)).decode())
        return names

    return listed(values)


def ports(document: _Document, _: int | None) -> Iterable[Any] | None:
    """The whole list of ports is one text: no array lies on the way, so an index has no use."""
    return present(values_at(document, None, *SPEC, "ports"))


def volume_types(document: _Document, index: int | None) -> Iterable[Any] | None:
    """Every key but the name of each volume: what kind of volume it is."""
    found = at(document, *VOLUMES)
    volumes: Sequence[Any] = found if isinstance(found, list) else (found,)
    if found is ABSENT or (index is not None and index >= len(volumes)):
        return None
    chosen = volumes if index is None else (volumes[index],)
    return [
        key for item in leaves(chosen) if isinstance(item, dict) for key in item if key != "name"
    ]


def bind_host_path(arg: Arg) -> Reader:
    """Whether some volume shows this path of the host, or one below it if the key ends in *."""
    key = arg if isinstance(arg, bytes) else b""

    def read(event: Event) -> bytes | None:
        found = present(values_at(audit_document(event), None, *VOLUMES, "hostPath", "path"))
        if found is None:
            return None
        for path in map(text_of, found):
            if path == key or (key.endswith(b"*") and path.startswith(key[:-1])):
                return b"true"
        return b"false"

    return read


def bind_uri_parameter(arg: Arg) -> Reader:
    """First value of one query parameter of the request."""
    name = arg if isinstance(arg, bytes) else b""

    def read(event: Event) -> bytes | None:
        uri = at(audit_document(event), "requestURI")
        return query_parameter(uri, name) if isinstance(uri, str) else None

    return read


def bind_has_name(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Deprecated: always the text true."""
    return lambda event: None if audit_document(event) is None else b"true"


def target_pod(event: Event) -> bytes | None:
    """Name in the response, if the request was about pods themselves."""
    found = audit_document(event)
    if at(found, "objectRef", "resource") != "pods":
        return None
    if at(found, "objectRef", "subresource") is not ABSENT:
        return None
    name = at(found, "responseObject", "metadata", "name")
    return None if name is ABSENT else text_of(name)


def first_image(event: Event) -> bytes | None:
    """Image of container 0."""
    found = present(values_at(audit_document(event), 0, *SPEC, "containers", "image"))
    return text_of(found[0]) if found else None


def first_repository(event: Event) -> bytes | None:
    """Repository of the image of container 0."""
    image = first_image(event)
    return None if image is None else repository_of(image)


def any_privileged(event: Event) -> bytes | None:
    """Text true or false over all containers."""
    path = (*SPEC, "containers", "securityContext", "privileged")
    found = values_at(audit_document(event), None, *path)
    if found is None:
        return None
    return b"true" if any(value is True for value in found) else b"false"
