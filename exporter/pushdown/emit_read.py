"""Reading a path in BPF, from the caller's memory into that of the CPU.

A path that is not long is read to the stack and copied from there: the kernel checks where the
helper copies to, and of its own stack that check takes a third of the calls.

R7 points to the CPU's memory; everything here may change R0 to R5 and R9.
"""

from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.emit_path import scan
from exporter.pushdown.facts import Text
from exporter.pushdown.memory import HEAD_BYTES, LENGTH_AT, TEXT_AT, Slot
from exporter.pushdown.paths import PATH_BYTES

_WORD = 8
_STEPS = (16, 32, 64, 128)
"""A path that is not longer is copied no further."""

R0, R1, R2, R3, R7, R10 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R7, Reg.R10


def read_path(
    facts: Facts,
    text: Text,
    argument: int,
    unknown: Label,
    *,
    relative: Label | None,
    absolute: Label,
    passed: Label,
) -> None:
    """Read the path that an argument points to, and go to `unknown` unless it is plain.

    relative: where to go, with its length in R0, when it does not begin with a slash; None where
    that does not matter. absolute: placed where the reader goes on with a text that is in memory
    with its length and 16 zeros behind it. passed: where to go when one look was enough (`scan`);
    on behind where it took a closer one.
    """
    code, at = facts.code, TEXT_AT[text]
    there = Label()
    if facts.target.is_typed:
        # Else a copy of the registers lies on the stack.
        whole = Label()
        facts.load_argument(R3, argument)
        _read(code, (R10, Slot.HEAD), HEAD_BYTES, unknown, whole)
        code.store(Size.U64, R7, LENGTH_AT[text], R0)
        _copy_head(code, text)
        code.jump(there)
        code.place(whole)
    facts.load_argument(R3, argument)
    _read(code, (R7, at), PATH_BYTES, unknown, unknown)
    code.store(Size.U64, R7, LENGTH_AT[text], R0)
    code.place(there)
    if relative is not None:
        code.load(Size.U8, R1, R7, at)
        code.jump(relative, Jump.NE, R1, ord("/"))
    code.move(R1, R7)
    code.alu(Alu.ADD, R1, R0)
    code.store_constant(Size.U64, R1, at, 0)
    code.store_constant(Size.U64, R1, at + _WORD, 0)
    code.place(absolute)
    scan(code, text, passed, unknown)


def _read(code: Assembler, to: tuple[Reg, int], room: int, unknown: Label, too_long: Label) -> None:
    """Read the path at the user address in R3. R0 = its length; R1 to R5 are lost."""
    base, offset = to
    code.move(R1, base)
    code.alu(Alu.ADD, R1, offset)
    code.constant(R2, room)
    code.call(Helper.PROBE_READ_USER_STR)
    # The result counts the NUL: 1 is an empty path, all of it one that was cut.
    code.jump(unknown, Jump.SLE, R0, 1)
    code.jump(too_long, Jump.SGE, R0, room)
    code.alu(Alu.SUB, R0, 1)


def _copy_head(code: Assembler, text: Text) -> None:
    """From the stack into the CPU's memory. There the verifier does not follow the length."""
    done = Label()
    code.load(Size.U64, R2, R7, LENGTH_AT[text])
    for at in range(0, HEAD_BYTES, _WORD):
        if at in _STEPS:
            code.jump(done, Jump.LE, R2, at)
        code.load(Size.U64, R1, R10, Slot.HEAD + at)
        code.store(Size.U64, R7, TEXT_AT[text] + at, R1)
    code.place(done)
