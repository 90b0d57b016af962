"""Events that carry no system call: containers, users and groups told by a capture.

Source: spec/state-tracking.md sections 9 and 10.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from exporter.events.container import Container, ContainerType, Group, Mount, User
from exporter.events.event import Event
from exporter.state.budget import CONTAINER_FACTOR, ENTRY_BYTES
from exporter.state.tables import Handler, Tables

_PROBE_KEYS = ("Healthcheck", "LivenessProbe", "ReadinessProbe")


def parse_container(text: bytes) -> Container | None:
    """Container of a metadata JSON text; None when it is not one or lacks an id.

    text: `{"container": {...}}`, or the inner object alone (upgraded old events).
    """
    try:
        document = msgspec.json.decode(text.rstrip(b"\0"))
    except msgspec.DecodeError:
        return None
    if not isinstance(document, dict):
        return None
    data = document.get("container", document)
    if not isinstance(data, dict) or not _text(data, "id"):
        return None
    return Container(
        id=_text(data, "id"),
        full_id=_text(data, "full_id"),
        type=_type(data.get("type")),
        name=_text(data, "name"),
        image=_text(data, "image"),
        image_id=_text(data, "imageid"),
        image_repository=_text(data, "imagerepo"),
        image_tag=_text(data, "imagetag"),
        image_digest=_text(data, "imagedigest"),
        user=_text(data, "User"),
        ip=_text(data, "ip"),
        cni_json=_text(data, "cni_json"),
        labels=_labels(data.get("labels")),
        env=tuple(_bytes(item) for item in _list(data.get("env"))),
        mounts=tuple(_mount(item) for item in _list(data.get("Mounts")) if isinstance(item, dict)),
        port_mappings=tuple(
            (_text(item, "HostIp"), _number(item, "HostPort"), _number(item, "ContainerPort"))
            for item in _list(data.get("port_mappings"))
            if isinstance(item, dict)
        ),
        pod_sandbox_id=_text(data, "pod_sandbox_id"),
        pod_sandbox_labels=_labels(data.get("pod_sandbox_labels")),
        is_pod_sandbox=bool(data.get("is_pod_sandbox")),
        is_privileged=bool(data["privileged"]) if "privileged" in data else None,
        host_pid=bool(data.get("host_pid")),
        host_network=bool(data.get("host_network")),
        host_ipc=bool(data.get("host_ipc")),
        created_time_ns=_number(data, "created_time"),
        size_bytes=len(text),
        health_probes={
            key: (_text(data[key], "exe"), tuple(_bytes(a) for a in _list(data[key].get("args"))))
            for key in _PROBE_KEYS
            if isinstance(data.get(key), dict)
        },
    )


def _bytes(value: Any) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else b""


def _text(data: dict[str, Any], key: str) -> bytes:
    return _bytes(data.get(key))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(data: dict[str, Any], key: str) -> int:
    value = data.get(key)
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) else 0


def _type(value: Any) -> ContainerType:
    try:
        return ContainerType(value)
    except ValueError:
        return ContainerType.UNKNOWN


def _labels(value: Any) -> dict[bytes, bytes]:
    if not isinstance(value, dict):
        return {}
    return {_bytes(key): _bytes(text) for key, text in value.items()}


def _mount(data: dict[str, Any]) -> Mount:
    return Mount(
        source=_text(data, "Source"),
        destination=_text(data, "Destination"),
        mode=_text(data, "Mode"),
        is_rdwr=bool(data.get("RW")),
        propagation=_text(data, "Propagation"),
    )


def _store(tables: Tables, event: Event, text: bytes | None) -> None:
    container = event.container = None if text is None else parse_container(text)
    if container is not None and tables.affords(
        ENTRY_BYTES + CONTAINER_FACTOR * container.size_bytes
    ):
        tables.host.containers[container.id] = container


def on_container(tables: Tables, event: Event) -> None:
    """A container's metadata."""
    _store(tables, event, event.param(0))


def on_async(tables: Tables, event: Event) -> None:
    """An asynchronous event: a container came or went."""
    name, data = event.param(1), event.param(2)
    if name == b"container":
        _store(tables, event, data)
    elif name == b"container_removed" and data is not None:
        container = event.container = parse_container(data)
        if container is not None:
            # The rules still see the container on the event that ends it.
            tables.deferred.append(lambda: tables.forget_container(container.id))


def on_user_added(tables: Tables, event: Event) -> None:
    """A user of the host or of a container."""
    uid = event.param(0)
    if uid is not None and tables.affords_texts(event):
        tables.host.users[event.param(5) or b"", uid] = User(
            uid=uid,
            gid=event.param(1) or 0,
            name=event.param(2) or b"",
            home=event.param(3) or b"",
            shell=event.param(4) or b"",
        )


def on_user_deleted(tables: Tables, event: Event) -> None:
    """A user is gone."""
    uid = event.param(0)
    if uid is not None:
        tables.host.users.pop((event.param(5) or b"", uid), None)


def on_group_added(tables: Tables, event: Event) -> None:
    """A group of the host or of a container."""
    gid = event.param(0)
    if gid is not None and tables.affords_texts(event):
        group = Group(gid=gid, name=event.param(1) or b"")
        tables.host.groups[event.param(2) or b"", gid] = group


def on_group_deleted(tables: Tables, event: Event) -> None:
    """A group is gone."""
    gid = event.param(0)
    if gid is not None:
        tables.host.groups.pop((event.param(2) or b"", gid), None)


HANDLERS: Mapping[str, Handler] = {
    "PPME_CONTAINER_JSON_E": on_container,
    "PPME_CONTAINER_JSON_2_E": on_container,
    "PPME_ASYNCEVENT_E": on_async,
    "PPME_USER_ADDED_E": on_user_added,
    "PPME_USER_DELETED_E": on_user_deleted,
    "PPME_GROUP_ADDED_E": on_group_added,
    "PPME_GROUP_DELETED_E": on_group_deleted,
}
