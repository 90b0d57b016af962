"""Fields of any source whose events are JSON: values by JSON pointer (RFC 6901).

Source: fields catalogue, extra fields.
"""

import json
from typing import Any

from exporter.events.event import Event
from exporter.rules.fields.audit_json import document, text_of
from exporter.rules.fields.field import Arg, ArgKind, Field, FieldClass, Reader
from exporter.rules.fields.field import ValueType as T


def _bind_pointer(arg: Arg) -> Reader:
    pointer = (arg if isinstance(arg, bytes) else b"").decode("utf-8", "replace")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]

    def read(event: Event) -> bytes | None:
        value: Any = document(event)
        for part in parts:
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif (
                isinstance(value, list)
                and part.isascii()
                and part.isdecimal()
                and len(part) < 10
                and int(part) < len(value)
            ):
                value = value[int(part)]
            else:
                return None
        return None if value is None else text_of(value)

    return read


def _object(event: Event) -> bytes | None:
    value = document(event)
    if value is None:
        return None
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")


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
