"""Old versions of events become the current ones."""

import pytest

from exporter.events.table import load_event_table
from exporter.sources.capture.upgrade import EnterStore, Fate, route_of
from tests.captures.replayed import failure, replay
from tests.captures.values import Exactly, Inet
from tests.captures.writer import Capture, Process

TABLE = load_event_table()


@pytest.mark.parametrize("entry", TABLE.conversions, ids=lambda e: f"{e.from_}-{e.nparams}")
def test_every_conversion_ends_at_a_current_type(entry) -> None:
    """What is delivered is a version that state and rules know, with all its parameters."""
    route = route_of(entry.code, entry.nparams)
    assert route.fate in {Fate.DELIVER, Fate.STORE, Fate.DROP}, route.message
    if route.fate is Fate.DELIVER and not route.is_hidden:
        assert "EF_OLD_VERSION" not in route.type.flags


def test_exit_events_are_filled_from_their_enter_event() -> None:
    """The enter event gets no number and is gone once it was used."""
    capture = Capture()
    capture.event("PPME_SYSCALL_READ_E", 5, fd=3, size=100)
    capture.event("PPME_SYSCALL_READ_X", 5, nparams=2, res=7, data=b"content")
    capture.event("PPME_SYSCALL_READ_X", 5, nparams=2, res=7, data=b"content")
    done = replay(capture)
    values = [[event.param(index) for index in range(4)] for event in done.events]
    assert [event.num for event in done.events] == [1, 2]
    # Without an enter event this conversion gives the types' defaults.
    assert values == [[7, b"content", 3, 100], [7, b"content", 0, 0]]


def test_enter_events_of_another_call_or_thread_are_not_used() -> None:
    """A stored event belongs to its own thread and its own exit event; the last one counts."""
    capture = Capture()
    capture.event("PPME_SYSCALL_READ_E", 5, fd=3, size=100)
    capture.event("PPME_SYSCALL_WRITE_E", 5, fd=4, size=200)
    capture.event("PPME_SYSCALL_READ_X", 5, nparams=2, res=0)
    capture.event("PPME_SYSCALL_WRITE_X", 6, nparams=2, res=0)
    capture.event("PPME_SYSCALL_WRITE_X", 5, nparams=2, res=0)
    fds = [event.named_param("fd") for event in replay(capture).events]
    assert fds == [0, 0, 4]


def test_the_fallback_is_empty_or_the_default_as_the_table_says() -> None:
    """An openat without its enter event knows nothing of its path, a recvmmsg has result 0."""
    capture = Capture().event("PPME_SYSCALL_OPENAT_X", 5, fd=-2)
    capture.event("PPME_SOCKET_RECVMMSG_X", 5, nparams=0)
    openat, recvmmsg = replay(capture).events
    assert openat.type.id == "PPME_SYSCALL_OPENAT_2_X"
    assert [openat.param(index) for index in range(7)] == [-2] + [None] * 6
    assert recvmmsg.param(0) == 0
    assert recvmmsg.param(1) is None


def test_the_oldest_execve_goes_all_the_way() -> None:
    """A chain of conversions keeps what it has; ids that nobody recorded are -1."""
    capture = Capture().processes(Process(5, "bash"))
    capture.event("PPME_SYSCALL_EXECVE_8_E", 5)
    capture.event(
        "PPME_SYSCALL_EXECVE_8_X", 5, res=0, exe="/bin/cat", args=("-n",), tid=5, pid=5, ptid=1,
        cwd="/", fdlimit=1024,
    )  # fmt: skip
    done = replay(capture)
    assert done.names == ["PPME_SYSCALL_EXECVE_19_E", "PPME_SYSCALL_EXECVE_19_X"]
    event = done.events[1]
    assert len(event.raw) == len(event.type.params)
    assert event.named_param("args") == b"-n\0"
    assert event.named_param("comm") is None
    assert (done.host.threads[5].uid, done.host.threads[5].gid) == (0xFFFFFFFF, 0xFFFFFFFF)
    assert (event.num, done.events[0].is_hidden) == (2, True)


