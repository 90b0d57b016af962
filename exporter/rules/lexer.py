"""Tokens of conditions: the regular expressions and the escapes of quoted strings.

The parser asks for a token where the grammar allows it, so words that are keywords in one place
and plain strings in another need no modes. Text is looked at byte by byte: `as_bytes_text` gives
one character a byte, `as_text` turns a token back. Source: rule-language.md section 2.
"""

import re

from exporter.errors import RuleError

BLANKS = " \t\b\r\n"
"""Characters that may stand between tokens."""

TRANSFORMERS = ("tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt")
"""Names that make a transformer call when a parenthesis touches them."""

NUMERIC_OPERATORS = ("<=", "<", ">=", ">")
STRING_OPERATORS = (
    "==",
    "=",
    "!=",
    "glob",
    "iglob",
    "contains",
    "icontains",
    "bcontains",
    "startswith",
    "bstartswith",
    "endswith",
    "regex",
)
LIST_OPERATORS = ("intersects", "in", "pmatch")
MODIFIERS = ("oneof", "anyof", "allof")

_SPACE = r" \t\n\r\f\v"
IDENTIFIER = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*")
FIELD_NAME = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*(?:\.[a-zA-Z]+[a-zA-Z0-9_]*)+")
BARE = re.compile(rf"""[^()"'=,{_SPACE}]+""")
ARGUMENT = re.compile(rf"""[^\]\["'{_SPACE}]+""")
NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[+-]?[0-9]+\.?[0-9]*(?:[eE][+-][0-9]+)?")
BLANK = re.compile(r"[ \t\x08\r\n]*")
NOT = re.compile(rf"not[\x08{_SPACE}]+")
TRANSFORMER = re.compile(rf"({'|'.join(TRANSFORMERS)})\(")
MODIFIER = re.compile(
    rf"({'|'.join(MODIFIERS)})[ \t\x08\r\n]+"
    r"(?=\(|(?!(?:and|or|not)(?![a-zA-Z0-9_]))[a-zA-Z])"
)

_WORDS = "|".join(f"{op}(?=[ \\t\\x08\\r\\n])" for op in STRING_OPERATORS if op.isalpha())
OPERATOR = re.compile(rf"(exists|<=|<|>=|>|==|=|!=|{_WORDS}|intersects|in|pmatch)([ \t\x08\r\n]*)")
"""First literal prefix wins; word operators on strings need a blank after them."""

PLAIN_LIST = re.compile(
    rf"""\([ \t\r\n]*[^()"'=,\x08{_SPACE}]+"""
    rf"""(?:[ \t\r\n]*,[ \t\r\n]*[^()"'=,\x08{_SPACE}]+)*[ \t\r\n]*\)"""
)
"""A list without quotes, by far the most common one, taken in one step."""

_ESCAPES = {
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "\\": "\\",
    "/": "/",
    " ": "\\",  # Legacy: a backslash before a blank is a backslash, and the blank is lost.
}
_HEX = re.compile(r"[0-9a-fA-F]{2}")


def as_bytes_text(text: str) -> str:
    """The same text with one character (U+0000 to U+00FF) a UTF-8 byte."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def as_text(token: str) -> str:
    """A token of `as_bytes_text` as text; bytes that are no UTF-8 become surrogate escapes."""
    if token.isascii():
        return token
    return token.encode("latin-1").decode("utf-8", "surrogateescape")


def closing_quote(text: str, start: int) -> int:
    """Index of the quote that closes the one at `start`; -1 when there is none.

    Only the character before a quote decides whether it is escaped, so a string cannot end in an
    escaped backslash; the opening quote itself counts as escaped for the character after it only.
    """
    quote = text[start]
    end = text.find(quote, start + 1)
    while end > 0 and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    return -1 if end < 0 or text.find("\0", start + 1, end) >= 0 else end


def unescape(body: str, quote: str) -> str:
    """The text between two quotes with its escapes replaced. Raises RuleError."""
    if "\\" not in body:
        return body
    out: list[str] = []
    index = 0
    while index < len(body):
        char = body[index]
        index += 1
        if char != "\\":
            out.append(char)
            continue
        if index == len(body):
            raise RuleError("truncated string escape sequence")
        code = body[index]
        index += 1
        if code in _ESCAPES:
            out.append(_ESCAPES[code])
        elif code == "x":
            digits = body[index : index + 2]
            if len(digits) < 2:
                raise RuleError("truncated hex char escape sequence")
            if not _HEX.fullmatch(digits):
                raise RuleError(f"invalid hex char escape sequence: {digits}")
            out.append(chr(int(digits, 16)))
            index += 2
        elif code in "\"'":
            if code != quote:
                raise RuleError(f"invalid \\{code} escape in {quote}-quoted string")
            out.append(code)
        else:
            raise RuleError(f"unsupported string escape sequence: \\{code}")
    return "".join(out)


_MUST_QUOTE = re.compile(r"""[\x08\f\n\r\t =\\"'\0]""")
_PRINTED = str.maketrans(
    {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}
)


def escape(value: str) -> str:
    """A value as canonical text: quoted and escaped only where a bare string would not do."""
    if _MUST_QUOTE.search(value):
        return f'"{value.translate(_PRINTED)}"'
    return value
