"""Reading the BPF ring buffer, through libbpf.so.1 (0.3 MiB in the long-lived process)."""

import ctypes
import errno
import os
import time
from functools import cache

from exporter.errors import ProbeError

_SAMPLE_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


BATCH_RECORDS = 1024
"""Most records taken in one go; bounds memory and the time until the caller has its turn."""

_BATCH_IS_FULL = -errno.ENOBUFS

_BUSY_RECORDS = 20
_BUSY_WINDOW_NS = 20_000_000
"""From a thousand records a second on, waking up for each costs more than reading them."""

_PAUSE_SECONDS = 0.004
"""How long records gather then: 250 wake-ups a second, and an alert is at most so much later."""


@cache
def _libbpf() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise ProbeError(
            f"libbpf cannot be loaded: {error}",
            code="E_LIBBPF",
            hint="install it: apt install libbpf1",
        ) from error
    ring = ctypes.c_void_p
    lib.ring_buffer__new.restype = ring
    lib.ring_buffer__new.argtypes = [
        ctypes.c_int, _SAMPLE_CALLBACK, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    lib.ring_buffer__poll.argtypes = [ring, ctypes.c_int]
    lib.ring_buffer__consume.argtypes = [ring]
    lib.ring_buffer__epoll_fd.argtypes = [ring]
    lib.ring_buffer__free.argtypes = [ring]
    lib.ring_buffer__free.restype = None
    # libbpf prints diagnostics of its own to stderr; errors reach the user through ProbeError.
    lib.libbpf_set_print.argtypes = [ctypes.c_void_p]
    lib.libbpf_set_print(None)
    return lib


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
    """Consumer of one ring buffer. callback_errors: records lost in the callback.

    A record that comes alone is taken at once; while they come in crowds, the reader lets them
    gather for a few milliseconds. The kernel wakes nobody then, for nobody waits.
    """

    def __init__(self, map_fd: int) -> None:
        self._pace = _Pace()
        self._lib = _libbpf()
        self._batch: list[bytes] = []
        self.callback_errors = 0
        string_at = ctypes.string_at

        def on_sample(_context: int, data: int, size: int) -> int:
            # ctypes prints what a callback raises and goes on: count it instead.
            try:
                self._batch.append(string_at(data, size))
            except Exception:  # noqa: BLE001
                self.callback_errors += 1
            # libbpf reads on for as long as producers keep the ring filled; a negative answer
            # makes it return, with this record taken.
            return 0 if len(self._batch) < BATCH_RECORDS else _BATCH_IS_FULL

        self._callback = _SAMPLE_CALLBACK(on_sample)  # must outlive the ring
        self._ring = self._lib.ring_buffer__new(map_fd, self._callback, None, None)
        if not self._ring:
            raise ProbeError(
                f"cannot map the ring buffer: {os.strerror(ctypes.get_errno())}", code="E_RING"
            )

    @property
    def fd(self) -> int:
        """Descriptor that becomes readable when records arrive."""
        return int(self._lib.ring_buffer__epoll_fd(self._ring))

    def take(self, timeout_ms: int) -> list[bytes]:
        """Records that are there now, or the first to come within the time; may be empty.

        At most BATCH_RECORDS; the others stay in the ring for the next call.
        """
        if timeout_ms and self._pace.is_busy:
            time.sleep(_PAUSE_SECONDS)
        result = int(self._lib.ring_buffer__poll(self._ring, timeout_ms))
        if result < 0 and result not in (-errno.EINTR, _BATCH_IS_FULL):
            raise ProbeError(f"cannot read the ring buffer: {os.strerror(-result)}", code="E_RING")
        batch = self._swap()
        self._pace.note(len(batch), time.monotonic_ns())
        return batch

    def take_all(self) -> list[bytes]:
        """Everything that is in the ring now, in one list: for the end, when nothing is added."""
        records: list[bytes] = []
        while True:
            result = int(self._lib.ring_buffer__consume(self._ring))
            records += self._swap()
            if result != _BATCH_IS_FULL:
                return records

    def _swap(self) -> list[bytes]:
        batch, self._batch = self._batch, []
        return batch

    def close(self) -> None:
        """Unmap the ring; it must not be used afterwards. May be called twice."""
        if self._ring:
            self._lib.ring_buffer__free(self._ring)
            self._ring = None
