"""Reading facts in BPF: registers saved at entry, the task, and what hangs on it.

R6: context. R7: memory of this CPU. R8: saved registers, R9: task (pointers that the verifier knows
the types of, where the kernel allows it; else numbers that are read through a helper).
"""

from collections.abc import Mapping

from msgspec import Struct

from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.facts import Fact, Kind, Text
from exporter.pushdown.memory import (
    CLOSED_KIND_AT,
    HOW_AT,
    HOW_BYTES,
    IS_RELATIVE,
    LENGTH_AT,
    TASK_AT,
    TEXT_AT,
    Slot,
)

_U32 = 0xFFFFFFFF
RET_OFFSET = 8
"""Of the call's result in the context."""

R0, R1, R2, R3, R6, R7, R8, R9, R10 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R6, Reg.R7, Reg.R8, Reg.R9, Reg.R10,
)  # fmt: skip

_SOCKET_SLOTS = {
    Kind.FAMILY: Slot.FAMILY,
    Kind.PROTOCOL: Slot.PROTOCOL,
    Kind.BOUND: Slot.BOUND,
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


class Target(Struct, frozen=True):
    """The kernel a filter is made for.

    offsets: OFF_* constants of offsets.py. host_mntns: inode numbers of the machine's own mount
    namespace. is_typed: whether the context's registers and the task are typed pointers.
    """

    offsets: Mapping[str, int]
    host_mntns: tuple[int, ...]
    is_typed: bool
    machine: str = "x86_64"


class Facts:
    """Writes what loads facts into registers."""

    def __init__(self, code: Assembler, target: Target) -> None:
        self.code = code
        self.target = target

    def find_registers(self) -> None:
        """R8 = the registers saved at entry, or a copy of the arguments on the stack."""
        code = self.code
        code.load(Size.U64, R8, R6, 0)
        if not self.target.is_typed:
            code.move(R1, R10)
            code.alu(Alu.ADD, R1, Slot.REGISTERS)
            code.constant(R2, self._saved_bytes())
            code.move(R3, R8)
            code.alu(Alu.ADD, R3, self._saved_from())
            code.call(Helper.PROBE_READ_KERNEL)

    def find_task(self) -> None:
        """R9 = the task. Changes R0 to R5."""
        is_typed = self.target.is_typed
        self.code.call(Helper.CURRENT_TASK_BTF if is_typed else Helper.CURRENT_TASK)
        self.code.move(R9, R0)

    def lookup(self, number: int) -> None:
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

    def load_argument(self, to: Reg, index: int, size: Size = Size.U64) -> None:
        """To = an argument of the call, or as much of it as the width says."""
        offset = _ARGUMENTS[self.target.machine][index]
        if self.target.is_typed:
            self.code.load(size, to, R8, offset)
        else:
            self.code.load(size, to, R10, Slot.REGISTERS + offset - self._saved_from())

    def offset(self, name: str) -> int:
        """Where a member is in its structure."""
        return self.target.offsets[f"OFF_{name}"]

    def follow(self, size: Size, to: Reg, base: Reg, name: str) -> None:
        """To = the member of a kernel structure. Changes R0 to R5 where it must call a helper."""
        offset = self.offset(name)
        if self.target.is_typed:
            self.code.load(size, to, base, offset)
        else:
            self.read(size, to, base, offset)

    def read(self, size: Size, to: Reg, base: Reg, offset: int) -> None:
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

    @property
    def is_direct(self) -> bool:
        """Whether any address can be taken for a structure, whose members are then loaded."""
        return self.target.is_typed and bool(self.target.offsets.get("BTF_RDONLY_CAST"))

    def take(self, reg: Reg, structure: str) -> None:
        """Let the verifier take the address for one of a structure. Changes R0 to R5."""
        if self.is_direct:
            code = self.code
            code.move(R1, reg)
            code.constant(R2, self.target.offsets[f"BTF_{structure}"])
            code.call_kernel(self.target.offsets["BTF_RDONLY_CAST"])
            code.move(reg, R0)

    def member(self, size: Size, to: Reg, base: Reg, offset: int) -> None:
        """To = a member of a structure that was taken for one. Changes R0 to R5."""
        if self.is_direct:
            self.code.load(size, to, base, offset)
        else:
            self.read(size, to, base, offset)

    def copy_comm(self, unread: Label, *, needs_length: bool) -> None:
        """The name of the task into this CPU's memory; with its length where that matters."""
        code, at = self.code, TEXT_AT[Text.COMM]
        if self.target.is_typed and not needs_length:
            for half in (0, 8):
                code.load(Size.U64, R1, R9, self.offset("TASK_COMM") + half)
                code.store(Size.U64, R7, at + half, R1)
            return
        code.move(R1, R7)
        code.alu(Alu.ADD, R1, at)
        code.constant(R2, 16)
        code.move(R3, R9)
        code.alu(Alu.ADD, R3, self.offset("TASK_COMM"))
        code.call(Helper.PROBE_READ_KERNEL_STR)
        code.jump(unread, Jump.SLE, R0, 0)
        code.alu(Alu.SUB, R0, 1)
        code.store(Size.U64, R7, LENGTH_AT[Text.COMM], R0)
        code.alu(Alu.AND, R0, 15)
        code.alu(Alu.ADD, R0, R7)
        code.store_constant(Size.U64, R0, at, 0)

    def load(self, fact: Fact) -> None:
        """R1 = the fact."""
        code = self.code
        match fact.kind:
            case Kind.RET:
                code.load(Size.U64, R1, R6, RET_OFFSET)
            case Kind.ARG:
                self.load_argument(R1, fact.index, Size.U32)
                if fact.is_signed:
                    code.alu(Alu.LSH, R1, 32)
                    code.alu(Alu.ARSH, R1, 32)
                else:
                    self._mask(fact.mask)
            case kind if kind in TASK_AT:
                code.load(Size.U64, R1, R7, TASK_AT[kind])
            case Kind.HOW:
                code.load(Size.U32, R1, R7, HOW_AT + 8 * fact.index)
                self._mask(fact.mask)
            case Kind.CLOSED:
                code.load(Size.U64, R1, R7, CLOSED_KIND_AT)
            case Kind.RELATIVE:
                code.load(Size.U64, R1, R7, IS_RELATIVE)
            case kind:
                code.load(Size.U64, R1, R10, _SOCKET_SLOTS[kind])

    def _mask(self, mask: int) -> None:
        """Of the 32 bits in R1 these count."""
        if mask < 1 << 31:
            self.code.alu(Alu.AND, R1, mask)
        elif mask != _U32:
            self.code.constant(R2, mask)
            self.code.alu(Alu.AND, R1, R2)

    def load_of_task(self, kind: Kind) -> None:
        """R1 = a fact of the task in R9, which is kept in this CPU's memory from then on."""
        match kind:
            case Kind.UID | Kind.GID:
                self.follow(Size.U64, R1, R9, "TASK_CRED")
                name = "CRED_EUID" if kind is Kind.UID else "CRED_EGID"
                self.follow(Size.U32, R1, R1, name)
            case Kind.LOGINUID:
                self._load_loginuid()
            case Kind.VPID:
                self._load_vpid()
            case Kind.TTY:
                self._load_tty()
            case Kind.HOST:
                self._load_is_host()
            case _:
                raise AssertionError(kind)

    def _load_loginuid(self) -> None:
        code, known = self.code, Label()
        if "OFF_TASK_LOGINUID" not in self.target.offsets:
            code.constant(R1, -1)
            return
        self.follow(Size.U32, R1, R9, "TASK_LOGINUID")
        code.constant(R2, _U32)
        code.jump(known, Jump.NE, R1, R2)
        code.constant(R1, -1)
        code.place(known)

    def _load_vpid(self) -> None:
        """The process's number in its own pid namespace."""
        code = self.code
        self.follow(Size.U64, R1, R9, "TASK_LEADER")
        self.follow(Size.U64, R1, R1, "TASK_THREAD_PID")
        code.store(Size.U64, R10, Slot.POINTER, R1)
        self.read(Size.U32, R2, R1, self.offset("PID_LEVEL"))
        code.load(Size.U64, R1, R10, Slot.POINTER)
        code.constant(R3, self.target.offsets["SIZEOF_UPID"])
        code.alu(Alu.MUL, R2, R3)
        code.alu(Alu.ADD, R1, R2)
        self.read(Size.U32, R1, R1, self.offset("PID_NUMBERS"))

    def _load_tty(self) -> None:
        """The controlling terminal's number as stat(2) shows it; 0 without one (bpf/task.h)."""
        code, done = self.code, Label()
        self.follow(Size.U64, R1, R9, "TASK_SIGNAL")
        self.follow(Size.U64, R1, R1, "SIGNAL_TTY")
        code.jump(done, Jump.EQ, R1, 0)
        code.store(Size.U64, R10, Slot.POINTER, R1)
        self.follow(Size.U32, R1, R1, "TTY_INDEX")
        code.store(Size.U64, R10, Slot.DESCRIPTOR, R1)
        code.load(Size.U64, R1, R10, Slot.POINTER)
        self.follow(Size.U64, R1, R1, "TTY_DRIVER")
        code.store(Size.U64, R10, Slot.POINTER, R1)
        self.follow(Size.U32, R1, R1, "TTY_DRIVER_MINOR_START")
        code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
        code.alu(Alu.ADD, R1, R2)
        code.to_u32(R1)
        code.store(Size.U64, R10, Slot.DESCRIPTOR, R1)
        code.load(Size.U64, R1, R10, Slot.POINTER)
        self.follow(Size.U32, R1, R1, "TTY_DRIVER_MAJOR")
        code.alu(Alu.LSH, R1, 8)
        code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
        code.move(R3, R2)
        code.alu(Alu.AND, R3, 0xFF)
        code.alu(Alu.ADD, R1, R3)
        code.alu(Alu.RSH, R2, 8)
        code.alu(Alu.LSH, R2, 20)
        code.alu(Alu.ADD, R1, R2)
        code.to_u32(R1)
        code.place(done)

    def read_how(self, argument: int, unknown: Label) -> None:
        """A struct open_how into this CPU's memory: the stack does not outlive the resolver."""
        code = self.code
        self.load_argument(R3, argument)
        code.move(R1, R7)
        code.alu(Alu.ADD, R1, HOW_AT)
        code.constant(R2, HOW_BYTES)
        code.call(Helper.PROBE_READ_USER)
        code.jump(unknown, Jump.NE, R0, 0)

    def _load_is_host(self) -> None:
        code, is_host, done = self.code, Label(), Label()
        self.follow(Size.U64, R1, R9, "TASK_NSPROXY")
        self.follow(Size.U64, R1, R1, "NSPROXY_MNT")
        self.follow(Size.U32, R1, R1, "MNTNS_INUM")
        for number in self.target.host_mntns:
            code.constant(R2, number)
            code.jump(is_host, Jump.EQ, R1, R2)
        code.constant(R1, 0)
        code.jump(done)
        code.place(is_host)
        code.constant(R1, 1)
        code.place(done)
