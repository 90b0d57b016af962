"""What the descriptions of all engines have in common: text, labels, times."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_NS = 1_000_000_000


def as_bytes(text: Any) -> bytes:
    """Text as fields hold it; empty for what is no text."""
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else b""


def labels_of(labels: Mapping[str, Any] | None, max_len: int) -> dict[bytes, bytes]:
    """Labels whose values are no longer than `max_len` characters."""
    return {
        as_bytes(key): as_bytes(value)
        for key, value in (labels or {}).items()
        if isinstance(value, str) and len(value) <= max_len
    }


def time_ns(text: Any) -> int:
    """ns since the epoch of an RFC 3339 time with any number of decimals; 0 for none."""
    if not isinstance(text, str):
        return 0
    whole, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if dot else ""
    zone = rest[len(digits) :] if dot else ""
    try:
        moment = datetime.fromisoformat(whole + zone)
    except ValueError:
        return 0
    seconds = int(moment.timestamp()) if moment.tzinfo and moment.year > 1 else 0
    return seconds * _NS + int(digits.ljust(9, "0")[:9] or 0) if seconds > 0 else 0


def dig(document: Any, *path: str) -> Any:
    """The value at a path of nested objects; None where something is missing."""
    for key in path:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document
