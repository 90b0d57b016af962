"""regex: RE2 with POSIX syntax, matching whole texts.

Source: rule-language.md section 3.
"""

from collections.abc import Callable
from functools import lru_cache

import re2

from exporter.rules.conditions import ValueTextError

_OPTIONS = re2.Options()
_OPTIONS.posix_syntax = True
_OPTIONS.longest_match = True
# RE2 writes to standard error otherwise; the exception says the same.
_OPTIONS.log_errors = False


# Enough for one ruleset after the other: those that reloads have replaced take 4 KiB each.
@lru_cache(maxsize=512)
def compile_regex(pattern: bytes) -> Callable[[bytes], bool]:
    """A function that says whether a whole text matches. Raises ValueTextError.

    Bytes of the text that are no UTF-8 count as U+FFFD.
    """
    try:
        fullmatch = re2.compile(pattern, _OPTIONS).fullmatch
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueTextError(f"invalid regex pattern: {text}") from None

    def matches(text: bytes) -> bool:
        if not text.isascii():
            text = text.decode("utf-8", "replace").encode()
        return fullmatch(text) is not None

    return matches


_META = frozenset(".+*?^$()[]{}|\\")


def needs_no_regex(pattern: str) -> bool:
    """Whether simpler operators can say the same (rule-language.md section 9)."""
    start, end = 0, len(pattern)
    if pattern.startswith("^"):
        start = 1
    if end > start and pattern.endswith("$"):
        end -= 1
    if end - start >= 2 and pattern[start] == "." and pattern[start + 1] in "+*?":
        start += 2
    if end - start >= 2 and pattern[end - 2] == "." and pattern[end - 1] in "+*?":
        end -= 2
    return _META.isdisjoint(pattern[start:end])
