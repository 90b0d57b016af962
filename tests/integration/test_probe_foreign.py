"""Calls that are not what their number says, or pass no call at all: counted, never misread."""

import platform
import subprocess

import pytest

from exporter.sources.probe.syscalls import STATE_CALLS
from tests.integration.probe_rig import Rig, of

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="32-bit calls beside native ones are an x86 matter"
)

INTERRUPT = """
static const char path[] = "/none/by/lanner";
int main(void)
{
    long r;
    for (int i = 0; i < 3; i++) /* open; the number is fstat's */
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(5L), "b"((long)path), "c"(0L));
    for (int i = 0; i < 2; i++) /* symlink; the number is mkdir's */
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(83L), "b"((long)path), "c"((long)path));
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(2L), "b"(0L)); /* fork; open's */
    return 0;
}
"""
PROGRAM_32 = """
.globl _start
_start:
.rept {count}
    mov $20, %eax
    int $0x80
.endr
    mov $1, %eax
    xor %ebx, %ebx
    int $0x80
"""


@pytest.fixture
def rig():
    rig = Rig(
        syscalls=frozenset({"open", "openat", "fstat", "mkdir", "execve", "io_uring_enter",
                            "io_uring_setup"}),
        followed=STATE_CALLS,
    )  # fmt: skip
    yield rig
    rig.close()


def reasons(rig, of_="ia32"):
    return rig.source.probe.counters().reasons[of_]


def test_32_bit_calls_of_a_64_bit_program(rig, tmp_path):
    """int 0x80 has other numbers: those of calls that are looked at are counted, none is told."""
    (tmp_path / "old.c").write_text(INTERRUPT)
    program = str(tmp_path / "old")
    command = ["gcc", "-static", "-no-pie", "-o", program, f"{program}.c"]
    subprocess.run(command, check=True)
    before = reasons(rig)
    _, out, events = rig.run(
        f"out['pid'] = os.spawnv(os.P_NOWAIT, {program!r}, ['old']); os.waitpid(out['pid'], 0)"
    )

    assert reasons(rig) - before == 3 + 2 + 1 + 1  # the fork ends in both processes
    names = [e.type.name for e in events if e.live.pid == out["pid"]]
    assert "mkdir" not in names
    assert not [e for e in of(events, "open", out["pid"]) if b"lanner" in e.named_param("name")]
    assert names.count("execve") == names.count("procexit") == 1


def test_32_bit_programs(rig, tmp_path):
    """Their start and end are told, each of their calls is counted, wanted or not."""
    counts = {}
    for count in (2, 9):
        program = tmp_path / f"small{count}"
        (tmp_path / "small.s").write_text(PROGRAM_32.format(count=count))
        for command in (
            ["as", "--32", "-o", f"{program}.o", tmp_path / "small.s"],
            ["ld", "-m", "elf_i386", "-o", program, f"{program}.o"],
        ):
            subprocess.run(command, check=True)
        before = reasons(rig)
        _, _, events = rig.run(
            f"out['code'] = os.spawnv(os.P_WAIT, {str(program)!r}, ['small', 'one'])"
        )
        counts[count] = reasons(rig) - before
        (started,) = [e for e in of(events, "execve") if e.live.comm == program.name.encode()]
        assert started.named_param("args") == b"one\0"
        ended = [e for e in of(events, "procexit") if e.tid == started.tid]
        assert len(ended) == 1

    assert counts[9] - counts[2] == 7
    assert counts[2] >= 2


def test_numbers_that_nobody_knows(rig):
    """New calls, numbers out of range, and those of the x32 interface."""
    before = reasons(rig, "unknown_call")
    _, _, events = rig.run(
        """
        import ctypes
        import signal
        libc = ctypes.CDLL(None)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        for _ in range(5):
            signal.raise_signal(signal.SIGUSR1)  # the handler's return has no number
        for number in 505, 505, 510, 512, 4000, 1 << 30 | 83, 1 << 30 | 5:
            libc.syscall(ctypes.c_long(number), b"/none/by/lanner", 0)
        """
    )

    assert reasons(rig, "unknown_call") - before == 7
    assert of(events, "mkdir") == []
    assert rig.source.probe.lost() == 0


RING = """
import ctypes, mmap, struct
libc = ctypes.CDLL(None, use_errno=True)
params = ctypes.create_string_buffer(120)
fd = libc.syscall(425, 4, params)
words = struct.unpack("<30I", params.raw)
tail, array = words[11], words[16]
size = array + 4 * words[0]
ring = mmap.mmap(fd, size, offset=0)
entries = mmap.mmap(fd, 64 * words[0], offset=0x10000000)
path = ctypes.create_string_buffer(PATH)
# IORING_OP_OPENAT of a path that the probe would tell if it were a call.
entry = struct.pack("<BBHiQQIIQ", 18, 0, 0, -100, 0, ctypes.addressof(path), 0, 0, 0)
entries[:64] = entry + bytes(64 - len(entry))
ring[array:array + 4] = struct.pack("<I", 0)
ring[tail:tail + 4] = struct.pack("<I", 1)
out["fd"] = fd
out["done"] = libc.syscall(426, fd, 1, 1, 1, None, 0)
here = "/proc/self/fd/"
names = [os.readlink(here + name) for name in os.listdir(here) if os.path.exists(here + name)]
out["opened"] = names.count(PATH.decode())
"""


def test_work_of_a_ring_passes_no_call(rig, tmp_path):
    """Ring and submission are told; what the ring does is told as nothing else."""
    path = tmp_path / "file"
    path.write_text("x")
    pid, out, events = rig.run(f"PATH = {str(path).encode()!r}\n" + RING)

    assert (out["done"], out["opened"]) == (1, 1)
    (made,) = of(events, "io_uring_setup", pid)
    assert (made.named_param("res"), made.named_param("entries")) == (out["fd"], 4)
    (entered,) = of(events, "io_uring_enter", pid)
    assert (entered.named_param("res"), entered.named_param("to_submit")) == (1, 1)
    assert entered.live.fds[out["fd"]].type.name == "IO_URING"
    opened = [e.named_param("name") for e in of(events, "openat", pid)]
    assert str(path).encode() not in opened
    assert rig.source.probe.lost() == 0
