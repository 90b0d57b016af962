"""JSON documents of Kubernetes audit events: parsed once an event, walked by fields.

Source: state-tracking.md section 13.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from exporter.events.event import Event


class Absent:
    """Stands for a key that is not there; null is a value of its own."""


ABSENT: Final = Absent()


@lru_cache(maxsize=8)
def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def payload(event: Event) -> bytes | None:
    """The JSON text that a plug-in event carries."""
    if event.type.id != "PPME_PLUGINEVENT_E":
        return None
    data: bytes | None = event.param(1)
    return data


def document(event: Event) -> Any:
    """The parsed JSON of an event; None when there is none or it is no JSON."""
    data = payload(event)
    return None if data is None else _parse(data)


def audit_document(event: Event) -> Mapping[str, Any] | None:
    """The audit event; None without an auditID, which makes every field missing."""
    found = document(event)
    return found if isinstance(found, dict) and "auditID" in found else None


def text_of(value: Any) -> bytes:
    """Strings as they are, everything else as compact JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def at(value: Any, *path: str) -> Any:
    """The value at a path of keys; ABSENT when a key is missing on the way."""
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value


def items_at(value: Any, index: int | None, *path: str) -> Sequence[Any] | None:
    """Elements of the array at a path, or the one at `index`; None when it is no array."""
    found = at(value, *path)
    if not isinstance(found, list):
        return None
    if index is None:
        return found
    return [found[index]] if 0 <= index < len(found) else None


def flatten(items: Sequence[Any], *path: str) -> Iterator[Any]:
    """Values at a path below each item; arrays on the way are entered, missing keys skipped."""
    for item in items:
        found = at(item, *path)
        if isinstance(found, list):
            yield from found
        elif found is not ABSENT:
            yield found


def texts(values: Sequence[Any] | Iterator[Any] | None) -> tuple[bytes, ...] | None:
    """The texts of values; an empty list is missing."""
    return None if values is None else tuple(map(text_of, values)) or None
