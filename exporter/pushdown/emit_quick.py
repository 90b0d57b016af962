"""Passing what most paths are: a few tests that rule an event out, before any is made exactly.

Nearly every path has a name and an end that no rule asks for, and holds nothing odd. Where that is
so, all that is left of the predicate is how the path begins, and some flags. Where it is not, or
what is left may hold, the event goes on to the exact predicate.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

from exporter.pushdown.assembler import Assembler, Jump, Label, Reg
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.emit_path import NEVER_IN_PASSED, find_last_slash
from exporter.pushdown.emit_starts import branch_by_start
from exporter.pushdown.emit_text import compare_text, end_may_be_in
from exporter.pushdown.ir import (
    FALSE,
    TRUE,
    Fact,
    InSet,
    Kind,
    Literal,
    Match,
    Predicate,
    Text,
    TextIs,
    test_value,
)
from exporter.pushdown.simplify import literals_of, replaced

_TRIED = frozenset({Match.NAME, Match.SUFFIX, Match.CONTAINS})
"""Comparisons that an ordinary path fails."""

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
        bound = replaced(predicate, _passed)
        fact = _most_asked(bound)
        if fact is not None:
            other = Label()
            self._facts.load(fact)
            self._code.jump(other, Jump.NE, R1, 0)
            self._try(replaced(bound, partial(_where_zero, fact)))
            self._code.place(other)
        self._try(bound)

    def _try(self, predicate: Predicate) -> None:
        """Rule out what no ordinary path has; then by its start."""
        code = self._code
        asked = {match: _values(predicate, match) for match in Match}
        if asked[Match.DIRECTORY]:
            find_last_slash(code, Text.PATH)
        # A last component is an end that begins with a slash.
        ends = asked[Match.SUFFIX] | {b"/" + value for value in asked[Match.NAME]}
        if ends:
            missed = Label()
            end_may_be_in(code, Text.PATH, ends, self._maybe, missed)
            code.place(missed)
        if asked[Match.CONTAINS]:
            missed = Label()
            atom = TextIs(Text.PATH, Match.CONTAINS, asked[Match.CONTAINS])
            compare_text(code, atom, self._maybe, missed)
            code.place(missed)
        left = replaced(predicate, _missed)
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
        values = frozenset(
            value for value in atom.values if not any(odd in value for odd in NEVER_IN_PASSED)
        )
        if not values:
            return FALSE if literal.is_positive else TRUE
        return Literal(TextIs(atom.fact, atom.match, values), literal.is_positive)
    if atom.match is Match.DIRECTORY and b"/" not in atom.values:
        if not literal.is_positive:
            return TRUE
        starts = frozenset(value + b"/" for value in atom.values)
        return Literal(TextIs(atom.fact, Match.PREFIX, starts))
    return literal


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


def _missed(literal: Literal) -> Predicate:
    """The literal on a path that has no end and holds nothing that is asked for."""
    atom = literal.atom
    if isinstance(atom, TextIs) and atom.fact is Text.PATH and atom.match in _TRIED:
        return FALSE if literal.is_positive else TRUE
    return literal


def _most_asked(predicate: Predicate) -> Fact | None:
    """The argument that most literals ask for: flags, which are 0 in most calls."""
    counts = Counter(
        literal.atom.fact
        for literal in literals_of(predicate)
        if isinstance(literal.atom, InSet) and literal.atom.fact.kind is Kind.ARG
    )
    fact, count = max(counts.items(), key=lambda item: item[1], default=(None, 0))
    return fact if count > 1 else None


def _where_zero(fact: Fact, literal: Literal) -> Predicate:
    atom = literal.atom
    if isinstance(atom, TextIs) or atom.fact != fact:
        return literal
    return TRUE if test_value(atom, 0) is literal.is_positive else FALSE
