"""What a predicate asks of the task, read once into this CPU's memory.

In memory the verifier does not follow the values: as registers each would double its ways through
what comes after. A set of names that the predicate asks for is one bit, found by one search over
the names of all sets.
"""

from collections.abc import Iterable

from exporter.pushdown.assembler import Alu, Jump, Label, Reg, Size
from exporter.pushdown.atoms import Match, TextIs
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.emit_text import choose_by, compare_text
from exporter.pushdown.facts import Group, Text
from exporter.pushdown.ir import Predicate
from exporter.pushdown.memory import (
    COMM_SETS_AT,
    COMM_SETS_WORDS,
    TASK_AT,
    TEXT_AT,
)
from exporter.pushdown.simplify import literals_of

_BITS = 31
"""Of a word that an instruction can test."""

R1, R7 = Reg.R1, Reg.R7


class TooManySetsError(Exception):
    """A predicate asks for more sets of names than there is room for."""


class TaskFacts:
    """Writes what reads the facts of the task that predicates ask for, and what tests the sets.

    Raises TooManySetsError.
    """

    def __init__(self, facts: Facts, predicates: Iterable[Predicate]) -> None:
        literals = [literal for one in predicates for literal in literals_of(one)]
        atoms = [literal.atom for literal in literals if literal.group is Group.TASK]
        self._facts = facts
        self._kinds = sorted({one.fact.kind for one in atoms if not isinstance(one, TextIs)})
        self._sets = list(dict.fromkeys(one for one in atoms if isinstance(one, TextIs)))
        if len(self._sets) > _BITS * COMM_SETS_WORDS:
            raise TooManySetsError(f"it asks for {len(self._sets):,} sets of names")

    def read(self, unread: Label) -> None:
        """Read the facts; go to `unread` if that is not possible. Changes R0 to R5 and R9."""
        facts = self._facts
        facts.find_task()
        for kind in self._kinds:
            facts.load_of_task(kind)
            facts.code.store(Size.U64, R7, TASK_AT[kind], R1)
        if self._sets:
            facts.copy_comm(
                unread,
                needs_length=any(one.match in {Match.SUFFIX, Match.CONTAINS} for one in self._sets),
            )
        for first in range(0, len(self._sets), _BITS):
            self._classify(self._sets[first : first + _BITS], COMM_SETS_AT + first // _BITS * 8)

    def _classify(self, sets: list[TextIs], to: int) -> None:
        """Note which of these sets the name is in, each with the bit of its place."""
        code = self._facts.code
        bits: dict[bytes, int] = {}
        for place, one in enumerate(sets):
            for value in one.values if one.match is Match.EQUAL else ():
                bits[value + b"\0"] = bits.get(value + b"\0", 0) | 1 << place
        none, done = Label(), Label()
        labels = {found: Label() for found in sorted(set(bits.values()))}
        choose_by(
            code,
            {value: labels[found] for value, found in bits.items()},
            (R7, TEXT_AT[Text.COMM]),
            none,
        )
        for found, label in labels.items():
            code.place(label)
            code.constant(R1, found)
            code.jump(done)
        code.place(none)
        code.constant(R1, 0)
        code.place(done)
        code.store(Size.U64, R7, to, R1)
        for place, one in enumerate(sets):
            if one.match is not Match.EQUAL:
                hit, miss = Label(), Label()
                compare_text(code, one, hit, miss)
                code.place(hit)
                code.load(Size.U64, R1, R7, to)
                code.alu(Alu.OR, R1, 1 << place)
                code.store(Size.U64, R7, to, R1)
                code.place(miss)

    def test_name(self, atom: TextIs, hit: Label, miss: Label) -> None:
        """Go to `hit` when the name is in the set, else to `miss`."""
        code, place = self._facts.code, self._sets.index(atom)
        code.load(Size.U64, R1, R7, COMM_SETS_AT + place // _BITS * 8)
        code.jump(hit, Jump.SET, R1, 1 << place % _BITS)
        code.jump(miss)
