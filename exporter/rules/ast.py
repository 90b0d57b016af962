"""AST of conditions: one frozen node class a production of the grammar.

Source: spec/rule-language.md section 1. Positions are (idx, line, column) as the parser reports
them; they take no part in comparison, so that equal conditions at different places are equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Position(NamedTuple):
    """Place in the condition text; idx counts bytes from 0, line and column from 1.

    A tuple, because a parse makes three of them a check and frozen dataclasses cost twice as much.
    """

    idx: int = 0
    line: int = 1
    column: int = 1


_START = Position()


@dataclass(frozen=True, slots=True)
class And:
    """`a and b and ...`; at least two children, evaluated left to right."""

    children: tuple["Node", ...]
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class Or:
    """`a or b or ...`; at least two children, evaluated left to right."""

    children: tuple["Node", ...]
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """`not a`; an even number of `not` has already cancelled out."""

    child: "Node"
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class MacroRef:
    """A bare identifier where a check may stand: a macro's name."""

    name: str
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A field with its optional bracket argument: `proc.aname[2]`. arg is None without brackets."""

    name: str
    arg: str | None = None
    position: Position = field(default=_START, compare=False)

    def __str__(self) -> str:
        return self.name if self.arg is None else f"{self.name}[{self.arg}]"


@dataclass(frozen=True, slots=True)
class Value:
    """One constant, unescaped."""

    text: str
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class ValueList:
    """`(a, b, c)`."""

    values: tuple[str, ...]
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class TransformerList:
    """A list literal as transformer argument: `(proc.name, "x", 3)`."""

    items: tuple["FieldRef | Transformer | Value", ...]
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class Transformer:
    """`tolower(proc.name)`; `val(field)` is named "val". selector: bracket argument of getopt."""

    name: str
    args: tuple["FieldRef | Transformer | Value | TransformerList", ...]
    selector: str | None = None
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class Exists:
    """`field exists`."""

    left: FieldRef | Transformer
    position: Position = field(default=_START, compare=False)


@dataclass(frozen=True, slots=True)
class Check:
    """`left op right`. modifier: oneof, anyof, allof or None; `==` and `=` stay apart for print."""

    left: FieldRef | Transformer
    op: str
    right: Value | ValueList | Transformer
    modifier: str | None = None
    position: Position = field(default=_START, compare=False)


Node = And | Or | Not | MacroRef | Exists | Check
"""Anything a condition can be."""


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, depth first, left to right."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        match current:
            case And(children) | Or(children):
                pending.extend(reversed(children))
            case Not(child):
                pending.append(child)
