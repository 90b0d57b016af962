"""Sockets in BPF: what a socket's ends are, and which accepts the state must see.

Everything here may change R0 to R5; what was read is kept on the stack (`Slot`).
"""

from exporter.pushdown.assembler import Alu, Jump, Label, Reg, Size
from exporter.pushdown.emit_facts import RET_OFFSET, Facts
from exporter.pushdown.layout import CallLayout
from exporter.pushdown.memory import MAP_PORTS, Slot
from exporter.pushdown.socket_fields import AF_INET, AF_INET6
from exporter.sources.probe.syscalls import Step

ACCEPTS_LET_THROUGH = 8
"""Of each port, so that the state learns it though the ring may lose some."""

_S_IFMT, _S_IFSOCK = 0o170000, 0o140000

R0, R1, R2, R6, R9, R10 = Reg.R0, Reg.R1, Reg.R2, Reg.R6, Reg.R9, Reg.R10


def note_port(facts: Facts, call: CallLayout, keep: Label) -> None:
    """Let the first accepts on each port through: they tell the state of the server."""
    code, known = facts.code, Label()
    code.load(Size.U64, R1, R6, RET_OFFSET)
    code.jump(known, Jump.SLT, R1, 0)
    read_socket(facts, call, known)
    code.load(Size.U64, R1, R10, Slot.FAMILY)
    is_inet = Label()
    code.jump(is_inet, Jump.EQ, R1, AF_INET)
    code.jump(known, Jump.NE, R1, AF_INET6)
    code.place(is_inet)
    code.load(Size.U64, R1, R10, Slot.LOCAL_PORT)
    code.store(Size.U32, R10, Slot.KEY, R1)
    facts.lookup(MAP_PORTS)
    code.jump(keep, Jump.EQ, R0, 0)
    code.load(Size.U32, R1, R0)
    code.jump(known, Jump.GE, R1, ACCEPTS_LET_THROUGH)
    code.alu(Alu.ADD, R1, 1)
    code.store(Size.U32, R0, 0, R1)
    code.jump(keep)
    code.place(known)


def read_socket(facts: Facts, call: CallLayout, unknown: Label) -> None:
    """The socket that the call is about; anything else goes to `unknown`."""
    code = facts.code
    if call.socket is None or call.socket < 0:
        code.load(Size.U64, R1, R6, RET_OFFSET)
        code.jump(unknown, Jump.SLT, R1, 0)
        code.to_u32(R1)
    else:
        facts.load_argument(R1, call.socket, Size.U32)
    code.store(Size.U64, R10, Slot.DESCRIPTOR, R1)
    facts.find_task()
    facts.read(Size.U64, R1, R9, facts.offset("TASK_FILES"))
    facts.read(Size.U64, R1, R1, facts.offset("FILES_FDT"))
    code.store(Size.U64, R10, Slot.POINTER, R1)
    facts.read(Size.U32, R1, R1, facts.offset("FDTABLE_MAX"))
    code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
    code.jump(unknown, Jump.GE, R2, R1)
    code.load(Size.U64, R1, R10, Slot.POINTER)
    facts.read(Size.U64, R1, R1, facts.offset("FDTABLE_FD"))
    code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
    code.alu(Alu.LSH, R2, 3)
    code.alu(Alu.ADD, R1, R2)
    facts.read(Size.U64, R1, R1, 0)
    code.store(Size.U64, R10, Slot.POINTER, R1)
    facts.read(Size.U64, R1, R1, facts.offset("FILE_INODE"))
    facts.read(Size.U16, R1, R1, facts.offset("INODE_MODE"))
    code.alu(Alu.AND, R1, _S_IFMT)
    code.jump(unknown, Jump.NE, R1, _S_IFSOCK)
    code.load(Size.U64, R1, R10, Slot.POINTER)
    facts.read(Size.U64, R1, R1, facts.offset("FILE_PRIVATE"))
    facts.read(Size.U64, R1, R1, facts.offset("SOCKET_SK"))
    code.jump(unknown, Jump.EQ, R1, 0)
    code.store(Size.U64, R10, Slot.POINTER, R1)
    for slot, member, size, bits in (
        (Slot.FAMILY, "SOCK_FAMILY", Size.U16, 0),
        (Slot.LOCAL_PORT, "SOCK_NUM", Size.U16, 0),
        (Slot.REMOTE_PORT, "SOCK_DPORT", Size.U16, 16),
        (Slot.LOCAL_ADDRESS, "SOCK_SADDR", Size.U32, 32),
        (Slot.REMOTE_ADDRESS, "SOCK_DADDR", Size.U32, 32),
    ):
        code.load(Size.U64, R1, R10, Slot.POINTER)
        facts.read(size, R1, R1, facts.offset(member))
        if bits:
            code.to_big_endian(R1, bits)
        code.store(Size.U64, R10, slot, R1)
    if call.step is Step.CONNECT:
        _require_remote_port(facts, unknown)


def _require_remote_port(facts: Facts, unknown: Label) -> None:
    """Without one the probe takes the remote end from the caller's memory."""
    code, known = facts.code, Label()
    code.load(Size.U64, R1, R10, Slot.FAMILY)
    code.jump(known, Jump.NE, R1, AF_INET)
    code.load(Size.U64, R1, R10, Slot.REMOTE_PORT)
    code.jump(unknown, Jump.EQ, R1, 0)
    code.place(known)
