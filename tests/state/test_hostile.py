"""Records with any contents: the state takes them in or counts them, and stays whole."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.native import live_decoders
from exporter.events.params import capture_decoders
from exporter.events.table import load_event_table
from exporter.events.text import args_text
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.factories import NOW_NS
from tests.live_contexts import make_live

KEPT = [
    event
    for event in load_event_table().events
    if not event.flags & {"EF_OLD_VERSION", "EF_UNUSED"}
]
SMALL = st.sampled_from([n.to_bytes(8, "little") for n in (0, 1, 2, 3, 4)])
BYTES = st.one_of(st.just(b""), SMALL, st.binary(min_size=1, max_size=40))
EVENTS = st.tuples(
    st.sampled_from(KEPT),
    st.sampled_from([1, 2, 3, 4, (1 << 64) - 1]),
    st.lists(BYTES, min_size=31, max_size=31),
)


def assert_whole(state: State) -> None:
    """Groups, parents and the table agree with each other."""
    threads = state.host.threads
    for pid, group in state.tables.threads.groups.items():
        assert group.members
        for tid in group.members:
            assert threads[tid].pid == pid
    for tid, thread in threads.items():
        assert thread.tid == tid
        assert thread.children == len(state.tables.threads.children_of(tid))
        assert all(child.ptid == tid for child in state.tables.threads.children_of(tid))


@settings(max_examples=30)
@given(events=st.lists(EVENTS, min_size=1, max_size=15), full=st.booleans())
def test_captures_of_anything(events, full):
    """Random parameters, whole or cut short, never raise and never break the tables."""
    state = State(Host(), keep_fds=True)
    for number, (event_type, tid, raw) in enumerate(events):
        count = len(event_type.params)
        event = Event(
            num=number,
            ts_ns=NOW_NS + number,
            cpu=0,
            tid=tid,
            type=event_type,
            raw=tuple(raw[: count if full else number % (count + 1)]),
            decoders=capture_decoders(event_type),
            host=state.host,
        )
        state.before(event)
        args_text(event)
        state.after(event)
        assert_whole(state)


@settings(max_examples=20)
@given(
    events=st.lists(
        st.tuples(EVENTS, st.integers(1, 4), st.integers(0, 4), st.integers(1, 2)),
        min_size=1,
        max_size=15,
    )
)
def test_live_events_of_anything(events):
    """Any sequence of contexts leaves a whole table without descriptors."""
    state = State(Host(), keep_fds=False, procfs=Procfs("/nonexistent"), etc="/nonexistent")
    for number, ((event_type, tid, raw), pid, ptid, start) in enumerate(events):
        event = Event(
            num=number,
            ts_ns=NOW_NS + number,
            cpu=0,
            tid=min(tid, 5),
            type=event_type,
            raw=tuple(raw[: len(event_type.params)]),
            decoders=live_decoders(event_type),
            host=state.host,
            live=make_live(pid, ptid=ptid, start_boottime_ns=start * 10**9),
        )
        state.before(event)
        args_text(event)
        state.after(event)
        assert_whole(state)
    assert all(not thread.fds for thread in state.host.threads.values())
