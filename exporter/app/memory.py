"""Gives back to the machine what only the start needed.

Python's allocator and libc keep what was freed, and whatever was once read of a library (code,
constants, the tables of the linker) stays mapped in. That is dropped from this process only: it
stays in the kernel's page cache, and what is needed again comes back from there in microseconds.
"""

import ctypes
import re
from functools import cache
from pathlib import Path

_MADV_DONTNEED = 4
_M_ARENA_MAX, _ARENAS = -8, 2
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +/")
"""A mapping of a file that is only read or run, in /proc/self/smaps."""


@cache
def _libc() -> ctypes.CDLL:
    """One for all calls: each that is made brings a class of its own, in a reference cycle."""
    return ctypes.CDLL(None)


def share_arenas() -> None:
    """Have all threads allocate from two arenas: one each keeps 2 MiB more, and grows by reloads.

    The interpreter's lock lets one thread at a time do what needs memory. To call before there are
    threads. Source: mallopt(3).
    """
    libc = _libc()
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def give_back_memory() -> None:
    """Return freed heap, and of mapped files what is not in use. Failing to is no error."""
    trim_heap()
    libc = _libc()
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    try:
        smaps = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for start, end in clean_ranges(smaps):
        libc.madvise(start, end - start, _MADV_DONTNEED)


def trim_heap() -> None:
    """Return freed heap, wherever it lies: libc itself returns what is free at the end only."""
    libc = _libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def clean_ranges(smaps: str) -> list[tuple[int, int]]:
    """Address ranges that are only read or run, and the same as in their file.

    Not those that the linker has written to before it closed them, nor those in which a debugger
    or a uprobe has placed a breakpoint: their pages would be lost.
    """
    found: list[tuple[int, int]] = []
    current: tuple[int, int] | None = None
    for line in smaps.splitlines():
        if not line[0].isupper():
            head = _MAPPING.match(line)
            current = (int(head[1], 16), int(head[2], 16)) if head else None
        elif current and line.startswith(("Private_Dirty:", "Anonymous:")):
            if line.split()[1] != "0":
                current = None
            elif line.startswith("Anonymous:"):
                found.append(current)
    return found
