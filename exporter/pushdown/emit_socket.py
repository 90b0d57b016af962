"""Sockets in BPF: what a socket's ends are, and which accepts the state must see.

Everything here may change R0 to R5 and R9; what was read is kept on the stack (`Slot`).
"""

from collections.abc import Set as AbstractSet

from exporter.pushdown.assembler import Alu, Assembler, Jump, Label, Reg, Size
from exporter.pushdown.atoms import Atom, InNetworks, InSet
from exporter.pushdown.emit_facts import RET_OFFSET, Facts
from exporter.pushdown.facts import Kind
from exporter.pushdown.layout import CallLayout
from exporter.pushdown.memory import MAP_PORTS, Slot
from exporter.pushdown.observation import AF_INET, AF_INET6
from exporter.sources.probe.syscalls import Step

ACCEPTS_LET_THROUGH = 8
"""Of each port, so that the state learns it though the ring may lose some."""

BOUND_LOCK = 8
"""Bit of `sk_userlocks` that says that the program chose the port."""

_SOCK_RAW, _IPPROTO_RAW = 3, 255
_S_IFMT, _S_IFSOCK = 0o170000, 0o140000
_U64 = (1 << 64) - 1
_ALL_BITS = (1 << 128) - 1
_HALVES = (0, 8)
_ENDS = frozenset({
    Kind.FAMILY, Kind.LOCAL_ADDRESS, Kind.LOCAL_ADDRESS6, Kind.REMOTE_ADDRESS, Kind.REMOTE_ADDRESS6,
})  # fmt: skip
_NARROW = {
    Kind.LOCAL_ADDRESS: (Slot.LOCAL_ADDRESS, "SOCK_SADDR", Slot.LOCAL_ADDRESS6),
    Kind.REMOTE_ADDRESS: (Slot.REMOTE_ADDRESS, "SOCK_DADDR", Slot.REMOTE_ADDRESS6),
}
"""Slot and member of an IPv4 address, and the slot that has it when it is mapped."""
_WIDE_SLOTS = {
    Kind.LOCAL_ADDRESS6: Slot.LOCAL_ADDRESS6,
    Kind.REMOTE_ADDRESS6: Slot.REMOTE_ADDRESS6,
}

_ALL_SLOTS = (
    Slot.FAMILY, Slot.LOCAL_ADDRESS, Slot.LOCAL_PORT, Slot.REMOTE_ADDRESS, Slot.REMOTE_PORT,
    Slot.PROTOCOL, Slot.BOUND,
    *(slot + half for slot in _WIDE_SLOTS.values() for half in _HALVES),
)  # fmt: skip

R0, R1, R2, R3, R4, R5, R6, R9, R10 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R6, Reg.R9, Reg.R10,
)  # fmt: skip


def note_port(facts: Facts, call: CallLayout, keep: Label) -> None:
    """Let the first accepts on each port through: they tell the state of the server."""
    code, known = facts.code, Label()
    code.load(Size.U64, R1, R6, RET_OFFSET)
    code.jump(known, Jump.SLT, R1, 0)
    read_socket(facts, call, frozenset({Kind.LOCAL_PORT}), known)
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


def read_socket(facts: Facts, call: CallLayout, kinds: AbstractSet[Kind], unknown: Label) -> None:
    """These facts of the socket that the call is about; anything else goes to `unknown`."""
    code = facts.code
    if call.socket is None or call.socket < 0:
        code.load(Size.U64, R1, R6, RET_OFFSET)
        code.jump(unknown, Jump.SLT, R1, 0)
        code.to_u32(R1)
    else:
        facts.load_argument(R1, call.socket, Size.U32)
    code.store(Size.U64, R10, Slot.DESCRIPTOR, R1)
    _find_socket(facts, unknown)
    _read_member(facts, Size.U16, "SOCK_FAMILY", Slot.FAMILY)
    if not kinds.isdisjoint(_ENDS):
        _read_addresses(facts, kinds, unknown)
    if Kind.LOCAL_PORT in kinds:
        _read_member(facts, Size.U16, "SOCK_NUM", Slot.LOCAL_PORT)
    if Kind.REMOTE_PORT in kinds or call.step is Step.CONNECT:
        _read_member(facts, Size.U16, "SOCK_DPORT", Slot.REMOTE_PORT, is_packed=True)
    if Kind.PROTOCOL in kinds:
        _read_protocol(facts)
    if Kind.BOUND in kinds:
        _read_is_bound(facts)
    if call.step is Step.CONNECT:
        _require_remote_port(facts, unknown)


