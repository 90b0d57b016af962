"""glob: shell patterns as fnmatch(3) understands them, on bytes.

`*` and `?` also match `/` and a leading dot; `[...]`, `[!...]`, `[^...]` and `[[:class:]]` are
sets; a backslash takes the next character literally. A bracket that is never closed is plain.
Source: rule-language.md section 3; fnmatch(3), glob(7).
"""

import re
from collections.abc import Callable
from functools import lru_cache

_CLASSES = {
    b"alnum": rb"0-9A-Za-z",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"\x21-\x7e",
    b"lower": rb"a-z",
    b"print": rb"\x20-\x7e",
    b"punct": rb"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    b"space": rb" \t\n\r\f\v",
    b"upper": rb"A-Z",
    b"xdigit": rb"0-9A-Fa-f",
}
_SPECIAL = frozenset(b"*?[\\")
_NOTHING = rb"(?!)"

Matcher = Callable[[bytes], bool]


def is_literal(pattern: bytes) -> bool:
    """Whether the pattern has no special character at all."""
    return _SPECIAL.isdisjoint(pattern)


@lru_cache(maxsize=1024)
def compile_glob(pattern: bytes, *, is_folded: bool = False) -> Matcher:
    """A function that says whether a whole text matches. is_folded: ASCII case is ignored."""
    core = pattern.strip(b"*")
    if is_literal(core) and not is_folded:
        return _plain(pattern, core)
    flags = re.DOTALL | (re.IGNORECASE if is_folded else 0)
    match = re.compile(translate(pattern), flags).fullmatch
    return lambda text: match(text) is not None


def _plain(pattern: bytes, core: bytes) -> Matcher:
    """Patterns with stars at the ends only need no regular expression."""
    starts, ends = pattern.startswith(b"*"), pattern.endswith(b"*")
    if not core:
        return (lambda _: True) if pattern else (lambda text: not text)
    if starts and ends:
        return lambda text: core in text
    if starts:
        return lambda text: text.endswith(core)
    if ends:
        return lambda text: text.startswith(core)
    return lambda text: text == core


def translate(pattern: bytes) -> bytes:
    """The pattern as a regular expression for a full match."""
    parts: list[bytes] = []
    piece = bytearray()
    index = 0
    while index < len(pattern):
        char = pattern[index : index + 1]
        index += 1
        if char == b"*":
            parts.append(bytes(piece))
            piece.clear()
        elif char == b"?":
            piece += b"."
        elif char == b"[":
            expression, index = _bracket(pattern, index)
            piece += expression
        elif char == b"\\":
            # A trailing backslash escapes nothing and matches nothing.
            piece += re.escape(pattern[index : index + 1]) if index < len(pattern) else _NOTHING
            index += 1
        else:
            piece += re.escape(char)
    if not parts:
        return bytes(piece)
    # Each piece has a fixed length, so its first place after a star is as good as any later one:
    # atomic groups keep hostile texts from making the match slow.
    middle = b"".join(b"(?>.*?" + part + b")" for part in parts[1:] if part)
    return parts[0] + middle + b".*" + bytes(piece)


def _bracket(pattern: bytes, start: int) -> tuple[bytes, int]:
    """The set that opens before `start` and the index after it; a plain `[` if never closed."""
    index = start
    is_negated = pattern[index : index + 1] in {b"!", b"^"}
    index += is_negated
    first = index
    inside = bytearray()
    while index < len(pattern):
        if pattern[index] == 0x5D and index > first:
            if not inside:
                return (b"." if is_negated else _NOTHING), index + 1
            return (b"[^" if is_negated else b"[") + bytes(inside) + b"]", index + 1
        if pattern[index : index + 2] == b"[:":
            end = pattern.find(b":]", index + 2)
            if end >= 0:
                inside += _CLASSES.get(pattern[index + 2 : end], b"")
                index = end + 2
                continue
        low, index = _member(pattern, index)
        if pattern[index : index + 1] == b"-" and pattern[index + 1 : index + 2] not in {b"", b"]"}:
            high, index = _member(pattern, index + 1)
            inside += _range(low, high)
        else:
            inside += _range(low, low)
    return rb"\[", start


def _member(pattern: bytes, index: int) -> tuple[int, int]:
    """One character of a set and the index after it; a backslash takes the next literally."""
    if pattern[index] == 0x5C and index + 1 < len(pattern):
        index += 1
    return pattern[index], index + 1


def _range(low: int, high: int) -> bytes:
    return b"\\x%02x-\\x%02x" % (low, high) if low <= high else b""
