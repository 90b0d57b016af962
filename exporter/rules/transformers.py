"""Transformers: what `tolower(...)` and its like do to values, and which values they accept.

Every function takes None for a missing value and gives None then. Source: rule-language.md
section 7.
"""

import binascii
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from exporter.rules.fields.field import ValueType as T
from exporter.rules.values import TEXTS

UNARY = ("tolower", "toupper", "b64", "basename", "len")
"""Transformers with exactly one argument."""

MULTIPLE = ("join", "concat", "getopt")
"""Transformers with two or more arguments."""

ACCEPTED: Mapping[str, frozenset[T]] = {
    "tolower": TEXTS,
    "toupper": TEXTS,
    "basename": TEXTS,
    "b64": frozenset({T.CHARBUF, T.BYTEBUF}),
    "len": frozenset({*TEXTS, T.BYTEBUF}),
}
"""Unary transformer -> types it takes; `len` takes any list besides."""

JOINABLE_NUMBERS = frozenset({T.PID, T.INT64, T.UINT64})
"""Integer types that join turns into decimal text."""


def lower(value: Any) -> Any:
    """ASCII lower case; lists element by element."""
    if value is None:
        return None
    return tuple(map(bytes.lower, value)) if isinstance(value, tuple) else value.lower()


def upper(value: Any) -> Any:
    """ASCII upper case; lists element by element."""
    if value is None:
        return None
    return tuple(map(bytes.upper, value)) if isinstance(value, tuple) else value.upper()


def _basename_of(value: bytes) -> bytes:
    return value[value.rfind(b"/") + 1 :]


def basename(value: Any) -> Any:
    """The text after the last slash, all of it when there is none; lists element by element."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(map(_basename_of, value))
    return _basename_of(value)


def _decoded(value: bytes) -> bytes | None:
    body = value.rstrip(b"=") if len(value) - len(value.rstrip(b"=")) <= 2 else value
    try:
        return binascii.a2b_base64(body + b"=" * (-len(body) % 4), strict_mode=True)
    except binascii.Error:
        return None


def b64(value: Any) -> Any:
    """Base64 decoded; missing when it is none. Up to two trailing `=` do not count."""
    if value is None:
        return None
    if isinstance(value, tuple):
        decoded = tuple(map(_decoded, value))
        return None if None in decoded else decoded
    return _decoded(value)


def length(value: Any) -> int | None:
    """Bytes of a text or buffer, elements of a list."""
    return None if value is None else len(value)


def as_text(value: Any) -> Any:
    """A number as decimal text; texts as they are."""
    return b"%d" % value if isinstance(value, int) else value


def join(separator: bytes | None, items: Sequence[Any] | None) -> bytes | None:
    """Elements with a separator between them; missing when any of them is."""
    if separator is None or items is None or None in items:
        return None
    return separator.join(map(as_text, items))


def concat(*values: bytes | None) -> bytes | None:
    """The texts one after the other; missing when any of them is."""
    parts: list[bytes] = []
    for value in values:
        if value is None:
            return None
        parts.append(value)
    return b"".join(parts)


def _takes_value(options: bytes) -> dict[bytes, bool]:
    known: dict[bytes, bool] = {}
    for index, code in enumerate(options):
        if code != 0x3A:
            known[bytes([code])] = options[index + 1 : index + 2] == b":"
    return known


def _walk(items: Sequence[bytes], options: bytes) -> list[tuple[bytes, bytes | None]]:
    """(letter, value) in order; value None for letters without one, letter `?` if unknown."""
    known = _takes_value(options)
    found: list[tuple[bytes, bytes | None]] = []
    index = 0
    while index < len(items):
        token = items[index]
        index += 1
        if token[:1] != b"-" or token in {b"-", b"--"}:
            break
        if token.startswith(b"--"):
            continue
        at = 1
        while at < len(token):
            letter = token[at : at + 1]
            at += 1
            takes = known.get(letter)
            if takes is None:
                found.append((b"?", None))
            elif not takes:
                found.append((letter, None))
            elif at < len(token):
                found.append((letter, token[at:]))
                break
            elif index < len(items):
                found.append((letter, items[index]))
                index += 1
            else:
                found.append((letter, b""))
    return found


def getopt(items: Sequence[Any] | None, options: bytes | None) -> tuple[bytes, ...] | None:
    """Options of a command line: each letter, followed by its value if it takes one."""
    if items is None or options is None or None in items:
        return None
    out: list[bytes] = []
    for letter, value in _walk([as_text(item) for item in items], options):
        out.append(letter)
        if value is not None:
            out.append(value)
    return tuple(out) or None


def getopt_selected(
    items: Sequence[Any] | None, options: bytes | None, letter: bytes
) -> bytes | None:
    """Value of the last occurrence of one option, or its letter if it takes none."""
    if items is None or options is None or None in items:
        return None
    result: bytes | None = None
    for found, value in _walk([as_text(item) for item in items], options):
        if found == letter:
            result = letter if value is None else value
    return result


def function_of(name: str, selector: str | None) -> Callable[..., Any]:
    """The function of a transformer; `selector` is getopt's bracket argument."""
    if name == "getopt" and selector is not None:
        return partial(getopt_selected, letter=selector.encode("utf-8", "surrogateescape"))
    return _FUNCTIONS[name]


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "tolower": lower,
    "toupper": upper,
    "basename": basename,
    "b64": b64,
    "len": length,
    "join": join,
    "concat": concat,
    "getopt": getopt,
}
