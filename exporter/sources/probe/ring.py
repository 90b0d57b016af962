"""Reading the BPF ring buffer through its memory.

The kernel shows three parts of a ring map: a page with the reader's position, which we write; a
page with the writers' position; and the records, each behind a word with its length. libbpf maps
the records twice in a row, so that none is ever in two pieces; here they are mapped once, which
halves what counts as our memory, and the one record that lies across the end is put together.
Source: the kernel's documentation, "BPF ring buffer"; kernel/bpf/ringbuf.c.
"""

import mmap
import select
import threading
import time
from collections.abc import Callable

from exporter.errors import ProbeError
from exporter.sources.probe.record import FLAGS_AT, RECORD_STATE_ONLY

BATCH_RECORDS = 1024
"""Most records taken in one go; bounds memory and the time until the caller has its turn."""

_BUSY_RECORDS = 20
_BUSY_WINDOW_NS = 20_000_000
"""From a thousand records a second on, waking up for each costs more than reading them."""

_PAUSE_SECONDS = 0.004
"""How long records gather then: 250 wake-ups a second, and an alert is at most so much later."""

_GATHER_NS = 50_000_000
"""GATHER_NS of bpf/maps.h: how long records gather that no rule can match, until one comes that
rules look at."""

_IS_BEING_WRITTEN = 1 << 31
_IS_DISCARDED = 1 << 30
_LENGTH_MASK = _IS_DISCARDED - 1
_HEAD_BYTES = 8
_FEW = 64
_MS = 1000
_NS = 1_000_000_000


Sift = Callable[[mmap.mmap, list[slice]], list[slice]]
"""Which of the records that lie here are to be read; always one that ends beyond the memory, whose
rest is at the beginning."""


class _Pace:
    """Whether records come so fast that it pays to let them gather."""

    def __init__(self) -> None:
        self.is_busy = False
        self._was_busy = False
        self._since_ns = 0
        self._count = 0

    def note(self, count: int, now_ns: int) -> None:
        """So many records were taken now."""
        self._count += count
        took_ns = now_ns - self._since_ns
        is_many = self._count * _BUSY_WINDOW_NS > _BUSY_RECORDS * max(took_ns, _BUSY_WINDOW_NS)
        if took_ns >= _BUSY_WINDOW_NS:
            self._was_busy = is_many
            self._since_ns = now_ns
            self._count = 0
        # A full batch has others behind it: they have gathered already.
        self.is_busy = (is_many or self._was_busy) and count < BATCH_RECORDS


