"""Passing what most paths are: a few tests that rule an event out, before any is made exactly.

Nearly every path has a name and an end that no rule asks for, and holds nothing odd. Where that is
so, all that is left of the predicate is how the path begins, and some flags. Where it is not, or
what is left may hold, the event goes on to the exact predicate.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from operator import itemgetter

from exporter.pushdown.assembler import Assembler, Jump, Label, Reg
from exporter.pushdown.atoms import InSet, Match, TextIs, test_value
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.emit_path import NEVER_IN_PASSED, find_last_slash
from exporter.pushdown.emit_starts import branch_by_start, left_of
from exporter.pushdown.emit_text import compare_text, end_may_be_in
from exporter.pushdown.facts import Fact, Kind, Text
from exporter.pushdown.ir import FALSE, TRUE, Literal, Predicate
from exporter.pushdown.simplify import literals_of, replaced

_SOUGHT_BYTES = 4

R1 = Reg.R1

Branch = Callable[[Predicate, Label, Label], None]


class Quick:
    """Writes the tests. branch: writes what decides a predicate of other facts."""

    def __init__(self, facts: Facts, branch: Branch, maybe: Label, no: Label) -> None:
        self._facts = facts
        self._branch = branch
        self._maybe = maybe
        self._no = no

    @property
    def _code(self) -> Assembler:
        return self._facts.code

    def decide(self, predicate: Predicate) -> None:
        """Go to `maybe` or `no`. The path is in memory and was passed by `read_path`."""
        bound = ordinary = replaced(predicate, _passed)
        other = Label()
        for fact in _asked_most(bound):
            self._facts.load(fact)
            self._code.jump(other, Jump.NE, R1, 0)
            ordinary = replaced(ordinary, partial(_where_zero, fact))
        if other.is_used:
            self._try(ordinary)
            self._code.place(other)
        self._try(bound)

    def _try(self, predicate: Predicate) -> None:
        """Rule out what no ordinary path has; then by its start."""
        code = self._code
        if _values(predicate, Match.DIRECTORY):
            find_last_slash(code, Text.PATH)
        names, ends = _values(predicate, Match.NAME), _values(predicate, Match.SUFFIX)
        if names or ends:
            missed = Label()
            # A last component is an end that begins with a slash.
            sought = ends | {b"/" + name for name in names}
            end_may_be_in(code, Text.PATH, sought, self._maybe, missed)
            code.place(missed)
        left = replaced(predicate, partial(_missed, {Match.NAME: names, Match.SUFFIX: ends}))
        # What is looked for however a path begins is looked for once, all else where it matters.
        bare = left_of(left, Text.PATH, frozenset(), frozenset())
        parts = _values(bare, Match.CONTAINS)
        if parts:
            missed = Label()
            atom = TextIs(Text.PATH, Match.CONTAINS, parts)
            compare_text(code, atom, self._maybe, missed)
            code.place(missed)
            left = replaced(left, partial(_missed, {Match.CONTAINS: parts}))
        branch_by_start(
            code,
            left,
            Text.PATH,
            lambda rest: self._branch(rest, self._maybe, self._no),
            (self._maybe, self._no),
        )


def _passed(literal: Literal) -> Predicate:
    """What is left of a literal on a path that was passed: an upper bound.

    Of directories that is how the path begins; how deep it goes is seldom worth to find out.
    """
    atom = literal.atom
    if not isinstance(atom, TextIs) or atom.fact is not Text.PATH:
        return literal
    if atom.match is Match.CONTAINS:
        values = {
            value for value in atom.values if not any(odd in value for odd in NEVER_IN_PASSED)
        }
        if not values:
            return FALSE if literal.is_positive else TRUE
        sought = _begun(values) if literal.is_positive else frozenset(values)
        return Literal(TextIs(atom.fact, atom.match, sought), literal.is_positive)
    if atom.match is Match.DIRECTORY and b"/" not in atom.values:
        if not literal.is_positive:
            return TRUE
        starts = frozenset(value + b"/" for value in atom.values)
        return Literal(TextIs(atom.fact, Match.PREFIX, starts))
    return literal


def _begun(values: Iterable[bytes]) -> frozenset[bytes]:
    """The first bytes of values, which say enough of what nearly no path holds."""
    return frozenset(value[:_SOUGHT_BYTES] for value in values)


def _values(predicate: Predicate, match: Match) -> frozenset[bytes]:
    """All that paths are compared with in this way."""
    return frozenset(
        value
        for literal in literals_of(predicate)
        if isinstance(literal.atom, TextIs)
        and literal.atom.fact is Text.PATH
        and literal.atom.match is match
        for value in literal.atom.values
    )


def _missed(values: Mapping[Match, AbstractSet[bytes]], literal: Literal) -> Predicate:
    """What is left of a literal on a path that compares with none of the values."""
    atom = literal.atom
    if not isinstance(atom, TextIs) or atom.fact is not Text.PATH or atom.match not in values:
        return literal
    left = atom.values - values[atom.match]
    if not left:
        return FALSE if literal.is_positive else TRUE
    return Literal(TextIs(atom.fact, atom.match, left), literal.is_positive)


def _asked_most(predicate: Predicate) -> list[Fact]:
    """Numbers that are 0 in most calls: flags, if many literals ask for them; a relative path."""
    counts = Counter(
        literal.atom.fact
        for literal in literals_of(predicate)
        if isinstance(literal.atom, InSet) and literal.atom.fact.kind in {Kind.ARG, Kind.RELATIVE}
    )
    flags = [(count, fact) for fact, count in counts.items() if fact.kind is Kind.ARG and count > 1]
    found = [max(flags, key=itemgetter(0))[1]] if flags else []
    return [*found, *(fact for fact in counts if fact.kind is Kind.RELATIVE)]


def _where_zero(fact: Fact, literal: Literal) -> Predicate:
    atom = literal.atom
    if isinstance(atom, TextIs) or atom.fact != fact:
        return literal
    return TRUE if test_value(atom, 0) is literal.is_positive else FALSE
