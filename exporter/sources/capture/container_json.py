"""Metadata text of the oldest container events, which had a parameter for each fact.

Source: spec/scap-format.md section 12 (callback).
"""

from collections.abc import Sequence

from exporter.events.params import ByteOrder


def container_json(raw: Sequence[bytes], order: ByteOrder) -> bytes:
    """`{"id":…,"type":…,"name":…,"image":…}` and a NUL; empty when a fact is missing.

    raw: id, type (4 bytes), name and image of a CONTAINER_E event. Nothing is escaped, so that
    odd names give the same (unreadable) text that other readers make of them.
    """
    if len(raw) < 4 or not all(raw[:4]):
        return b""
    container, kind, name, image = raw[:4]
    return b'{"id":"%s","type":%d,"name":"%s","image":"%s"}\0' % (
        _text(container),
        int.from_bytes(kind[:4], order),
        _text(name),
        _text(image),
    )


def _text(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]
