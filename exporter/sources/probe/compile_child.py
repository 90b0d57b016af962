"""Compile and load the probe in a short-lived process, and hand the descriptors to the parent.

Run by file name, not imported: LLVM (some 90 MiB) is mapped here and goes away with this process.
Nothing of the package is imported, so that the start costs little.

Protocol, over the socket on descriptor 0: the parent sends one message (u32 length, JSON with
`text`, `cflags`, `programs`, `maps`); the answer is JSON of the same form with `error`, or with
`ok` followed by the descriptors of the programs, then the maps, in the order asked for.
Clang's messages and the verifier's log go to stderr, which the parent records.
"""

import ctypes
import json
import os
import socket
import struct
import sys
from typing import Any

LIBRARY = "libbcc.so.0"
RAW_TRACEPOINT = 17
"""BPF_PROG_TYPE_RAW_TRACEPOINT."""

_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_NOBODY = 65534


def _library() -> ctypes.CDLL:
    lib = ctypes.CDLL(LIBRARY, use_errno=True)
    lib.bpf_module_create_c_from_string.restype = ctypes.c_void_p
    lib.bpf_module_create_c_from_string.argtypes = [
        ctypes.c_char_p,
        ctypes.c_uint,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_bool,
        ctypes.c_char_p,
    ]
    lib.bpf_function_start.restype = ctypes.c_void_p
    lib.bpf_function_start.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.bpf_function_size.restype = ctypes.c_size_t
    lib.bpf_function_size.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.bpf_table_fd.restype = ctypes.c_int
    lib.bpf_table_fd.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.bcc_func_load.restype = ctypes.c_int
    lib.bcc_func_load.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
        ctypes.c_char_p,
        ctypes.c_uint,
    ]
    return lib


def skip_kernel_symbols() -> None:
    """Become another effective user while keeping every capability.

    libbcc 0.26 reads all of /proc/kallsyms (0.2 s) to learn whether the kernel has
    bpf_probe_read_user, but only for effective user 0. We require 5.8, which has it, and do not
    use the name. Where the capability for this is missing, the compile is only slower.
    """
    libc = ctypes.CDLL(None)
    if os.geteuid() == 0 and not libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0):
        os.seteuid(_NOBODY)


def compile_and_load(request: dict[str, Any]) -> list[int]:
    """Descriptors of the programs, then of the maps. Raises RuntimeError naming what failed."""
    lib = _library()
    skip_kernel_symbols()
    flags = [flag.encode() for flag in request["cflags"]]
    array = (ctypes.c_char_p * len(flags))(*flags)
    module = lib.bpf_module_create_c_from_string(
        request["text"].encode(), 0, array, len(flags), True, None
    )
    if not module:
        raise RuntimeError("compile")
    fds = []
    for name in request["programs"]:
        start = lib.bpf_function_start(module, name.encode())
        if not start:
            raise RuntimeError(f"missing {name}")
        size = lib.bpf_function_size(module, name.encode())
        fd = lib.bcc_func_load(
            module, RAW_TRACEPOINT, name.encode(), start, size, b"GPL", 0, 0, None, 0, None, 0
        )
        if fd < 0:
            raise RuntimeError(f"load {ctypes.get_errno()} {name}")
        fds.append(fd)
    for name in request["maps"]:
        fd = lib.bpf_table_fd(module, name.encode())
        if fd < 0:
            raise RuntimeError(f"map {name}")
        fds.append(fd)
    return fds


def main() -> int:
    """Serve one request on descriptor 0."""
    channel = socket.socket(fileno=0)
    with channel.makefile("rb") as stream:
        (size,) = struct.unpack("<I", stream.read(4))
        request = json.loads(stream.read(size))
    answer: dict[str, int | str]
    try:
        fds = compile_and_load(request)
        answer = {"ok": len(fds)}
    except OSError as error:
        fds, answer = [], {"error": f"library {error}"}
    except RuntimeError as error:
        fds, answer = [], {"error": str(error)}
    body = json.dumps(answer).encode()
    socket.send_fds(channel, [struct.pack("<I", len(body)) + body], fds)
    return 0


if __name__ == "__main__":
    sys.stdout = sys.stderr
    sys.exit(main())