class Ring:
    """The one reader of a ring buffer.

    A record that rules look at is taken at once when it comes alone; while records come in crowds,
    the reader lets them gather for a few milliseconds. The kernel wakes nobody then, for nobody
    waits.

    size: bytes of the ring. reader_fd: map with the word that says whether we sleep (struct reader
    of bpf/maps.h). Raises ProbeError when it cannot be mapped.
    """

    def __init__(self, map_fd: int, size: int, reader_fd: int) -> None:
        page = mmap.PAGESIZE
        try:
            self._ours = mmap.mmap(map_fd, page)
            self._kernels = mmap.mmap(map_fd, page + size, prot=mmap.PROT_READ, offset=page)
            self._reader = mmap.mmap(reader_fd, page)
        except (OSError, ValueError) as error:
            raise ProbeError(f"cannot map the ring buffer: {error}", code="E_RING") from error
        self._mask = size - 1
        # Elements of a cast view are read and written by one instruction each.
        self._taken = memoryview(self._ours).cast("Q")
        self._given = memoryview(self._kernels)[:page].cast("Q")
        self._words = memoryview(self._kernels)[page:].cast("I")
        self._sleeps = memoryview(self._reader).cast("Q")
        self._read_ns = 0
        """When there was something last."""
        self._pace = _Pace()
        self._count = 0
        self._epoll = select.epoll()
        # A wake-up counts, not that there is something: that may be let gather.
        self._epoll.register(map_fd, select.EPOLLIN | select.EPOLLET)
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake_with(self, fd: int) -> None:
        """Stop waiting for records as soon as this descriptor is readable too."""
        self._epoll.register(fd, select.EPOLLIN)

    @property
    def positions(self) -> tuple[int, int]:
        """Bytes that were taken and given so far."""
        return self._taken[0], self._given[0]

    def skip(self) -> None:
        """Go on with the next record that is written; what waits is lost."""
        self._taken[0] = self._given[0]

    def take(
        self, timeout_ms: int, *, is_patient: bool = False, sift: Sift | None = None
    ) -> list[bytes]:
        """Records that are there now, or the first to come within the time; may be empty.

        At most BATCH_RECORDS; the others stay in the ring for the next call. is_patient: others may
        gather until one comes that rules look at. sift: chooses among them; those left out are
        gone.
        """
        if timeout_ms and is_patient:
            self._sleep(min(timeout_ms / _MS, _GATHER_NS / _NS), self._has_event)
        elif timeout_ms and self._pace.is_busy:
            time.sleep(_PAUSE_SECONDS)
        batch = self._read(sift)
        if timeout_ms and not self._count:
            self._sleep(timeout_ms / _MS, self._has_record)
            batch = self._read(sift)
        now_ns = time.monotonic_ns()
        if self._count:
            self._read_ns = now_ns
        self._pace.note(self._count, now_ns)
        return batch

    def _sleep(self, seconds: float, must_not: Callable[[], bool]) -> None:
        """Until the kernel wakes us, or for so long; not at all where there is a reason not to.

        Soon after a wake-up it wakes nobody for records that no rule can match (bpf/record.h): then
        we look by ourselves.
        """
        if time.monotonic_ns() - self._read_ns < _GATHER_NS:
            seconds = min(seconds, _GATHER_NS / _NS)
        self._sleeps[0] = 1
        # Who has put a record there now sees that word, or the record is seen here.
        self._fence()
        if not must_not():
            self._epoll.poll(seconds)
        self._sleeps[0] = 0

    def _has_record(self) -> bool:
        """Whether there is anything in the ring."""
        return self._taken[0] != self._given[0]

    def _has_event(self) -> bool:
        """Whether a record may be there that rules look at, or too many to look at each."""
        position, end = self._taken[0], self._given[0]
        for _ in range(_FEW):
            if position >= end:
                return False
            at = position & self._mask
            head = self._words[at >> 2]
            length = head & _LENGTH_MASK
            flags_at = at + _HEAD_BYTES + FLAGS_AT
            if head & _IS_BEING_WRITTEN:
                return True
            if not head & _IS_DISCARDED:
                if length < FLAGS_AT + 2 or flags_at > self._mask:
                    return True
                flags = self._words[flags_at >> 2] >> 8 * (flags_at & 2)
                if not flags & RECORD_STATE_ONLY:
                    return True
            position += _HEAD_BYTES + (length + 7 & ~7)
        return True

    def take_all(self) -> list[bytes]:
        """Everything that is in the ring now, in one list: for the end, when nothing is added."""
        records: list[bytes] = []
        while batch := self._read(None):
            records += batch
        return records

    def _read(self, sift: Sift | None) -> list[bytes]:
        """The finished records up to the first that is still being written; counts them all."""
        memory, words, mask = self._kernels, self._words, self._mask
        page, size = mmap.PAGESIZE, len(memory)
        position = self._taken[0]
        end = self._given[0]
        spans: list[slice] = []
        split: slice | None = None
        while position < end and len(spans) < BATCH_RECORDS:
            start = position & mask
            # The head never lies across the end: records are multiples of eight bytes.
            head = words[start >> 2]
            if head & _IS_BEING_WRITTEN:
                break
            length = head & _LENGTH_MASK
            if not head & _IS_DISCARDED:
                start += page + _HEAD_BYTES
                span = slice(start, start + length)
                if span.stop > size:
                    split = span
                spans.append(span)
            position += _HEAD_BYTES + (length + 7 & ~7)
        # One for all: only now are the records read whose heads say that they are finished.
        self._fence()
        self._count = len(spans)
        if sift is not None:
            spans = sift(memory, spans)
        batch = [memory[span] for span in spans]
        if split is not None:
            batch[spans.index(split)] += memory[page : page + split.stop - size]
        self._fence()
        self._taken[0] = position
        # The writers' position is looked at again only behind this: by epoll, or by the next call.
        self._fence()
        return batch

    def _fence(self) -> None:
        """Keep reads and writes of memory on both sides of this apart, as the lock does.

        x86 hardly needs it; aarch64 may read a record before the word that says it is finished.
        """
        self._lock.release()
        self._lock.acquire()

    def close(self) -> None:
        """Unmap the ring; it must not be used afterwards. May be called twice."""
        if self._epoll.closed:
            return
        self._epoll.close()
        for view in (self._taken, self._given, self._words, self._sleeps):
            view.release()
        self._ours.close()
        self._kernels.close()
        self._reader.close()
