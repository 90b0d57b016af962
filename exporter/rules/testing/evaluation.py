"""Conditions watched while they are decided: which check was true, which false, and on what value.

Takes a macro-expanded condition, gives a `Watched` that decides it for an event like the compiled
rules do (same binding, same predicates), one check after the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from exporter.events.event import Event
from exporter.rules.ast import And, Check, Exists, Node, Not, Or
from exporter.rules.bind import Operand, Read, bind_check
from exporter.rules.fields.field import Reader
from exporter.rules.operators import EvaluationError, Predicate, compare_values, make_predicate
from exporter.rules.printer import print_condition
from exporter.rules.printing import text_reader, value_reader

Rebind = Callable[[Operand], Operand]
_MAX_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Atom:
    """One check of a condition. text: its canonical form. shown: prints the value it looked at."""

    index: int
    text: str
    read: Reader
    right: Reader | None
    op: str
    predicate: Predicate | None
    shown: Callable[[Event], bytes | None]
    field: str

    def decide(self, event: Event) -> bool:
        """Whether the check is true."""
        value = self.read(event)
        try:
            if self.right is not None:
                return compare_values(self.op, value, self.right(event))
            assert self.predicate is not None
            return value is not None and bool(self.predicate(value))
        except EvaluationError:
            return False

    def show(self, event: Event) -> str:
        """`field = value` for people."""
        text = self.shown(event)
        value = "<missing>" if text is None else text.decode("utf-8", "replace")
        if len(value) > _MAX_SHOWN:
            value = f"{value[:_MAX_SHOWN]}..."
        return f"{self.field} = {value}"


@dataclass(frozen=True, slots=True)
class Branch:
    """A negation, conjunction or disjunction. op: not, and, or."""

    op: str
    children: tuple["Branch | int", ...]


class Watched:
    """One condition, ready to be decided with or without looking at every check."""

    def __init__(self, node: Node, source: str, rebind: Rebind | None = None) -> None:
        self.atoms: list[Atom] = []
        self.root = self._build(node, source, rebind)

    def _build(self, node: Node, source: str, rebind: Rebind | None) -> Branch | int:
        match node:
            case And(children):
                return Branch("and", tuple(self._build(c, source, rebind) for c in children))
            case Or(children):
                return Branch("or", tuple(self._build(c, source, rebind) for c in children))
            case Not(child):
                return Branch("not", (self._build(child, source, rebind),))
            case Check() | Exists():
                self.atoms.append(_atom(len(self.atoms), node, source, rebind))
                return len(self.atoms) - 1
            case _:
                raise AssertionError(node)

    def matches(self, event: Event) -> bool:
        """Whether the condition is true; checks that cannot change that are not looked at."""
        return self._decide(self.root, lambda index: self.atoms[index].decide(event))

    def values(self, event: Event) -> list[bool]:
        """What every check says, needed or not."""
        return [atom.decide(event) for atom in self.atoms]

    def reached(self, values: Sequence[bool]) -> dict[int, bool]:
        """The checks that decide, in order, with what they say."""
        seen: dict[int, bool] = {}

        def look(index: int) -> bool:
            seen[index] = values[index]
            return values[index]

        self._decide(self.root, look)
        return seen

    def result(self, values: Sequence[bool], flipped: int = -1) -> bool:
        """What the condition says of given check values; `flipped` counts as its opposite."""
        return self._decide(self.root, lambda index: values[index] is not (index == flipped))

    def _decide(self, branch: Branch | int, look: Callable[[int], bool]) -> bool:
        if isinstance(branch, int):
            return look(branch)
        if branch.op == "not":
            return not self._decide(branch.children[0], look)
        # One frame a level: conditions may nest some hundred deep.
        stops_at = branch.op == "or"
        for child in branch.children:
            if self._decide(child, look) is stops_at:
                return stops_at
        return not stops_at

    def blockers(self, values: Sequence[bool]) -> list[int]:
        """Checks of the parts that keep the condition from being true; the fewest that do."""
        return self._blockers(self.root, values, wanted=True)

    def _blockers(self, branch: Branch | int, values: Sequence[bool], *, wanted: bool) -> list[int]:
        if isinstance(branch, int):
            return [] if values[branch] is wanted else [branch]
        if branch.op == "not":
            return self._blockers(branch.children[0], values, wanted=not wanted)
        parts = [self._blockers(child, values, wanted=wanted) for child in branch.children]
        if (branch.op == "and") is wanted:
            return list(dict.fromkeys(index for part in parts for index in part))
        return min(parts, key=len)


def _atom(index: int, node: Check | Exists, source: str, rebind: Rebind | None) -> Atom:
    test = bind_check(node, source)
    if rebind is not None:
        right = None if test.right is None else rebind(test.right)
        test = replace(test, left=rebind(test.left), right=right)
    return Atom(
        index=index,
        text=print_condition(node),
        read=_checked_reader(test.left),
        right=None if test.right is None else value_reader(test.right),
        op=test.op,
        predicate=None if test.right is not None else make_predicate(test),
        shown=text_reader(test.left),
        field=test.left.key,
    )


def _checked_reader(operand: Operand) -> Reader:
    """Reader of what checks look at, which for ancestors is all of them."""
    if isinstance(operand, Read) and operand.use.each is not None:
        return operand.use.each
    return value_reader(operand)
