"""JSON objects and text lines of alerts, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alerts.forms import JsonOptions, clean_text, json_line, text_line
from exporter.rules.priority import Priority
from tests.alerts.conftest import make_alert

TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def test_json_has_its_keys_in_alphabetical_order() -> None:
    """The default form, to the byte."""
    assert json_line(make_alert(), JsonOptions()) == (
        b'{"hostname":"node1","output":"22:13:20.123456789: Warning read by cat",'
        b'"output_fields":{"evt.time":1700000000123456789,"proc.name":"cat"},'
        b'"priority":"Warning","rule":"Read sensitive file","source":"syscall",'
        b'"tags":["T1005","files"],"time":"2023-11-14T22:13:20.123456789Z"}'
    )


def test_json_keys_can_be_switched() -> None:
    """Each json_include option adds or removes exactly its key."""
    options = JsonOptions(
        has_output=False, has_message=True, has_output_fields=False, has_tags=False
    )

    assert list(json.loads(json_line(make_alert(), options))) == [
        "hostname",
        "message",
        "priority",
        "rule",
        "source",
        "time",
    ]


def test_internal_alerts_have_no_tags() -> None:
    """Messages of Lanner about itself carry no tags key."""
    line = json_line(make_alert(source="internal", tags=()), JsonOptions())

    assert "tags" not in json.loads(line)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (-1, -1),
        ((1 << 64) - 1, (1 << 64) - 1),
        (1 << 64, 1 << 64),
        (0.5, 0.5),
        (["a", "b"], ["a", "b"]),
        ("\udcff.txt", "\ufffd.txt"),
        ("\ud800", "\ufffd\ufffd\ufffd"),
        ("\u00e9\n", "\u00e9\n"),
    ],
)
def test_json_keeps_the_types_of_fields(value: object, expected: object) -> None:
    """Numbers, booleans, lists and null stay what they are; text that is no UTF-8 is replaced."""
    line = json_line(make_alert(output_fields={"a.b": value}), JsonOptions())

    assert json.loads(line)["output_fields"] == {"a.b": expected}


def test_informational_prints_its_long_name() -> None:
    """JSON has the long name of a priority."""
    line = json_line(make_alert(priority=Priority.INFORMATIONAL), JsonOptions())

    assert json.loads(line)["priority"] == "Informational"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('say "hi"', rb"say \"hi\""),
        ("C:\\", rb"C:\\"),
        ("a\nb\tc\x01", rb"a\nb\tc\u0001"),
        ("na\u00efve", "na\u00efve".encode()),
        ("\udcff", "\ufffd".encode()),
        ("/plain/path", b"/plain/path"),
    ],
)
def test_text_lines_are_escaped(output: str, expected: bytes) -> None:
    """A text line is escaped like a JSON string, without the quotes."""
    assert text_line(make_alert(output=output)) == expected


@given(TEXT)
def test_no_output_breaks_a_line(output: str) -> None:
    """Whatever a file is called, an alert stays one line of valid UTF-8, in both forms."""
    alert = make_alert(output=output, output_fields={output: output}, hostname=output)
    for line in (text_line(alert), json_line(alert, JsonOptions())):
        assert b"\n" not in line
        assert line.decode().encode() == line
    assert json.loads(json_line(alert, JsonOptions()))["output"] == clean_text(output)


@given(TEXT)
def test_clean_text_is_utf8_and_stable(text: str) -> None:
    """Cleaning gives encodable text, changes nothing twice, and keeps what was fine."""
    cleaned = clean_text(text)

    assert clean_text(cleaned) == cleaned
    assert cleaned.encode().decode() == cleaned
