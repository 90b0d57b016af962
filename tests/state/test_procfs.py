"""Reading /proc (state-tracking.md section 12) from a tree on disk."""

import os
import time
from pathlib import Path
from typing import Any

from exporter.state.counters import StateCounters
from exporter.state.procfs import Procfs
from tests.live_contexts import HOST_MNTNS


def read(procfs: Procfs, tid: int) -> Any:
    """The thread that is read."""
    return procfs.read_thread(tid)


def test_a_process_is_read_in_full(proc):
    """Every fact of the table of section 12 comes from its file."""
    proc.add(
        50,
        "sh",
        ppid=1,
        argv=("/bin/sh", "-c", "true"),
        cgroup="5:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n",
        uid=1000,
        nested=(7, 0),
    )
    thread = read(Procfs(proc.root), 50)

    assert (thread.tid, thread.pid, thread.ptid, thread.vtid, thread.vpid) == (50, 50, 1, 7, 7)
    assert (thread.comm, thread.exe, thread.args) == (b"sh", b"/bin/sh", (b"-c", b"true"))
    assert thread.exepath == str(proc.programs / "bin_sh").encode()
    assert (thread.uid, thread.gid, thread.loginuid, thread.fdlimit) == (1000, 1000, 1000, 512)
    assert (thread.sid, thread.pgid, thread.vpgid, thread.tty) == (77, 50, 7, 34816)
    assert (thread.cap_inheritable, thread.cap_permitted, thread.cap_effective) == (0, 255, 15)
    assert (thread.vmsize_kb, thread.vmrss_kb, thread.vmswap_kb) == (100, 50, 1)
    assert (thread.pfminor, thread.pfmajor) == (3, 4)
    assert (thread.cwd, thread.root, thread.env) == (b"/home/ann/", b"/", (b"A=1", b"B=2"))
    assert thread.cgroups == (
        (b"cpu", b"/a"), (b"cpuacct", b"/a"), (b"systemd", b"/b"), (b"", b"/c"),
    )  # fmt: skip
    assert thread.mntns == HOST_MNTNS
    assert thread.start_boottime_ns == 50_000_000_000
    assert thread.exe_ino == (proc.programs / "bin_sh").stat().st_ino


def test_processes_without_an_image_are_left_out(proc):
    """Kernel threads and zombies have neither arguments nor an executable."""
    base = proc.add(60, "kthread", argv=())
    (base / "exe").unlink()

    assert [thread.tid for thread in Procfs(proc.root).scan()] == [1]


def test_a_process_that_ends_meanwhile_is_counted(proc):
    """A missing file means that the process is gone, which is normal."""
    base = proc.add(61)
    (base / "status").unlink()
    counters = StateCounters()

    assert Procfs(proc.root, counters).read_thread(61) is None
    assert Procfs(proc.root, counters).read_thread(62) is None
    assert counters.proc_gone == 2


def test_names_may_hold_brackets_and_blanks(proc):
    """The name of a process ends at the last bracket of `stat`."""
    proc.add(64, "a) R 1 (b")

    assert read(Procfs(proc.root), 64).comm == b"a) R 1 (b"


def test_kernel_threads_are_known_by_their_flag(proc):
    """A kernel thread is left out whatever its files say."""
    base = proc.add(65)
    stat = (base / "stat").read_text().split()
    stat[8] = str(0x00200040)
    (base / "stat").write_text(" ".join(stat))

    assert Procfs(proc.root).read_thread(65) is None


def test_long_strings_are_cut(proc):
    """At most 4096 bytes of arguments and environment are kept."""
    proc.add(63, argv=("x", "y" * 9000), environ=b"Z" * 9000)
    thread = read(Procfs(proc.root), 63)

    assert len(thread.args[0]) == 4096 - 2
    assert len(thread.env[0]) == 4096


def test_the_machine_itself(proc):
    """Name and number of CPUs; a name that may not be read is empty."""
    procfs = Procfs(proc.root)
    assert (procfs.read_num_cpus(), procfs.read_hostname()) == (2, b"")
    (proc.root / "sys" / "kernel").mkdir(parents=True)
    (proc.root / "sys" / "kernel" / "hostname").write_text("box\n")

    assert procfs.read_hostname() == b"box"


def test_boot_time_of_another_root(proc):
    """A root other than this machine's tells its boot time in `stat`."""
    assert Procfs(proc.root).read_boot_time_ns() == 1_700_000_000_000_000_000
    assert 0 < Procfs().read_boot_time_ns() < time.time_ns()


def test_this_process_is_read_from_the_real_proc():
    """The real /proc tells what the process knows of itself."""
    thread = read(Procfs(), os.getpid())

    assert (thread.pid, thread.ptid, thread.uid) == (os.getpid(), os.getppid(), os.geteuid())
    assert thread.cwd.rstrip(b"/") == bytes(Path.cwd()).rstrip(b"/")
    assert thread.mntns == int(str(Path("/proc/self/ns/mnt").readlink())[5:-1])
