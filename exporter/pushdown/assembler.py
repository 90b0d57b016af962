"""Assembler: BPF instructions by name, with labels.

Gives the bytes that bpf(2) loads. Source: kernel documentation, bpf/standardization
instruction-set (base64 group, versions 1 to 3); helper numbers of include/uapi/linux/bpf.h.
"""

import struct
from enum import IntEnum

_INSTRUCTION = struct.Struct("<BBhi")
_U64 = (1 << 64) - 1


class Reg(IntEnum):
    """Registers. R0: results. R1 to R5: arguments, lost by calls. R6 to R9: kept. R10: stack."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    R10 = 10


class Size(IntEnum):
    """Widths of loads and stores."""

    U32 = 0x00
    U16 = 0x08
    U8 = 0x10
    U64 = 0x18


class Alu(IntEnum):
    """Arithmetic on 64 bits."""

    ADD = 0x00
    SUB = 0x10
    MUL = 0x20
    OR = 0x40
    AND = 0x50
    LSH = 0x60
    RSH = 0x70
    NEG = 0x80
    XOR = 0xA0
    MOV = 0xB0
    ARSH = 0xC0


class Jump(IntEnum):
    """Comparisons of 64 bits; those that begin with S are signed."""

    ALWAYS = 0x00
    EQ = 0x10
    GT = 0x20
    GE = 0x30
    SET = 0x40
    NE = 0x50
    SGT = 0x60
    SGE = 0x70
    LT = 0xA0
    LE = 0xB0
    SLT = 0xC0
    SLE = 0xD0


_OPPOSITES: dict[int, int] = {
    one: other
    for pair in (
        (Jump.EQ, Jump.NE), (Jump.GT, Jump.LE), (Jump.GE, Jump.LT),
        (Jump.SGT, Jump.SLE), (Jump.SGE, Jump.SLT),
    )
    for one, other in (pair, pair[::-1])
}  # fmt: skip


class Helper(IntEnum):
    """Functions of the kernel that filters call."""

    MAP_LOOKUP = 1
    SMP_PROCESSOR_ID = 8
    TAIL_CALL = 12
    CURRENT_TASK = 35
    PROBE_READ_USER = 112
    PROBE_READ_KERNEL = 113
    PROBE_READ_USER_STR = 114
    PROBE_READ_KERNEL_STR = 115
    CURRENT_TASK_BTF = 158
    TASK_PT_REGS = 175


class Label:
    """A place in the code. Set by `Assembler.place`, used by jumps before or after that."""

    __slots__ = ("at", "is_used")

    def __init__(self) -> None:
        self.at: int | None = None
        self.is_used = False


class Assembler:
    """A growing program."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._jumps: list[tuple[int, Label]] = []
        self._last_place = -1

    def __len__(self) -> int:
        """Instructions so far; 64-bit constants count twice."""
        return len(self._code)

    def _emit(self, code: int, dst: int, src: int = 0, offset: int = 0, immediate: int = 0) -> None:
        self._code.append((code, src << 4 | dst, offset, immediate))

    def place(self, label: Label) -> None:
        """Let the label stand for the next instruction."""
        assert label.at is None, "a label has one place"
        if self._last_place != len(self._code):
            # No other label stands here, which would have to move as well.
            while self._drop_jump_over_nothing(label) or self._turn_around(label):
                pass
        label.at = self._last_place = len(self._code)

    def _drop_jump_over_nothing(self, label: Label) -> bool:
        """Take back a jump to what would follow it."""
        last = len(self._code) - 1
        if not self._jumps or self._jumps[-1] != (last, label):
            return False
        self._jumps.pop()
        self._code.pop()
        return True

    def _turn_around(self, label: Label) -> bool:
        """Make "if a go to the label, go to b" before the label "if not a go to b"."""
        last = len(self._code) - 1
        if len(self._jumps) < 2 or self._last_place == last:
            return False
        (first, over), (second, target) = self._jumps[-2:]
        opposite = _OPPOSITES.get(self._code[last - 1][0] & 0xF0)
        is_pair = (first, second) == (last - 1, last) and over is label
        if not is_pair or opposite is None or self._code[last][0] != 0x05:
            return False
        opcode, *rest = self._code[first]
        self._code[first:] = [(opcode & 0x0F | opposite, rest[0], rest[1], rest[2])]
        self._jumps[-2:] = [(first, target)]
        return True

    def load(self, size: Size, dst: Reg, src: Reg, offset: int = 0) -> None:
        """Dst = *(src + offset), extended with zeros."""
        self._emit(0x61 | size, dst, src, offset)

    def store(self, size: Size, dst: Reg, offset: int, src: Reg) -> None:
        """*(dst + offset) = src."""
        self._emit(0x63 | size, dst, src, offset)

    def store_constant(self, size: Size, dst: Reg, offset: int, value: int) -> None:
        """*(dst + offset) = value, a signed 32-bit number."""
        self._emit(0x62 | size, dst, 0, offset, value)

    def constant(self, dst: Reg, value: int) -> None:
        """Dst = value, any 64-bit number."""
        value &= _U64
        if value < 1 << 31 or value >= _U64 - (1 << 31) + 1:
            self._emit(0xB7, dst, 0, 0, _signed(value, 64))
            return
        self._emit(0x18, dst, 0, 0, _signed(value & 0xFFFFFFFF, 32))
        self._emit(0, 0, 0, 0, _signed(value >> 32, 32))

    def pseudo_map(self, dst: Reg, number: int) -> None:
        """Dst = the map of this number, or a constant of the start (`kernel.place`)."""
        self._emit(0x18, dst, 1, 0, number)
        self._emit(0, 0, 0, 0, 0)

    def alu(self, op: Alu, dst: Reg, value: int | Reg) -> None:
        """Dst = dst op value. Numbers are signed 32-bit ones."""
        if isinstance(value, Reg):
            self._emit(0x0F | op, dst, value)
        else:
            self._emit(0x07 | op, dst, 0, 0, value)

    def move(self, dst: Reg, src: Reg) -> None:
        """Dst = src."""
        self.alu(Alu.MOV, dst, src)

    def to_u32(self, dst: Reg) -> None:
        """Clear the upper half."""
        self._emit(0xBC, dst, dst)

    def to_big_endian(self, dst: Reg, bits: int) -> None:
        """Turn the lowest 16, 32 or 64 bits from big endian to a number, or back."""
        self._emit(0xDC, dst, 0, 0, bits)

    def jump(
        self, label: Label, op: Jump = Jump.ALWAYS, left: Reg = Reg.R0, right: int | Reg = 0
    ) -> None:
        """Go to the label, or only if left op right. Numbers are signed 32-bit ones."""
        label.is_used = True
        self._jumps.append((len(self._code), label))
        if isinstance(right, Reg):
            self._emit(0x0D | op, left, right)
        else:
            self._emit(0x05 | op, 0 if op is Jump.ALWAYS else left, 0, 0, right)

    def call(self, helper: Helper) -> None:
        """R0 = helper(R1 ... R5)."""
        self._emit(0x85, 0, 0, 0, helper)

    def call_kernel(self, number: int) -> None:
        """R0 = a function that the kernel offers by its BTF id."""
        self._emit(0x85, 0, 2, 0, number)

    def exit(self) -> None:
        """Return R0."""
        self._emit(0x95, 0)

    def finish(self) -> bytes:
        """The program. Raises OverflowError when a jump is too long for its 16 bits."""
        code = list(self._code)
        for at, label in self._jumps:
            assert label.at is not None, "a jump to a label without a place"
            distance = label.at - at - 1
            if not -0x8000 <= distance <= 0x7FFF:
                raise OverflowError("the filter is too long for its jumps")
            opcode, registers, _, immediate = code[at]
            code[at] = (opcode, registers, distance, immediate)
        return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value
