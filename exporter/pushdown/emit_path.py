"""Paths in BPF: reading one and telling whether it is plain.

R7 points to the CPU's memory; everything here may change R0 to R5. A path is scanned once, eight
bytes at a time: a byte that is zero is found without a branch, by the carry that adding 0x7f to the
low seven bits of each byte does not make.
"""

from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.ir import PATH_BYTES, Text
from exporter.pushdown.memory import LAST_AT, LAST_BASE, LAST_MASK, LENGTH_AT, TEXT_AT, Slot

_WORD = 8
_MASK = PATH_BYTES - 1
_LOW = 0x7F7F7F7F7F7F7F7F
_SLASHES = 0x2F2F2F2F2F2F2F2F
_NOT_LOWEST = 0xFEFEFEFEFEFEFEFE
_LOWEST = 0x0101010101010101
_HIGHEST = 0x8080808080808080
_BLANKS = 0x2020202020202020
_DELETES = 0x7F7F7F7F7F7F7F7F
_ABOVE_CONTROLS = 0xE0E0E0E0E0E0E0E0

R0, R1, R2, R3, R4, R5, R7, R10 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R7, Reg.R10,
)  # fmt: skip


def read_path(
    code: Assembler, text: Text, unknown: Label, *, relative: Label | None, absolute: Label
) -> None:
    """Read the path at the user address in R3, and go to `unknown` unless it is plain.

    relative: where to go, with its length in R0, when it does not begin with a slash; None where
    that does not matter. absolute: placed where the reader goes on with a text that is in memory
    with its length and 16 zeros behind it.
    """
    at = TEXT_AT[text]
    code.move(R1, R7)
    code.alu(Alu.ADD, R1, at)
    code.constant(R2, PATH_BYTES)
    code.call(Helper.PROBE_READ_USER_STR)
    # The result counts the NUL: 1 is an empty path, all of it one that was cut.
    code.jump(unknown, Jump.SLE, R0, 1)
    code.jump(unknown, Jump.SGE, R0, PATH_BYTES)
    code.alu(Alu.SUB, R0, 1)
    code.store(Size.U64, R7, LENGTH_AT[text], R0)
    if relative is not None:
        code.load(Size.U8, R1, R7, at)
        code.jump(relative, Jump.NE, R1, ord("/"))
    code.move(R1, R7)
    code.alu(Alu.ADD, R1, R0)
    code.store_constant(Size.U64, R1, at, 0)
    code.store_constant(Size.U64, R1, at + _WORD, 0)
    code.place(absolute)
    _scan(code, text, unknown)


def find_last_slash(code: Assembler, text: Text) -> None:
    """Settle where the last slash of the path just scanned is."""
    code.load(Size.U64, R1, R7, LAST_MASK)
    code.load(Size.U64, R2, R7, LAST_BASE)
    for bytes_ in (4, 2, 1):
        below = Label()
        code.constant(R4, (1 << 8 * bytes_) - 1)
        code.jump(below, Jump.LE, R1, R4)
        code.alu(Alu.RSH, R1, 8 * bytes_)
        code.alu(Alu.ADD, R2, bytes_)
        code.place(below)
    code.alu(Alu.AND, R2, _MASK)
    code.store(Size.U64, R7, LAST_AT[text], R2)


