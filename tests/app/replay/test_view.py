"""Conditions and formats of the command line: what passes, what is printed, what is wrong."""

import json

import pytest

from exporter.app.replay.view import EventFilter, TextError, event_lines
from exporter.events.table import load_event_table
from tests.factories import make_event


def line(template, event, *, is_json=False, is_base64=False):
    """The line of one event."""
    return event_lines(template, "syscall", is_json=is_json, is_base64=is_base64)(event)


def test_a_filter_passes_what_its_condition_is_true_of():
    """Conditions are those of rules, fields of the state included."""
    condition = EventFilter("evt.type = openat and fd.name startswith /etc", "syscall")

    assert condition.passes(make_event("openat", fd_name="/etc/shadow"))
    assert not condition.passes(make_event("openat", fd_name="/tmp/x"))
    assert not condition.passes(make_event("read", fd_name="/etc/shadow"))


def test_a_filter_knows_the_events_that_can_pass():
    """Events of other types need not be decoded."""
    names = {event.code: event.name for event in load_event_table().events}
    codes = EventFilter("evt.type in (open, openat)", "syscall").codes

    assert {names[code] for code in codes} == {"open", "openat", "asyncevent"}


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("evt.type = open and", "expected blank", 20),
        ("proc.nme = cat", "nonexistent field proc.nme", 1),
        ("not spawned", 'no field or macro "spawned"', 5),
        ("proc.pid = x1", "is not a valid number", 12),
        ("tolower(evt.type) = open", "through a transformer", 9),
        ("é.x = 1", "", 1),
    ],
)
def test_a_wrong_condition_has_its_place(text, message, column):
    """Option, line and column of what is wrong, the text, and a caret below the place."""
    with pytest.raises(TextError) as caught:
        EventFilter(text, "syscall")

    shown = str(caught.value).splitlines()
    assert message in shown[0]
    assert shown[0].startswith(f"--filter:1:{column}: error")
    assert shown[-2:] == [f"  {text}", f"  {' ' * (column - 1)}^"]


def test_the_place_may_be_in_a_later_line():
    """Line and column count from 1; only the line is shown."""
    with pytest.raises(TextError) as caught:
        event_lines("%proc.name\n\tx %nope.y", "syscall", is_json=False, is_base64=False)

    shown = str(caught.value).splitlines()
    assert shown[0].startswith("--fields:2:4: error LOAD_ERR_COMPILE_OUTPUT: ")
    assert shown[-2:] == ["   x %nope.y", "     ^"]


def test_an_event_without_a_value_has_no_line():
    """As in output formats: the star prints what is missing, without it the event is left out."""
    event = make_event("openat", proc=None)

    assert line("%evt.type %proc.name", event) is None
    assert line("*%evt.type %proc.name", event) == b"openat <NA>\n"
    assert line("%evt.type %proc.name", event, is_json=True) is None
    assert json.loads(line("*%evt.type %proc.name", event, is_json=True)) == {
        "evt.type": "openat",
        "proc.name": None,
    }


def test_json_values_have_their_types():
    """Numbers are numbers, truths are truths, times are nanoseconds."""
    event = make_event("openat", fd_name="/etc/shadow", num=7)
    found = json.loads(line("%evt.num %evt.is_io %evt.time %fd.num", event, is_json=True))

    assert found == {"evt.num": 7, "evt.is_io": False, "evt.time": event.ts_ns, "fd.num": 3}


def test_an_event_is_one_line():
    """Control characters of values are escaped, those of the format are the user's."""
    event = make_event("openat", fd_name='/tmp/a\nb\x1b[31m\t\x7f\\"é')

    assert line("a\t%fd.name", event) == 'a\t/tmp/a\\nb\\u001b[31m\\t\\u007f\\"é\n'.encode()


def test_bytes_that_are_no_text_are_replaced():
    """What is printed is always UTF-8."""
    assert line("%fd.name", make_event("openat", fd_name=b"/tmp/\xff")) == "/tmp/\ufffd\n".encode()


def test_buffers_may_be_base64():
    """As `buffer_format_base64` says."""
    event = make_event("read", params={"data": b"\x00abc"}, fd_name="/tmp/x")

    assert line("%evt.buffer", event) == b".abc\n"
    assert line("%evt.buffer", event, is_base64=True) == b"AGFiYw==\n"
