"""A filter of finished records as a BPF program: which execs and ends of threads the rules see.

The program is reached by tail call from bpf/judge.h, which has laid out what the record tells
(struct judged). It goes on to the step that puts the record into the ring, for the state needs it
in any case; when no rule can match it first says so in the record's flags.

R6: context. R7: struct judged.
"""

from collections.abc import Iterable
from typing import Self

from msgspec import Struct

from exporter.pushdown.analysis import CallFilter
from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.atoms import Below, InNetworks, InSet, Match, TextIs
from exporter.pushdown.emit import MAX_INSTRUCTIONS, MAX_VALUES, FilterTooLargeError
from exporter.pushdown.emit_branch import Branches
from exporter.pushdown.emit_text import find_in
from exporter.pushdown.facts import IMAGE_TEXT_BYTES, Fact, Kind, Text
from exporter.pushdown.ir import Literal, Predicate
from exporter.pushdown.name_tests import NameTests
from exporter.pushdown.needles import HOOK_TEXTS, Needles
from exporter.pushdown.simplify import weakened, weight_of
from exporter.sources.probe.record import RECORD_STATE_ONLY
from exporter.sources.probe.syscalls import Hook, Step

MAP_SCRATCH, MAP_STEPS, MAP_JUDGED, MAP_NAMES = 2, 4, 12, 14
"""Numbers in bpf/maps.h."""

SCRATCH_FLAGS = 41332
"""Offset of the member `flags` in struct scratch."""

NUMBERS_AT = {
    Kind.UID: 0,
    Kind.GID: 8,
    Kind.LOGINUID: 16,
    Kind.TTY: 24,
    Kind.VPID: 32,
    Kind.HOST: 40,
    Kind.EXE_FLAGS: 48,
}
"""Offsets in struct judged; HOST: the mount namespace's inode."""

FOUND_AT = {Text.ENVIRONMENT: 56} | {
    text: 64 + 8 * number for number, text in enumerate(HOOK_TEXTS)
}
"""Where the bits of the needles that a text holds are."""

_TEXT_BYTES = 8 + 512 + 24
TEXTS_AT = {text: 136 + number * _TEXT_BYTES for number, text in enumerate(HOOK_TEXTS)}
"""Where the texts begin, each behind its length."""

_UNKNOWN = 0xFFFF
_MASK = 511
_COMM_BYTES = 15
_CPU, _UID = -8, -16
"""Keys on the stack."""
_U32 = 0xFFFFFFFF
_SEARCHES = frozenset({Match.CONTAINS, Match.CONTAINS_FOLDED})

R0, R1, R2, R3, R5, R6, R7, R10 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R5, Reg.R6, Reg.R7, Reg.R10,
)  # fmt: skip


class Asked(Struct, frozen=True):
    """What one predicate asks that user space prepares: texts to look for, names of users."""

    needles: Needles
    names: NameTests

    @classmethod
    def of(cls, predicate: Predicate) -> Self:
        """Of one predicate."""
        return cls(Needles(predicate), NameTests(predicate))


def emit_hook_filter(one: CallFilter, asked: Asked, host_mntns: Iterable[int]) -> bytes:
    """The program. asked: of the predicate. host_mntns: as in `Target`.

    Raises FilterTooLargeError.
    """
    emitter = _Emitter(one, asked, sorted(host_mntns))
    try:
        return emitter.emit()
    except OverflowError as error:
        raise FilterTooLargeError(str(error)) from error


