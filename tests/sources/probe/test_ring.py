"""Reading the ring's memory: every finished record once, in order, wherever it lies."""

import mmap
import os
import select
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.probe.ring import Ring

SIZE = mmap.PAGESIZE
BUSY, DISCARDED = 1 << 31, 1 << 30
BODIES = st.lists(
    st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from((0, 0, 0, DISCARDED))),
    max_size=30,
)


class NoEpoll:
    """In place of epoll, which takes no file."""

    closed = False

    def register(self, *_args: object) -> None:
        """Nobody waits here."""

    def close(self) -> None:
        """Nothing to close."""
        self.closed = True


class Memory:
    """A ring in a file, written as the kernel writes one.

    position: where the reader and the writers stand at the start.
    """

    def __init__(self, position: int) -> None:
        self.fd = os.memfd_create("ring")
        os.truncate(self.fd, 2 * mmap.PAGESIZE + SIZE)
        os.pwrite(self.fd, struct.pack("<Q", position), 0)
        self.end = position
        self.publish()

    def publish(self) -> None:
        """Let the reader see what was written."""
        os.pwrite(self.fd, struct.pack("<Q", self.end), mmap.PAGESIZE)

    def write(self, body: bytes, bits: int) -> bool:
        """One record, if there is room in front of the reader."""
        size = 8 + (len(body) + 7 & ~7)
        if self.end + size - self.taken > SIZE:
            return False
        for at, byte in enumerate(struct.pack("<II", len(body) | bits, 0) + body):
            os.pwrite(self.fd, bytes([byte]), 2 * mmap.PAGESIZE + (self.end + at) % SIZE)
        self.end += size
        return True

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
    reader = Ring(memory.fd, SIZE)
    try:
        for bodies in rounds:
            kept = [body for body, bits in bodies if memory.write(body, bits) and not bits]
            memory.publish()

            assert reader.take(0) == kept
            assert memory.taken == memory.end
    finally:
        reader.close()
        os.close(memory.fd)


def test_a_record_that_is_being_written_holds_up_those_behind():
    """It and what follows are read when it is finished."""
    memory = Memory(0)
    reader = Ring(memory.fd, SIZE)
    try:
        for body, bits in ((b"first", 0), (b"second", BUSY), (b"third", 0)):
            memory.write(body, bits)
        memory.publish()
        assert reader.take(0) == [b"first"]

        os.pwrite(memory.fd, struct.pack("<I", len(b"second")), 2 * mmap.PAGESIZE + 16)
        assert reader.take_all() == [b"second", b"third"]
    finally:
        reader.close()
        os.close(memory.fd)
