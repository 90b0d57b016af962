"""Reading the ring's memory: every finished record once, in order, wherever it lies."""

import mmap
import os
import select
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.probe.record import RECORD_STATE_ONLY
from exporter.sources.probe.ring import _GATHER_NS, Ring
from tests.sources.probe.test_decode import make_record

TEXT = Path(__file__).parents[3] / "bpf"
SIZE = mmap.PAGESIZE
BUSY, DISCARDED = 1 << 31, 1 << 30
BODIES = st.lists(
    st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from((0, 0, 0, DISCARDED))),
    max_size=30,
)


def record(flags: int) -> bytes:
    """A record with these header flags."""
    return make_record("PPME_SYSCALL_CHDIR_X", (struct.pack("<q", 0), b"/\0"), flags=flags)


class NoEpoll:
    """In place of epoll, which takes no file."""

    closed = False

    def __init__(self) -> None:
        self.waits: list[tuple[float, bool]] = []
        self.memory: Memory | None = None

    def register(self, *_args: object) -> None:
        """Nobody waits here."""

    def poll(self, seconds: float) -> None:
        """Note how long somebody would wait, and whether the kernel would know of it."""
        assert self.memory is not None
        self.waits.append((seconds, self.memory.sleeps))

    def close(self) -> None:
        """Nothing to close."""
        self.closed = True


class Memory:
    """A ring in a file, written as the kernel writes one.

    position: where the reader and the writers stand at the start. size: bytes.
    """

    def __init__(self, position: int, size: int = SIZE) -> None:
        self.size = size
        self.fd = os.memfd_create("ring")
        self.reader = os.memfd_create("reader")
        os.truncate(self.reader, mmap.PAGESIZE)
        os.truncate(self.fd, 2 * mmap.PAGESIZE + size)
        os.pwrite(self.fd, struct.pack("<Q", position), 0)
        self.end = position
        self.publish()

    def publish(self) -> None:
        """Let the reader see what was written."""
        os.pwrite(self.fd, struct.pack("<Q", self.end), mmap.PAGESIZE)

    def write(self, body: bytes, bits: int) -> bool:
        """One record, if there is room in front of the reader."""
        size = 8 + (len(body) + 7 & ~7)
        if self.end + size - self.taken > self.size:
            return False
        for at, byte in enumerate(struct.pack("<II", len(body) | bits, 0) + body):
            os.pwrite(self.fd, bytes([byte]), 2 * mmap.PAGESIZE + (self.end + at) % self.size)
        self.end += size
        return True

    def close(self) -> None:
        """Let go of both."""
        os.close(self.fd)
        os.close(self.reader)

    @property
    def sleeps(self) -> bool:
        """Whether the reader says that it waits to be woken."""
        return os.pread(self.reader, 8, 0) == struct.pack("<Q", 1)

    @property
    def taken(self) -> int:
        """Up to where the reader says that it has read."""
        (taken,) = struct.unpack("<Q", os.pread(self.fd, 8, 0))
        return int(taken)


@pytest.fixture(autouse=True)
def no_epoll(monkeypatch):
    """The file that stands for the ring cannot be waited for."""
    monkeypatch.setattr(select, "epoll", NoEpoll)


@given(words=st.integers(1, 30), rounds=st.lists(BODIES, min_size=1, max_size=4))
def test_every_record_comes_once(words, rounds):
    """Across the end of the memory too, from so many words before it; discarded ones are not."""
    memory = Memory(SIZE - 8 * words)
    reader = Ring(memory.fd, SIZE, memory.reader)
    try:
        for bodies in rounds:
            kept = [body for body, bits in bodies if memory.write(body, bits) and not bits]
            memory.publish()

            assert reader.take(0) == kept
            assert memory.taken == memory.end
    finally:
        reader.close()
        memory.close()


def test_a_record_that_is_being_written_holds_up_those_behind():
    """It and what follows are read when it is finished."""
    memory = Memory(0)
    reader = Ring(memory.fd, SIZE, memory.reader)
    try:
        for body, bits in ((b"first", 0), (b"second", BUSY), (b"third", 0)):
            memory.write(body, bits)
        memory.publish()
        assert reader.take(0) == [b"first"]

        os.pwrite(memory.fd, struct.pack("<I", len(b"second")), 2 * mmap.PAGESIZE + 16)
        assert reader.take_all() == [b"second", b"third"]
    finally:
        reader.close()
        memory.close()


def test_the_reader_says_when_it_sleeps():
    """Only then must the kernel wake it; soon after a record it looks by itself."""
    memory = Memory(0)
    reader = Ring(memory.fd, SIZE, memory.reader)
    waiter: Any = reader._epoll
    waiter.memory = memory
    try:
        assert reader.take(250) == []
        memory.write(b"record", 0)
        memory.publish()
        assert reader.take(250) == [b"record"]
        assert waiter.waits == [(0.25, True)]
        assert reader.take(250) == []
        assert reader.take(20) == []
        reader._read_ns -= 60_000_000
        assert reader.take(250) == []
        assert waiter.waits[1:] == [(0.05, True), (0.02, True), (0.25, True)]
        assert not memory.sleeps
    finally:
        reader.close()
        memory.close()


def test_patience_ends_where_rules_look():
    """Records may gather while all that are there are for the state alone, and few."""
    quiet, event, cut = record(RECORD_STATE_ONLY), record(4), record(RECORD_STATE_ONLY)[:9]
    for bodies, may_gather in (
        ([], True),
        ([(quiet, 0)], True),
        ([(quiet, 0), (event, DISCARDED), (quiet, 0)], True),
        ([(quiet, 0), (event, 0)], False),
        ([(quiet, 0), (quiet, BUSY)], False),
        ([(quiet, 0)] * 30, True),
        ([(quiet, 0)] * 65, False),
        ([(cut, 0)], False),
    ):
        memory = Memory(0, 16 * SIZE)
        reader = Ring(memory.fd, 16 * SIZE, memory.reader)
        waiter: Any = reader._epoll
        waiter.memory = memory
        try:
            for body, bits in bodies:
                assert memory.write(body, bits)
            memory.publish()
            reader._read_ns = time.monotonic_ns()
            reader.take(250, is_patient=True)
            assert waiter.waits[:1] == [(0.05, True)] * may_gather, bodies
        finally:
            reader.close()
            memory.close()


def test_nobody_sleeps_beside_a_record():
    """One that is still being written: its writer may have looked before the reader lay down."""
    memory = Memory(0)
    reader = Ring(memory.fd, SIZE, memory.reader)
    waiter: Any = reader._epoll
    try:
        memory.write(b"record", BUSY)
        memory.publish()
        assert reader.take(250) == []
        assert waiter.waits == []
        assert not memory.sleeps
    finally:
        reader.close()
        memory.close()


def test_who_sifts_chooses_among_the_records():
    """All of them are gone from the ring; one across the end of the memory is whole."""
    memory = Memory(SIZE - 40)
    reader = Ring(memory.fd, SIZE, memory.reader)
    bodies = [b"one", b"two" * 20, b"three"]
    try:
        for body in bodies:
            memory.write(body, 0)
        memory.publish()
        assert reader.take(0, sift=lambda _memory, spans: spans[1:2]) == [bodies[1]]
        assert memory.taken == memory.end
    finally:
        reader.close()
        memory.close()


def test_both_sides_agree_on_how_long_records_gather():
    """The time in bpf/maps.h is the reader's."""
    assert f"#define GATHER_NS {_GATHER_NS}ull" in (TEXT / "maps.h").read_text()