class _Emitter:
    """Writes one program."""

    def __init__(self, one: CallFilter, asked: Asked, host_mntns: list[int]) -> None:
        self.one = one
        self.needles, self.names = asked.needles, asked.names
        self.host_mntns = host_mntns
        self.code = Assembler()
        self.keep, self.spare = Label(), Label()

    def emit(self) -> bytes:
        """Everything."""
        code = self.code
        code.move(R6, R1)
        code.call(Helper.SMP_PROCESSOR_ID)
        code.store(Size.U32, R10, _CPU, R0)
        self._lookup(MAP_JUDGED)
        code.jump(self.keep, Jump.EQ, R0, 0)
        code.move(R7, R0)
        branches = Branches(code, self._test, weight_of, weight_of)
        branches.emit(weakened(self.one.predicate, self._is_undecided), self.keep, self.spare)
        if self.spare.is_used:
            code.place(self.spare)
            self._mark()
        code.place(self.keep)
        code.move(R1, R6)
        code.pseudo_map(R2, MAP_STEPS)
        code.constant(R3, Step.SUBMIT)
        code.call(Helper.TAIL_CALL)
        code.constant(R0, 0)
        code.exit()
        if len(code) > MAX_INSTRUCTIONS:
            raise FilterTooLargeError(f"it would have {len(code):,} instructions")
        return code.finish()

    def _mark(self) -> None:
        """Say that the record is for the state alone."""
        code = self.code
        self._lookup(MAP_SCRATCH)
        code.jump(self.keep, Jump.EQ, R0, 0)
        code.alu(Alu.ADD, R0, SCRATCH_FLAGS)
        code.load(Size.U32, R1, R0)
        code.alu(Alu.OR, R1, RECORD_STATE_ONLY)
        code.store(Size.U32, R0, 0, R1)

    def _is_undecided(self, literal: Literal) -> bool:
        """Whether the kernel cannot tell in any case, so that the literal counts as true."""
        atom = literal.atom
        if not isinstance(atom, TextIs):
            return False
        if atom.fact is Text.USER_NAME:
            return self.names.mask(atom) is None
        if atom.match not in _SEARCHES:
            return False
        is_exact = self.needles.is_exact(atom)
        return self.needles.mask(atom) is None or not (literal.is_positive or is_exact)

    def _lookup(self, number: int, key: int = _CPU) -> None:
        """R0 = the map's value for the key on the stack."""
        code = self.code
        code.move(R2, R10)
        code.alu(Alu.ADD, R2, key)
        code.pseudo_map(R1, number)
        code.call(Helper.MAP_LOOKUP)

    def _test(self, literal: Literal, yes: Label, no: Label) -> None:
        atom, is_positive = literal.atom, literal.is_positive
        if isinstance(atom, TextIs):
            self._text(atom, yes, no, is_positive=is_positive)
        else:
            self._number(atom, *((yes, no) if is_positive else (no, yes)))

    def _number(self, atom: InSet | Below | InNetworks, hit: Label, miss: Label) -> None:
        self._load(atom.fact)
        match atom:
            case Below(_, limit):
                self._compare(Jump.SLT, limit, hit)
            case InSet(_, values):
                _check_count(values)
                for value in sorted(values):
                    self._compare(Jump.EQ, value, hit)
            case _:
                raise AssertionError(atom)
        self.code.jump(miss)

    def _compare(self, op: Jump, value: int, hit: Label) -> None:
        """R1 op value."""
        self.code.constant(R2, value)
        self.code.jump(hit, op, R1, R2)

    def _load(self, fact: Fact) -> None:
        """R1 = the fact."""
        code = self.code
        if fact.kind is Kind.RET:
            assert self.one.call.hook is Hook.EXEC, "nothing returns"
            code.constant(R1, 0)
            return
        code.load(Size.U64, R1, R7, NUMBERS_AT[fact.kind])
        if fact.kind is Kind.LOGINUID:
            known = Label()
            code.constant(R2, _U32)
            code.jump(known, Jump.NE, R1, R2)
            code.constant(R1, -1)
            code.place(known)
        elif fact.kind is Kind.HOST:
            is_host, done = Label(), Label()
            for number in self.host_mntns:
                self._compare(Jump.EQ, number, is_host)
            code.constant(R1, 0)
            code.jump(done)
            code.place(is_host)
            code.constant(R1, 1)
            code.place(done)
        elif fact.mask != _U32:
            code.alu(Alu.AND, R1, fact.mask)

    def _text(self, atom: TextIs, yes: Label, no: Label, *, is_positive: bool) -> None:
        """What is not known makes the literal true, whichever way it is meant."""
        hit, miss = (yes, no) if is_positive else (no, yes)
        code, text = self.code, atom.fact
        if text is Text.USER_NAME:
            self._name(atom, hit, miss, unsure=yes)
            return
        if text is not Text.ENVIRONMENT:
            code.load(Size.U64, R5, R7, TEXTS_AT[text] - 8)
            code.jump(yes, Jump.EQ, R5, _UNKNOWN)
        if atom.match in _SEARCHES:
            self._find(atom, hit, miss, unsure=yes)
            return
        at = TEXTS_AT[text]
        limit = IMAGE_TEXT_BYTES.get(text, _COMM_BYTES)
        _check_count(atom.values)
        values = [value for value in atom.values if b"\0" not in value and len(value) <= limit]
        if not values:
            code.jump(miss)
            return
        match atom.match:
            case Match.EQUAL:
                find_in(code, [value + b"\0" for value in values], (R7, at), hit, miss)
            case Match.PREFIX:
                find_in(code, values, (R7, at), hit, miss)
            case Match.SUFFIX:
                self._suffix(values, at, hit, miss)
            case _:
                raise AssertionError(atom)

    def _find(self, atom: TextIs, hit: Label, miss: Label, unsure: Label) -> None:
        """By the needles found. unsure: where to go when the kernel cannot tell."""
        code, mask = self.code, self.needles.mask(atom)
        assert mask is not None
        code.load(Size.U64, R1, R7, FOUND_AT[atom.fact])
        code.constant(R2, mask)
        code.jump(hit if self.needles.is_exact(atom) else unsure, Jump.SET, R1, R2)
        code.jump(miss)

    def _name(self, atom: TextIs, hit: Label, miss: Label, unsure: Label) -> None:
        """By the verdicts for the user's id, else those for others."""
        code, mask = self.code, self.names.mask(atom)
        assert mask is not None
        found = Label()
        code.load(Size.U64, R1, R7, NUMBERS_AT[Kind.UID])
        code.store(Size.U32, R10, _UID, R1)
        self._lookup(MAP_NAMES, _UID)
        code.jump(found, Jump.NE, R0, 0)
        code.store_constant(Size.U32, R10, _UID, -1)
        self._lookup(MAP_NAMES, _UID)
        code.jump(unsure, Jump.EQ, R0, 0)
        code.place(found)
        code.load(Size.U64, R1, R0)
        code.constant(R2, mask)
        code.jump(hit, Jump.SET, R1, R2)
        code.jump(miss)

    def _suffix(self, values: list[bytes], at: int, hit: Label, miss: Label) -> None:
        code = self.code
        for length in sorted({len(value) for value in values}):
            other = Label()
            code.load(Size.U64, R3, R7, at - 8)
            code.alu(Alu.AND, R3, _MASK)
            code.jump(other, Jump.LT, R3, length)
            code.alu(Alu.SUB, R3, length)
            code.alu(Alu.ADD, R3, R7)
            same = [value for value in values if len(value) == length]
            find_in(code, same, (R3, at), hit, other)
            code.place(other)
        code.jump(miss)


def _check_count(values: frozenset[int] | frozenset[bytes]) -> None:
    if len(values) > MAX_VALUES:
        raise FilterTooLargeError(f"it compares with {len(values):,} values")
