"""What captures may make the tables hold."""

from exporter.events.fd import Fd, FdType
from exporter.events.host import Host
from exporter.events.table import event_type
from exporter.state.budget import ENTRY_BYTES, FD_BYTES, Budget, measure
from exporter.state.state import State
from tests.factories import make_event, make_thread


def test_a_budget_measures_before_it_refuses() -> None:
    """Departures are found when the arrivals seem too many; then there is room again."""
    held = [0]
    asked = []

    def look() -> int:
        asked.append(1)
        return held[0]

    budget = Budget(10, look)
    assert all(budget.take(1) for _ in range(10))
    assert not asked
    assert budget.take(1)  # The table is empty, in truth.
    held[0] = 10
    assert [budget.take(1) for _ in range(9)] == [True] * 9
    assert not budget.take(1)
    assert budget.refused == 1
    assert len(asked) == 2


def test_a_full_budget_does_not_measure_every_time() -> None:
    """Looking costs time in proportion to the tables; a flood must not make it the main work."""
    asked = []

    def look() -> int:
        asked.append(1)
        return 10

    budget = Budget(10, look)
    for _ in range(100_000):
        budget.take(1)
    assert len(asked) <= 12
    assert budget.refused > 99_000


def test_what_is_measured() -> None:
    """Threads with their texts and descriptors, shared environments once, users, containers."""
    host = Host()
    assert measure(host) == 0
    env = (b"A=1",)
    for tid in (1, 2):
        thread = make_thread("a", tid=tid, exepath=b"", args=())
        thread.env = env
        host.threads[tid] = thread
    base = measure(host)
    assert base == 2 * (ENTRY_BYTES + 2) + 3
    host.threads[1].fds[3] = Fd(type=FdType.FILE_V2, name=b"/x", name_raw=b"x")
    assert measure(host) == base + FD_BYTES + 3


def full_state() -> State:
    """A state of a capture whose tables are full."""
    state = State(Host(), keep_fds=True)
    state.host.threads[5] = make_thread("sh", tid=5)
    state.tables.budget = Budget(0, lambda: measure(state.host))
    return state


def test_full_tables_take_nothing_more() -> None:
    """Rules still see the event and its descriptor; nothing is kept, all is counted."""
    state = full_state()
    thread = state.host.threads[5]
    events = [
        make_event("openat", proc=thread, host=state.host, params={"fd": 3, "name": "/x"}),
        make_event("execve", proc=thread, host=state.host, params={"res": 0, "exe": "/bin/x"}),
        make_event("clone", proc=thread, host=state.host, params={"res": 9, "exe": "x"}),
        make_event("useradded", proc=None, host=state.host, params={"uid": 5, "name": "x"}),
        make_event("groupadded", proc=None, host=state.host, params={"gid": 5, "name": "x"}),
        make_event(
            "PPME_CONTAINER_JSON_2_E", proc=None, host=state.host, params={"json": '{"id":"x"}'}
        ),
    ]
    for event in events:
        state.before(event)
        state.after(event)
    assert events[0].fd is not None
    assert events[0].fd.name == b"/x"
    assert list(state.host.threads) == [5]
    assert (thread.fds, thread.comm) == ({}, b"sh")
    assert (state.host.users, state.host.groups, state.host.containers) == ({}, {}, {})
    assert state.counters.memory_full == 6


def test_a_child_of_a_process_with_very_many_descriptors_has_none() -> None:
    """Copies of descriptors count like new ones."""
    state = full_state()
    thread = state.host.threads[5]
    thread.fds = {number: Fd(type=FdType.PIPE) for number in range(100)}
    state.tables.budget = Budget(50 * FD_BYTES, lambda: 0)
    assert state.tables.inherited_fds(thread) == {}
    state.tables.budget = Budget(100 * FD_BYTES, lambda: 0)
    assert len(state.tables.inherited_fds(thread)) == 100


def test_enter_events_that_wait_for_their_exit_are_bounded() -> None:
    """The oldest are given up; one that is far too long is not kept at all."""
    state = State(Host(), keep_fds=True)
    kind = event_type("PPME_SYSCALL_OPEN_E")
    for tid in range(1, 9001):
        state.tables.remember(make_event(kind.id, proc=None, tid=tid, params={"name": "/x"}))
    assert len(state.tables.entered) == 8192
    assert min(state.tables.entered) == 9001 - 8192
    long = make_event(kind.id, proc=None, tid=1, params={"name": "x" * 9000})
    state.tables.remember(long)
    assert 1 not in state.tables.entered
