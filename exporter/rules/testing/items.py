"""Items: values of a test file with their places, and how they are taken as one kind or another."""

import errno
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from exporter.errors import RuleError, Span
from exporter.rules.loader.document import Mapping, Node, Scalar, Sequence, is_null

_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|[0-9]+)")


class TestFileError(RuleError):
    """A test file is wrong."""

    __test__ = False  # pytest takes every Test* for a test class

    def __init__(self, message: str, span: Span | None, hint: str | None = None) -> None:
        super().__init__(message, code="RULE_TEST_FILE", span=span, hint=hint)


@dataclass(frozen=True, slots=True)
class Item:
    """One value: text, None, a tuple of items or a dict of items by key, and where it stands.

    keys: places of the keys of a dict.
    """

    value: Any
    span: Span
    keys: dict[str, Span]

    def error(self, expected: str) -> TestFileError:
        """The error that this value is not what was expected."""
        kinds = {type(None): "nothing", tuple: "a list", dict: "a mapping"}
        found = kinds.get(type(self.value)) or f'"{self.value}"'
        return TestFileError(f"expected {expected}, found {found}", self.span)

    def text(self, expected: str = "a text") -> str:
        """The scalar. Raises TestFileError."""
        if not isinstance(self.value, str):
            raise self.error(expected)
        return self.value

    def data(self) -> bytes:
        """The scalar as the kernel's bytes."""
        return self.text().encode("utf-8", "surrogateescape")

    def texts(self, expected: str = "a text or a list of texts") -> tuple[str, ...]:
        """The scalars of a list, or the one scalar."""
        if isinstance(self.value, str):
            return (self.value,)
        if not isinstance(self.value, tuple):
            raise self.error(expected)
        return tuple(item.text(expected) for item in self.value)

    def items(self, expected: str = "a list") -> tuple["Item", ...]:
        """The items of a list."""
        if not isinstance(self.value, tuple):
            raise self.error(expected)
        return self.value

    def mapping(self, known: Collection[str], expected: str = "a mapping") -> dict[str, "Item"]:
        """The items by key; keys that are not known are errors."""
        if not isinstance(self.value, dict):
            raise self.error(expected)
        for key in self.value:
            if key not in known:
                raise unknown_key(key, known, self.keys[key])
        return self.value

    def pairs(self, expected: str = "a mapping") -> Iterator[tuple[str, "Item", Span]]:
        """Key, item and place of the key."""
        if not isinstance(self.value, dict):
            raise self.error(expected)
        for key, item in self.value.items():
            yield key, item, self.keys[key]

    def number(self, expected: str = "a number") -> int:
        """The scalar as a number: decimal, 0x hexadecimal or 0 octal."""
        text = self.text(expected)
        if not _NUMBER.fullmatch(text):
            raise self.error(expected)
        return parse_number(text)

    def boolean(self) -> bool:
        """true or false."""
        if self.value not in {"true", "false"}:
            raise self.error("true or false")
        return bool(self.value == "true")

    def result(self) -> int:
        """The return value of a call: a number, or the name of an error such as EACCES."""
        text = self.text("a number or the name of an error")
        if text == "SUCCESS":
            return 0
        code = getattr(errno, text, None)
        if isinstance(code, int):
            return -code
        return self.number("a number or the name of an error such as EACCES")


def parse_number(text: str) -> int:
    """A number that `_NUMBER` allows."""
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    if digits[:2].lower() == "0x":
        return sign * int(digits, 16)
    if len(digits) > 1 and digits[0] == "0":
        return sign * int(digits.lower().removeprefix("0o").lstrip("0") or "0", 8)
    return sign * int(digits)


def unknown_key(key: str, known: Collection[str], span: Span) -> TestFileError:
    """The error about a key nobody knows, with the nearest known one."""
    near = get_close_matches(key, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
    return TestFileError(f'unknown key "{key}"', span, hint)


def item_of(node: Node, file: str) -> Item:
    """A node of the file as an item. Raises TestFileError for keys that are no text or repeated."""
    span = Span(file, node.mark.line + 1, node.mark.column + 1)
    match node:
        case Scalar():
            return Item(node.text, span, {})
        case Sequence():
            return Item(tuple(item_of(child, file) for child in node.items), span, {})
        case Mapping():
            values: dict[str, Item] = {}
            keys: dict[str, Span] = {}
            for key, value in node.pairs:
                place = Span(file, key.mark.line + 1, key.mark.column + 1)
                if not isinstance(key, Scalar):
                    raise TestFileError("expected a text as key", place)
                if key.text in values:
                    raise TestFileError(f'the key "{key.text}" is there twice', place)
                values[key.text] = item_of(value, file)
                keys[key.text] = place
            return Item(values, span, keys)
        case _:
            assert is_null(node)
            return Item(None, span, {})
