"""A filter as a BPF program: which events of one call are recorded.

The program is reached by tail call from hook_sys_exit, with the same context. It first decides by
what is always known; only when that leaves the event in question it reads paths and sockets, and
keeps the event where they are not what they should be. To keep is to jump to the program that
writes the record; to leave out is to count and return.

Facts are loaded by emit_facts.py, whose registers these are.
"""

from exporter.pushdown.analysis import CallFilter
from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.emit_facts import Facts, Target
from exporter.pushdown.emit_path import find_last_slash, read_path
from exporter.pushdown.emit_relative import RelativePaths
from exporter.pushdown.emit_socket import note_port, read_socket
from exporter.pushdown.emit_text import compare_text
from exporter.pushdown.ir import (
    HEAVY,
    All,
    Any,
    Atom,
    Below,
    Constant,
    Fact,
    Group,
    InNetworks,
    InSet,
    Kind,
    Literal,
    Match,
    Predicate,
    Text,
    TextIs,
    groups_of,
)
from exporter.pushdown.memory import FILTERED, IS_RELATIVE, MAP_FILTERS, MAP_MEMORY, Slot
from exporter.pushdown.simplify import early_part, weight_of, without_heavy
from exporter.sources.probe.syscalls import MAX_NUMBER

RECORD = MAX_NUMBER
"""Index of the program that writes the record, behind the filters of all numbers."""

MAX_INSTRUCTIONS = 16_000
_MAX_VALUES = 512
_PATHS = (Text.PATH, Text.PATH2)
_IS_RELATIVE = Fact(Kind.RELATIVE)
_IMMEDIATE = 1 << 31

R0, R1, R2, R3, R6, R7, R10 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R6, Reg.R7, Reg.R10


class FilterTooLargeError(Exception):
    """The predicate needs more code than a filter may have."""


def emit_filter(one: CallFilter, target: Target) -> bytes:
    """The program. Raises FilterTooLargeError."""
    emitter = _Emitter(one, target)
    try:
        return emitter.emit()
    except OverflowError as error:
        raise FilterTooLargeError(str(error)) from error


