"""The bpf(2) system call: maps, programs, attaching.

Called directly, as its attributes are the kernel's stable interface; bcc is used only in the child
that compiles. Source: bpf(2), include/uapi/linux/bpf.h.
"""

import ctypes
import errno
import os
import platform
import re
import resource
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from exporter.errors import ProbeError

MIN_RELEASE = (5, 8)
_BPF_NUMBERS = {"x86_64": 321, "aarch64": 280}

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE = 0, 1, 2, 3
_PROG_LOAD, _OBJ_GET_INFO, _RAW_TRACEPOINT_OPEN = 5, 15, 17

HASH, ARRAY, PROG_ARRAY, PERCPU_ARRAY, RINGBUF = 1, 2, 3, 6, 27
"""Map types."""

_RAW_TRACEPOINT = 17
_TRACING, _TRACE_RAW_TP, _TRACE_FENTRY = 26, 23, 24
_LOG_BYTES = 16 << 20
_INSTRUCTION_BYTES = 8
_LOAD_MAP = (0x18, 1)
"""Opcode of a 64-bit immediate load, and the source "register" that says it is a map."""


class RefusedError(ProbeError):
    """The kernel's verifier refused a program. log: what it said."""

    def __init__(self, message: str, *, code: str, hint: str, log: str) -> None:
        super().__init__(message, code=code, hint=hint)
        self.log = log

    @property
    def finding(self) -> str:
        """The verifier's own sentence: the last line in front of its statistics."""
        lines = [line for line in self.log.splitlines() if not line.startswith("processed ")]
        return lines[-1] if lines else ""


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _bpf(command: int, attributes: bytes) -> int:
    """The call's result, or a negative errno."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = ctypes.c_long(_BPF_NUMBERS[platform.machine()])
    result = int(
        _libc().syscall(number, ctypes.c_int(command), buffer, ctypes.c_uint(len(attributes)))
    )
    return -ctypes.get_errno() if result < 0 else result


def check_release(release: str) -> None:
    """Raises ProbeError for kernels without the BPF ring buffer."""
    match = re.match(r"(\d+)\.(\d+)", release)
    if match and (int(match[1]), int(match[2])) < MIN_RELEASE:
        raise ProbeError(
            f"the kernel {release} is too old for the probe",
            code="E_KERNEL",
            hint="use Linux 5.8 or newer",
        )


def missing_privileges() -> ProbeError:
    """The error for a process that may not load programs."""
    return ProbeError(
        "no permission to load the probe into the kernel",
        code="E_PRIVILEGES",
        hint="run as root, or grant CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
        " (CAP_SYS_ADMIN and CAP_SYS_RESOURCE on kernels before 5.11)",
    )


def _check(result: int, what: str) -> int:
    if result >= 0:
        return result
    if result == -errno.EPERM:
        raise missing_privileges()
    raise ProbeError(f"cannot {what}: {os.strerror(-result)}", code="E_BPF")


def lift_memory_limit() -> None:
    """Before 5.11 maps count as locked memory, of which little is allowed by default."""
    try:
        resource.setrlimit(
            resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
    except (ValueError, OSError):
        return  # newer kernels do not need it; on older ones creating the maps will tell


class MapShape(NamedTuple):
    """What a map is made of: its type, bytes of keys and values, entries, and BPF_F_* flags."""

    kind: int
    key_bytes: int
    value_bytes: int
    entries: int
    flags: int = 0


def create_map(name: str, shape: MapShape) -> int:
    """Descriptor of a new map. Raises ProbeError."""
    attributes = struct.pack("<IIIIIII16s", *shape, 0, 0, name.encode()[:15])
    return _check(_bpf(_MAP_CREATE, attributes), f"create the kernel map {name}")


def update_map(fd: int, key: bytes, value: bytes) -> None:
    """Set one element. Raises ProbeError."""
    keys, values = ctypes.create_string_buffer(key), ctypes.create_string_buffer(value)
    attributes = struct.pack("<IxxxxQQQ", fd, ctypes.addressof(keys), ctypes.addressof(values), 0)
    _check(_bpf(_MAP_UPDATE, attributes), "fill a kernel map")


def delete_element(fd: int, key: bytes) -> None:
    """Remove one element, if it is there. Raises ProbeError."""
    keys = ctypes.create_string_buffer(key)
    attributes = struct.pack("<IxxxxQQQ", fd, ctypes.addressof(keys), 0, 0)
    result = _bpf(_MAP_DELETE, attributes)
    if result != -errno.ENOENT:
        _check(result, "clear a kernel map")


def read_map(fd: int, key: bytes, size: int) -> bytes:
    """One element, `size` bytes (of all CPUs together for per-CPU maps). Raises ProbeError."""
    keys, values = ctypes.create_string_buffer(key), ctypes.create_string_buffer(size)
    attributes = struct.pack("<IxxxxQQQ", fd, ctypes.addressof(keys), ctypes.addressof(values), 0)
    _check(_bpf(_MAP_LOOKUP, attributes), "read a kernel map")
    return values.raw


def place(code: bytes, maps: Mapping[int, int], constants: Mapping[int, int]) -> bytes:
    """The instructions with the numbers of bpf/maps.h replaced by descriptors and constants.

    maps: number -> descriptor. constants: number -> 64-bit value.
    """
    patched = bytearray(code)
    for at in range(0, len(code), _INSTRUCTION_BYTES):
        if (code[at], code[at + 1] >> 4) != _LOAD_MAP:
            continue
        (number,) = struct.unpack_from("<i", code, at + 4)
        if number in maps:
            struct.pack_into("<i", patched, at + 4, maps[number])
        else:
            # A plain 64-bit load: no source kind, the value's halves in the two instructions.
            value = constants[number]
            patched[at + 1] &= 0x0F
            struct.pack_into("<I", patched, at + 4, value & 0xFFFFFFFF)
            struct.pack_into("<I", patched, at + 12, value >> 32)
    return bytes(patched)


def load_program(name: str, code: bytes, typed_for: int = 0, *, is_function: bool = False) -> int:
    """Descriptor of a verified raw tracepoint program.

    typed_for: BTF id of the tracepoint's typedef, for a program whose context holds typed
    pointers; such programs call only each other. is_function: it is the id of a function, whose
    entry the program is for. Raises RefusedError with the verifier's log, or
    ProbeError without privileges.
    """
    kind = 0 if not typed_for else _TRACE_FENTRY if is_function else _TRACE_RAW_TP
    result = _load(name, code, b"", typed_for, kind)
    if result == -errno.EPERM:
        raise missing_privileges()
    if result >= 0:
        return result
    log = ctypes.create_string_buffer(_LOG_BYTES)
    _load(name, code, log, typed_for, kind)
    text = log.value.decode(errors="replace")
    last = "\n".join(text.strip().splitlines()[-4:])
    raise RefusedError(
        f"the kernel refused the program {name}: {os.strerror(-result)}",
        code="E_VERIFIER",
        hint=f"please report this kernel version with the lines below\n{last}",
        log=text,
    )


def _load(
    name: str, code: bytes, log: "ctypes.Array[ctypes.c_char] | bytes", typed_for: int, kind: int
) -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    license_text = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "<IIQQIIQII16sII36xI",
        _TRACING if typed_for else _RAW_TRACEPOINT,
        len(code) // _INSTRUCTION_BYTES,
        ctypes.addressof(instructions),
        ctypes.addressof(license_text),
        1 if log else 0,
        len(log),
        0 if isinstance(log, bytes) else ctypes.addressof(log),
        0,
        0,
        name.encode()[:15],
        0,
        kind,
        typed_for,
    )
    return _bpf(_PROG_LOAD, attributes)


def read_missed_runs(program_fd: int) -> int:
    """How often the kernel skipped the program because it was running on that CPU already.

    0 on kernels that do not tell (before 5.12).
    """
    for line in Path(f"/proc/self/fdinfo/{program_fd}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "recursion_misses":
            return int(value)
    return 0


def attach(tracepoint: str, program_fd: int, *, is_typed: bool = False) -> int:
    """Attach a program to a raw tracepoint; the returned descriptor detaches it when closed.

    is_typed: the program knows its tracepoint itself.
    """
    name = ctypes.create_string_buffer(tracepoint.encode())
    address = 0 if is_typed else ctypes.addressof(name)
    result = _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("<QIxxxx", address, program_fd))
    return _check(result, f"attach to the tracepoint {tracepoint}")


def _object_info(fd: int, size: int) -> bytes | None:
    """The first bytes of what the kernel tells of an object; None when it is none."""
    info = ctypes.create_string_buffer(size)
    result = _bpf(_OBJ_GET_INFO, struct.pack("<IIQ", fd, size, ctypes.addressof(info)))
    return None if result < 0 else info.raw


def is_attached(link_fd: int, program_fd: int) -> bool:
    """Whether the link is still there, and one of this program."""
    # struct bpf_link_info: type, id, program's id; struct bpf_prog_info: type, id.
    link, program = _object_info(link_fd, 12), _object_info(program_fd, 8)
    if link is None or program is None:
        return False
    return struct.unpack_from("<I", link, 8) == struct.unpack_from("<I", program, 4)
