"""Event-type index: which event types a condition can match, from the condition alone.

Source: rule-language.md section 10 (sets, negation, `evt.num`) and 21 (system calls to trace).
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

from exporter.errors import RuleError
from exporter.events.table import event_type, load_event_table, load_syscall_table
from exporter.rules.ast import (
    And,
    Check,
    Exists,
    FieldRef,
    MacroRef,
    Node,
    Not,
    Or,
    Transformer,
    TransformerList,
    Value,
    ValueList,
)

SYSCALL = "syscall"

ASYNC_TYPES = frozenset((event_type("PPME_ASYNCEVENT_E").code,))
"""Added to the set of every rule."""

_TYPE_FIELDS = frozenset(("evt.type", "syscall.type"))
_COMPARED = frozenset(("=", "==", "!=", "in"))
_TOO_MANY = 100
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)


class EventIndexError(RuleError):
    """`evt.type` is used in a way whose event types cannot be known before an event comes."""


@dataclass(frozen=True, slots=True)
class _Universe:
    """All codes, and the codes of every name."""

    all: frozenset[int]
    names: dict[str, frozenset[int]]
    syscalls: frozenset[str]
    generic: frozenset[int]


@cache
def _events() -> _Universe:
    table = load_event_table()
    names: dict[str, set[int]] = {}
    for event in table.events:
        if event.code >= 2 and "EF_UNUSED" not in event.flags:
            names.setdefault(event.name, set()).add(event.code)
    return _Universe(
        all=frozenset(event.code for event in table.events),
        names={name: frozenset(codes) for name, codes in names.items()},
        syscalls=frozenset(call.name for call in load_syscall_table().syscalls if call.sc > 0),
        generic=frozenset((event_type("PPME_GENERIC_E").code, event_type("PPME_GENERIC_X").code)),
    )


@cache
def _syscalls() -> _Universe:
    """The same over system call numbers (ppm_sc) instead of event codes."""
    calls = load_syscall_table().syscalls
    by_id: dict[str, set[int]] = {}
    names: dict[str, set[int]] = {}
    for call in calls:
        if call.sc == 0:
            continue
        names.setdefault(call.name, set()).add(call.sc)
        for event_id in call.events:
            by_id.setdefault(event_id, set()).add(call.sc)
    for event in load_event_table().events:
        if event.code >= 2 and event.id in by_id:
            names.setdefault(event.name, set()).update(by_id[event.id])
    return _Universe(
        all=frozenset(call.sc for call in calls if call.sc > 0),
        names={name: frozenset(codes) for name, codes in names.items()},
        syscalls=frozenset(),
        generic=frozenset(),
    )


def event_types(node: Node, source: str) -> frozenset[int]:
    """Codes of the events a rule must be tried on, ASYNCEVENT always among them.

    node: macro-expanded condition. Raises EventIndexError.
    """
    if source != SYSCALL:
        return ASYNC_TYPES | {event_type("PPME_PLUGINEVENT_E").code}
    return matched_types(node) | ASYNC_TYPES


def matched_types(node: Node) -> frozenset[int]:
    """The set before ASYNCEVENT is added: what the no-event-type warning looks at."""
    return _Index(_events()).codes(node, is_negated=False)


def has_too_many_types(codes: Collection[int]) -> bool:
    """Whether the rule is tried on so many event types that a warning is due."""
    return len(codes) > _TOO_MANY


def syscalls_of(nodes: Iterable[Node]) -> frozenset[int]:
    """Numbers (ppm_sc) of the system calls that any of these conditions can match."""
    found: frozenset[int] = frozenset()
    index = _Index(_syscalls())
    for node in nodes:
        found |= index.codes(node, is_negated=False)
    return found


def event_names(codes: Collection[int]) -> list[str]:
    """Names of these event codes, sorted; generic ones stand for every call without its own."""
    known = {event.code: event for event in load_event_table().events}
    names = {known[code].name for code in codes if "EF_UNUSED" not in known[code].flags}
    if not _events().generic.isdisjoint(codes):
        generic = known[min(_events().generic)]
        names.discard(generic.name)
        names |= {
            call.name
            for call in load_syscall_table().syscalls
            if generic.id in call.events and call.sc > 0
        }
    return sorted(names)


class _Index:
    """Walks a condition; negation is pushed down to the checks."""

    def __init__(self, universe: _Universe) -> None:
        self._universe = universe

    def codes(self, node: Node, *, is_negated: bool) -> frozenset[int]:
        """The codes on which the (negated) node may be true."""
        match node:
            case And(children) | Or(children):
                is_intersection = isinstance(node, And) != is_negated
                sets = [self.codes(child, is_negated=is_negated) for child in children]
                first, *rest = sets
                return first.intersection(*rest) if is_intersection else first.union(*rest)
            case Not(child):
                return self.codes(child, is_negated=not is_negated)
            case MacroRef():
                return self._universe.all
            case Exists(left):
                self._refuse_transformed_type(left)
                if _is_type_field(left):
                    return frozenset() if is_negated else self._universe.all
                return self._universe.all
            case Check():
                typed = self._typed_check(node)
                if typed is None:
                    return self._universe.all
                return self._universe.all - typed if is_negated else typed

    def _typed_check(self, check: Check) -> frozenset[int] | None:
        """The codes of a check on the event type or number; None for any other check."""
        self._refuse_transformed_type(check.left)
        values = (
            (check.right.text,)
            if isinstance(check.right, Value)
            else check.right.values
            if isinstance(check.right, ValueList)
            else None
        )
        if _is_type_field(check.left):
            if values is None and check.op in _COMPARED:
                raise EventIndexError("evt.type can only be compared with constants")
            if check.op not in _COMPARED or check.modifier is not None or values is None:
                return None
            named = self._named(values)
            return self._universe.all - named if check.op == "!=" else named
        if isinstance(check.left, FieldRef) and check.left.name == "evt.num" and values is not None:
            truth = _evt_num_truth(check.op, values)
            if truth is not None and check.modifier is None:
                return self._universe.all if truth else frozenset()
        return None

    def _named(self, names: Iterable[str]) -> frozenset[int]:
        universe = self._universe
        codes: set[int] = set()
        for name in names:
            if name in universe.names:
                codes |= universe.names[name]
            elif name in universe.syscalls:
                codes |= universe.generic
            elif universe.generic and name not in universe.syscalls:
                # Names of async events; wrong names do not get here, they fail the value check.
                codes |= ASYNC_TYPES
        return frozenset(codes)

    def _refuse_transformed_type(self, operand: FieldRef | Transformer) -> None:
        if isinstance(operand, Transformer) and _mentions_type(operand):
            raise EventIndexError("evt.type cannot be compared through a transformer")


def _is_type_field(operand: FieldRef | Transformer) -> bool:
    return isinstance(operand, FieldRef) and operand.name in _TYPE_FIELDS and operand.arg is None


def _mentions_type(
    operand: FieldRef | Transformer | TransformerList | Value,
) -> bool:
    match operand:
        case FieldRef():
            return _is_type_field(operand)
        case Transformer(_, args):
            return any(_mentions_type(arg) for arg in args)
        case TransformerList(items):
            return any(_mentions_type(item) for item in items)
        case _:
            return False


def _evt_num_truth(op: str, values: tuple[str, ...]) -> bool | None:
    """Whether a check of evt.num (1, 2, 3, ...) is true or false for every event; else None."""
    if not all(_NUMBER.fullmatch(value) for value in values):
        return None
    numbers = [int(value) % (1 << 64) for value in values]  # A leading minus wraps around.
    if op == "in":
        return None if any(number >= 1 for number in numbers) else False
    if len(numbers) != 1:
        return None
    number = numbers[0]
    match op:
        case "=" | "==":
            return False if number < 1 else None
        case "!=":
            return True if number < 1 else None
        case "<":
            return False if number <= 1 else None
        case "<=":
            return False if number < 1 else None
        case ">":
            return True if number < 1 else None
        case ">=":
            return True if number <= 1 else None
        case _:
            return None
