"""Deciding by how a path begins: one search for all values, then what is left of the predicate.

Most of what rules ask of a path is answered by its first bytes. They are looked up once, among the
beginnings of all values, and behind each outcome there is only code for what it leaves open.
"""

from collections import deque
from collections.abc import Callable

from exporter.pushdown.assembler import Assembler, Label, Reg, Size
from exporter.pushdown.atoms import Match, TextIs, test_text
from exporter.pushdown.emit_text import WORD, choose_interval, word_range
from exporter.pushdown.facts import Text
from exporter.pushdown.ir import FALSE, TRUE, Literal, Predicate
from exporter.pushdown.memory import TEXT_AT
from exporter.pushdown.paths import PATH_BYTES
from exporter.pushdown.simplify import literals_of, replaced

R1, R7 = Reg.R1, Reg.R7

Starts = frozenset[bytes]
_END = b"\0"
_NONE: Starts = frozenset()
_ENDS = {Match.EQUAL: _END, Match.PREFIX: b""}
"""What a text that compares with a value begins with is the value and this."""


def starts_of(predicate: Predicate, text: Text) -> Starts:
    """All that the predicate asks of how a text begins."""
    return frozenset(
        value + _ENDS[literal.atom.match]
        for literal in literals_of(predicate)
        if isinstance(literal.atom, TextIs)
        and literal.atom.fact is text
        and literal.atom.match in _ENDS
        for value in literal.atom.values
    )


def split(starts: Starts, offset: int) -> list[tuple[int, Starts, Starts]]:
    """The word at an offset in intervals: where one begins, starts that end in it, longer ones.

    All starts are the same up to the offset and longer.
    """
    changes: dict[int, list[tuple[bytes, bool]]] = {0: []}
    for start in starts:
        first, last = word_range(start[offset : offset + WORD])
        changes.setdefault(first, []).append((start, True))
        if last < (1 << 64) - 1:
            changes.setdefault(last + 1, []).append((start, False))
    inside: set[bytes] = set()
    intervals = []
    for first, events in sorted(changes.items()):
        for start, is_first in events:
            (inside.add if is_first else inside.discard)(start)
        met = frozenset(start for start in inside if len(start) <= offset + WORD)
        intervals.append((first, met, frozenset(inside - met)))
    return intervals


def left_of(predicate: Predicate, text: Text, met: Starts, possible: Starts) -> Predicate:
    """What is left where a text has the starts `met`, and of the others only possible ones."""
    whole = next((start.removesuffix(_END) for start in met if start.endswith(_END)), None)

    def rest(literal: Literal) -> Predicate:
        atom = literal.atom
        if not isinstance(atom, TextIs) or atom.fact is not text:
            return literal
        if whole is not None:
            return _constant(literal, is_met=test_text(atom.match, whole, atom.values))
        if atom.match not in _ENDS:
            return literal
        end = _ENDS[atom.match]
        if any(value + end in met for value in atom.values):
            return _constant(literal, is_met=True)
        values = frozenset(value for value in atom.values if value + end in possible)
        if not values:
            return _constant(literal, is_met=False)
        return Literal(TextIs(atom.fact, atom.match, values), literal.is_positive)

    return replaced(predicate, rest)


def _constant(literal: Literal, *, is_met: bool) -> Predicate:
    return TRUE if is_met is literal.is_positive else FALSE


Branch = Callable[[Predicate], None]
"""Writes what decides a predicate, going to one of two goals."""


def branch_by_start(
    code: Assembler, predicate: Predicate, text: Text, branch: Branch, goals: tuple[Label, Label]
) -> None:
    """Go to one of the goals, for yes and no, as `branch` does. Changes R0 to R5."""
    labels: dict[tuple[Predicate, int, Starts], Label] = {}
    waiting: deque[tuple[Label, Predicate, int, Starts]] = deque()

    def goal(left: Predicate, offset: int, possible: Starts) -> Label:
        if left in (TRUE, FALSE):
            return goals[0] if left == TRUE else goals[1]
        key = (left, offset if possible else 0, possible)
        if key not in labels:
            labels[key] = Label()
            waiting.append((labels[key], *key))
        return labels[key]

    # Longer ones no plain path has.
    starts = frozenset(one for one in starts_of(predicate, text) if len(one) < PATH_BYTES)
    code.jump(goal(left_of(predicate, text, _NONE, starts), 0, starts))
    while waiting:
        label, left, offset, possible = waiting.popleft()
        code.place(label)
        if not possible:
            branch(left)
            continue
        targets: list[tuple[int, Label]] = []
        known: dict[tuple[Starts, Starts], Label] = {}
        for first, met, longer in split(possible, offset):
            target = known.get((met, longer))
            if target is None:
                further = left_of(left, text, met, longer)
                target = goal(further, offset + WORD, longer & starts_of(further, text))
                known[met, longer] = target
            if not targets or targets[-1][1] is not target:
                targets.append((first, target))
        code.load(Size.U64, R1, R7, TEXT_AT[text] + offset)
        code.to_big_endian(R1, 64)
        choose_interval(code, targets)
