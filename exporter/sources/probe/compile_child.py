"""Compile one piece of the probe in a short-lived process without privileges.

Run by file name, not imported: LLVM (some 90 MiB) is mapped here and goes away with this process.
Nothing of the package is imported, so that the start costs little. The process gives up root
before it touches libbcc: it makes no maps and loads nothing, it only turns text into instructions.
(That also spares 0.2 s: libbcc 0.26 run by root reads all of /proc/kallsyms to learn whether the
kernel has bpf_probe_read_user, a name that the probe does not use.)

Protocol, over the socket on descriptor 0: the parent sends u32 length and JSON (`text`, `cflags`);
the answer is u32 length and JSON, either {"error": ...} or {"programs": [[name, bytes], ...]}
followed by the instructions of the programs back to back. Clang's messages go to stderr, which the
parent records.
"""

import contextlib
import ctypes
import json
import os
import socket
import struct
import sys
from typing import Any

LIBRARY = "libbcc.so.0"
_NOBODY = 65534
_CAPABILITY_VERSION_3 = 0x20080522


def _library() -> ctypes.CDLL:
    lib = ctypes.CDLL(LIBRARY)
    text, module = ctypes.c_char_p, ctypes.c_void_p
    lib.bpf_module_create_c_from_string.restype = module
    lib.bpf_module_create_c_from_string.argtypes = [
        text, ctypes.c_uint, ctypes.POINTER(text), ctypes.c_int, ctypes.c_bool, text,
    ]  # fmt: skip
    lib.bpf_num_functions.restype = ctypes.c_size_t
    lib.bpf_num_functions.argtypes = [module]
    lib.bpf_function_name.restype = text
    lib.bpf_function_name.argtypes = [module, ctypes.c_size_t]
    lib.bpf_function_start.restype = ctypes.c_void_p
    lib.bpf_function_start.argtypes = [module, text]
    lib.bpf_function_size.restype = ctypes.c_size_t
    lib.bpf_function_size.argtypes = [module, text]
    return lib


def drop_privileges() -> None:
    """Become nobody for good, where we are root; without capabilities in any case.

    A root that may not change its identity (no CAP_SETUID, as in a least-privileged container)
    stays root by name.
    """
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    # capset(2): version 3 takes two triples of effective, permitted and inheritable bits.
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "cannot drop capabilities")


def compile_text(lib: ctypes.CDLL, request: dict[str, Any]) -> dict[str, bytes] | None:
    """Instructions by program name; None when clang refused the text."""
    flags = [flag.encode() for flag in request["cflags"]]
    array = (ctypes.c_char_p * len(flags))(*flags)
    module = lib.bpf_module_create_c_from_string(
        request["text"].encode(), 0, array, len(flags), False, None
    )
    if not module:
        return None
    programs = {}
    for index in range(lib.bpf_num_functions(module)):
        name = lib.bpf_function_name(module, index)
        start = lib.bpf_function_start(module, name)
        programs[name.decode()] = ctypes.string_at(start, lib.bpf_function_size(module, name))
    return programs


def main() -> int:
    """Serve one request on descriptor 0."""
    channel = socket.socket(fileno=0)
    answer: dict[str, Any] = {}
    programs: dict[str, bytes] | None = {}
    drop_privileges()
    try:
        lib = _library()
    except OSError as error:
        lib, answer = None, {"error": f"library {error}"}
    with channel.makefile("rb") as stream:
        (size,) = struct.unpack("<I", stream.read(4))
        request = json.loads(stream.read(size))
    if lib is not None:
        programs = compile_text(lib, request)
        if programs is None:
            answer = {"error": "compile"}
        else:
            answer = {"programs": [[name, len(code)] for name, code in programs.items()]}
    body = json.dumps(answer).encode()
    channel.sendall(struct.pack("<I", len(body)) + body + b"".join((programs or {}).values()))
    channel.close()
    sys.stderr.flush()
    # Leaving through the interpreter would run LLVM's destructors for nothing.
    os._exit(0)


if __name__ == "__main__":
    main()
