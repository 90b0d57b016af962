"""The few calls into libbpf.so.1 that the long-lived process makes: maps, attaching, the ring.

libbpf costs 0.3 MiB here; bcc itself is used only in the child that compiles.
"""

import ctypes
import errno
import os
from functools import cache

from exporter.errors import ProbeError

SAMPLE_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


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
    lib.bpf_raw_tracepoint_open.argtypes = [ctypes.c_char_p, ctypes.c_int]
    for name in ("bpf_map_update_elem",):
        getattr(lib, name).argtypes = [
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_uint64,
        ]
    lib.bpf_map_lookup_elem.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    lib.ring_buffer__new.restype = ctypes.c_void_p
    lib.ring_buffer__new.argtypes = [
        ctypes.c_int,
        SAMPLE_CALLBACK,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    lib.ring_buffer__poll.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lib.ring_buffer__consume.argtypes = [ctypes.c_void_p]
    lib.ring_buffer__epoll_fd.argtypes = [ctypes.c_void_p]
    lib.ring_buffer__free.argtypes = [ctypes.c_void_p]
    lib.ring_buffer__free.restype = None
    # libbpf prints its own diagnostics to stderr; errors reach the user through ProbeError.
    lib.libbpf_set_print(None)
    return lib


def attach(tracepoint: str, program_fd: int) -> int:
    """Attach a program to a raw tracepoint; the returned descriptor detaches it when closed."""
    fd = int(_libbpf().bpf_raw_tracepoint_open(tracepoint.encode(), program_fd))
    if fd < 0:
        number = -fd if fd != -1 else ctypes.get_errno()
        raise ProbeError(
            f"cannot attach to the tracepoint {tracepoint}: {os.strerror(number)}",
            code="E_ATTACH",
            hint="use a kernel built with CONFIG_BPF_EVENTS and CONFIG_FTRACE_SYSCALLS",
        )
    return fd


def update_map(fd: int, key: bytes, value: bytes) -> None:
    """Set one element of a map. Raises ProbeError."""
    if _libbpf().bpf_map_update_elem(fd, key, value, 0):
        raise ProbeError(
            f"cannot fill a kernel map: {os.strerror(ctypes.get_errno())}", code="E_MAP"
        )


def read_map(fd: int, key: bytes, size: int) -> bytes | None:
    """One element of a map, `size` bytes; None when there is none."""
    value = ctypes.create_string_buffer(size)
    if _libbpf().bpf_map_lookup_elem(fd, key, value):
        return None
    return value.raw


class Ring:
    """Consumer of a BPF ring buffer. `sink` gets the bytes of each record (its own copy)."""

    def __init__(self, map_fd: int) -> None:
        self._lib = _libbpf()
        self._batch: list[bytes] = []
        string_at, append = ctypes.string_at, self._batch.append

        def on_sample(_context: int, data: int, size: int) -> int:
            append(string_at(data, size))
            return 0

        self._callback = SAMPLE_CALLBACK(on_sample)  # must outlive the ring
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
        """Records that are there now, or the first ones to come within the time; may be empty."""
        result = int(self._lib.ring_buffer__poll(self._ring, timeout_ms))
        if result < 0 and result != -errno.EINTR:
            raise ProbeError(f"cannot read the ring buffer: {os.strerror(-result)}", code="E_RING")
        return self._swap()

    def take_all(self) -> list[bytes]:
        """Everything in the ring, without asking whether there is anything."""
        self._lib.ring_buffer__consume(self._ring)
        return self._swap()

    def _swap(self) -> list[bytes]:
        batch = self._batch.copy()
        self._batch.clear()
        return batch

    def close(self) -> None:
        """Unmap the ring. It must not be used afterwards."""
        if self._ring:
            self._lib.ring_buffer__free(self._ring)
            self._ring = None
