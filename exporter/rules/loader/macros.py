"""Macros: references in a condition's AST replaced by what the macro says.

Source: rule-language.md section 14. Nodes are frozen, so one macro used in many places is shared,
and what the whole would unfold to is bounded.
"""

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple, cast

from exporter.rules.ast import And, MacroRef, Node, Not, Or, Position

MAX_NODES = 500_000
"""Nodes of one condition after expansion."""

MAX_DEPTH = 400
"""Nesting of one condition after expansion; later passes walk it recursively."""


class MacroError(Exception):
    """An undefined macro, a loop, or an expansion that grows beyond reason."""

    def __init__(self, message: str, position: Position, undefined: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.undefined = undefined


class Expanded(NamedTuple):
    """A condition without references, the nodes it unfolds to, how deep it nests."""

    node: Node
    nodes: int
    depth: int


class MacroResolver:
    """Expands one condition; remembers which macros were used.

    visible: gives a macro as parsed, None when the condition does not see one of that name.
    expanded: macros already expanded, used as they are.
    """

    def __init__(
        self, visible: Callable[[str], Node | None], expanded: Mapping[str, Expanded]
    ) -> None:
        self._visible = visible
        self._expanded = ChainMap({}, cast("dict[str, Expanded]", expanded))
        self.used: set[str] = set()
        self._loops: list[MacroError] = []
        self._undefined: list[MacroError] = []

    def expand(self, node: Node) -> Expanded:
        """The condition without references. Raises MacroError (loops before undefined names)."""
        expanded = self._expand(node, ())
        for error in (*self._loops, *self._undefined):
            raise error
        if expanded.nodes > MAX_NODES:
            message = f"condition expands to more than {MAX_NODES} checks"
            raise MacroError(message, node.position)
        if expanded.depth > MAX_DEPTH:
            message = f"condition nests deeper than {MAX_DEPTH} after expanding macros"
            raise MacroError(message, node.position)
        return expanded

    def _expand(self, node: Node, path: tuple[str, ...]) -> Expanded:
        match node:
            case And(children) | Or(children):
                nodes, depth, changed = 1, 0, False
                new: list[Node] = []
                for child in children:
                    part = self._expand(child, path)
                    new.append(part.node)
                    nodes += part.nodes
                    depth = max(depth, part.depth)
                    changed |= part.node is not child
                return Expanded(
                    replace(node, children=tuple(new)) if changed else node, nodes, depth + 1
                )
            case Not(child):
                part = self._expand(child, path)
                return Expanded(
                    node if part.node is child else replace(node, child=part.node),
                    part.nodes + 1,
                    part.depth + 1,
                )
            case MacroRef(name):
                return self._expand_reference(node, name, path)
            case _:
                return Expanded(node, 1, 1)

    def _expand_reference(self, node: MacroRef, name: str, path: tuple[str, ...]) -> Expanded:
        body = self._visible(name)
        if body is None:
            message = f"Undefined macro '{name}' used in filter."
            self._undefined.append(MacroError(message, node.position, name))
            return Expanded(node, 1, 1)
        if name in path:
            message = f"reference loop in macro '{name}'"
            self._loops.append(MacroError(message, node.position))
            return Expanded(node, 1, 1)
        self.used.add(name)
        known = self._expanded.get(name)
        if known is None:
            known = self._expand(body, (*path, name))
            if not self._loops:
                self._expanded[name] = known
        return known
