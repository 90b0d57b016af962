"""Input: the byte stream of a capture, plain or gzip, with a small window on it.

Takes any binary stream (file, pipe, standard input) and gives bytes in order. Memory holds one
window of about a mebibyte, whatever the stream says of its own size and however well it was packed.
Source: spec/scap-format.md section 1.
"""

import select
import stat
import zlib
from contextlib import suppress
from os import fstat
from typing import BinaryIO

CHUNK_BYTES = 1 << 20
"""How much is read, or unpacked, at once."""

_PACKED_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31


class Input:
    """The unpacked stream. `buffer[position:]` is what was read and not yet taken.

    base: offset of buffer[0] in the unpacked stream. bytes_read: bytes taken from the given stream
    (packed ones), for progress. damage: why the stream ended before its end; "" for a clean end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.buffer = b""
        self.position = 0
        self.base = 0
        self.bytes_read = 0
        self.damage = ""
        self._stream = stream
        self._poll = _poll_of(stream)
        self._is_started = False
        self._is_done = False
        self._packed = b""
        self._inflater: zlib._Decompress | None = None

    @property
    def offset(self) -> int:
        """Offset of the next byte in the unpacked stream."""
        return self.base + self.position

    def grow(self, wait_ms: int | None = None) -> bool:
        """Append a chunk and drop what was taken; False at the end of the stream.

        wait_ms: longest wait for a pipe that has nothing yet (then nothing is appended and the
        result is True); None waits until something comes.
        """
        if self._is_done:
            return False
        if wait_ms is not None and self._must_wait() and not self._is_readable(wait_ms):
            return True
        data = self._next()
        if not data:
            self._is_done = True
            return False
        self.buffer = self.buffer[self.position :] + data
        self.base += self.position
        self.position = 0
        return True

    def available(self, wanted: int) -> int:
        """Bytes that can be taken, after reading on until there are `wanted` or the end."""
        while len(self.buffer) - self.position < wanted and self.grow():
            pass
        return len(self.buffer) - self.position

    def take(self, size: int) -> bytes:
        """The next bytes; fewer than `size` only at the end of the stream."""
        start = self.position
        if len(self.buffer) - start < size:
            self.available(size)
            start = self.position
        data = self.buffer[start : start + size]
        self.position = start + len(data)
        return data

    def skip(self, size: int) -> int:
        """Pass over bytes without keeping them; how many there were."""
        left = size
        while left:
            step = min(left, len(self.buffer) - self.position)
            self.position += step
            left -= step
            if left and not self.grow():
                break
        return size - left

    def close(self) -> None:
        """Nothing more is read; the given stream stays its owner's."""
        self._is_done = True
        self.buffer = b""
        self.position = 0

    def _must_wait(self) -> bool:
        # The first read may find bytes that a buffered stream holds already; poll knows nothing of
        # those. Every later read is larger than such a buffer and leaves nothing in it.
        return self._poll is not None and self._is_started and not self._packed

    def _is_readable(self, wait_ms: int) -> bool:
        assert self._poll is not None
        return bool(self._poll.poll(wait_ms))

    def _read(self, size: int) -> bytes:
        read = getattr(self._stream, "read1", self._stream.read)
        try:
            data: bytes = read(size)
        except OSError as error:
            self.damage = f"it cannot be read on: {error.strerror}"
            return b""
        self.bytes_read += len(data)
        return data

    def _next(self) -> bytes:
        if self.damage:
            return b""
        if self._is_started:
            return self._read(CHUNK_BYTES) if self._inflater is None else self._unpack()
        self._is_started = True
        data = self._read(CHUNK_BYTES)
        while len(data) < len(_GZIP_MAGIC):
            more = self._read(CHUNK_BYTES)
            if not more:
                return data
            data += more
        if not data.startswith(_GZIP_MAGIC):
            return data
        self._packed = data
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        return self._unpack()

    def _unpack(self) -> bytes:
        """The next unpacked bytes, at most a chunk of them; empty at the end."""
        while True:
            inflater = self._inflater
            assert inflater is not None
            if inflater.eof:
                if not self._has_next_member():
                    return b""
                continue
            packed = self._packed or self._read(_PACKED_BYTES)
            if not packed:
                self.damage = "the gzip stream ends early"
                return inflater.flush()
            before = inflater.copy()
            try:
                data = inflater.decompress(packed, CHUNK_BYTES)
            except zlib.error as error:
                self.damage = f"the gzip stream is damaged ({error})"
                return _salvage(before, packed)
            # At most one of them holds anything.
            self._packed = inflater.unconsumed_tail or inflater.unused_data
            if data:
                return data

    def _has_next_member(self) -> bool:
        """Go on with the next gzip member, if one follows; anything else behind is ignored."""
        while len(self._packed) < len(_GZIP_MAGIC):
            more = self._read(_PACKED_BYTES)
            if not more:
                return False
            self._packed += more
        if not self._packed.startswith(_GZIP_MAGIC):
            return False
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        return True


def _salvage(inflater: "zlib._Decompress", packed: bytes) -> bytes:
    """What can be unpacked of a chunk before the damage in it."""
    found = bytearray()
    with suppress(zlib.error):
        for at in range(len(packed)):
            found += inflater.decompress(packed[at : at + 1], CHUNK_BYTES)
    return bytes(found)


def _poll_of(stream: BinaryIO) -> "select.poll | None":
    """A poll object for a stream that may make its reader wait (pipe, socket, terminal)."""
    try:
        number = stream.fileno()
        mode = fstat(number).st_mode
    except (OSError, AttributeError):
        return None
    if stat.S_ISREG(mode):
        return None
    poll = select.poll()
    poll.register(number, select.POLLIN | select.POLLHUP)
    return poll
