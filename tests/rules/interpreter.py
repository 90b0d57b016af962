"""A slow, plain interpreter of conditions: the oracle that generated code is compared with.

It walks the AST for every event, shares nothing with the compiler but field look-up and the
parsing of constants, and implements each operator from its one-line definition.
"""

import re
from functools import cache
from typing import Any

import re2

from exporter.events.event import Event
from exporter.rules.ast import (
    And,
    Check,
    Exists,
    FieldRef,
    Node,
    Not,
    Or,
    Transformer,
    TransformerList,
    Value,
    ValueList,
)
from exporter.rules.fields.catalogue import find_field
from exporter.rules.fields.field import Compare, FieldUse
from exporter.rules.transformers import function_of
from exporter.rules.values import NETWORKS, parse_hex, parse_value


def matches(node: Node, event: Event, source: str = "syscall") -> bool:
    """Whether the condition is true for the event."""
    match node:
        case And(children):
            return all(matches(child, event, source) for child in children)
        case Or(children):
            return any(matches(child, event, source) for child in children)
        case Not(child):
            return not matches(child, event, source)
        case Exists(left):
            return _checked_value(left, event, source) is not None
        case Check():
            return _check(node, event, source)
        case _:
            raise AssertionError(node)


def _use(node: FieldRef, source: str) -> FieldUse:
    use = find_field(node.name, node.arg, source)
    assert use is not None
    return use


def _checked_value(node: FieldRef | Transformer, event: Event, source: str) -> Any:
    if isinstance(node, FieldRef):
        use = _use(node, source)
        return (use.each or use.read)(event)
    return _value(node, event, source)


def _value(node: Any, event: Event, source: str) -> Any:
    match node:
        case FieldRef():
            return _use(node, source).read(event)
        case Value(text):
            return text.encode()
        case TransformerList(items):
            return tuple(_value(item, event, source) for item in items)
        case Transformer(name, args, selector):
            values = [_value(arg, event, source) for arg in args]
            return values[0] if name == "val" else function_of(name, selector)(*values)
        case _:
            raise AssertionError(node)


def _kind(node: Any, source: str) -> Any:
    if isinstance(node, FieldRef):
        return _use(node, source).type
    return "UINT64" if node.name == "len" else "CHARBUF"


@cache
def _constants(kind: Any, op: str, texts: tuple[str, ...]) -> list[Any]:
    """Parsed once, so that comparing speeds with the interpreter is about evaluation only."""
    if op in {"bcontains", "bstartswith"}:
        return [parse_hex(text) for text in texts]
    return [parse_value(kind, text) for text in texts]


def _check(check: Check, event: Event, source: str) -> bool:
    left = _checked_value(check.left, event, source)
    op = "=" if check.op == "==" else check.op
    if isinstance(check.right, Transformer):
        right = _value(check.right, event, source)
        if left is None or right is None:
            return False
        if op in {"in", "intersects"}:
            return left in (right if isinstance(right, tuple) else (right,))
        return one(op, left, right)
    if left is None:
        return False
    kind = _kind(check.left, source)
    texts = check.right.values if isinstance(check.right, ValueList) else (check.right.text,)
    values = _constants(kind, op, texts)
    compare = _use(check.left, source).compare if isinstance(check.left, FieldRef) else ""
    if compare is Compare.ANCESTOR:
        return _any_ancestor(op, left, values)
    if kind in NETWORKS:
        inside = [left in network for network in values]
        return not any(inside) if op == "!=" else any(inside)
    if isinstance(left, tuple):
        members = [item in values for item in left]
        return bool(values) and all(members) if op == "in" else any(members)
    if check.modifier is not None:
        count = sum(one(op, left, value) for value in values)
        wanted = {"oneof": count == 1, "anyof": count > 0, "allof": count == len(values) > 0}
        return wanted[check.modifier]
    if op in {"in", "intersects"}:
        return left in values
    if op == "pmatch":
        return any(path_leads(value, left) for value in values)
    return one(op, left, values[0])


def _any_ancestor(op: str, items: tuple[Any, ...], values: list[Any]) -> bool:
    if op in {"in", "intersects"}:
        return any(isinstance(item, bytes) and item in values for item in items)
    if op == "pmatch":
        return any(path_leads(value, item) for item in items for value in values)
    return bool(values) and any(one(op, item, values[0]) for item in items)


def one(op: str, left: Any, right: Any) -> bool:
    """One operator between two values."""
    match op:
        case "=":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
        case "contains" | "bcontains":
            return bool(left.find(right) >= 0)
        case "icontains":
            return bool(left.lower().find(right.lower()) >= 0)
        case "startswith" | "bstartswith":
            return bool(left[: len(right)] == right)
        case "endswith":
            return len(left) >= len(right) and bool(left[len(left) - len(right) :] == right)
        case "glob":
            return glob(right, left)
        case "iglob":
            return glob(right.lower(), left.lower())
        case "regex":
            options = re2.Options()
            options.posix_syntax = True
            options.longest_match = True
            options.log_errors = False
            text = left.decode("utf-8", "replace").encode()
            return re2.compile(right, options).fullmatch(text) is not None
        case _:
            raise AssertionError(op)


def glob(pattern: bytes, text: bytes) -> bool:
    """Backtracking match of a glob without classes: `*`, `?`, `[...]`, backslash."""
    if not pattern:
        return not text
    head, rest = pattern[:1], pattern[1:]
    if head == b"*":
        return glob(rest, text) or (bool(text) and glob(pattern, text[1:]))
    if head == b"[":
        end = rest.find(b"]", 2 if rest[:1] in {b"!", b"^"} else 1)
        if end >= 0:
            inside = rest[:end]
            negated = inside[:1] in {b"!", b"^"}
            inside = inside[negated:]
            hit = bool(text) and re.match(
                b"[" + re.escape(inside).replace(b"\\-", b"-") + b"]", text
            )
            return bool(text) and bool(hit) != negated and glob(rest[end + 1 :], text[1:])
    if head == b"\\":
        return bool(rest) and text[:1] == rest[:1] and glob(rest[1:], text[1:])
    if not text:
        return False
    return (head == b"?" or head == text[:1]) and glob(rest, text[1:])


def path_leads(path: bytes, text: bytes) -> bool:
    """Whether the components of `path` lead to those of `text`."""
    wanted = [part for part in path.split(b"/") if part]
    given = [part for part in text.split(b"/") if part]
    return len(wanted) <= len(given) and all(map(glob, wanted, given))