class _Emitter:
    """Writes one program."""

    def __init__(self, one: CallFilter, target: Target) -> None:
        self.one = one
        self.code = Assembler()
        self.facts = Facts(self.code, target)
        self.keep, self.drop, self.unknown = Label(), Label(), Label()
        self.groups = groups_of(one.predicate)
        self.texts = frozenset(_text_uses(one.predicate))
        self.early = early_part(one.predicate)
        early_groups = groups_of(self.early) if HEAVY & self.groups else self.groups
        self.has_task = Group.TASK in early_groups or one.notes_port or Group.SOCKET in self.groups
        self.relative = RelativePaths(self.facts, self._bases())
        self.has_comm = self.has_task and any(
            text is Text.COMM
            for text, _ in _text_uses(self.early if HEAVY & self.groups else one.predicate)
        )

    def emit(self) -> bytes:
        """Everything."""
        code, one = self.code, self.one
        self._enter()
        if one.notes_port:
            note_port(self.facts, one.call, self.keep, self.unknown)
        if HEAVY.isdisjoint(self.groups):
            self._branch(one.predicate, self.keep, self.drop)
        else:
            self.relative.enter()
            undecided = Label()
            self._branch(self.early, undecided, self.drop)
            code.place(undecided)
            if Group.SOCKET in self.groups:
                read_socket(self.facts, one.call, self.unknown)
            self._read_paths()
            self._branch(one.predicate, self.keep, self.drop)
        self.relative.finish(self.unknown)
        if self.unknown.is_used:
            code.place(self.unknown)
            self._branch(without_heavy(one.predicate), self.keep, self.drop)
        self._leave()
        if len(code) > MAX_INSTRUCTIONS:
            raise FilterTooLargeError(f"it would have {len(code):,} instructions")
        return code.finish()

    def _bases(self) -> dict[Text, int]:
        """Where the paths that are read start from; none where sockets are looked at as well."""
        if Group.SOCKET in self.groups:
            return {}
        return {
            text: base
            for text, base in zip(_PATHS, self.one.call.bases, strict=False)
            if base is not None and text.group in self.groups
        }

    def _read_paths(self) -> None:
        code, relative = self.code, self.relative
        for text, argument in zip(_PATHS, self.one.call.paths, strict=False):
            if text.group not in self.groups:
                continue
            self.facts.load_argument(R3, argument)
            if text is Text.PATH and _IS_RELATIVE in _facts_of(self.one.predicate):
                code.store_constant(Size.U64, R7, IS_RELATIVE, 0)
            read_path(
                code,
                text,
                self.unknown,
                relative=relative.relative.get(text),
                absolute=relative.absolute.get(text, Label()),
            )
            if {(text, Match.NAME), (text, Match.DIRECTORY)} & self.texts:
                find_last_slash(code, text)

    def _enter(self) -> None:
        code = self.code
        code.move(R6, R1)
        code.call(Helper.SMP_PROCESSOR_ID)
        code.store(Size.U32, R10, Slot.KEY, R0)
        self.facts.lookup(MAP_MEMORY)
        code.jump(self.keep, Jump.EQ, R0, 0)
        code.move(R7, R0)
        self.facts.find_registers()
        if self.has_task:
            self.facts.find_task()
        if self.has_comm:
            self._copy_comm()

    def _copy_comm(self) -> None:
        needs_length = {(Text.COMM, Match.SUFFIX), (Text.COMM, Match.CONTAINS)} & self.texts
        self.facts.copy_comm(self.keep, needs_length=bool(needs_length))

    def _leave(self) -> None:
        code = self.code
        code.place(self.drop)
        counter = FILTERED + 8 * self.one.call.event.code
        code.load(Size.U64, R1, R7, counter)
        code.alu(Alu.ADD, R1, 1)
        code.store(Size.U64, R7, counter, R1)
        code.constant(R0, 0)
        code.exit()
        code.place(self.keep)
        code.move(R1, R6)
        code.pseudo_map(R2, MAP_FILTERS)
        code.constant(R3, RECORD)
        code.call(Helper.TAIL_CALL)
        code.constant(R0, 0)
        code.exit()

    def _branch(self, predicate: Predicate, yes: Label, no: Label) -> None:
        """Go to one of the labels. Parts are evaluated left to right, as far as needed."""
        match predicate:
            case Constant(is_true):
                self.code.jump(yes if is_true else no)
            case Literal(atom, is_positive):
                self._test(atom, *((yes, no) if is_positive else (no, yes)))
            case All(parts):
                for part in sorted(parts, key=weight_of):
                    following = Label()
                    self._branch(part, following, no)
                    self.code.place(following)
                self.code.jump(yes)
            case Any(parts):
                for part in sorted(parts, key=weight_of):
                    following = Label()
                    self._branch(part, yes, following)
                    self.code.place(following)
                self.code.jump(no)

    def _test(self, atom: Atom, hit: Label, miss: Label) -> None:
        code = self.code
        if isinstance(atom, TextIs):
            if len(atom.values) > _MAX_VALUES:
                raise FilterTooLargeError(f"it compares with {len(atom.values):,} texts")
            if atom.fact is Text.COMM and not self.has_comm:
                # Seldom needed: only where the path fits.
                if not self.has_task:
                    self.facts.find_task()
                self._copy_comm()
            compare_text(code, atom, hit, miss)
            return
        if atom.fact.group is Group.TASK and not self.has_task:
            self.facts.find_task()
        self.facts.load(atom.fact)
        match atom:
            case InSet(_, values):
                if len(values) > _MAX_VALUES:
                    raise FilterTooLargeError(f"it compares with {len(values):,} numbers")
                for value in sorted(values):
                    self._compare(Jump.EQ, value, hit)
            case Below(_, limit):
                self._compare(Jump.SLT, limit, hit)
            case InNetworks(_, networks):
                for base, mask in sorted(networks):
                    code.move(R2, R1)
                    code.constant(R3, mask)
                    code.alu(Alu.AND, R2, R3)
                    code.constant(R3, base)
                    code.jump(hit, Jump.EQ, R2, R3)
        code.jump(miss)

    def _compare(self, op: Jump, value: int, hit: Label) -> None:
        """R1 op value."""
        if -_IMMEDIATE <= value < _IMMEDIATE:
            self.code.jump(hit, op, R1, value)
        else:
            self.code.constant(R2, value)
            self.code.jump(hit, op, R1, R2)


def _text_uses(predicate: Predicate) -> list[tuple[Text, Match]]:
    match predicate:
        case Literal(TextIs(text, match)):
            return [(text, match)]
        case All(parts) | Any(parts):
            return [use for part in parts for use in _text_uses(part)]
        case _:
            return []


def _facts_of(predicate: Predicate) -> frozenset[Fact | Text]:
    match predicate:
        case Literal(atom):
            return frozenset({atom.fact})
        case All(parts) | Any(parts):
            return frozenset().union(*map(_facts_of, parts))
        case _:
            return frozenset()
