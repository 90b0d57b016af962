"""Damaged captures: what can be read is given, then one error tells what is wrong and where."""

import gzip
import struct
import zlib

import pytest

from exporter.errors import CaptureError
from exporter.sources.capture.input import CHUNK_BYTES, Input
from tests.captures.replayed import failure, replay
from tests.captures.writer import Capture, FdEntry, Process


def sample(events: int = 5) -> Capture:
    """A capture of some reads."""
    capture = Capture().machine().processes(Process(5))
    for number in range(events):
        capture.event("PPME_SYSCALL_READ_X", 5, res=number, fd=3, data=b"x" * number, size=9)
    return capture


def test_a_cut_at_a_block_is_a_clean_end() -> None:
    """Nothing tells a file that ends between two blocks from a whole one."""
    capture = sample(3)
    end = len(capture.out)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    done = replay(bytes(capture.out[:end]))
    assert (len(done.events), done.source.error) == (3, None)


@pytest.mark.parametrize("packed", [False, True])
def test_a_cut_inside_a_block_is_an_error_there(*, packed: bool) -> None:
    """Every cut gives the events before it, and the bytes that are missing."""
    capture = sample(3)
    start = len(capture.out)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0, data=b"content")
    for end in range(start + 1, len(capture.out)):
        data = bytes(capture.out[:end])
        done = replay(gzip.compress(data) if packed else data)
        got = end - start
        wanted, read = (8, got) if got < 8 else (len(capture.out) - start - 8, got - 8)
        assert len(done.events) == 3
        assert done.source.error is not None
        assert done.source.error.message == (
            f"test.scap: byte {start}: expecting {wanted} bytes, read {read}"
        )


def test_every_cut_of_the_metadata_is_an_error() -> None:
    """A capture that ends before its first event cannot be opened; nothing else happens."""
    capture = Capture().machine().users((1, 1, "a", "/", ""), groups=((1, "a"),))
    capture.interfaces(("lo", "127.0.0.1", "255.0.0.0")).processes(Process(5, args=("a", "b")))
    capture.fds(5, FdEntry(1, 1, "/x"), FdEntry(3, 3))
    for end in range(len(capture.out)):
        with pytest.raises(CaptureError, match=r"test\.scap: byte \d+: (expecting|no events)"):
            replay(bytes(capture.out[:end]))


def test_no_events() -> None:
    """A capture without events says so."""
    capture = Capture().machine()
    error = failure(capture)
    assert error.message == f"test.scap: byte {len(capture.out)}: no events in file"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expecting 8 bytes, read 0, the file is empty"),
        (b"\x0a", "expecting 8 bytes, read 1"),
        (b"#!/bin/sh\necho hello to everybody\n", "this is no capture"),
        (b"\x1f\x8b", "the gzip stream ends early"),
        (b"\x1f\x8bnot gzip at all", "the gzip stream is damaged"),
        (gzip.compress(b""), "expecting 8 bytes, read 0"),
    ],
)
def test_what_is_no_capture(data: bytes, words: str) -> None:
    """The first bytes decide; the name of a file never does."""
    assert words in failure(data).message


def test_section_header() -> None:
    """Magic and major version must be known ones; a swapped magic is the other byte order."""
    bad = bytearray(sample().out)
    bad[8] ^= 1
    assert failure(bytes(bad)).message == "test.scap: byte 0: invalid magic number"
    bad = bytearray(sample().out)
    bad[12] = 2
    assert (
        "cannot correctly parse the capture. Upgrade your version." in failure(bytes(bad)).message
    )
    short = Capture()
    short.out = bytearray(struct.pack("<III", 0x0A0D0D0A, 16, 0x1A2B3C4D) + struct.pack("<I", 16))
    assert "section header of 16 bytes" in failure(short).message


def test_trailers_count_in_the_metadata_only() -> None:
    """The length behind a block is compared there and passed over behind events."""
    capture = Capture().machine()
    capture.out[-4:] = struct.pack("<I", 7)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    assert failure(capture).message == (
        "test.scap: byte 28: wrong block total length, header=192, trailer=7"
    )
    capture = sample()
    capture.out[-4:] = struct.pack("<I", 7)
    assert len(replay(capture).events) == 5


@pytest.mark.parametrize("total", [0, 4, 11, 65_545, 0xFFFFFFFF])
def test_impossible_lengths_of_event_blocks(total: int) -> None:
    """They end the capture instead of being believed."""
    capture = sample(2)
    start = len(capture.out)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    capture.out[start + 4 : start + 8] = struct.pack("<I", total)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    done = replay(capture)
    assert len(done.events) == 2
    assert done.source.error is not None
    assert done.source.error.offset == start


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (26, struct.pack("<I", 25)),
        (26, struct.pack("<I", 5000)),
        (32, struct.pack("<I", 0xFFFFFFFF)),
        (32, struct.pack("<I", 5)),
        (36, struct.pack("<H", 60000)),
    ],
)
def test_impossible_lengths_inside_events(at: int, value: bytes) -> None:
    """Event length, number and lengths of parameters must fit into each other."""
    capture = sample(2)
    start = len(capture.out)
    capture.event("PPME_SYSCALL_READ_X", 5, res=0)
    capture.out[start + at : start + at + len(value)] = value
    for needed in (None, frozenset[int]()):
        done = replay(capture, needed=needed)
        assert done.source.num == 2
        assert done.source.error is not None
        assert done.source.error.offset == start


