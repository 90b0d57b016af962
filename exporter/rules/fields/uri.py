"""Query parameters of a request URI, with the strictness of the API server's own language.

Python's parser repairs what Go's refuses; a field that shows a parameter where the reference
engine finds the URI broken would match other events.
"""

import re

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def query_parameter(uri: str, name: bytes) -> bytes | None:
    """The first value of a query parameter; None when it is not there or the URI is broken.

    Broken: a control character, a `%` without two hexadecimal digits, a `;` in the query.
    """
    address, _, _ = uri.partition("#")
    _, _, query = address.partition("?")
    if _CONTROL.search(uri) or _BAD_ESCAPE.search(address) or ";" in query:
        return None
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if pair and _unescape(key) == name:
            return _unescape(value)
    return None


def _unescape(text: str) -> bytes:
    raw = text.replace("+", " ").encode()
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), raw)
