"""Tokens: quotes, escapes, bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import RuleError
from exporter.rules.lexer import as_bytes_text, as_text, closing_quote, escape, unescape

ESCAPES = [
    ("plain", "plain"),
    (r"a\bb", "a\bb"),
    (r"a\fb", "a\fb"),
    (r"a\nb", "a\nb"),
    (r"a\rb", "a\rb"),
    (r"a\tb", "a\tb"),
    (r"a\\b", "a\\b"),
    (r"a\/b", "a/b"),
    (r"a\ b", "a\\b"),
    (r"\"", '"'),
    (r"\x41\x7a", "Az"),
    (r"\xFf", "\xff"),
    (r"\x414", "A4"),
]


@pytest.mark.parametrize(("body", "expected"), ESCAPES)
def test_escapes(body, expected):
    """Every escape of the language has its meaning."""
    assert expected == unescape(body, '"')


@pytest.mark.parametrize("body", [r"\d", r"\x", r"\x4", r"\xg1", r"\'", r"\0", r"\u0041", "\\"])
def test_other_escapes_are_refused(body):
    """What is no escape is an error, never taken as it stands."""
    with pytest.raises(RuleError):
        unescape(body, '"')


CLOSED = [
    ('"a" b', 2),
    ('""', 1),
    (r'"a\" b"', 6),
    (r'"a\\"', -1),
    (r'"a\\" b"', 7),
    ('"a\'b"', 4),
    ('"a', -1),
    ('"a\0b"', -1),
]


@pytest.mark.parametrize(("text", "end"), CLOSED)
def test_the_closing_quote(text, end):
    """Only the character before a quote decides whether it closes."""
    assert end == closing_quote(text, 0)


PRINTED = [
    ("plain", "plain"),
    ("", ""),
    ("/a/*", "/a/*"),
    ("a b", '"a b"'),
    ("a=b", '"a=b"'),
    ("a,b", "a,b"),
    ("(a)", "(a)"),
    ("it's", '"it\'s"'),
    ('a"b', '"a\\"b"'),
    ("a\\b", '"a\\\\b"'),
    ("a\nb\t\r\f\b", '"a\\nb\\t\\r\\f\\b"'),
    ("a\vb", "a\vb"),
    ("a\0b", '"a\0b"'),
    ("é", "é"),
]


@pytest.mark.parametrize(("value", "printed"), PRINTED)
def test_values_are_quoted_where_they_must(value, printed):
    """The canonical form quotes for the characters the reference quotes for, no others."""
    assert printed == escape(value)


@given(st.text())
def test_bytes_and_back(text):
    """A text as bytes has one character a byte and turns back into itself."""
    shown = as_bytes_text(text)

    assert len(text.encode("utf-8", "surrogatepass")) == len(shown)
    if text.isprintable():
        assert text == as_text(shown)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_quoting_is_undone_by_unescaping(value):
    """unescape(escape(value)) == value wherever quotes were needed."""
    printed = escape(value)
    undone = unescape(printed[1:-1], '"') if printed != value else printed

    assert value == undone