@pytest.mark.parametrize("big_endian", [False, True])
def test_numbers_are_cut_to_their_new_width(*, big_endian: bool) -> None:
    """The low bytes of a wider number stay, in either byte order."""
    capture = Capture(big_endian=big_endian)
    capture.event("PPME_SYSCALL_BPF_E", 5, cmd=0x1_0000_0005)
    result = (9).to_bytes(8, "big" if big_endian else "little")
    capture.event("PPME_SYSCALL_BPF_X", 5, res_or_fd=Exactly(result))
    (event,) = replay(capture).events
    assert event.type.id == "PPME_SYSCALL_BPF_2_X"
    assert event.named_param("cmd") == 5


def test_kept_enter_events_are_delivered_hidden_and_numbered() -> None:
    """An old open is two events for the state and one for the rules."""
    capture = Capture().processes(Process(5))
    capture.event("PPME_SYSCALL_OPEN_E", 5, name="/etc/real", flags=1, mode=0)
    capture.event("PPME_SYSCALL_OPEN_X", 5, fd=3, name="/etc/changed", flags=1, mode=0)
    capture.event("PPME_SOCKET_CONNECT_E", 5, fd=4, addr=Inet("1.2.3.4", 5))
    done = replay(capture)
    assert [(event.num, event.is_hidden) for event in done.events] == [
        (1, True), (2, False), (3, True),
    ]  # fmt: skip
    assert done.fd_names[1] == b"/etc/real"


def test_connect_with_one_parameter_is_completed_and_passed() -> None:
    """The oldest connect enters had no address."""
    capture = Capture().event("PPME_SOCKET_CONNECT_E", 5, nparams=1, fd=4)
    (event,) = replay(capture).events
    assert (event.param(0), event.param(1), event.is_hidden) == (4, None, True)


def test_container_events_become_metadata() -> None:
    """The oldest container event gives the text that the newer ones carry."""
    capture = Capture().event("PPME_SYSCALL_READ_X", 5, res=0)
    capture.event("PPME_CONTAINER_E", -1, id="0123456789ab", type=0, name="web", image="nginx:1")
    done = replay(capture)
    assert done.names[1] == "PPME_CONTAINER_JSON_2_E"
    assert done.events[1].param(0) == (
        b'{"id":"0123456789ab","type":0,"name":"web","image":"nginx:1"}'
    )
    assert done.host.containers[b"0123456789ab"].image == b"nginx:1"


def test_events_that_no_conversion_knows_end_the_capture() -> None:
    """What was before them is delivered; the error names type and number of parameters."""
    capture = Capture().event("PPME_SYSCALL_CLOSE_X", 5, res=0)
    offset = len(capture.out)
    capture.event("PPME_SYSCALL_OPEN_E", 5, nparams=1)
    done = replay(capture)
    assert len(done.events) == 1
    assert done.source.error is not None
    assert done.source.error.offset == offset
    assert "no conversion is known for PPME_SYSCALL_OPEN_E with 1 param" in str(done.source.error)
    assert failure(capture).offset == offset


def test_unused_types_are_dropped() -> None:
    """Types that nobody writes any more get no number."""
    unused = next(event for event in TABLE.events if "EF_UNUSED" in event.flags)
    capture = Capture().event(unused.id, 5).event("PPME_SYSCALL_CLOSE_X", 5, res=0)
    assert [event.num for event in replay(capture).events] == [1]


def test_the_store_has_bounds() -> None:
    """The oldest enter events are given up, and counted, when too many wait for their exit."""
    store = EnterStore(max_entries=3, max_bytes=100)
    for tid in range(5):
        store.put(tid, 6, (b"x" * 10,))
    assert (sorted(store.entries), store.evicted) == ([2, 3, 4], 2)
    store.put(9, 6, (b"x" * 95,))
    assert (sorted(store.entries), store.evicted) == ([9], 5)
    store.discard(9)
    store.put(1, 6, (b"x" * 100,))
    assert store.find(1, 6) is not None
    assert store.find(1, 8) is None
