"""The byte stream under a capture: windows, pipes, bounded waits."""

import errno
import gzip
import os
import time
from io import BytesIO

import pytest

from exporter.events.host import Host
from exporter.sources.capture.input import CHUNK_BYTES, Input
from exporter.sources.capture.source import CaptureSource
from tests.captures.writer import Capture


class Trickle(BytesIO):
    """A stream that gives one byte at a time."""

    def read1(self, _size: int | None = -1, /) -> bytes:
        """One byte."""
        return self.read(1)


class Broken(BytesIO):
    """A stream on a disk that fails behind the first block."""

    def read1(self, _size: int | None = -1, /) -> bytes:
        """The whole, then an error."""
        data = self.read()
        if not data:
            raise OSError(errno.EIO, "Input/output error")
        return data


def busy(events: int) -> Capture:
    """A capture of some reads."""
    capture = Capture()
    for number in range(events):
        capture.event("PPME_SYSCALL_READ_X", 5, res=number, fd=3, data=b"x" * (number % 50))
    return capture


def source_of(stream) -> CaptureSource:
    """A source whose events nobody takes in."""
    return CaptureSource(stream, Host(), name="x", on_imported=lambda: None, on_reset=lambda: None)


@pytest.mark.parametrize("packed", [False, True])
def test_a_stream_may_come_byte_by_byte(*, packed: bool) -> None:
    """Blocks, and the magic of gzip, may be cut anywhere by the reads."""
    source = source_of(Trickle(busy(40).data(packed=packed)))
    source.open()
    found = []
    while not source.is_ended:
        found += [event.param(0) for event in source.poll(0)]
    assert found == list(range(40))
    assert source.error is None


def test_a_window_is_bounded_and_moves() -> None:
    """What was taken is dropped when the window grows."""
    data = bytes(range(256)) * (5 * CHUNK_BYTES // 256)
    source = Input(BytesIO(data))
    assert source.take(10) == data[:10]
    assert source.skip(4 * CHUNK_BYTES) == 4 * CHUNK_BYTES
    assert source.offset == 10 + 4 * CHUNK_BYTES
    assert len(source.buffer) <= 2 * CHUNK_BYTES
    assert source.take(100) == data[source.offset - 100 : source.offset]
    assert source.skip(1 << 40) == len(data) - 4 * CHUNK_BYTES - 110
    assert (source.take(5), source.available(1), source.bytes_read) == (b"", 0, len(data))


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_waited_for_only_as_long_as_asked(*, packed: bool) -> None:
    """A pipe that gives nothing gives no events and is not at its end."""
    first, second = busy(3).data(), busy(2).data()[28:]
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as sink:
        sink.write(gzip.compress(first) if packed else first)
        source = source_of(stream)
        source.open()
        deadline = time.monotonic_ns() + 20_000_000
        found = list(source.poll(deadline))
        found += list(source.poll(deadline))
        assert (len(found), source.is_ended) == (3, False)
        sink.write(gzip.compress(second) if packed else second)
        while len(found) < 5:
            found += source.poll(time.monotonic_ns() + 50_000_000)
        assert not source.is_ended
        sink.close()
        while not source.is_ended:
            found += source.poll(time.monotonic_ns() + 50_000_000)
    assert (len(found), source.error) == (5, None)


def test_what_was_not_taken_comes_with_the_next_poll() -> None:
    """An iterator may be left in the middle; no event is lost and none comes twice."""
    source = source_of(BytesIO(busy(30).data()))
    source.open()
    found = []
    while not source.is_ended:
        for event in source.poll(0):
            found.append(event.num)
            if len(found) % 7 == 0:
                break
    assert found == list(range(1, 31))


def test_a_closed_source_gives_nothing() -> None:
    """close ends it at once, and may be called twice."""
    source = source_of(BytesIO(busy(30).data()))
    source.open()
    source.close()
    source.close()
    assert source.is_ended
    assert list(source.poll(0)) == []
    assert list(source.drain()) == []


def test_a_stream_that_fails_is_damage_of_the_capture() -> None:
    """What was read is given; then the capture's error says why there is no more."""
    source = source_of(Broken(busy(7).data()))
    source.open()
    given = 0
    while not source.is_ended:
        given += len(list(source.poll(time.monotonic_ns())))

    assert given == 7
    assert "it cannot be read on: Input/output error" in str(source.error)
