"""Paths in BPF: telling whether one is plain, and where its last slash is.

R7 points to the CPU's memory; everything here may change R0 to R5. Bytes are looked at eight at a
time: adding to the low seven bits of each byte carries into its highest bit when they reach a
bound, and never into the next byte.
"""

from exporter.pushdown.assembler import Alu, Assembler, Jump, Label, Reg, Size
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
_BLANKS = 0x2020202020202020
_LETTERS = 0x6161616161616161
_TO_BLANK = 0x6060606060606060
"""What carries from a blank on."""
_PLACES = 0x0001020304050607
"""1 << 8 * n times this has n in its highest byte."""

NEVER_IN_PASSED = (b"..", b"./", b"//")
"""What a path does not hold that one look was enough for."""

R0, R1, R2, R3, R4, R5, R7, R9 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R7, Reg.R9,
)  # fmt: skip


def scan(code: Assembler, text: Text, passed: Label, unknown: Label) -> None:
    """Look for `//`, `/./`, `/..`, a slash or `/.` at the end, and control characters.

    Goes to `passed` with the text's last eight bytes in R9 (letters before a shorter one) when one
    look was enough: it is for what holds none of NEVER_IN_PASSED and does not end with `/.`.
    """
    at = TEXT_AT[text]
    loop, careful = Label(), Label()
    _load_end(code, at, text)
    code.move(R1, R9)
    code.alu(Alu.RSH, R1, 48)
    code.jump(careful, Jump.EQ, R1, _SLASH_DOT)
    code.alu(Alu.RSH, R1, 8)
    code.jump(unknown, Jump.EQ, R1, ord("/"))
    code.move(R1, R9)
    # No load: one that spans what was stored just now has to wait for it.
    code.move(R2, R9)
    code.alu(Alu.RSH, R2, 8)
    _pass_word(code, careful)
    code.constant(R5, 0)
    code.place(loop)
    code.load(Size.U64, R4, R7, LENGTH_AT[text])
    code.alu(Alu.SUB, R4, _WORD)
    code.jump(passed, Jump.SGE, R5, R4)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    code.load(Size.U64, R1, R3, at)
    code.load(Size.U64, R2, R3, at + 1)
    _pass_word(code, careful)
    code.alu(Alu.ADD, R5, _WORD)
    code.jump(loop, Jump.LT, R5, PATH_BYTES - _WORD)
    code.jump(passed)
    code.place(careful)
    _look_closely(code, text, unknown)


def _load_end(code: Assembler, at: int, text: Text) -> None:
    """R9 = the last eight bytes of the text; letters stand before one that has fewer."""
    is_long, done = Label(), Label()
    code.load(Size.U64, R9, R7, LENGTH_AT[text])
    code.alu(Alu.AND, R9, _MASK)
    code.jump(is_long, Jump.GE, R9, _WORD)
    code.alu(Alu.LSH, R9, 3)
    code.constant(R1, _LETTERS)
    code.alu(Alu.RSH, R1, R9)
    code.constant(R2, 64)
    code.alu(Alu.SUB, R2, R9)
    code.load(Size.U64, R9, R7, at)
    code.alu(Alu.LSH, R9, R2)
    code.alu(Alu.OR, R9, R1)
    code.jump(done)
    code.place(is_long)
    code.alu(Alu.ADD, R9, R7)
    code.load(Size.U64, R9, R9, at - _WORD)
    code.place(done)


def _pass_word(code: Assembler, careful: Label) -> None:
    """Go to `careful` when the word in R1 holds a control character, or one of NEVER_IN_PASSED.

    R2: the word one byte further on. Uses R0, R3 and R4. That some byte is below a bound is told
    exactly by the borrow of a subtraction, only not which; a carry may take more for DEL.
    """
    code.move(R0, R1)
    code.constant(R4, _BLANKS)
    code.alu(Alu.SUB, R0, R4)
    code.move(R3, R1)
    code.constant(R4, _LOWEST)
    code.alu(Alu.ADD, R3, R4)
    code.alu(Alu.OR, R0, R3)
    code.move(R3, R1)
    code.alu(Alu.XOR, R3, -1)
    code.alu(Alu.AND, R0, R3)
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
    code.jump(careful, Jump.SET, R0, R4)


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
    """Tell exactly whether the path in memory is plain. Behind its end there are zeros."""
    at = TEXT_AT[text]
    single, loop, done = Label(), Label(), Label()
    code.load(Size.U64, R3, R7, LENGTH_AT[text])
    code.alu(Alu.AND, R3, _MASK)
    code.move(R2, R3)
    code.alu(Alu.ADD, R3, R7)
    code.load(Size.U8, R1, R3, at - 1)
    code.jump(unknown, Jump.EQ, R1, ord("/"))
    code.jump(single, Jump.LT, R2, 2)
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
