"""Fields of any source whose events are JSON: values by JSON pointer (RFC 6901).

Source: fields catalogue, extra fields.
"""

import re
from typing import Any

import msgspec

from exporter.events.event import Event
from exporter.rules.fields.audit_json import ABSENT, document, payload, text_of
from exporter.rules.fields.field import Arg, ArgKind, Field, FieldClass, Reader
from exporter.rules.fields.field import ValueType as T

_INDEX = re.compile(r"\+?[0-9]{1,9}")


def _step(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key, ABSENT)
    if isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
        return value[int(key)]
    return ABSENT


def _bind_pointer(arg: Arg) -> Reader:
    pointer = (arg if isinstance(arg, bytes) else b"").decode("utf-8", "replace")
    keys = pointer.removeprefix("/").split("/")
    parts = [key.replace("~1", "/").replace("~0", "~") for key in keys]

    def read(event: Event) -> bytes | None:
        value = document(event)
        for part in parts:
            value = _step(value, part)
        return None if value is ABSENT else text_of(value)

    return read


def _object(event: Event) -> bytes | None:
    text = payload(event)
    if text is None or document(event) is ABSENT:
        return None
    return msgspec.json.format(text, indent=2)


def _time(event: Event) -> bytes:
    return b"%d" % event.ts_ns


def _fields(prefix: str) -> tuple[Field, ...]:
    return (
        Field(
            f"{prefix}.value",
            T.CHARBUF,
            "value at a JSON pointer as text; missing if absent",
            bind=_bind_pointer,
            arg=ArgKind.KEY,
            is_arg_required=True,
            cost=2000,
        ),
        Field(f"{prefix}.obj", T.CHARBUF, "whole event as indented JSON", _object, cost=50_000),
        Field(f"{prefix}.rawtime", T.CHARBUF, "event time in ns as text", _time),
    )


CLASS = FieldClass(
    "json",
    "fields of events that are JSON documents",
    ("k8s_audit",),
    (*_fields("json"), *_fields("jevt")),
)
