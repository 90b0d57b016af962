"""Paths in BPF: reading one and telling whether it is plain.

R7 points to the CPU's memory; everything here may change R0 to R5. Bytes are looked at eight at a
time: adding to the low seven bits of each byte carries into its highest bit when they reach a
bound, and never into the next byte.
"""

from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.facts import Text
from exporter.pushdown.memory import LAST_AT, LENGTH_AT, TEXT_AT
from exporter.pushdown.paths import PATH_BYTES

_WORD = 8
_MASK = PATH_BYTES - 1
_LOW = 0x7F7F7F7F7F7F7F7F
_SLASHES = 0x2F2F2F2F2F2F2F2F
_DOTS = 0x2E2E2E2E2E2E2E2E
_NOT_LOWEST = 0xFEFEFEFEFEFEFEFE
_LOWEST = 0x0101010101010101
_HIGHEST = 0x8080808080808080
_SLASH_DOT = int.from_bytes(b"/.", "little")
_TO_BLANK = 0x6060606060606060
"""What carries from a blank on."""
_PLACES = 0x0001020304050607
"""1 << 8 * n times this has n in its highest byte."""

NEVER_IN_PASSED = (b"..", b"./", b"//")
"""What a path does not hold that one look was enough for."""

R0, R1, R2, R3, R4, R5, R7 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R7


