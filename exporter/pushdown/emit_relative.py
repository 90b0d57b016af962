"""Relative paths in filters: asking the resolver to make one absolute, and going on behind that.

The filter has read the path and finds no slash in front. It leaves a question in the CPU's memory
and jumps to the resolver (emit_resolver.py), which puts the absolute path in place of the relative
one and jumps back to the beginning of the filter. Nothing of its registers and stack is left
then; what it reads anew is what it had read before.
"""

from collections.abc import Mapping

from exporter.pushdown.assembler import Alu, Helper, Jump, Label, Reg, Size
from exporter.pushdown.emit_facts import Facts
from exporter.pushdown.facts import Text
from exporter.pushdown.layout import HERE
from exporter.pushdown.memory import (
    ASK_BASE,
    ASK_LENGTH,
    ASK_TEXT,
    GO_ON,
    GO_ON2,
    IS_RELATIVE,
    LENGTH_AT,
    MAP_FILTERS,
    RESUME,
    START,
    TEXT_AT,
)
from exporter.sources.probe.syscalls import MAX_NUMBER

RESOLVER = MAX_NUMBER + 1
"""Index of the resolver, behind the program that writes the record."""

AT_FDCWD = -100

R0, R1, R2, R3, R6, R7 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R6, Reg.R7

_GO_ON: Mapping[Text, int] = {Text.PATH: GO_ON, Text.PATH2: GO_ON2}


class RelativePaths:
    """The parts of one filter that deal with relative paths.

    relative: by text, where to go with a path that is. absolute: where its reader goes on.
    """

    def __init__(self, facts: Facts, bases: Mapping[Text, int]) -> None:
        self._facts = facts
        self._bases = bases
        self._resumed = Label()
        self.relative = {text: Label() for text in bases}
        self.absolute = {text: Label() for text in bases}

    def enter(self) -> None:
        """At the filter's beginning: go on where a path has been made absolute."""
        if self._bases:
            code = self._facts.code
            code.load(Size.U64, R1, R7, RESUME)
            code.jump(self._resumed, Jump.NE, R1, START)

    def finish(self, unknown: Label) -> None:
        """Out of the way of absolute paths: both ends of the detour."""
        code = self._facts.code
        if not self._bases:
            return
        for text in self._bases:
            code.place(self.relative[text])
            self._ask(text, unknown)
        code.place(self._resumed)
        code.store_constant(Size.U64, R7, RESUME, START)
        for text in self._bases:
            other = Label()
            code.jump(other, Jump.NE, R1, _GO_ON[text])
            code.load(Size.U64, R2, R7, ASK_LENGTH)
            code.store(Size.U64, R7, LENGTH_AT[text], R2)
            if text is Text.PATH:
                code.store_constant(Size.U64, R7, IS_RELATIVE, 1)
            code.jump(self.absolute[text])
            code.place(other)
        code.jump(unknown)

    def _ask(self, text: Text, unknown: Label) -> None:
        """R0 is the length of the path that was read."""
        code, base = self._facts.code, self._bases[text]
        code.store(Size.U64, R7, ASK_LENGTH, R0)
        code.store_constant(Size.U64, R7, ASK_TEXT, TEXT_AT[text] - TEXT_AT[Text.PATH])
        if base == HERE:
            code.store_constant(Size.U64, R7, ASK_BASE, AT_FDCWD)
        else:
            self._facts.load_argument(R1, base, Size.U32)
            code.alu(Alu.LSH, R1, 32)
            code.alu(Alu.ARSH, R1, 32)
            code.store(Size.U64, R7, ASK_BASE, R1)
        code.move(R1, R6)
        code.pseudo_map(R2, MAP_FILTERS)
        code.constant(R3, RESOLVER)
        code.call(Helper.TAIL_CALL)
        # Without a resolver nothing is known of the path.
        code.jump(unknown)
