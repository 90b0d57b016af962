"""What a close closed, in BPF: read at its entry, and taken over before the filter runs.

Source: struct closed of bpf/layout.h. Everything here may change R0 to R5, and a path R9.
"""

from exporter.pushdown.assembler import Alu, Helper, Jump, Label, Reg, Size
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.emit_path import scan
from exporter.pushdown.facts import Text
from exporter.pushdown.memory import CLOSED_KIND_AT, LENGTH_AT, MAP_SCRATCH, TEXT_AT
from exporter.pushdown.observation import CLOSED_PATH, Closed
from exporter.pushdown.paths import PATH_BYTES
from exporter.sources.probe.source_text import CLOSED_AT

_KIND, _NAME_AT, _NAME_LENGTH, _ATTACHMENT = 8, 12, 16, 24
"""In struct closed."""
_NAME_MASK = 63
_MASK = PATH_BYTES - 1
_WORD = 8

R0, R1, R2, R3, R7 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R7


def read_kind(facts: Facts, keep: Label) -> None:
    """The kind into this CPU's memory. The key of the map is in its slot."""
    code = facts.code
    _find(facts, keep)
    code.load(Size.U32, R1, R0, _KIND)
    code.store(Size.U64, R7, CLOSED_KIND_AT, R1)


def read_closed_path(facts: Facts, text: Text, unknown: Label, passed: Label) -> None:
    """The path of a file or directory, as `read_path` reads that of a call.

    That of anything else is CLOSED_PATH: the kind says already all that is known of its name.
    """
    code, at = facts.code, TEXT_AT[text]
    has_path, known = Label(), Label()
    code.load(Size.U64, R1, R7, CLOSED_KIND_AT)
    code.jump(has_path, Jump.EQ, R1, Closed.FILE)
    code.jump(has_path, Jump.EQ, R1, Closed.DIRECTORY)
    code.store_constant(Size.U64, R7, at, int.from_bytes(CLOSED_PATH, "little"))
    code.store_constant(Size.U64, R7, LENGTH_AT[text], len(CLOSED_PATH))
    code.constant(R0, len(CLOSED_PATH))
    code.jump(known)
    code.place(has_path)
    _find(facts, unknown)
    code.load(Size.U32, R1, R0, _NAME_LENGTH)
    code.jump(unknown, Jump.GE, R1, PATH_BYTES - 1)
    code.store(Size.U64, R7, LENGTH_AT[text], R1)
    code.load(Size.U32, R3, R0, _NAME_AT)
    code.alu(Alu.AND, R3, _NAME_MASK)
    code.alu(Alu.ADD, R3, R0)
    code.alu(Alu.ADD, R3, _ATTACHMENT)
    code.move(R1, R7)
    code.alu(Alu.ADD, R1, at)
    code.constant(R2, PATH_BYTES)
    code.call(Helper.PROBE_READ_KERNEL)
    code.load(Size.U64, R0, R7, LENGTH_AT[text])
    code.place(known)
    code.alu(Alu.AND, R0, _MASK)
    code.move(R1, R7)
    code.alu(Alu.ADD, R1, R0)
    code.store_constant(Size.U64, R1, at, 0)
    code.store_constant(Size.U64, R1, at + _WORD, 0)
    scan(code, text, passed, unknown)


def _find(facts: Facts, missing: Label) -> None:
    """R0 = struct closed of this CPU."""
    facts.lookup(MAP_SCRATCH)
    facts.code.jump(missing, Jump.EQ, R0, 0)
    facts.code.alu(Alu.ADD, R0, CLOSED_AT)