def test_impossible_lengths_of_old_events() -> None:
    """A V1 record whose lengths fit no number of parameters ends the capture."""
    capture = Capture(version=1)
    start = len(capture.out)
    capture.event("PPME_SYSCALL_CLOSE_X", 5, res=0, fd=3)
    capture.out[start + 32 : start + 36] = struct.pack("<HH", 8, 9)
    assert "no number of parameters fits" in failure(capture).message


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (0x220, struct.pack("<IBIIH", 99, 0, 1, 1, 300), "user name of 300 bytes"),
        (0x220, struct.pack("<IBII", 5, 0, 1, 1) + bytes(6), "entry of 5 bytes whose content"),
        (0x206, b"\x07" + bytes(30), "unknown kind 7 of user entry"),
        (0x219, struct.pack("<IHH", 40, 9, 0) + bytes(40), "unknown kind 9 of interface"),
        (0x219, struct.pack("<IHH", 40, 1, 1024) + bytes(40), "interface name of 1024 bytes"),
        (0x215, struct.pack("<I", 0xFFFFFFFF) + bytes(40), "process entry of 4294967295 bytes"),
        (0x215, struct.pack("<I", 8) + bytes(400), "longer than its length"),
        (0x202, struct.pack("<qqqH", 1, 1, 1, 2000) + bytes(2400), "comm of 2000 bytes"),
        (0x202, struct.pack("<qqqH", 1, 1, 1, 1000) + bytes(40), "ends inside an entry"),
        (0x218, struct.pack("<qI", 1, 3) + bytes(40), "descriptor entry of 3 bytes"),
        (0x203, struct.pack("<qqQB", 1, 1, 1, 99) + bytes(40), "unknown kind 99 of descriptor"),
        (0x218, struct.pack("<qIqQBH", 1, 300, 1, 1, 1, 1024) + bytes(2000), "name of 1024 bytes"),
    ],
)
def test_metadata_that_cannot_be(kind: int, body: bytes, words: str) -> None:
    """Every length and kind is checked before it is believed."""
    assert words in failure(Capture().block(kind, body)).message


def test_a_second_capture_in_the_file_starts_anew() -> None:
    """State and numbers begin again at a section header behind events."""
    capture = sample(3).event("PPME_USER_ADDED_E", -1, uid=77, name="seven", home="", shell="")
    capture.section().machine("second").processes(Process(6, "late"))
    capture.event("PPME_SYSCALL_READ_X", 6, res=0).event("PPME_SYSCALL_READ_X", 5, res=0)
    done = replay(capture)
    assert [event.num for event in done.events] == [1, 2, 3, 4, 1, 2]
    assert done.host.hostname == b"second"
    assert done.host.threads[6].comm == b"late"
    assert not done.host.threads[5].is_valid
    assert (done.source.counts.events, done.source.counts.unneeded) == (6, 0)
    assert (b"", 77) not in done.host.users


def test_other_blocks_behind_events_are_an_error() -> None:
    """Only a section header may follow; the events before it were given."""
    capture = sample(3)
    start = len(capture.out)
    capture.block(0x4242, b"12345678")
    done = replay(capture)
    assert len(done.events) == 3
    assert done.source.error is not None
    assert done.source.error.offset == start
    assert "block type 0x4242 between events" in done.source.error.message


def test_gzip_members_one_behind_the_other() -> None:
    """Packed captures may be concatenated; what is no gzip behind them is ignored."""
    data = sample(2).data(packed=True) + sample(3).data(packed=True) + b"\0\0\0 rubbish"
    done = replay(data)
    assert ([event.num for event in done.events], done.source.error) == ([1, 2, 1, 2, 3], None)


def test_damaged_gzip_gives_what_is_before_the_damage() -> None:
    """The events before the damaged byte come, then one error at what cannot be read."""
    capture = sample(3000)
    data = bytearray(capture.data(packed=True))
    at = len(data) // 2
    data[at : at + 40] = bytes(40)
    done = replay(bytes(data))
    assert done.source.error is not None
    assert 500 < len(done.events) < 2500


def test_wrong_checksum_of_gzip_is_an_error_behind_the_last_event() -> None:
    """All events come; that they may not be what was written is said."""
    data = bytearray(sample(3).data(packed=True))
    data[-8] ^= 1
    done = replay(bytes(data))
    assert len(done.events) == 3
    assert done.source.error is not None
    assert "expecting 8 bytes, read 0: the gzip stream is damaged" in done.source.error.message


def test_packed_bombs_are_unpacked_piece_by_piece() -> None:
    """However much a packed file claims to hold, one window of it is in memory."""
    import io
    import tracemalloc

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = Capture().machine().data() + struct.pack("<II", 0x4242, 0xFFFFFFFC)
    data = packer.compress(head)
    data += b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    assert len(data) < 100_000
    tracemalloc.start()
    try:
        assert "expecting" in failure(data).message
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * CHUNK_BYTES
    source = Input(io.BytesIO(data))
    assert source.skip(1 << 30) == len(head) + (64 << 20)


def test_lists_have_a_budget() -> None:
    """A process list may not take all memory; what is left out is counted."""
    from exporter.events.thread import Thread
    from exporter.sources.capture.blocks import LITTLE, Block
    from exporter.sources.capture.processes import ProcessLists

    capture = Capture().processes(*(Process(tid, args=("x" * 4000,)) for tid in range(100)))
    import io

    source = Input(io.BytesIO(bytes(capture.out[28:])))
    threads: dict[int, Thread] = {}
    lists = ProcessLists(threads, 100_000)
    lists.read_processes(Block(source, "test", LITTLE), 9)
    assert len(threads) + lists.dropped == 100
    assert 10 < len(threads) < 25
