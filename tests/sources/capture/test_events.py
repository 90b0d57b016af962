"""Events: block versions, numbers, and who may see what."""

from typing import Any

import pytest

from tests.captures.replayed import failure, replay
from tests.captures.values import Exactly
from tests.captures.writer import STATE_ONLY, Capture, Process, event_kinds

BLOCKS = pytest.mark.parametrize("block_version", [1, 2])
ORDERS = pytest.mark.parametrize("big_endian", [False, True])


@ORDERS
@BLOCKS
@pytest.mark.parametrize("dump_flags", [None, 0])
@pytest.mark.parametrize("packed", [False, True])
def test_blocks_with_and_without_flags(
    block_version: int, dump_flags: int | None, *, packed: bool, big_endian: bool
) -> None:
    """Every kind of event block gives the same event."""
    capture = Capture(big_endian=big_endian, version=block_version).processes(Process(5))
    capture.event(
        "PPME_SYSCALL_READ_X", 5, dump_flags=dump_flags, on_cpu=7, res=-2, fd=3, data=b"", size=9
    )
    (event,) = replay(capture, packed=packed).events
    assert (event.num, event.tid, event.cpu, event.ts_ns) == (1, 5, 7, capture.now_ns)
    assert [event.param(index) for index in range(4)] == [-2, None, 3, 9]
    assert not event.is_hidden


@ORDERS
@pytest.mark.parametrize("dump_flags", [None, 0])
def test_large_events(dump_flags: int | None, *, big_endian: bool) -> None:
    """Large types have wide lengths and may be longer than 64 KiB."""
    data = b"{}" * 100_000
    capture = Capture(big_endian=big_endian)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    capture.event("PPME_PLUGINEVENT_E", -1, dump_flags=dump_flags, plugin_id=9, event_data=data)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    done = replay(capture)
    assert done.source.error is None
    assert done.events[1].param(1) == data
    assert (done.events[1].tid, done.events[1].source) == (-1, "plugin 9")


@pytest.mark.parametrize("name", ["PPME_NOTIFICATION_E", "PPME_INFRASTRUCTURE_EVENT_E"])
def test_types_whose_old_records_claim_too_much(name: str) -> None:
    """Their length is three bytes too large in V1 blocks only."""
    params: dict[str, Any] = {what: b"text" for what, _ in event_kinds()[name].params}
    for version in (1, 2):
        capture = Capture(version=version).event(name, 5, **params).event(name, 5, **params)
        done = replay(capture)
        assert done.source.error is None
        assert [event.param(0) for event in done.events] == [b"text", b"text"]


def test_state_only_events_are_hidden_and_numbered() -> None:
    """Bit 0 of the dump flags hides an event from the rules, not from the state."""
    capture = Capture().processes(Process(5))
    capture.event("PPME_SYSCALL_CHDIR_X", 5, dump_flags=STATE_ONLY, res=0, path="/tmp")
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    done = replay(capture)
    assert [event.num for event in done.visible] == [2]
    assert done.host.threads[5].cwd == b"/tmp/"


def test_initial_events_are_hidden_and_numbered() -> None:
    """Leading users, groups and containers set the state up; the first other event ends that."""
    capture = Capture().users((5, 5, "listed", "/", ""))
    capture.event("PPME_USER_ADDED_E", -1, uid=5, gid=5, name="told", home="/", shell="")
    capture.event("PPME_USER_ADDED_E", -1, uid=6, gid=6, name="six", home="/", shell="")
    capture.event("PPME_GROUP_ADDED_E", -1, gid=7, name="seven")
    capture.event("PPME_SYSCALL_READ_X", 1, res=0)
    capture.event("PPME_USER_ADDED_E", -1, uid=8, gid=8, name="eight", home="/", shell="")
    done = replay(capture)
    assert [(event.num, event.is_hidden) for event in done.events] == [
        (1, True), (2, True), (3, True), (4, False), (5, False),
    ]  # fmt: skip
    names = {uid: user.name for (_, uid), user in done.host.users.items()}
    assert names == {0: b"root", 5: b"listed", 6: b"six", 8: b"eight"}


def test_a_capture_of_initial_events_alone_is_imported() -> None:
    """The lists are taken over even when no other event comes."""
    capture = Capture().users((5, 5, "eve", "/", "")).event("PPME_GROUP_ADDED_E", -1, gid=7)
    assert (b"", 5) in replay(capture).host.users


def test_types_of_a_newer_schema_get_no_number() -> None:
    """They are left out silently, and counted."""
    capture = Capture().raw_event(454, 5, (b"12345678",)).event("PPME_SYSCALL_READ_X", 5, res=0)
    capture.raw_event(65535, 5, ())
    for version in (1, 2):
        capture.raw_event(500, 5, (b"1",), block_version=version)
    done = replay(capture)
    assert [event.num for event in done.events] == [1]
    assert done.source.counts.unknown_type == 4
    assert done.source.losses()["", "unknown_type"] == 4


def test_parameters_of_a_newer_release_are_ignored() -> None:
    """More parameters than the table: too many only for events that the conversion manages."""
    capture = Capture().event("PPME_PROCINFO_E", 5, cpu_usr=1, cpu_sys=2, extra_params=(b"x" * 9,))
    (event,) = replay(capture).events
    assert [event.param(index) for index in range(3)] == [1, 2, None]
    managed = Capture().event("PPME_SYSCALL_READ_X", 5, res=0, extra_params=(b"x",))
    assert "PPME_SYSCALL_READ_X has 5 parameters, its type has 4" in failure(managed).message


@pytest.mark.parametrize("text", [b"no end", b"two\0ends\0", b"\0\0"])
def test_texts_without_a_single_end_are_left_out(text: bytes) -> None:
    """A text has exactly one NUL, at its end; else the event is left out, numbered and counted."""
    capture = Capture().processes(Process(5))
    capture.event("PPME_SYSCALL_CHDIR_X", 5, res=0, path=Exactly(text))
    capture.event("PPME_SYSCALL_CHDIR_X", 5, res=0, path="/tmp")
    done = replay(capture)
    assert [event.num for event in done.events] == [2]
    assert done.source.losses()["", "bad_parameter"] == 1
    assert "PPME_SYSCALL_CHDIR_X left out" in done.source.first_bad


def test_numbers_of_a_wrong_width_are_empty() -> None:
    """Nobody reads a number of which some bytes are not there."""
    capture = Capture()
    capture.event("PPME_SYSCALL_READ_X", 5, res=0, fd=Exactly(b"1234"), size=Exactly(b"123456789"))
    done = replay(capture)
    assert [done.events[0].param(index) for index in range(4)] == [0, None, None, None]
    assert done.source.losses()["", "bad_number"] == 1


@pytest.mark.parametrize("name", sorted(event_kinds()))
@BLOCKS
def test_every_type_is_read_or_dropped_without_an_error(name: str, block_version: int) -> None:
    """Empty parameters are valid for every type of the table."""
    capture = Capture(version=block_version).event(name, 5)
    capture.event("PPME_SYSCALL_CLOSE_X", 5, res=0)
    done = replay(capture)
    assert done.source.error is None
    assert done.names[-1] == "PPME_SYSCALL_CLOSE_X"
    counts = done.source.counts
    assert counts.events == 2 == counts.delivered + counts.upgraded
