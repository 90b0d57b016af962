"""YAML nodes: places, scalars as the reference decodes them."""

import pytest

from exporter.rules.loader.document import (
    DocumentError,
    Mapping,
    Mark,
    Scalar,
    Sequence,
    is_null,
    read_documents,
)


def value_of(text):
    """The node of one scalar."""
    (root,) = read_documents(f"- {text}")
    assert isinstance(root, Sequence)
    return root.items[0]


@pytest.mark.parametrize("text", ["~", "null", "Null", "NULL", ""])
def test_nulls(text):
    """Plain nulls are nulls."""
    assert is_null(value_of(text))


@pytest.mark.parametrize("text", ["'~'", '"null"', "''", "nULL", "none"])
def test_quoted_nulls_are_strings(text):
    """Quotes, and spellings that are none, make strings."""
    assert isinstance(value_of(text), Scalar)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, True)
            for word in [
                "true",
                "True",
                "TRUE",
                "yes",
                "Yes",
                "YES",
                "on",
                "On",
                "ON",
                "y",
                "Y",
                "'yes'",
            ]
        ),
        *(
            (word, False)
            for word in ["false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"]
        ),
        *((word, None) for word in ["tRUE", "yEs", "1", "0", "oui", "t"]),
    ],
)
def test_booleans(text, value):
    """YAML 1.1 booleans in lower, upper and capitalised form, quoted or not."""
    assert value is value_of(text).as_bool()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("26", 26),
        ("0", 0),
        ("0x1a", 26),
        ("010", 8),
        ("+5", 5),
        ("4294967295", 4294967295),
        ("4294967296", None),
        ("-1", None),
        ("1.5", None),
        ("1_000", None),
        ("0x_1", None),
        ("09", None),
        ("x", None),
        ("' 26'", None),
        ("'26 '", 26),
        ("٣", None),
    ],
)
def test_unsigned_numbers(text, value):
    """Decimal, hexadecimal and octal numbers of 32 bits; nothing else."""
    assert value == value_of(text).as_uint()


def test_operators_are_strings():
    """`[=, in]` holds two strings."""
    found = value_of("[=, in, <, '>=']")

    assert [item.text for item in found.items] == ["=", "in", "<", ">="]


def test_places_count_from_zero():
    """A value's place is its first character, a block scalar's its indicator."""
    (root,) = read_documents("- a: b\n  c: >\n    d\n    e\n  f: [g]\n")
    assert isinstance(root, Sequence)
    (item,) = root.items
    assert isinstance(item, Mapping)
    condition = item.find("c")
    flow = item.find("f")
    key = item.pairs[-1][0]
    assert isinstance(condition, Scalar)
    assert isinstance(flow, Sequence)
    assert isinstance(key, Scalar)

    assert item.mark == Mark(0, 2, 2)
    assert condition.mark == Mark(1, 5, 12)
    assert condition.text == "d e\n"
    assert key.mark == Mark(4, 2, 28)
    assert flow.mark == Mark(4, 5, 31)
    assert item.find("x") is None


def test_the_first_of_equal_keys_counts():
    """A key given twice has its first value."""
    (root,) = read_documents("a: 1\na: 2\n")

    assert isinstance(root, Mapping)
    value = root.find("a")
    assert isinstance(value, Scalar)
    assert value.text == "1"


def test_every_document_is_read():
    """Documents are separate; anchors do not reach across."""
    assert len(read_documents("--- a\n--- b\n---\n")) == 3
    with pytest.raises(DocumentError, match="anchor is not defined"):
        read_documents("--- &x a\n--- *x\n")