def clear_socket(code: Assembler) -> None:
    """Zeros where its facts are kept, for one that was not read.

    Nobody looks at them, but the verifier cannot know that; before 6.3 it refuses programs that may
    read what they have not written.
    """
    code.constant(R1, 0)
    for slot in _ALL_SLOTS:
        code.store(Size.U64, R10, slot, R1)


def _find_socket(facts: Facts, unknown: Label) -> None:
    """R9 = struct sock of the descriptor in its slot."""
    code, at = facts.code, facts.offset
    facts.find_task()
    for member, structure in (("TASK_FILES", "FILES"), ("FILES_FDT", "FDTABLE")):
        facts.member(Size.U64, R9, R9, at(member))
        facts.take(R9, structure)
    facts.member(Size.U32, R1, R9, at("FDTABLE_MAX"))
    code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
    code.jump(unknown, Jump.GE, R2, R1)
    facts.member(Size.U64, R9, R9, at("FDTABLE_FD"))
    code.load(Size.U64, R2, R10, Slot.DESCRIPTOR)
    code.alu(Alu.LSH, R2, 3)
    code.alu(Alu.ADD, R9, R2)
    facts.take(R9, "WORDS")
    facts.member(Size.U64, R9, R9, 0)
    code.jump(unknown, Jump.EQ, R9, 0)
    facts.take(R9, "FILE")
    facts.member(Size.U64, R1, R9, at("FILE_INODE"))
    facts.member(Size.U16, R1, R1, at("INODE_MODE"))
    code.alu(Alu.AND, R1, _S_IFMT)
    code.jump(unknown, Jump.NE, R1, _S_IFSOCK)
    facts.member(Size.U64, R9, R9, at("FILE_PRIVATE"))
    facts.take(R9, "SOCKET")
    facts.member(Size.U64, R9, R9, at("SOCKET_SK"))
    code.jump(unknown, Jump.EQ, R9, 0)


def _read_member(
    facts: Facts, size: Size, member: str, slot: Slot, *, is_packed: bool = False
) -> None:
    """A member of the socket into its slot. is_packed: in the order of packets."""
    code = facts.code
    facts.member(size, R1, R9, facts.offset(member))
    if is_packed:
        code.to_big_endian(R1, {Size.U16: 16, Size.U32: 32}[size])
    code.store(Size.U64, R10, slot, R1)


def _read_protocol(facts: Facts) -> None:
    """The transport protocol; that of a raw socket is IPPROTO_RAW (bpf/socket.h)."""
    code, is_other = facts.code, Label()
    _read_member(facts, Size.U16, "SOCK_PROTOCOL", Slot.PROTOCOL)
    facts.member(Size.U16, R1, R9, facts.offset("SOCK_TYPE"))
    code.jump(is_other, Jump.NE, R1, _SOCK_RAW)
    code.constant(R1, _IPPROTO_RAW)
    code.store(Size.U64, R10, Slot.PROTOCOL, R1)
    code.place(is_other)


def _read_addresses(facts: Facts, kinds: AbstractSet[Kind], unknown: Label) -> None:
    """Both addresses; the family of an IPv6 socket with mapped ones becomes IPv4 (`Socket`)."""
    code, is_plain, done = facts.code, Label(), Label()
    narrow = [row for kind, row in _NARROW.items() if kind in kinds]
    code.constant(R1, 0)
    for slot, _, _ in narrow:
        code.store(Size.U64, R10, slot, R1)
    for slot in (Slot.LOCAL_ADDRESS6, Slot.REMOTE_ADDRESS6):
        for half in _HALVES:
            code.store(Size.U64, R10, slot + half, R1)
    code.load(Size.U64, R1, R10, Slot.FAMILY)
    is_six = Label()
    code.jump(is_six, Jump.EQ, R1, AF_INET6)
    code.jump(done, Jump.NE, R1, AF_INET)
    for slot, member, _ in narrow:
        _read_member(facts, Size.U32, member, slot, is_packed=True)
    code.jump(done)
    code.place(is_six)
    for slot, member in (
        (Slot.LOCAL_ADDRESS6, "SOCK_V6_SADDR"),
        (Slot.REMOTE_ADDRESS6, "SOCK_V6_DADDR"),
    ):
        _read_wide(facts, slot, member)
    # R4: how many of the two are mapped or zero, R5: how many are mapped.
    code.constant(R4, 0)
    code.constant(R5, 0)
    for slot in (Slot.LOCAL_ADDRESS6, Slot.REMOTE_ADDRESS6):
        _count_mapped(facts, slot)
    code.jump(is_plain, Jump.NE, R4, 2)
    code.jump(unknown, Jump.NE, R5, 2)
    code.constant(R1, AF_INET)
    code.store(Size.U64, R10, Slot.FAMILY, R1)
    for slot, _, wide in narrow:
        code.load(Size.U64, R1, R10, wide + 8)
        code.to_u32(R1)
        code.store(Size.U64, R10, slot, R1)
    code.constant(R1, 0)
    for slot in (Slot.LOCAL_ADDRESS6, Slot.REMOTE_ADDRESS6):
        for half in _HALVES:
            code.store(Size.U64, R10, slot + half, R1)
    code.place(is_plain)
    code.place(done)


