"""A filter as a BPF program: which events of one call are recorded.

The program is reached by tail call from hook_sys_exit, with the same context. It first decides by
what is always known; only when that leaves the event in question it reads paths and sockets, and
keeps the event where they are not what they should be. To keep is to jump to the program that
writes the record; to leave out is to count and return.

Facts are loaded by emit_facts.py, whose registers these are.
"""

from collections.abc import Iterable

from exporter.pushdown.analysis import CallFilter
from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.atoms import Below, InNetworks, InSet, Match, TextIs
from exporter.pushdown.emit_branch import Branches
from exporter.pushdown.emit_closed import read_closed_path, read_kind
from exporter.pushdown.emit_facts import RET_OFFSET, Facts, Target
from exporter.pushdown.emit_path import find_last_slash
from exporter.pushdown.emit_quick import Quick
from exporter.pushdown.emit_rare import RareTask
from exporter.pushdown.emit_read import read_path
from exporter.pushdown.emit_relative import RelativePaths
from exporter.pushdown.emit_socket import clear_socket, compare_wide, note_port, read_socket
from exporter.pushdown.emit_task import TaskFacts, TooManySetsError
from exporter.pushdown.emit_text import compare_text
from exporter.pushdown.facts import HEAVY, WIDE, Fact, Group, Kind, Text
from exporter.pushdown.ir import FALSE, Literal, Predicate, groups_of
from exporter.pushdown.layout import CLOSED
from exporter.pushdown.memory import (
    FILTERED,
    IS_RELATIVE,
    MAP_FILTERS,
    MAP_MEMORY,
    PATHS_KNOWN_AT,
    Slot,
)
from exporter.pushdown.simplify import (
    is_likely,
    literals_of,
    weight_of,
    without,
    without_if_unlikely,
)
from exporter.sources.probe.syscalls import MAX_NUMBER, Step

RECORD, RECORD_STATE = MAX_NUMBER, MAX_NUMBER + 2
"""Indices of the programs that write the record, for the rules and for the state alone, behind the
filters of all numbers."""

MAX_INSTRUCTIONS = 16_000
MAX_VALUES = 512
_PATHS = (Text.PATH, Text.PATH2)
_IS_RELATIVE = Fact(Kind.RELATIVE)
_IMMEDIATE = 1 << 31

R0, R1, R2, R3, R6, R7, R10 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R6, Reg.R7, Reg.R10


class FilterTooLargeError(Exception):
    """The predicate needs more code than a filter may have."""


def emit_filter(one: CallFilter, target: Target) -> bytes:
    """The program. Raises FilterTooLargeError."""
    try:
        return _Emitter(one, target).emit()
    except (OverflowError, TooManySetsError) as error:
        raise FilterTooLargeError(str(error)) from error


