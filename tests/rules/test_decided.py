"""What event types decide: claims that hold for every event."""

import pytest
from hypothesis import given, settings

from exporter.rules.ast import Check, Exists, walk
from exporter.rules.decided import always_decided
from exporter.rules.event_index import EventIndexError, event_types
from exporter.rules.parser import parse_condition
from exporter.rules.printer import print_condition
from exporter.rules.testing.evaluation import Watched
from tests.rules.condition_strategies import conditions, events


@settings(max_examples=50)
@given(conditions(), events())
def test_decided_checks_can_be_replaced_by_their_verdict(condition, event):
    """For events that the rule is tried on, the answer stays the same."""
    node = parse_condition(condition)
    try:
        codes = event_types(node, "syscall")
    except EventIndexError:
        return
    if event.type.code not in codes:
        return
    watched = Watched(node, "syscall")
    leaves = [leaf for leaf in walk(node) if isinstance(leaf, Check | Exists)]
    values = watched.values(event)
    # One at a time: of two equal checks in one conjunction each decides the other.
    for part in always_decided(node, "syscall"):
        replaced = [
            part.verdict if leaf is part.check else was
            for leaf, was in zip(leaves, values, strict=True)
        ]

        assert watched.result(values) == watched.result(replaced)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("evt.type = unlink and evt.is_open_write = true", [("evt.is_open_write = true", False)]),
        ("evt.type in (unlink, open) and evt.is_open_write = true", []),
        ("evt.type = unlink and not fd.name exists", [("fd.name exists", False)]),
        ("evt.type = unlink and evt.arg.flags contains X", [("evt.arg.flags contains X", False)]),
        ("evt.type = open or (evt.type = close and evt.type = dup)", [
            ("evt.type = close", False), ("evt.type = dup", False),
        ]),
        ("evt.type = open and (evt.type = open or evt.is_open_read = true)", []),
        ("evt.type in (open, unlink) and (evt.type = open or evt.is_open_read = true)", [
            ("evt.is_open_read = true", False),
        ]),
        ("evt.type = open and not evt.num = 0", []),
    ],
)  # fmt: skip
def test_places_decide(condition, expected):
    """A check is looked at with the event types that its neighbours leave."""
    found = always_decided(parse_condition(condition), "syscall")

    assert expected == [(print_condition(part.check), part.verdict) for part in found]
