"""Gives up the rights that are not needed for watching.

Rights belong to threads. The thread that opens the probe starts with those of the process, needs
them once and ends; the main thread gives its own up while that one is at work, and every later
thread and program inherits what is left.
Source: capabilities(7), capset(2), PR_SET_NO_NEW_PRIVS(2const).
"""

import ctypes
import os
import struct
from enum import IntEnum

_VERSION_3 = 0x20080522
_PR_SET_NO_NEW_PRIVS = 38


class Capability(IntEnum):
    """What stays, by its bit, with what it is for."""

    DAC_READ_SEARCH = 2
    """Reading executables, user names and cgroups of all processes; rules files of any owner."""
    NET_BIND_SERVICE = 10
    """Listening on a port below 1024."""
    SYS_PTRACE = 19
    """Reading /proc of all processes."""
    PERFMON = 38
    """Loading programs that read the kernel's memory: new filters when rules change."""
    BPF = 39
    """The same."""


KEPT = sum(1 << capability for capability in Capability)
"""Bits of all kept capabilities."""


def drop_privileges() -> None:
    """Keep only `KEPT` of the calling thread's capabilities, and gain none by running programs.

    Raises OSError when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("<Ii", _VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    if libc.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    low_effective, low_permitted, _, high_effective, high_permitted, _ = struct.unpack(
        "<6I", data.raw
    )
    effective = (high_effective << 32 | low_effective) & KEPT
    permitted = (high_permitted << 32 | low_permitted) & KEPT
    low, high = 0xFFFFFFFF, 32
    kept = struct.pack(
        "<6I", effective & low, permitted & low, 0, effective >> high, permitted >> high, 0
    )
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.capset(header, kept) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
