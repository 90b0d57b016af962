"""Only what is as in its file is given back; threads share what they allocate from."""

import gc
import subprocess
import sys

import pytest

from exporter.alerts.maker import AlertOptions
from exporter.app.memory import clean_ranges, give_back_memory, trim_heap
from exporter.app.reported_calls import calls_for
from exporter.app.rule_files import load_active
from exporter.pushdown.analysis import analyse, analyse_hooks
from exporter.pushdown.emit import emit_filter
from exporter.pushdown.emit_hook import Asked, emit_hook_filter
from exporter.rules.loader import RuleOptions
from exporter.sources.probe.syscalls import native_numbers
from tests.pushdown.test_emit import TARGETS

TARGET = TARGETS[0]

SMAPS = """\
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/clean
Rss:                 300 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/clean
Private_Dirty:         0 kB
Anonymous:             0 kB
00652000-00653000 r--p 00052000 08:02 173521      /usr/bin/relocated, then closed
Private_Dirty:         4 kB
Anonymous:             4 kB
00653000-00654000 r--s 00053000 08:02 173521      /usr/bin/shared
Private_Dirty:         0 kB
Anonymous:             0 kB
00654000-00655000 rw-p 00054000 08:02 173521      /usr/bin/not written yet
Private_Dirty:         0 kB
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 08:02 9   /usr/lib/with a breakpoint.so
Private_Dirty:         4 kB
Anonymous:             4 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0
Private_Dirty:         0 kB
Anonymous:             0 kB
7fff00000000-7fff00002000 r-xp 00000000 00:00 0   [vdso]
Private_Dirty:         0 kB
Anonymous:             0 kB
7f0000004000-7f0000005000 rwxp 00000000 08:02 9   /usr/lib/writable.so
Private_Dirty:         0 kB
Anonymous:             0 kB
7f0000006000-7f0000008000 r-xp 00001000 08:02 9   /usr/lib/last.so
Private_Dirty:         0 kB
Anonymous:             0 kB
"""


def test_only_clean_ranges_of_files():
    """Code and constants; nothing that can be written to, that was, or that has no file."""
    assert clean_ranges(SMAPS) == [
        (0x400000, 0x452000),
        (0x651000, 0x652000),
        (0x7F0000006000, 0x7F0000008000),
    ]
    assert clean_ranges("") == []


def test_giving_back_breaks_nothing():
    """What is needed again is there again."""
    give_back_memory()

    assert sum(range(1000)) == 499_500


def test_giving_back_leaves_nothing_behind():
    """It is done every few minutes: no reference cycles, which stay for long."""
    give_back_memory()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            trim_heap()
            give_back_memory()
        left = gc.collect()
    finally:
        gc.enable()

    assert left == 0


def rules_for_the_kernel() -> None:
    """All of a reload that is our own code: rules, their functions, their filters."""
    rules = load_active([], RuleOptions(), AlertOptions(hostname="h"), is_base64=False).ruleset
    calls = calls_for(rules) & native_numbers(TARGET.machine).keys()
    for one in analyse(rules, sorted(calls)).values():
        emit_filter(one, TARGET)
    for one in analyse_hooks(rules).values():
        emit_hook_filter(one, Asked.of(one.predicate), [])


def test_a_reload_leaves_nothing_behind():
    """Everything that it makes goes with its last name: what is in cycles stays for reloads."""
    rules_for_the_kernel()
    gc.collect()
    gc.disable()
    try:
        rules_for_the_kernel()
        left = gc.collect()
    finally:
        gc.enable()

    assert left == 0


_SETTLED = """
import asyncio, gc
from exporter.app.compose import settle_interpreter
settle_interpreter()

class Cycle:
    alive = 0
    def __init__(self):
        self.me = self
        Cycle.alive += 1
    def __del__(self):
        Cycle.alive -= 1

most = 0
for _ in range(100_000):
    Cycle()
    most = max(most, Cycle.alive)
print(most)
"""


def test_cycles_go_soon():
    """What connections leave behind in reference cycles is collected long before it is much."""
    done = subprocess.run(
        [sys.executable, "-c", _SETTLED], check=True, capture_output=True, text=True
    )

    assert int(done.stdout) <= 20_000


_ARENAS = """
import ctypes, threading
from exporter.app.memory import share_arenas
if {shared}:
    share_arenas()
barrier = threading.Barrier(6)
def work():
    barrier.wait()
    kept = [bytes(5000) for _ in range(100)]
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.parametrize(("shared", "most"), [(True, 2), (False, 64)])
def test_threads_share_arenas(shared, most):
    """Six threads allocate from two arenas; from more when they are not told to."""
    done = subprocess.run(
        [sys.executable, "-c", _ARENAS.format(shared=shared)],
        check=True,
        capture_output=True,
        text=True,
    )
    arenas = done.stdout.count("<heap nr=")
    assert arenas <= most
    assert shared or arenas > 2


_BURST = """
import asyncio, os
from pathlib import Path
from exporter.app.compose import keep_heap_trimmed

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20

async def watch():
    burst = [bytes(2000) for _ in range(20_000)]
    last = bytes(2000)
    most = resident_mib()
    # The last block lies above all others: libc itself returns nothing then.
    del burst
    kept = resident_mib()
    trimming = asyncio.create_task(keep_heap_trimmed(0.01))
    async with asyncio.timeout(20):
        while resident_mib() > kept - 20:
            await asyncio.sleep(0.01)
    assert not trimming.done()
    return most, kept

most, kept = asyncio.run(watch())
assert most - kept < 20, "libc returned it by itself, so this shows nothing"
"""


def test_what_a_burst_took_is_given_back():
    """Freed memory below what is still in use is returned, now and then."""
    done = subprocess.run([sys.executable, "-c", _BURST], check=False, capture_output=True)

    assert done.returncode == 0, done.stderr.decode()
