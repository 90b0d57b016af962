"""Utility fields.

Source: fields catalogue class "util".
"""

from exporter.events.event import Event
from exporter.rules.fields.field import Arg, Field, FieldClass, Reader
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T


def _bind_counter(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Each use of the field counts its own evaluations, the first being 1."""
    count = 0

    def reader(event: Event) -> int:  # noqa: ARG001 - a reader's signature
        nonlocal count
        count += 1
        return count

    return reader


CLASS = FieldClass(
    "util",
    "utility fields",
    ("syscall",),
    (
        Field(
            "util.cnt",
            T.UINT64,
            "counter incremented on each evaluation (hidden)",
            bind=_bind_counter,
            print_as=P.ID,
        ),
    ),
)