def read_path(
    code: Assembler,
    text: Text,
    unknown: Label,
    *,
    relative: Label | None,
    absolute: Label,
    passed: Label,
) -> None:
    """Read the path at the user address in R3, and go to `unknown` unless it is plain.

    relative: where to go, with its length in R0, when it does not begin with a slash; None where
    that does not matter. absolute: placed where the reader goes on with a text that is in memory
    with its length and 16 zeros behind it. passed: where to go when one look was enough; on
    behind where it took a closer one.
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
    _scan(code, text, passed, unknown)


def _scan(code: Assembler, text: Text, passed: Label, unknown: Label) -> None:
    """Look for `//`, `/./`, `/..`, a slash or `/.` at the end, and control characters.

    One look is enough for what holds none of NEVER_IN_PASSED and does not end with `/.`. The last
    word is the last eight bytes, so that it never holds the end.
    """
    at = TEXT_AT[text]
    loop, last, careful = Label(), Label(), Label()
    code.load(Size.U64, R0, R7, LENGTH_AT[text])
    code.alu(Alu.AND, R0, _MASK)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R0)
    code.load(Size.U8, R1, R3, at - 1)
    code.jump(unknown, Jump.EQ, R1, ord("/"))
    code.load(Size.U16, R1, R3, at - 2)
    code.jump(careful, Jump.EQ, R1, _SLASH_DOT)
    code.constant(R5, 0)
    code.place(loop)
    code.load(Size.U64, R4, R7, LENGTH_AT[text])
    code.alu(Alu.SUB, R4, _WORD)
    code.jump(last, Jump.SGE, R5, R4)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    _pass_word(code, at, careful)
    code.alu(Alu.ADD, R5, _WORD)
    code.jump(loop, Jump.LT, R5, PATH_BYTES - _WORD)
    code.place(last)
    code.load(Size.U64, R3, R7, LENGTH_AT[text])
    code.alu(Alu.SUB, R3, _WORD)
    code.jump(careful, Jump.SLT, R3, 0)
    code.alu(Alu.AND, R3, _MASK)
    code.alu(Alu.ADD, R3, R7)
    _pass_word(code, at, careful)
    code.jump(passed)
    code.place(careful)
    _look_closely(code, text, unknown)


def _pass_word(code: Assembler, at: int, careful: Label) -> None:
    """Go to `careful` when the word at R3 holds a control character, or one of NEVER_IN_PASSED.

    That some byte is zero is told exactly by the borrow of a subtraction, only not which.
    """
    code.load(Size.U64, R1, R3, at)
    code.load(Size.U64, R2, R3, at + 1)
    _find_controls(code)
    # Zero where both bytes are dots or slashes, which differ in the lowest bit, but for "/.".
    code.constant(R4, _DOTS)
    code.alu(Alu.XOR, R1, R4)
    code.alu(Alu.XOR, R2, R4)
    code.move(R3, R2)
    code.alu(Alu.XOR, R3, -1)
    code.alu(Alu.AND, R1, R3)
    code.constant(R4, _NOT_LOWEST)
    code.alu(Alu.AND, R2, R4)
    code.alu(Alu.OR, R1, R2)
    code.move(R2, R1)
    code.alu(Alu.XOR, R2, -1)
    code.constant(R4, _LOWEST)
    code.alu(Alu.SUB, R1, R4)
    code.alu(Alu.AND, R1, R2)
    code.alu(Alu.OR, R0, R1)
    code.constant(R4, _HIGHEST)
    code.alu(Alu.AND, R0, R4)
    code.jump(careful, Jump.NE, R0, 0)


def _find_controls(code: Assembler) -> None:
    """R0 = the highest bit of each byte in R1 that is a control character, and junk. Uses R3, R4.

    Fields show another character in its place.
    """
    code.move(R0, R1)
    code.constant(R4, _LOW)
    code.alu(Alu.AND, R0, R4)
    code.move(R3, R0)
    code.constant(R4, _TO_BLANK)
    code.alu(Alu.ADD, R3, R4)
    code.alu(Alu.XOR, R3, -1)
    # Only DEL reaches the highest bit by one more.
    code.constant(R4, _LOWEST)
    code.alu(Alu.ADD, R0, R4)
    code.alu(Alu.OR, R0, R3)
    code.move(R3, R1)
    code.alu(Alu.XOR, R3, -1)
    code.alu(Alu.AND, R0, R3)


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


def _look_closely(code: Assembler, text: Text, unknown: Label) -> None:
    """Tell exactly whether the path is plain. Behind its end there are zeros."""
    at = TEXT_AT[text]
    single, loop, done = Label(), Label(), Label()
    code.load(Size.U64, R3, R7, LENGTH_AT[text])
    code.alu(Alu.AND, R3, _MASK)
    code.jump(single, Jump.LT, R3, 2)
    code.alu(Alu.ADD, R3, R7)
    code.load(Size.U16, R1, R3, at - 2)
    code.jump(unknown, Jump.EQ, R1, _SLASH_DOT)
    code.place(single)
    code.constant(R5, 0)
    code.place(loop)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    code.load(Size.U64, R1, R3, at)
    _find_controls(code)
    # The text's end is none: only bytes that are not zero count.
    code.move(R2, R1)
    code.constant(R4, _LOW)
    code.alu(Alu.AND, R2, R4)
    code.alu(Alu.ADD, R2, R4)
    code.alu(Alu.OR, R2, R1)
    code.alu(Alu.AND, R0, R2)
    code.constant(R4, _HIGHEST)
    code.alu(Alu.AND, R0, R4)
    code.jump(unknown, Jump.NE, R0, 0)
    # Zero where "//" begins.
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    code.load(Size.U64, R2, R3, at + 1)
    code.constant(R4, _SLASHES)
    code.alu(Alu.XOR, R1, R4)
    code.alu(Alu.XOR, R2, R4)
    code.move(R0, R1)
    code.alu(Alu.OR, R0, R2)
    _mark_zero_bytes(code, R0)
    code.jump(unknown, Jump.NE, R0, 0)
    # Zero where "/.." or "/./" begins.
    code.load(Size.U64, R2, R3, at + 1)
    code.constant(R4, _DOTS)
    code.alu(Alu.XOR, R2, R4)
    code.alu(Alu.OR, R1, R2)
    code.load(Size.U64, R2, R3, at + 2)
    code.alu(Alu.XOR, R2, R4)
    code.constant(R4, _NOT_LOWEST)
    code.alu(Alu.AND, R2, R4)
    code.alu(Alu.OR, R1, R2)
    _mark_zero_bytes(code, R1)
    code.jump(unknown, Jump.NE, R1, 0)
    code.alu(Alu.ADD, R5, _WORD)
    code.jump(done, Jump.GT, R5, PATH_BYTES - _WORD)
    code.load(Size.U64, R2, R7, LENGTH_AT[text])
    code.jump(loop, Jump.LT, R5, R2)
    code.place(done)


def _mark_zero_bytes(code: Assembler, word: Reg) -> None:
    """Make the word zero unless some byte of it is. Uses R2 and R4.

    That some byte is zero is told exactly by the borrow of a subtraction, only not which.
    """
    code.move(R2, word)
    code.alu(Alu.XOR, R2, -1)
    code.constant(R4, _LOWEST)
    code.alu(Alu.SUB, word, R4)
    code.alu(Alu.AND, word, R2)
    code.constant(R4, _HIGHEST)
    code.alu(Alu.AND, word, R4)


def find_last_slash(code: Assembler, text: Text) -> None:
    """Note where the last slash of a plain path is: most are in the last eight or sixteen bytes."""
    at = TEXT_AT[text]
    loop, first, found = Label(), Label(), Label()
    code.load(Size.U64, R5, R7, LENGTH_AT[text])
    code.alu(Alu.AND, R5, _MASK)
    code.place(loop)
    code.alu(Alu.SUB, R5, _WORD)
    code.jump(first, Jump.SLT, R5, 0)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    code.load(Size.U64, R1, R3, at)
    _xor(code, R1, R4, _SLASHES)
    _zero_bytes(code, R2, R1, R4)
    code.jump(loop, Jump.EQ, R2, 0)
    code.jump(found)
    code.place(first)
    # The first eight bytes, for the second time in part; one is a slash.
    code.constant(R5, 0)
    code.load(Size.U64, R1, R7, at)
    _xor(code, R1, R4, _SLASHES)
    _zero_bytes(code, R2, R1, R4)
    code.place(found)
    # The last byte first, so that the lowest bit is the one; from that bit its number.
    code.to_big_endian(R2, 64)
    code.move(R1, R2)
    code.alu(Alu.SUB, R1, 1)
    code.alu(Alu.XOR, R1, -1)
    code.alu(Alu.AND, R1, R2)
    code.alu(Alu.RSH, R1, 7)
    code.constant(R4, _PLACES)
    code.alu(Alu.MUL, R1, R4)
    code.alu(Alu.RSH, R1, 56)
    code.alu(Alu.ADD, R5, _WORD - 1)
    code.alu(Alu.SUB, R5, R1)
    code.store(Size.U64, R7, LAST_AT[text], R5)
