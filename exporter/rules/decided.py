"""What event types alone decide in a condition: parts that are always true or always false.

A check only matters where the checks beside it leave it to decide: under `and` where the others can
be true, under `or` where they can be false. The event types of that place are what is looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from exporter.events.table import EventType, load_event_table
from exporter.rules.ast import And, Check, Exists, Node, Not, Or
from exporter.rules.bind import Operand, Read, bind_check
from exporter.rules.event_index import ASYNC_TYPES, SYSCALL, event_types, matched_types
from exporter.rules.fields.field import FieldUse
from exporter.rules.plan import FALSE, TRUE, Plan
from exporter.rules.printing import uses_of

Decide = Callable[[EventType], bool | None]
_ASKS_TYPE = frozenset({"evt.type", "syscall.type", "evt.num"})
"""Fields whose checks choose event types, or say "never", and are decided on purpose."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A check that always says the same. reason: field that no event in question has, or None."""

    check: Check | Exists
    verdict: bool
    reason: str | None


@cache
def types_by_code() -> dict[int, EventType]:
    """Every event type by its code."""
    return {event.code: event for event in load_event_table().events}


def decider_of(check: Check | Exists, source: str) -> Decide:
    """What a check says of all events of one type; None when they differ."""
    plan = Plan()
    number = plan.add_test(bind_check(check, source))
    fold = dict(plan.folders()).get(number)
    if fold is None:
        return lambda _: None
    return lambda event_type: {TRUE: True, FALSE: False}.get(fold(event_type))


def can_have(use: FieldUse, event_type: EventType) -> bool:
    """Whether any event of this type has the field."""
    if use.field.name in {"evt.arg", "evt.rawarg"}:
        if isinstance(use.arg, int):
            return 0 <= use.arg < len(event_type.params)
        return str(use.arg) in event_type.param_index
    return use.field.constant is None or use.field.constant(event_type) is not None


def present_in(operand: Operand, codes: frozenset[int]) -> bool:
    """Whether every field of the operand can be there for at least one of these event types."""
    known = types_by_code()
    kinds = [known[code] for code in codes if code in known]
    return all(any(can_have(use, kind) for kind in kinds) for use in uses_of(operand))


def own_types(node: Node, source: str) -> frozenset[int]:
    """Codes of the events a condition is about, without those that every rule gets."""
    found = matched_types(node) if source == SYSCALL else event_types(node, source)
    return found if found <= ASYNC_TYPES else found - ASYNC_TYPES


def always_decided(node: Node, source: str) -> list[Decided]:
    """Checks that say the same for every event they are asked about, in the condition's order."""
    codes = own_types(node, source)
    return list(_walk(node, source, codes)) if codes else []


def _walk(node: Node, source: str, codes: frozenset[int]) -> Iterator[Decided]:
    match node:
        case And(children) | Or(children):
            places = (
                _places(children, codes, is_and=isinstance(node, And))
                if source == SYSCALL
                else [codes] * len(children)
            )
            for child, place in zip(children, places, strict=True):
                yield from _walk(child, source, place)
        case Not(child):
            yield from _walk(child, source, codes)
        case Check() | Exists():
            found = _decide(node, source, codes)
            if found is not None:
                yield found


def _places(
    children: Sequence[Node], codes: frozenset[int], *, is_and: bool
) -> list[frozenset[int]]:
    """For each child the event types on which all others leave it to decide."""
    left_by = [matched_types(child if is_and else Not(child)) for child in children]
    before = list(accumulate(left_by, frozenset.intersection, initial=codes))
    after = list(accumulate(reversed(left_by), frozenset.intersection, initial=codes))
    after.reverse()
    return [before[index] & after[index + 1] for index in range(len(children))]


def _decide(check: Check | Exists, source: str, codes: frozenset[int]) -> Decided | None:
    test = bind_check(check, source)
    if isinstance(test.left, Read) and test.left.use.field.name in _ASKS_TYPE:
        is_empty = not codes & matched_types(check) if source == SYSCALL else False
        is_type = test.left.use.field.name != "evt.num"
        return Decided(check, verdict=False, reason=None) if is_type and is_empty else None
    if not codes:
        return None
    known = types_by_code()
    for use in uses_of(test.left):
        if not any(can_have(use, known[code]) for code in codes):
            return Decided(check, verdict=False, reason=use.text)
    decide = decider_of(check, source)
    verdicts = {decide(known[code]) for code in codes}
    if verdicts in ({True}, {False}):
        return Decided(check, verdict=verdicts == {True}, reason=None)
    return None