def _read_wide(facts: Facts, slot: Slot, member: str) -> None:
    """An IPv6 address into its slot, as two numbers."""
    code = facts.code
    for half in _HALVES:
        facts.member(Size.U64, R1, R9, facts.offset(member) + half)
        code.to_big_endian(R1, 64)
        code.store(Size.U64, R10, slot + half, R1)


def _count_mapped(facts: Facts, slot: Slot) -> None:
    code, is_zero, is_other = facts.code, Label(), Label()
    code.load(Size.U64, R1, R10, slot)
    code.jump(is_other, Jump.NE, R1, 0)
    code.load(Size.U64, R1, R10, slot + 8)
    code.jump(is_zero, Jump.EQ, R1, 0)
    code.alu(Alu.RSH, R1, 32)
    code.jump(is_other, Jump.NE, R1, 0xFFFF)
    code.alu(Alu.ADD, R5, 1)
    code.place(is_zero)
    code.alu(Alu.ADD, R4, 1)
    code.place(is_other)


def _read_is_bound(facts: Facts) -> None:
    """Whether the program chose the port; never where the kernel does not tell."""
    code, known = facts.code, Label()
    code.constant(R1, 0)
    if "OFF_SOCK_USERLOCKS" in facts.target.offsets:
        facts.read(Size.U8, R1, R9, facts.offset("SOCK_USERLOCKS"))
        code.alu(Alu.AND, R1, BOUND_LOCK * facts.target.offsets["BIT_SOCK_USERLOCKS"])
        code.jump(known, Jump.EQ, R1, 0)
        code.constant(R1, 1)
        code.place(known)
    code.store(Size.U64, R10, Slot.BOUND, R1)


def compare_wide(code: Assembler, atom: Atom, hit: Label, miss: Label) -> None:
    """Go to `hit` when an IPv6 address is one of these, or lies in one of these networks."""
    match atom:
        case InSet(fact, values):
            rows = [(value, _ALL_BITS) for value in sorted(values)]
        case InNetworks(fact, networks):
            rows = sorted(networks)
        case _:
            raise AssertionError(atom)
    slot = _WIDE_SLOTS[fact.kind]
    for base, mask in rows:
        following = Label()
        for half, shift in zip(_HALVES, (64, 0), strict=True):
            wanted, bits = base >> shift & _U64, mask >> shift & _U64
            if not bits:
                continue
            code.load(Size.U64, R1, R10, slot + half)
            if bits != _U64:
                code.constant(R2, bits)
                code.alu(Alu.AND, R1, R2)
            code.constant(R2, wanted)
            code.jump(following, Jump.NE, R1, R2)
        code.jump(hit)
        code.place(following)
    code.jump(miss)


def _require_remote_port(facts: Facts, unknown: Label) -> None:
    """Without one the probe takes the remote end from the caller's memory."""
    code, known = facts.code, Label()
    is_inet = Label()
    code.load(Size.U64, R1, R10, Slot.FAMILY)
    code.jump(is_inet, Jump.EQ, R1, AF_INET6)
    code.jump(known, Jump.NE, R1, AF_INET)
    code.place(is_inet)
    code.load(Size.U64, R1, R10, Slot.REMOTE_PORT)
    code.jump(unknown, Jump.EQ, R1, 0)
    code.place(known)