def _scan(code: Assembler, text: Text, unknown: Label) -> None:
    """Look for `//`, `/./`, `/..`, a slash or `/.` at the end, and control characters.

    Notes the last slash.

    The place of the last slash goes through memory, where the verifier does not follow its value:
    in registers every way through the loop would be a state of its own.
    """
    at = TEXT_AT[text]
    loop, following, done, no_dot = Label(), Label(), Label(), Label()
    code.constant(R5, 0)
    code.place(loop)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    code.load(Size.U64, R1, R3, at)
    _refuse_controls(code, unknown)
    _xor(code, R1, R4, _SLASHES)
    _zero_bytes(code, R2, R1, R4)
    code.jump(following, Jump.EQ, R2, 0)
    code.store(Size.U64, R7, LAST_MASK, R2)
    code.store(Size.U64, R7, LAST_BASE, R5)
    # The byte behind each slash: the end or a slash is odd, a dot may be.
    code.load(Size.U64, R1, R3, at + 1)
    _zero_bytes(code, R0, R1, R4)
    _xor(code, R1, R4, _SLASHES)
    _zero_bytes(code, R2, R1, R4)
    code.alu(Alu.OR, R0, R2)
    # "." and "/" differ in the lowest bit alone.
    code.constant(R4, _NOT_LOWEST)
    code.alu(Alu.AND, R1, R4)
    _zero_bytes(code, R2, R1, R4)
    code.jump(no_dot, Jump.EQ, R2, 0)
    code.store(Size.U64, R10, Slot.SPILL, R0)
    code.store(Size.U64, R10, Slot.SPILL2, R2)
    code.load(Size.U64, R1, R3, at + 2)
    _zero_bytes(code, R0, R1, R4)
    _xor(code, R1, R4, _SLASHES)
    code.constant(R4, _NOT_LOWEST)
    code.alu(Alu.AND, R1, R4)
    _zero_bytes(code, R2, R1, R4)
    code.alu(Alu.OR, R0, R2)
    code.load(Size.U64, R2, R10, Slot.SPILL2)
    code.alu(Alu.AND, R0, R2)
    code.load(Size.U64, R2, R10, Slot.SPILL)
    code.alu(Alu.OR, R0, R2)
    code.place(no_dot)
    code.load(Size.U64, R2, R7, LAST_MASK)
    code.alu(Alu.AND, R0, R2)
    code.jump(unknown, Jump.NE, R0, 0)
    code.place(following)
    code.alu(Alu.ADD, R5, _WORD)
    code.jump(done, Jump.GT, R5, PATH_BYTES - _WORD)
    code.load(Size.U64, R2, R7, LENGTH_AT[text])
    code.jump(loop, Jump.LT, R5, R2)
    code.place(done)


def _refuse_controls(code: Assembler, unknown: Label) -> None:
    """Go to `unknown` when the word in R1 holds a control character: fields show another one.

    That some byte is below a bound is told exactly by the borrow of a subtraction, only not which.
    Behind the text's end all is zero, so a word with the end takes a closer look.
    """
    printable = Label()
    code.move(R2, R1)
    code.alu(Alu.XOR, R2, -1)
    code.move(R0, R1)
    code.constant(R4, _BLANKS)
    code.alu(Alu.SUB, R0, R4)
    code.alu(Alu.AND, R0, R2)
    code.constant(R4, _HIGHEST)
    code.alu(Alu.AND, R0, R4)
    code.jump(printable, Jump.EQ, R0, 0)
    code.move(R2, R1)
    code.constant(R4, _ABOVE_CONTROLS)
    code.alu(Alu.AND, R2, R4)
    _zero_bytes(code, R0, R2, R4)
    _zero_bytes(code, R2, R1, R4)
    code.alu(Alu.XOR, R2, -1)
    code.alu(Alu.AND, R0, R2)
    code.jump(unknown, Jump.NE, R0, 0)
    code.place(printable)
    code.move(R0, R1)
    _xor(code, R0, R4, _DELETES)
    code.move(R2, R0)
    code.alu(Alu.XOR, R2, -1)
    code.constant(R4, _LOWEST)
    code.alu(Alu.SUB, R0, R4)
    code.alu(Alu.AND, R0, R2)
    code.constant(R4, _HIGHEST)
    code.alu(Alu.AND, R0, R4)
    code.jump(unknown, Jump.NE, R0, 0)


def _zero_bytes(code: Assembler, to: Reg, word: Reg, spare: Reg) -> None:
    """To = 0x80 for every byte of the word that is zero, 0 for the others."""
    code.constant(spare, _LOW)
    code.move(to, word)
    code.alu(Alu.AND, to, spare)
    code.alu(Alu.ADD, to, spare)
    code.alu(Alu.OR, to, word)
    code.alu(Alu.OR, to, spare)
    code.alu(Alu.XOR, to, -1)


def _xor(code: Assembler, word: Reg, spare: Reg, value: int) -> None:
    code.constant(spare, value)
    code.alu(Alu.XOR, word, spare)
