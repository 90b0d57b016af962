"""Branches of a predicate: every part jumps on as soon as it decides."""

from collections.abc import Callable
from typing import Any as Key

from exporter.pushdown.assembler import Assembler, Label
from exporter.pushdown.ir import All, Any, Constant, Literal, Predicate


class Branches:
    """Writes them. test: writes what goes to the first label where a literal holds, else to the
    second. in_all, in_any: sort the parts under one `and` and one `or`, cheapest first.
    """

    def __init__(
        self,
        code: Assembler,
        test: Callable[[Literal, Label, Label], None],
        in_all: Callable[[Predicate], Key],
        in_any: Callable[[Predicate], Key],
    ) -> None:
        self._code = code
        self._test = test
        self._in_all = in_all
        self._in_any = in_any

    def emit(self, predicate: Predicate, yes: Label, no: Label) -> None:
        """Go to one of the labels. Parts are evaluated in their order, as far as needed."""
        match predicate:
            case Constant(is_true):
                self._code.jump(yes if is_true else no)
            case Literal():
                self._test(predicate, yes, no)
            case All(parts):
                for part in sorted(parts, key=self._in_all):
                    following = Label()
                    self.emit(part, following, no)
                    self._code.place(following)
                self._code.jump(yes)
            case Any(parts):
                for part in sorted(parts, key=self._in_any):
                    following = Label()
                    self.emit(part, yes, following)
                    self._code.place(following)
                self._code.jump(no)
