"""Schema of rules files: stricter than the loader, told as warnings only.

Types are compared weakly, as YAML has no quotes to tell a number from its text: any scalar can be a
string, `12` and `'12'` are both integers. Source: rule-language.md section 11.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from exporter.rules.loader.document import Mapping, Node, Scalar, Sequence, is_null

PRIORITIES = (
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "INFORMATIONAL",
    "DEBUG",
)
"""The spellings of priorities that the schema knows."""

_INTEGER = re.compile(r"[+-]?[0-9]+")


Shape = Callable[[Node, str], Iterable[str]]
"""Gives the violations of a value at a path."""


def schema_violations(documents: Iterable[Node]) -> list[str]:
    """One sentence for each place where a file breaks the schema; empty when it does not."""
    found: list[str] = []
    for root in documents:
        if not is_null(root):
            found.extend(_sequence(_ITEM)(root, "<root>"))
    return found


def _is(word: str, test: Callable[[Scalar], bool]) -> Shape:
    """A scalar that passes a test."""

    def check(node: Node, path: str) -> Iterator[str]:
        if not isinstance(node, Scalar) or not test(node):
            yield f"{path}: expected {word}, line {node.mark.line + 1}"

    return check


def _sequence(shape: Shape) -> Shape:
    """A sequence of such values."""

    def check(node: Node, path: str) -> Iterator[str]:
        if not isinstance(node, Sequence):
            yield f"{path}: expected a sequence, line {node.mark.line + 1}"
            return
        for index, element in enumerate(node.items):
            yield from shape(element, f"{path}[{index}]")

    return check


def _mapping(
    properties: dict[str, Shape], required: tuple[str, ...] = (), *, is_filled: bool = False
) -> Shape:
    """A mapping with no keys but these; is_filled: at least one of them."""

    def check(node: Node, path: str) -> Iterator[str]:
        line = node.mark.line + 1
        if not isinstance(node, Mapping):
            yield f"{path}: expected a mapping, line {line}"
            return
        if is_filled and not node.pairs:
            yield f"{path}: expected at least one key, line {line}"
        for key, value in node.pairs:
            name = key.text if isinstance(key, Scalar) else ""
            shape = properties.get(name)
            if shape is None:
                yield f"{path}: key '{name}' is not allowed, line {key.mark.line + 1}"
            else:
                yield from shape(value, f"{path}[{name}]")
        for name in required:
            if node.find(name) is None:
                yield f"{path}: key '{name}' is missing, line {line}"

    return check


def _anything(node: Node, path: str) -> Iterable[str]:
    """Every value is fine."""
    del node, path
    return ()


_STRING = _is("a string", lambda node: isinstance(node, Scalar))
_BOOLEAN = _is("a boolean", lambda node: node.as_bool() is not None)
_COUNT = _is("an integer", lambda node: _INTEGER.fullmatch(node.text) is not None)
_PRIORITY = _is(f"one of {', '.join(PRIORITIES)}", lambda node: node.text in PRIORITIES)
_OPERATION = _is("'append' or 'replace'", lambda node: node.text in {"append", "replace"})
_PLUGIN = {"name": _STRING, "version": _STRING}
_OVERRIDABLE = (
    "items",
    "condition",
    "output",
    "desc",
    "priority",
    "capture",
    "capture_duration",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
)
_ITEM = _mapping(
    {
        "required_engine_version": _STRING,
        "required_plugin_versions": _sequence(
            _mapping(
                {**_PLUGIN, "alternatives": _sequence(_mapping(_PLUGIN, ("name", "version")))},
                ("name", "version"),
            )
        ),
        "list": _STRING,
        "items": _sequence(_STRING),
        "macro": _STRING,
        "rule": _STRING,
        "condition": _STRING,
        "output": _STRING,
        "desc": _STRING,
        "priority": _PRIORITY,
        "source": _STRING,
        "enabled": _BOOLEAN,
        "append": _BOOLEAN,
        "tags": _sequence(_STRING),
        "warn_evttypes": _BOOLEAN,
        "skip-if-unknown-filter": _BOOLEAN,
        "capture": _BOOLEAN,
        "capture_duration": _COUNT,
        "exceptions": _sequence(
            _mapping(
                {"name": _STRING, "fields": _anything, "comps": _anything, "values": _anything},
                ("name",),
            )
        ),
        "override": _mapping(dict.fromkeys(_OVERRIDABLE, _OPERATION), is_filled=True),
    }
)
