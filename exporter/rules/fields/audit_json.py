"""JSON documents of Kubernetes audit events: parsed once an event, walked by fields.

Numbers with a fraction or exponent stay the text that they came as, so that a field shows them
unchanged. Source: state-tracking.md section 13.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from exporter.events.event import Event


class Absent:
    """Stands for a key that is not there; null is a value of its own."""


ABSENT: Final = Absent()

_DECODER = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode()))


@lru_cache(maxsize=8)
def _parse(data: bytes) -> Any:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ABSENT


def payload(event: Event) -> bytes | None:
    """The JSON text that a plug-in event carries."""
    if event.type.id != "PPME_PLUGINEVENT_E":
        return None
    data: bytes | None = event.param(1)
    return data


def document(event: Event) -> Any:
    """The parsed JSON of an event; ABSENT when there is none or it is neither object nor array."""
    data = payload(event)
    if data is None or data[:1] not in {b"{", b"["}:
        return ABSENT
    return _parse(data)


def audit_document(event: Event) -> Mapping[str, Any] | None:
    """The audit event; None without an auditID, which makes every field missing."""
    found = document(event)
    return found if isinstance(found, dict) and "auditID" in found else None


def text_of(value: Any) -> bytes:
    """Strings as they are, everything else as compact JSON."""
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


def at(value: Any, *path: str) -> Any:
    """The value at a path of keys; ABSENT when a key is missing on the way."""
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value


def leaves(items: Sequence[Any]) -> Iterator[Any]:
    """The items of an array, and those of arrays directly within it, in order."""
    waiting = [iter(items)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, list):
                waiting.append(iter(item))
                break
            yield item
        else:
            waiting.pop()


def values_at(value: Any, index: int | None, *path: str) -> list[Any] | None:
    """The values at a path that may lead through arrays; None when the path ends early.

    Without an index every element of an array is walked on, and one that lacks the rest of the
    path counts as ABSENT; an index picks one element of the first array. An array at the end of the
    path is one value.
    """
    for depth, key in enumerate(path):
        if isinstance(value, list):
            if index is None:
                found: list[Any] = []
                for item in leaves(value):
                    below = values_at(item, None, *path[depth:])
                    found.extend([ABSENT] if below is None else below)
                return found
            if not 0 <= index < len(value):
                return None
            value, index = value[index], None
            if isinstance(value, list):
                return values_at(value, None, *path[depth:])
        value = at(value, key)
        if value is ABSENT:
            return None
    return [value]


def present(values: Iterable[Any] | None) -> list[Any] | None:
    """Values without those that are ABSENT."""
    return None if values is None else [value for value in values if value is not ABSENT]


def texts(values: Iterable[Any] | None) -> tuple[bytes, ...] | None:
    """The texts of values; an empty list is missing."""
    return None if values is None else tuple(map(text_of, values)) or None
