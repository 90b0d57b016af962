"""Event-type index of conditions."""

import pytest

from exporter.events.table import event_type, load_event_table, load_syscall_table
from exporter.rules.event_index import (
    EventIndexError,
    event_names,
    event_types,
    has_too_many_types,
    matched_types,
    syscalls_of,
)
from exporter.rules.parser import parse_condition

ALL = frozenset(event.code for event in load_event_table().events)
GENERIC = frozenset((event_type("PPME_GENERIC_E").code, event_type("PPME_GENERIC_X").code))
ASYNC = event_type("PPME_ASYNCEVENT_E").code


def named(*names):
    """All codes of these event names."""
    return frozenset(
        event.code for event in load_event_table().events if event.name in names and event.code > 1
    )


INDEXED = [
    ("evt.type=open", named("open")),
    ("evt.type==open", named("open")),
    ("syscall.type=open", named("open")),
    ("evt.type in (open, openat)", named("open", "openat")),
    ("evt.type in ()", frozenset()),
    ("evt.type!=open", ALL - named("open")),
    ("not evt.type=open", ALL - named("open")),
    ("not evt.type!=open", named("open")),
    ("not evt.type in (open)", ALL - named("open")),
    ("evt.type exists", ALL),
    ("not evt.type exists", frozenset()),
    ("evt.type contains open", ALL),
    ("not evt.type contains open", ALL),
    ("evt.type = oneof (open)", ALL),
    ("proc.name=x", ALL),
    ("not proc.name=x", ALL),
    ("proc.name exists", ALL),
    ("evt.type=open and proc.name=x", named("open")),
    ("evt.type=open or proc.name=x", ALL),
    ("evt.type=open and evt.type=close", frozenset()),
    ("evt.type=open or evt.type=close", named("open", "close")),
    ("not (evt.type=open or evt.type=close)", ALL - named("open", "close")),
    ("not (evt.type=open and proc.name=x)", ALL),
    ("not (evt.type=open or proc.name=x)", ALL - named("open")),
    ("evt.type in (open, close) and not evt.type=open", named("close")),
    ("not (not (evt.type=open and proc.name=x))", named("open")),
    ("evt.type=uname", GENERIC),
    ("evt.type in (open, uname)", named("open") | GENERIC),
    ("evt.type!=uname", ALL - GENERIC),
    ("evt.type=some_async_event", frozenset((ASYNC,))),
    ("evt.num=0", frozenset()),
    ("evt.num==0", frozenset()),
    ("evt.num<0", frozenset()),
    ("evt.num<1", frozenset()),
    ("evt.num<=0", frozenset()),
    ("evt.num in (0)", frozenset()),
    ("evt.num in (0, 0)", frozenset()),
    ("evt.num in ()", frozenset()),
    ("evt.num in (0, 1)", ALL),
    ("evt.num<=1", ALL),
    ("evt.num!=0", ALL),
    ("evt.num>0", ALL),
    ("evt.num>=0", ALL),
    ("evt.num>=1", ALL),
    ("evt.num=1", ALL),
    ("not evt.num=1", ALL),
    ("not evt.num=0", ALL),
    ("not evt.num>=0", frozenset()),
    ("not evt.num!=0", frozenset()),
    ("evt.type=open and evt.num=0", frozenset()),
    ("evt.type=open or evt.num=0", named("open")),
    ("evt.num = val(proc.pid)", ALL),
    ("evt.num = -1", ALL),
    ("evt.num >= -1", ALL),
    ("evt.num < -1", ALL),
    ("evt.num >= 0x0", ALL),
    ("evt.num = anyof (0)", ALL),
    ("proc.name = val(evt.type)", ALL),
]


@pytest.mark.parametrize(("condition", "codes"), INDEXED)
def test_the_set_of_a_condition(condition, codes):
    """Each condition has the set of the table; negation reaches typed checks only."""
    node = parse_condition(condition)

    assert codes == matched_types(node)
    assert codes | {ASYNC} == event_types(node, "syscall")


@pytest.mark.parametrize(
    "condition", ["tolower(evt.type) = open", "evt.type = val(proc.name)", "len(evt.type) exists"]
)
def test_event_types_must_be_constants(condition):
    """A transformed or computed event type has no static set."""
    with pytest.raises(EventIndexError):
        matched_types(parse_condition(condition))


def test_other_sources_have_plugin_events():
    """Rules of plugins are tried on plugin events and async events only."""
    codes = event_types(parse_condition("evt.type=open"), "k8s_audit")

    assert {event_type("PPME_PLUGINEVENT_E").code, ASYNC} == codes


def test_too_many_means_more_than_a_hundred():
    """None at all is not too many."""
    assert not has_too_many_types(frozenset())
    assert not has_too_many_types(frozenset(range(100)))
    assert has_too_many_types(frozenset(range(101)))


def test_names_of_generic_events_are_those_of_calls():
    """Codes have names; the two generic codes stand for every call without its own events."""
    assert event_names(named("open")) == ["open"]
    names = event_names(GENERIC)
    assert "uname" in names
    assert "open" not in names
    assert "syscall" not in names


def test_system_calls_of_rules():
    """The union over rules, in numbers of system calls; generic calls stay apart."""
    numbers = {call.name: call.sc for call in load_syscall_table().syscalls}
    nodes = [parse_condition("evt.type=open"), parse_condition("evt.type=uname and a.b=c")]

    assert {numbers["open"], numbers["uname"]} == syscalls_of(nodes)
    assert numbers["open"] not in syscalls_of([parse_condition("evt.type!=open")])
    assert frozenset() == syscalls_of([])
