"""Laws of CPU fields: switches measure slices, reports measure shares."""

import pytest

from exporter.rules.fields import process
from tests.factories import make_event, make_thread


def reader(name):
    """A use of a field of its own."""
    bind = next(field for field in process.CLASS.fields if field.name == name).bind
    assert bind is not None
    return bind(None)


def switch(tid, ts_ns, cpu=0):
    """A switch away from a thread."""
    event = make_event("PPME_SCHEDSWITCH_6_E", proc=make_thread("x", tid=tid), ts_ns=ts_ns, tid=tid)
    event.cpu = cpu
    return event


def test_slices_are_counted_on_each_cpu():
    """From one switch on a CPU to the next; the first has no length, and other events have none."""
    read = reader("thread.exectime")

    events = [switch(1, 100), switch(2, 130), switch(1, 200, cpu=1), switch(1, 135)]
    assert [read(event) for event in events] == [0, 30, 0, 5]
    assert read(make_event("kill")) == 0
    assert read(switch(1, 140)) == 5


def test_slices_of_a_thread_add_up():
    """All so far, shown with every event of the thread."""
    read = reader("thread.totexectime")

    events = [switch(1, 100), switch(2, 130), switch(1, 135), switch(1, 145)]
    assert [read(event) for event in events] == [0, 30, 5, 15]
    assert read(make_event("kill", proc=make_thread("x", tid=2), tid=2)) == 30


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("thread.cpu", [0.0, 12.0, 100.0]),
        ("thread.cpu.user", [0.0, 10.0, 90.0]),
        ("thread.cpu.system", [0.0, 2.0, 90.0]),
    ],
)
def test_shares_are_what_reports_add(name, shares):
    """The growth since the thread's last report, at most 100; nothing for other events."""
    read = reader(name)
    reports = [(5, 5), (15, 7), (105, 97)]

    seen = [
        read(make_event("PPME_PROCINFO_E", params={"cpu_usr": user, "cpu_sys": system}))
        for user, system in reports
    ]
    assert seen == shares
    assert read(make_event("kill")) is None