class _Emitter:
    """Writes one program."""

    def __init__(self, one: CallFilter, target: Target) -> None:
        self.one = one
        self.code = Assembler()
        self.facts = Facts(self.code, target)
        # Of what is always known: where less is asked of an event, sets of names may be joined.
        self.light = without(one.predicate, HEAVY)
        self.task = TaskFacts(self.facts, (one.predicate, self.light))
        self.keep, self.drop = Label(), Label()
        self.closely, self.unknown = Label(), Label()
        self.groups = groups_of(one.predicate)
        self.relative = RelativePaths(self.facts, self._bases())

    def emit(self) -> bytes:
        """Everything.

        In the order of what it costs: what the call says; paths and sockets; the task. Where the
        path could hardly rule an event out, the task comes first.
        """
        code, predicate = self.code, self.one.predicate
        self._enter()
        if self.one.notes_port:
            note_port(self.facts, self.one.call, self.keep)
        call = without(predicate, HEAVY | {Group.TASK})
        if FALSE in (call, self.light):
            code.jump(self.drop)
        else:
            self.relative.enter()
            self._leave_out_unless(call)
            self._look_further()
            self.relative.finish(self.unknown)
        if self.unknown.is_used and self.unknown.at is None:
            code.place(self.unknown)
            self._branch(self.light, self.keep, self.drop)
        self._leave()
        if len(code) > MAX_INSTRUCTIONS:
            raise FilterTooLargeError(f"it would have {len(code):,} instructions")
        return code.finish()

    def _look_further(self) -> None:
        """Read paths and sockets; look at the task only where they leave the event in question.

        Unless there are none, or they would seldom rule one out that the task does not.
        """
        code, predicate = self.code, self.one.predicate
        has_task, maybe = Group.TASK in self.groups, Label()
        if has_task and self._is_task_first():
            self.task.read(self.keep)
            self._leave_out_unless(self.light)
            has_task = False
        self._read_heavy()
        if self._is_quick():
            self._decide_quickly(maybe, has_task=has_task)
        code.place(self.closely)
        code.place(maybe)
        if not has_task:
            self._find_last_slashes()
            self._branch(predicate, self.keep, self.drop)
            return
        code.store_constant(Size.U64, R7, PATHS_KNOWN_AT, 1)
        if self.unknown.is_used:
            both = Label()
            code.jump(both)
            code.place(self.unknown)
            code.store_constant(Size.U64, R7, PATHS_KNOWN_AT, 0)
            if Group.SOCKET in self.groups:
                clear_socket(code)
            code.place(both)
        self.task.read(self.keep)
        self._leave_out_unless(self.light)
        if self.unknown.is_used:
            code.load(Size.U64, R1, R7, PATHS_KNOWN_AT)
            code.jump(self.keep, Jump.EQ, R1, 0)
        self._find_last_slashes()
        self._branch(predicate, self.keep, self.drop)

    def _is_task_first(self) -> bool:
        """Whether paths and sockets would seldom rule an event out that the task does not.

        The one path that calls such as open have is looked at first all the same when it would be
        read anyway: of most paths there is nothing left then to ask of the task.
        """
        is_read_anyway = self._is_quick() and is_likely(self.light)
        return is_likely(without(self.one.predicate, {Group.TASK})) and not is_read_anyway

    def _decide_quickly(self, maybe: Label, *, has_task: bool) -> None:
        """Rule most paths out. has_task: what the task must decide is left to `maybe`."""
        if not has_task:
            Quick(self.facts, self._branch, maybe, self.drop).decide(self.one.predicate)
            return
        rarely = RareTask(self.facts, self._branch, self._branch_by_task, maybe, self.drop)
        bound = without_if_unlikely(self.one.predicate, {Group.TASK})
        Quick(self.facts, rarely.branch, maybe, self.drop).decide(bound)
        rarely.finish()

    def _branch(self, predicate: Predicate, yes: Label, no: Label) -> None:
        """Go to one of the labels."""
        # Not kept: it holds us, and what holds itself stays until the next full collection.
        Branches(self.code, self._test, _first_in_all, _first_in_any).emit(predicate, yes, no)

    def _branch_by_task(self, task: TaskFacts, predicate: Predicate, yes: Label, no: Label) -> None:
        """`_branch` where other facts of the task were read than all that the filter asks for."""
        whole, self.task = self.task, task
        self._branch(predicate, yes, no)
        self.task = whole

    def _enter(self) -> None:
        code = self.code
        code.move(R6, R1)
        code.call(Helper.SMP_PROCESSOR_ID)
        code.store(Size.U32, R10, Slot.KEY, R0)
        self.facts.lookup(MAP_MEMORY)
        code.jump(self.keep, Jump.EQ, R0, 0)
        code.move(R7, R0)
        if self.one.call.step is Step.CLOSE:
            read_kind(self.facts, self.keep)
        self.facts.find_registers()

    def _leave_out_unless(self, bound: Predicate) -> None:
        """Leave the event out where not even an upper bound of the predicate holds."""
        undecided = Label()
        self._branch(bound, undecided, self.drop)
        self.code.place(undecided)

    def _is_quick(self) -> bool:
        """Whether a path that begins with a slash is all that is read."""
        return self.groups & HEAVY == {Group.PATH} and self.one.call.bases[0] is not None

    def _bases(self) -> dict[Text, int]:
        """Where the paths that are read start from; none where sockets are looked at as well."""
        if Group.SOCKET in self.groups:
            return {}
        return {
            text: base
            for text, base in zip(_PATHS, self.one.call.bases, strict=False)
            if base is not None and text.group in self.groups
        }

    def _read_heavy(self) -> None:
        """Read sockets and paths, as far as they are asked for."""
        code, relative = self.code, self.relative
        if Group.SOCKET in self.groups:
            read_socket(self.facts, self.one.call, self._kinds(), self.unknown)
        if self.one.call.how is not None and Group.HOW in self.groups:
            self.facts.read_how(self.one.call.how, self.unknown)
        asked = {literal.atom.fact for literal in literals_of(self.one.predicate)}
        for text, argument in zip(_PATHS, self.one.call.paths, strict=False):
            if text.group not in self.groups:
                continue
            passed = Label()
            if argument == CLOSED:
                read_closed_path(self.facts, text, self.unknown, passed)
                code.place(passed)
                continue
            if text is Text.PATH and _IS_RELATIVE in asked:
                code.store_constant(Size.U64, R7, IS_RELATIVE, 0)
            read_path(
                self.facts,
                text,
                argument,
                self.unknown,
                relative=relative.relative.get(text),
                absolute=relative.absolute.get(text, Label()),
                passed=passed,
            )
            if self._is_quick():
                code.jump(self.closely)
            code.place(passed)

    def _kinds(self) -> frozenset[Kind]:
        """The numbers that the predicate looks at."""
        atoms = [literal.atom for literal in literals_of(self.one.predicate)]
        return frozenset(one.fact.kind for one in atoms if not isinstance(one, TextIs))

    def _find_last_slashes(self) -> None:
        asked = {
            literal.atom.fact
            for literal in literals_of(self.one.predicate)
            if isinstance(literal.atom, TextIs)
            and literal.atom.match in {Match.NAME, Match.DIRECTORY}
        }
        for text in (Text.PATH, Text.PATH2):
            if text in asked:
                find_last_slash(self.code, text)

    def _leave(self) -> None:
        code = self.code
        code.place(self.drop)
        if self.one.is_needed:
            self._keep_for_state()
        counter = FILTERED + 8 * self.one.call.event.code
        code.load(Size.U64, R1, R7, counter)
        code.alu(Alu.ADD, R1, 1)
        code.store(Size.U64, R7, counter, R1)
        code.constant(R0, 0)
        code.exit()
        code.place(self.keep)
        self._go_on_to(RECORD)
        code.constant(R0, 0)
        code.exit()

    def _keep_for_state(self) -> None:
        """What failed changed nothing, and a new thread tells more of itself than its maker."""
        code, changed_nothing = self.code, Label()
        code.load(Size.U64, R1, R6, RET_OFFSET)
        is_clone = self.one.call.step is Step.CLONE
        code.jump(changed_nothing, Jump.NE if is_clone else Jump.SLT, R1, 0)
        self._go_on_to(RECORD_STATE)
        code.place(changed_nothing)

    def _go_on_to(self, index: int) -> None:
        code = self.code
        code.move(R1, R6)
        code.pseudo_map(R2, MAP_FILTERS)
        code.constant(R3, index)
        code.call(Helper.TAIL_CALL)

    def _test(self, literal: Literal, yes: Label, no: Label) -> None:
        code, atom = self.code, literal.atom
        hit, miss = (yes, no) if literal.is_positive else (no, yes)
        if isinstance(atom, TextIs):
            if len(atom.values) > MAX_VALUES:
                raise FilterTooLargeError(f"it compares with {len(atom.values):,} texts")
            if atom.fact is Text.COMM:
                self.task.test_name(atom, hit, miss)
            else:
                compare_text(code, atom, hit, miss)
            return
        if atom.fact.kind in WIDE:
            compare_wide(code, atom, hit, miss)
            return
        self.facts.load(atom.fact)
        match atom:
            case InSet(_, values):
                if len(values) > MAX_VALUES:
                    raise FilterTooLargeError(f"it compares with {len(values):,} numbers")
                for first, last in _runs(values):
                    self._compare_run(first, last, hit)
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

    def _compare_run(self, first: int, last: int, hit: Label) -> None:
        """R1 is one of these numbers."""
        if first == last:
            self._compare(Jump.EQ, first, hit)
            return
        below = Label()
        self._compare(Jump.SLT, first, below)
        self._compare(Jump.SLE, last, hit)
        self.code.place(below)

    def _compare(self, op: Jump, value: int, hit: Label) -> None:
        """R1 op value."""
        if -_IMMEDIATE <= value < _IMMEDIATE:
            self.code.jump(hit, op, R1, value)
        else:
            self.code.constant(R2, value)
            self.code.jump(hit, op, R1, R2)


def _first_in_all(part: Predicate) -> tuple[bool, int]:
    """What decides most often comes first: there what seldom holds, and then what is cheap."""
    return is_likely(part), weight_of(part)


def _first_in_any(part: Predicate) -> tuple[bool, int]:
    return not is_likely(part), weight_of(part)


def _runs(values: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as runs without gaps."""
    runs: list[tuple[int, int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs
