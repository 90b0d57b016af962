"""A filter as a BPF program: which events of one call are recorded.

The program is reached by tail call from hook_sys_exit, with the same context. It first decides by
what is always known; only when that leaves the event in question it reads paths and sockets, and
keeps the event where they are not what they should be. To keep is to jump to the program that
writes the record; to leave out is to count and return.

R6: context. R7: memory of this CPU. R8: saved registers, R9: task (pointers that the verifier knows
the types of, where the kernel allows it; else numbers that are read through a helper).
"""

from collections.abc import Mapping

from msgspec import Struct

from exporter.pushdown.analysis import CallFilter
from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.emit_text import compare_text, find_last_slash, read_path
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
from exporter.pushdown.memory import (
    FILTERED,
    LENGTH_AT,
    MAP_FILTERS,
    MAP_MEMORY,
    MAP_PORTS,
    TEXT_AT,
    Slot,
)
from exporter.pushdown.simplify import early_part, weight_of, without_heavy
from exporter.pushdown.socket_fields import AF_INET, AF_INET6
from exporter.sources.probe.syscalls import MAX_NUMBER, Step

RECORD = MAX_NUMBER
"""Index of the program that writes the record, behind the filters of all numbers."""

ACCEPTS_LET_THROUGH = 8
"""Of each port, so that the state learns it though the ring may lose some."""

MAX_INSTRUCTIONS = 16_000
_S_IFMT, _S_IFSOCK = 0o170000, 0o140000
_MAX_VALUES = 512
_IMMEDIATE = 1 << 31
_RET_OFFSET = 8

R0, R1, R2, R3, R6, R7, R8, R9, R10 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R6, Reg.R7, Reg.R8, Reg.R9, Reg.R10,
)  # fmt: skip

_SOCKET_SLOTS = {
    Kind.FAMILY: Slot.FAMILY,
    Kind.LOCAL_ADDRESS: Slot.LOCAL_ADDRESS,
    Kind.LOCAL_PORT: Slot.LOCAL_PORT,
    Kind.REMOTE_ADDRESS: Slot.REMOTE_ADDRESS,
    Kind.REMOTE_PORT: Slot.REMOTE_PORT,
}
_ARGUMENTS = {
    "x86_64": (112, 104, 96, 56, 72, 64),
    "aarch64": (272, 8, 16, 24, 32, 40),
}
"""Offsets of the six arguments in the registers saved at entry (bpf/syscall.h)."""


class FilterTooLargeError(Exception):
    """The predicate needs more code than a filter may have."""


class Target(Struct, frozen=True):
    """The kernel a filter is made for.

    offsets: OFF_* constants of offsets.py. host_mntns: inode numbers of the machine's own mount
    namespace. is_typed: whether the context's registers and the task are typed pointers.
    """

    offsets: Mapping[str, int]
    host_mntns: tuple[int, ...]
    is_typed: bool
    machine: str = "x86_64"


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
        self.target = target
        self.code = Assembler()
        self.keep, self.drop, self.unknown = Label(), Label(), Label()
        self.groups = groups_of(one.predicate)
        self.texts = frozenset(_text_uses(one.predicate))
        self.early = early_part(one.predicate)
        early_groups = groups_of(self.early) if HEAVY & self.groups else self.groups
        self.has_task = Group.TASK in early_groups or one.notes_port or Group.SOCKET in self.groups
        self.has_comm = self.has_task and any(
            text is Text.COMM
            for text, _ in _text_uses(self.early if HEAVY & self.groups else one.predicate)
        )

    def emit(self) -> bytes:
        """Everything."""
        code, one = self.code, self.one
        self._enter()
        if one.notes_port:
            self._note_port()
        if HEAVY.isdisjoint(self.groups):
            self._branch(one.predicate, self.keep, self.drop)
        else:
            undecided = Label()
            self._branch(self.early, undecided, self.drop)
            code.place(undecided)
            if Group.SOCKET in self.groups:
                self._read_socket()
            for text, argument in zip((Text.PATH, Text.PATH2), one.call.paths, strict=False):
                if text.group in self.groups:
                    self._load_argument(R3, argument)
                    read_path(code, text, self.unknown)
                    if {(text, Match.NAME), (text, Match.DIRECTORY)} & self.texts:
                        find_last_slash(code, text)
            self._branch(one.predicate, self.keep, self.drop)
        if self.unknown.is_used:
            code.place(self.unknown)
            self._branch(without_heavy(one.predicate), self.keep, self.drop)
        self._leave()
        if len(code) > MAX_INSTRUCTIONS:
            raise FilterTooLargeError(f"it would have {len(code):,} instructions")
        return code.finish()

    def _enter(self) -> None:
        code = self.code
        code.move(R6, R1)
        code.call(Helper.SMP_PROCESSOR_ID)
        code.store(Size.U32, R10, Slot.KEY, R0)
        self._lookup(MAP_MEMORY)
        code.jump(self.keep, Jump.EQ, R0, 0)
        code.move(R7, R0)
        code.load(Size.U64, R8, R6, 0)
        if not self.target.is_typed:
            code.move(R1, R10)
            code.alu(Alu.ADD, R1, Slot.REGISTERS)
            code.constant(R2, self._saved_bytes())
            code.move(R3, R8)
            code.alu(Alu.ADD, R3, self._saved_from())
            code.call(Helper.PROBE_READ_KERNEL)
        if self.has_task:
            self._find_task()
        if self.has_comm:
            self._copy_comm()

    def _find_task(self) -> None:
        is_typed = self.target.is_typed
        self.code.call(Helper.CURRENT_TASK_BTF if is_typed else Helper.CURRENT_TASK)
        self.code.move(R9, R0)

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

    def _lookup(self, number: int) -> None:
        """R0 = the map's value for the key in its slot."""
        code = self.code
        code.move(R2, R10)
        code.alu(Alu.ADD, R2, Slot.KEY)
        code.pseudo_map(R1, number)
        code.call(Helper.MAP_LOOKUP)

    def _saved_from(self) -> int:
        return min(_ARGUMENTS[self.target.machine])

    def _saved_bytes(self) -> int:
        return max(_ARGUMENTS[self.target.machine]) + 8 - self._saved_from()

    def _load_argument(self, to: Reg, index: int, size: Size = Size.U64) -> None:
        offset = _ARGUMENTS[self.target.machine][index]
        if self.target.is_typed:
            self.code.load(size, to, R8, offset)
        else:
            self.code.load(size, to, R10, Slot.REGISTERS + offset - self._saved_from())

    def _offset(self, name: str) -> int:
        return self.target.offsets[f"OFF_{name}"]

    def _follow(self, size: Size, to: Reg, base: Reg, name: str) -> None:
        """To = the member of a kernel structure. Changes R0 to R5 where it must call a helper."""
        offset = self._offset(name)
        if self.target.is_typed:
            self.code.load(size, to, base, offset)
        else:
            self._read(size, to, base, offset)

    def _read(self, size: Size, to: Reg, base: Reg, offset: int) -> None:
        """To = *(base + offset), an address that the verifier knows nothing of."""
        code = self.code
        width = {Size.U8: 1, Size.U16: 2, Size.U32: 4, Size.U64: 8}[size]
        code.move(R3, base)
        code.alu(Alu.ADD, R3, offset)
        code.move(R1, R10)
        code.alu(Alu.ADD, R1, Slot.READ)
        code.constant(R2, width)
        code.call(Helper.PROBE_READ_KERNEL)
        code.load(size, to, R10, Slot.READ)

    def _copy_comm(self) -> None:
        """The name of the task into this CPU's memory; with its length where that matters."""
        code, at = self.code, TEXT_AT[Text.COMM]
        needs_length = {Match.SUFFIX, Match.CONTAINS} & {
            match for text, match in self.texts if text is Text.COMM
        }
        if self.target.is_typed and not needs_length:
            for half in (0, 8):
                code.load(Size.U64, R1, R9, self._offset("TASK_COMM") + half)
                code.store(Size.U64, R7, at + half, R1)
            return
        code.move(R1, R7)
        code.alu(Alu.ADD, R1, at)
        code.constant(R2, 16)
        code.move(R3, R9)
        code.alu(Alu.ADD, R3, self._offset("TASK_COMM"))
        code.call(Helper.PROBE_READ_KERNEL_STR)
        code.jump(self.keep, Jump.SLE, R0, 0)
        code.alu(Alu.SUB, R0, 1)
        code.store(Size.U64, R7, LENGTH_AT[Text.COMM], R0)

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
                    self._find_task()
                self._copy_comm()
            compare_text(code, atom, hit, miss)
            return
        if atom.fact.group is Group.TASK and not self.has_task:
            self._find_task()
        self._load_fact(atom.fact)
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

    def _load_fact(self, fact: Fact) -> None:
        """R1 = the fact."""
        code = self.code
        match fact.kind:
            case Kind.RET:
                code.load(Size.U64, R1, R6, _RET_OFFSET)
            case Kind.ARG:
                self._load_argument(R1, fact.index, Size.U32)
                if fact.is_signed:
                    code.alu(Alu.LSH, R1, 32)
                    code.alu(Alu.ARSH, R1, 32)
                elif fact.mask != 0xFFFFFFFF:
                    code.constant(R2, fact.mask)
                    code.alu(Alu.AND, R1, R2)
            case Kind.UID | Kind.GID:
                self._follow(Size.U64, R1, R9, "TASK_CRED")
                name = "CRED_EUID" if fact.kind is Kind.UID else "CRED_EGID"
                self._follow(Size.U32, R1, R1, name)
            case Kind.LOGINUID:
                self._load_loginuid()
            case Kind.HOST:
                self._load_is_host()
            case kind:
                code.load(Size.U64, R1, R10, _SOCKET_SLOTS[kind])

    def _load_loginuid(self) -> None:
        code, known = self.code, Label()
        if "OFF_TASK_LOGINUID" not in self.target.offsets:
            code.constant(R1, -1)
            return
        self._follow(Size.U32, R1, R9, "TASK_LOGINUID")
        code.constant(R2, 0xFFFFFFFF)
        code.jump(known, Jump.NE, R1, R2)
        code.constant(R1, -1)
        code.place(known)

    def _load_is_host(self) -> None:
        code, is_host, done = self.code, Label(), Label()
        self._follow(Size.U64, R1, R9, "TASK_NSPROXY")
        self._follow(Size.U64, R1, R1, "NSPROXY_MNT")
        self._follow(Size.U32, R1, R1, "MNTNS_INUM")
        for number in self.target.host_mntns:
            code.constant(R2, number)
            code.jump(is_host, Jump.EQ, R1, R2)
        code.constant(R1, 0)
        code.jump(done)
        code.place(is_host)
        code.constant(R1, 1)
        code.place(done)

    def _note_port(self) -> None:
        """Let the first accepts on each port through: they tell the state of the server."""
        code, known = self.code, Label()
        code.load(Size.U64, R1, R6, _RET_OFFSET)
        code.jump(known, Jump.SLT, R1, 0)
        self._read_socket()
        code.load(Size.U64, R1, R10, Slot.FAMILY)
        is_inet = Label()
        code.jump(is_inet, Jump.EQ, R1, AF_INET)
        code.jump(known, Jump.NE, R1, AF_INET6)
        code.place(is_inet)
        code.load(Size.U64, R1, R10, Slot.LOCAL_PORT)
        code.store(Size.U32, R10, Slot.KEY, R1)
        self._lookup(MAP_PORTS)
        code.jump(self.keep, Jump.EQ, R0, 0)
        code.load(Size.U32, R1, R0)
        code.jump(known, Jump.GE, R1, ACCEPTS_LET_THROUGH)
        code.alu(Alu.ADD, R1, 1)
        code.store(Size.U32, R0, 0, R1)
        code.jump(self.keep)
        code.place(known)

    def _read_socket(self) -> None:
        """The socket that the call is about; anything else leaves the event in question."""
        code, call = self.code, self.one.call
        if call.socket is None or call.socket < 0:
            code.load(Size.U64, R1, R6, _RET_OFFSET)
            code.jump(self.unknown, Jump.SLT, R1, 0)
            code.to_u32(R1)
        else:
            self._load_argument(R1, call.socket, Size.U32)
        code.store(Size.U64, R10, Slot.DESCRIPTOR, R1)
        self._read(Size.U64, R1, R9, self._offset("TASK_FILES"))
        self._read(Size.U64, R1, R1, self._offset("FILES_FDT"))
        code.store(Size.U64, R10, Slot.POINTER, R1)
        self._read(Size.U32, R1, R1, self._offset("FDTABLE_MAX"))
        code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
        code.jump(self.unknown, Jump.GE, R2, R1)
        code.load(Size.U64, R1, R10, Slot.POINTER)
        self._read(Size.U64, R1, R1, self._offset("FDTABLE_FD"))
        code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
        code.alu(Alu.LSH, R2, 3)
        code.alu(Alu.ADD, R1, R2)
        self._read(Size.U64, R1, R1, 0)
        code.store(Size.U64, R10, Slot.POINTER, R1)
        self._read(Size.U64, R1, R1, self._offset("FILE_INODE"))
        self._read(Size.U16, R1, R1, self._offset("INODE_MODE"))
        code.alu(Alu.AND, R1, _S_IFMT)
        code.jump(self.unknown, Jump.NE, R1, _S_IFSOCK)
        code.load(Size.U64, R1, R10, Slot.POINTER)
        self._read(Size.U64, R1, R1, self._offset("FILE_PRIVATE"))
        self._read(Size.U64, R1, R1, self._offset("SOCKET_SK"))
        code.jump(self.unknown, Jump.EQ, R1, 0)
        code.store(Size.U64, R10, Slot.POINTER, R1)
        for slot, member, size, bits in (
            (Slot.FAMILY, "SOCK_FAMILY", Size.U16, 0),
            (Slot.LOCAL_PORT, "SOCK_NUM", Size.U16, 0),
            (Slot.REMOTE_PORT, "SOCK_DPORT", Size.U16, 16),
            (Slot.LOCAL_ADDRESS, "SOCK_SADDR", Size.U32, 32),
            (Slot.REMOTE_ADDRESS, "SOCK_DADDR", Size.U32, 32),
        ):
            code.load(Size.U64, R1, R10, Slot.POINTER)
            self._read(size, R1, R1, self._offset(member))
            if bits:
                code.to_big_endian(R1, bits)
            code.store(Size.U64, R10, slot, R1)
        if call.step is Step.CONNECT:
            self._require_remote_port()

    def _require_remote_port(self) -> None:
        """Without one the probe takes the remote end from the caller's memory."""
        code, known = self.code, Label()
        code.load(Size.U64, R1, R10, Slot.FAMILY)
        code.jump(known, Jump.NE, R1, AF_INET)
        code.load(Size.U64, R1, R10, Slot.REMOTE_PORT)
        code.jump(self.unknown, Jump.EQ, R1, 0)
        code.place(known)


def _text_uses(predicate: Predicate) -> list[tuple[Text, Match]]:
    match predicate:
        case Literal(TextIs(text, match)):
            return [(text, match)]
        case All(parts) | Any(parts):
            return [use for part in parts for use in _text_uses(part)]
        case _:
            return []
