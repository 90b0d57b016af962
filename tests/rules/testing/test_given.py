"""Events of field values: what is given is read, what the event type decides is known."""

import pytest

from exporter.errors import Span
from exporter.rules.ast import FieldRef
from exporter.rules.bind import bind_operand
from exporter.rules.loader.document import read_documents
from exporter.rules.parser import parse_condition
from exporter.rules.testing.evaluation import Watched
from exporter.rules.testing.given import make_given_event, reads_given
from exporter.rules.testing.items import TestFileError, item_of


def event(text, source="syscall"):
    """The event of a YAML mapping."""
    return make_given_event(item_of(read_documents(text)[0], "t.yaml"), source, 1)


def holds(condition, text, source="syscall"):
    """What a condition says of an event of given values."""
    watched = Watched(parse_condition(condition), source, reads_given)
    return watched.matches(event(text, source))


VALUES = """{evt.type: connect, proc.name: nc, proc.pid: 7, fd.sip: 10.0.0.7, fd.sport: 80,
fd.snet: 10.0.0.7, fd.ip: [10.0.0.5, 10.0.0.7], proc.aname: [sh, sshd], "proc.aname[2]": sshd,
proc.is_exe_writable: true, evt.rawres: -115, proc.args: "-e sh", evt.arg.flags: X|Y}"""


@pytest.mark.parametrize(
    "condition",
    [
        "evt.type = connect",
        "proc.name in (nc, ncat) and proc.pid > 6",
        "fd.sip = 10.0.0.7 and fd.sport = 80 and fd.snet in (10.0.0.0/24)",
        "fd.ip = 10.0.0.5 and fd.ip = 10.0.0.7",
        "proc.aname in (sshd) and proc.aname[2] = sshd and proc.aname = sh",
        "proc.is_exe_writable = true and evt.rawres < 0",
        "evt.arg.flags contains Y and tolower(proc.name) = nc",
        "not proc.exepath exists and not fd.name = x",
        "evt.category = net and evt.num = 1",
    ],
)
def test_given_values_are_read(condition):
    """Every type, networks, both ends, ancestors, arguments, transformers, what is missing."""
    assert holds(condition, VALUES)


def test_null_is_missing():
    """A field that is given as nothing is missing like one that is not given."""
    assert holds("not proc.name exists", "{evt.type: open, proc.name: ~}")


def test_what_was_asked_for_is_remembered():
    """Fields that were read and not given are named, in order."""
    made = event("{evt.type: openat, proc.name: cat}")
    condition = "proc.name = cat and fd.name = x and proc.exepath = y"
    values = Watched(parse_condition(condition), "syscall", reads_given).values(made)

    assert values == [True, False, False]
    assert list(made.missing) == ["fd.name", "proc.exepath"]


def test_audit_events_need_no_type():
    """Fields of another source, by its own names."""
    assert holds(
        "ka.verb = get and ka.target.name = x", "{ka.verb: get, ka.target.name: x}", "k8s_audit"
    )


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{proc.name: x}", "1:1", "needs evt.type"),
        ("{evt.type: opeen}", "1:12", 'there is no event "opeen"'),
        ("{evt.type: open, proc.nme: x}", "1:18", "there is no field proc.nme"),
        ("{evt.type: open, proc.pid: x}", "1:28", "proc.pid: x is not a valid number"),
        ("{evt.type: open, fd.sip: x}", "1:26", "fd.sip: unrecognized"),
        ("{evt.type: open, proc.name: [a]}", "1:29", "expected a value, found a list"),
    ],
)
def test_errors_have_their_place(text, place, message):
    """What cannot be given is refused where it stands."""
    with pytest.raises(TestFileError) as caught:
        event(text)

    assert caught.value.span == Span("t.yaml", *map(int, place.split(":")))
    assert message in caught.value.message


def test_bindings_themselves_are_left_alone():
    """The catalogue's readers stay what they are for everybody else."""
    read = bind_operand(FieldRef("proc.name"), "syscall")

    assert reads_given(read) != read
    assert bind_operand(FieldRef("proc.name"), "syscall") == read
