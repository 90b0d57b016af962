"""Rules files as YAML -> nodes with the place of every value.

Works on parser events, not on constructed objects: `[=, in]` holds two strings here, and scalars
are decoded as the reference's YAML reader decodes them (rule-language.md section 11). Anchors may
be shared but what they expand to is bounded, so no small file becomes a big one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_DEPTH = 500
"""Collections inside collections."""

MAX_NODES = 2_000_000
"""Nodes of one file, aliases counted as what they stand for."""

# libyaml's parser is ten times as fast; a PyYAML built without it still works.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = ("y", "yes", "true", "on")
_FALSE = ("n", "no", "false", "off")
_BOOLEANS = {
    spelling: value
    for words, value in ((_TRUE, True), (_FALSE, False))
    for word in words
    for spelling in (word, word.upper(), word.capitalize())
}


class Mark(NamedTuple):
    """A place in a file: line and column from 0, offset in characters from 0."""

    line: int = 0
    column: int = 0
    offset: int = 0


class DocumentError(Exception):
    """The text is not the YAML we take; `mark` is None when no place is known."""

    def __init__(self, message: str, mark: Mark | None) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark


@dataclass(slots=True)
class Node:
    """A value that is neither scalar nor collection: null. Base of the others."""

    mark: Mark
    weight: int = 1


@dataclass(slots=True)
class Scalar(Node):
    """A string of any quoting; what it means is decided by who reads it."""

    text: str = ""

    def as_bool(self) -> bool | None:
        """YAML 1.1 boolean in any of its spellings, quoted or not; None when it is no boolean."""
        return _BOOLEANS.get(self.text)

    def as_uint(self) -> int | None:
        """Unsigned 32-bit number: decimal, 0x hexadecimal or 0 octal; None for anything else."""
        text = self.text.rstrip(" \t\n\r\v\f").removeprefix("+")
        try:
            if text.startswith("0") and text[1:].isdigit():
                value = int(text, 8)
            elif text[:2] in {"0x", "0X"}:
                value = int(text, 16)
            else:
                value = int(text) if text.isascii() and text.isdigit() else -1
        except ValueError:
            return None
        return value if 0 <= value < 1 << 32 and "_" not in text else None


@dataclass(slots=True)
class Sequence(Node):
    """A list of nodes."""

    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping(Node):
    """Pairs in the order of the file; of pairs with one key the first counts."""

    pairs: list[tuple[Node, Node]] = field(default_factory=list)

    def find(self, key: str) -> Node | None:
        """The value of a key; None when the key is missing."""
        for name, value in self.pairs:
            if isinstance(name, Scalar) and name.text == key:
                return value
        return None


def is_null(node: Node | None) -> bool:
    """Whether the key was given with nothing behind it."""
    return node is not None and type(node) is Node


def read_documents(text: str) -> list[Node]:
    """The root node of every document of a file. Raises DocumentError."""
    try:
        return list(_documents(text))
    except yaml.MarkedYAMLError as error:
        parts = [part for part in (error.context, error.problem) if part]
        raise DocumentError("yaml: " + ", ".join(parts), _mark(error.problem_mark)) from None
    except yaml.reader.ReaderError as error:
        raise DocumentError(f"yaml: {error.reason}", None) from None
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        raise DocumentError(f"yaml: {error}", None) from None


def _mark(mark: "yaml.Mark | None") -> Mark | None:
    return None if mark is None else Mark(mark.line, mark.column, mark.index)


class _Builder:
    """Builds one document; keeps the open collections on a list, so nesting costs no stack."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[Sequence | Mapping] = []
        self._keys: list[Node | None] = []
        self._anchors: dict[str, Node] = {}
        self._weight = 0

    def add(self, node: Node, anchor: str | None = None) -> None:
        """Put a finished scalar, null or alias into the innermost open collection."""
        self._weight += node.weight
        if self._weight > MAX_NODES:
            raise DocumentError(
                f"yaml: more than {MAX_NODES} values after expanding aliases", node.mark
            )
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif self._keys[-1] is None:
            self._keys[-1] = node
        else:
            parent.pairs.append((self._keys[-1], node))
            self._keys[-1] = None

    def start(self, node: Sequence | Mapping, anchor: str | None) -> None:
        """Open a collection."""
        if len(self._open) >= MAX_DEPTH:
            raise DocumentError(f"yaml: nested deeper than {MAX_DEPTH}", node.mark)
        node.weight = 0  # Still open: an alias to it would be a loop.
        self.add(node, anchor)
        self._open.append(node)
        self._keys.append(None)

    def end(self) -> None:
        """Close the innermost collection."""
        node = self._open.pop()
        self._keys.pop()
        children = (
            node.items
            if isinstance(node, Sequence)
            else [child for pair in node.pairs for child in pair]
        )
        node.weight = 1 + sum(child.weight for child in children)
        self._weight += 1

    def alias(self, name: str, mark: Mark) -> None:
        """Put the node an anchor names."""
        node = self._anchors.get(name)
        if node is None:
            raise DocumentError(f"yaml: the referenced anchor is not defined: {name}", mark)
        if node.weight == 0:
            raise DocumentError(f"yaml: anchor {name} contains itself", mark)
        self.add(node)


def _documents(text: str) -> Iterator[Node]:
    builder = _Builder()
    event: Any  # The stubs know neither which event has which attribute nor that marks are there.
    for event in yaml.parse(text, Loader=_LOADER):
        kind = type(event)
        if kind is ScalarEvent:
            start = event.start_mark
            mark = Mark(start.line, start.column, start.index)
            if event.implicit[0] and event.value in _NULLS:
                builder.add(Node(mark), event.anchor)
            else:
                builder.add(Scalar(mark, 1, event.value), event.anchor)
        elif kind is MappingStartEvent:
            start = event.start_mark
            builder.start(Mapping(Mark(start.line, start.column, start.index)), event.anchor)
        elif kind is SequenceStartEvent:
            start = event.start_mark
            builder.start(Sequence(Mark(start.line, start.column, start.index)), event.anchor)
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            builder.end()
        elif kind is AliasEvent:
            start = event.start_mark
            builder.alias(event.anchor, Mark(start.line, start.column, start.index))
        elif kind is DocumentStartEvent:
            builder = _Builder()
        elif builder.root is not None:
            yield builder.root
            builder.root = None
