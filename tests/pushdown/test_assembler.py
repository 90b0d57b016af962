"""Laws of the assembler: jumps go where their labels stand, in as few instructions as it takes."""

import struct

from exporter.pushdown.assembler import Assembler, Jump, Label, Reg


def opcodes(code):
    """Opcode and distance of each instruction."""
    whole = code.finish()
    return [struct.unpack_from("<BBh", whole, at)[::2] for at in range(0, len(whole), 8)]


def test_a_jump_over_a_jump_becomes_one():
    """`if a: goto here; goto there; here:` is `if not a: goto there`."""
    code, here, there = Assembler(), Label(), Label()
    code.jump(here, Jump.EQ, Reg.R1, 5)
    code.jump(there)
    code.place(here)
    code.constant(Reg.R0, 1)
    code.place(there)
    code.exit()
    assert opcodes(code) == [(0x55, 1), (0xB7, 0), (0x95, 0)]


def test_a_jump_that_others_jump_to_stays():
    """The second jump is a place of its own."""
    code, back, here, there = Assembler(), Label(), Label(), Label()
    code.jump(here, Jump.EQ, Reg.R1, 5)
    code.place(back)
    code.jump(there)
    code.place(here)
    code.jump(back, Jump.EQ, Reg.R2, 5)
    code.place(there)
    code.exit()
    assert opcodes(code) == [(0x15, 1), (0x05, 1), (0x15, -2), (0x95, 0)]


def test_a_jump_to_what_follows_vanishes():
    """Also the condition of one that went over it."""
    code, here = Assembler(), Label()
    code.jump(here, Jump.EQ, Reg.R1, 5)
    code.jump(here)
    code.place(here)
    code.exit()
    assert opcodes(code) == [(0x95, 0)]


def test_labels_at_one_place_stay_together():
    """A jump is not taken back where that would leave another label behind."""
    code, one, other = Assembler(), Label(), Label()
    code.jump(one, Jump.EQ, Reg.R2, 5)
    code.jump(other)
    code.place(one)
    code.place(other)
    code.exit()
    first, *rest = opcodes(code)
    assert rest[-1] == (0x95, 0)
    assert first[0] & 0x0F == 0x05
    assert first[1] == len(rest) - 1


def test_a_bit_test_has_no_opposite():
    """It is left as it is."""
    code, here, there = Assembler(), Label(), Label()
    code.jump(here, Jump.SET, Reg.R1, 4)
    code.jump(there)
    code.place(here)
    code.constant(Reg.R0, 1)
    code.place(there)
    code.exit()
    assert [one for one, _ in opcodes(code)] == [0x45, 0x05, 0xB7, 0x95]
