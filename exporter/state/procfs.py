"""/proc: what it tells of processes, as `Thread` entries; the initial scan and late repairs.

Reads below an injectable root, so that tests build a tree and a container mounts the host's /proc
elsewhere. A process that ends while it is read is normal: it yields None and is counted.
Source: spec/state-tracking.md section 12; proc(5).
"""

# ruff: noqa: PTH110, PTH115, PTH116, PTH208 - a Path object costs more than the call it wraps,
# and a scan makes fifteen calls for each of thousands of processes.

import os
import re
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from exporter.events.paths import with_slash
from exporter.events.strings import split_strings
from exporter.events.thread import UNKNOWN_ID, Thread
from exporter.state.counters import StateCounters

MAX_STRINGS_BYTES = 4096
"""At most this much of an argument list or environment is kept, as the probe does."""

_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_NS = 1_000_000_000
_READ_BYTES = 1 << 16
_PF_KTHREAD = 0x00200000
_PF_EXITING = 0x4
_STAT_FLAGS = 6
"""Index of the flags (PF_*) in /proc/PID/stat, counted from behind the name."""
"""Bit of the flags of `stat`: a kernel thread."""


class _Status(Struct):
    """The lines of `status` that matter."""

    pid: int = -1
    ptid: int = 0
    uid: int = UNKNOWN_ID
    gid: int = UNKNOWN_ID
    vtid: int = -1
    vpid: int = -1
    vpgid: int = -1
    caps: tuple[int, int, int] = (0, 0, 0)
    vmsize_kb: int = 0
    vmrss_kb: int = 0
    vmswap_kb: int = 0


class Procfs:
    """Reader of one /proc tree.

    root: where it is mounted. counters: told of processes that are gone or may not be read.
    """

    def __init__(self, root: str | Path = "/proc", counters: StateCounters | None = None) -> None:
        self.root = str(root)
        self.counters = counters if counters is not None else StateCounters()
        # The calls that take a pid speak of this machine only where its own /proc is read.
        self._is_own = self.root == "/proc"

    def scan(self) -> Iterator[Thread]:
        """All processes (leaders only: other threads are known from their first event)."""
        for entry in os.listdir(self.root):
            if entry.isdigit():
                thread = self.read_thread(int(entry))
                if thread is not None:
                    yield thread

    def read_thread(self, tid: int) -> Thread | None:
        """One thread by its id; None for kernel threads, zombies and processes that are gone."""
        base = f"{self.root}/{tid}"
        try:
            stat = _read(f"{base}/stat")
            comm, fields = _parse_stat(stat)
            if int(fields[_STAT_FLAGS]) & _PF_KTHREAD:
                return None
            cmdline = _read(f"{base}/cmdline", MAX_STRINGS_BYTES)
            exepath = _read_link(f"{base}/exe")
            if not cmdline and not exepath:
                return None
            return self._thread(base, comm, fields, cmdline, exepath)
        except PermissionError:
            self.counters.proc_denied += 1
        except (OSError, ValueError, IndexError):
            # No such file, no such process, or a file that ends early: the process has ended.
            self.counters.proc_gone += 1
        return None

    def _thread(
        self, base: str, comm: bytes, fields: list[bytes], cmdline: bytes, exepath: bytes
    ) -> Thread:
        tid = int(base.rpartition("/")[2])
        status = _parse_status(_read(f"{base}/status"))
        strings = split_strings(cmdline)
        start_ns = int(fields[19]) * _NS_PER_TICK
        thread = Thread(
            tid=tid,
            pid=status.pid,
            ptid=status.ptid,
            vtid=status.vtid if status.vtid >= 0 else tid,
            vpid=status.vpid if status.vpid >= 0 else status.pid,
            pgid=int(fields[2]),
            sid=int(fields[3]),
            vpgid=status.vpgid if status.vpgid >= 0 else int(fields[2]),
            tty=_tty_device(int(fields[4])),
            pfminor=int(fields[7]),
            pfmajor=int(fields[9]),
            comm=comm,
            exe=strings[0] if strings else b"",
            args=strings[1:],
            exepath=exepath,
            env=split_strings(_read_optional(f"{base}/environ", MAX_STRINGS_BYTES)),
            cwd=with_slash(_read_link(f"{base}/cwd") or b"/"),
            root=_read_link(f"{base}/root") or b"/",
            uid=status.uid,
            gid=status.gid,
            loginuid=int(_read_optional(f"{base}/loginuid") or UNKNOWN_ID),
            fdlimit=self._fd_limit(tid, base),
            cap_inheritable=status.caps[0],
            cap_permitted=status.caps[1],
            cap_effective=status.caps[2],
            vmsize_kb=status.vmsize_kb,
            vmrss_kb=status.vmrss_kb,
            vmswap_kb=status.vmswap_kb,
            cgroups=self.read_cgroups(tid),
            mntns=self.read_mntns(tid),
            start_boottime_ns=start_ns,
        )
        _add_exe_facts(thread, f"{base}/exe")
        return thread

    def read_mntns(self, tid: int) -> int:
        """Inode number of the mount namespace; 0 when it may not be read."""
        link = _read_link(f"{self.root}/{tid}/ns/mnt")
        return int(link[5:-1]) if link.startswith(b"mnt:[") else 0

    def read_cgroups(self, tid: int) -> tuple[tuple[bytes, bytes], ...]:
        """(subsystem, path) pairs of a process; the v2 hierarchy counts for each controller.

        Where no controller is known the v2 path stands under the empty name. Empty for a process
        that is ending: from then on the kernel shows it at the root of v1 hierarchies.
        """
        pairs: list[tuple[bytes, bytes]] = []
        for line in _read_optional(f"{self.root}/{tid}/cgroup").splitlines():
            number, _, rest = line.partition(b":")
            names, _, path = rest.partition(b":")
            if number == b"0" and not names:
                pairs.append((b"", path))
            else:
                pairs.extend((name.removeprefix(b"name="), path) for name in names.split(b","))
        # Asked behind the paths: if it is not ending now, it was not when they were read.
        return () if self._is_ending(tid) else tuple(pairs)

    def _is_ending(self, tid: int) -> bool:
        fields = _read_optional(f"{self.root}/{tid}/stat").rpartition(b")")[2].split(None, 7)
        return len(fields) <= _STAT_FLAGS or bool(int(fields[_STAT_FLAGS]) & _PF_EXITING)

    def read_unified_cgroup(self, tid: int) -> bytes | None:
        """Path in the v2 hierarchy, empty where there is none; None for a process that is gone."""
        text = _read_optional(f"{self.root}/{tid}/cgroup")
        if not text:
            return None
        lines = (line for line in text.splitlines() if line.startswith(b"0::"))
        return next((line[3:] for line in lines), b"")

    def _fd_limit(self, tid: int, base: str) -> int:
        if self._is_own:
            try:
                return resource.prlimit(tid, resource.RLIMIT_NOFILE)[0]
            except (OSError, ValueError):
                return -1
        for line in _read_optional(f"{base}/limits").splitlines():
            if line.startswith(b"Max open files"):
                soft = line.split()[3]
                return -1 if soft == b"unlimited" else int(soft)
        return -1

    def is_alive(self, tid: int) -> bool:
        """Whether the thread still exists."""
        return os.path.exists(f"{self.root}/{tid}")

    def read_hostname(self) -> bytes:
        """Name of the machine; empty when it may not be read."""
        return _read_optional(f"{self.root}/sys/kernel/hostname").rstrip(b"\n")

    def read_num_cpus(self) -> int:
        """CPUs that are online."""
        lines = _read_optional(f"{self.root}/stat").splitlines()
        return sum(line[:3] == b"cpu" and line[3:4].isdigit() for line in lines)

    def read_boot_time_ns(self) -> int:
        """Boot time in ns since the epoch: from the clocks for this machine's own /proc.

        Other roots (tests, images) are asked for the seconds of `stat`.
        """
        if self._is_own:
            return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for line in _read_optional(f"{self.root}/stat").splitlines():
            if line.startswith(b"btime "):
                return int(line[6:]) * _NS
        return 0


def _read(path: str, limit: int = _READ_BYTES) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, limit)
    finally:
        os.close(file)


def _read_optional(path: str, limit: int = _READ_BYTES) -> bytes:
    try:
        return _read(path, limit)
    except OSError:
        return b""


def _read_link(path: str) -> bytes:
    try:
        return os.readlink(path.encode())
    except OSError:
        return b""


def _parse_stat(data: bytes) -> tuple[bytes, list[bytes]]:
    """Name of the process and the fields behind it; the name may hold blanks and brackets."""
    end = data.rindex(b")")
    return data[data.index(b"(") + 1 : end], data[end + 2 :].split()


_STATUS_LINES = re.compile(
    rb"^(Tgid|PPid|Uid|Gid|NSpid|NStgid|NSpgid|VmSize|VmRSS|VmSwap|CapInh|CapPrm|CapEff):(.*)$",
    re.MULTILINE,
)


def _parse_status(data: bytes) -> _Status:
    lines = {name: values for name, text in _STATUS_LINES.findall(data) if (values := text.split())}

    def number(name: bytes, column: int, missing: int, base: int = 10) -> int:
        values = lines.get(name)
        return missing if values is None else int(values[column], base)

    return _Status(
        pid=number(b"Tgid", 0, -1),
        ptid=number(b"PPid", 0, 0),
        uid=number(b"Uid", 1, UNKNOWN_ID),
        gid=number(b"Gid", 1, UNKNOWN_ID),
        # The last column is the number in the innermost namespace, the process's own.
        vtid=number(b"NSpid", -1, -1),
        vpid=number(b"NStgid", -1, -1),
        vpgid=number(b"NSpgid", -1, -1),
        caps=(
            number(b"CapInh", 0, 0, 16),
            number(b"CapPrm", 0, 0, 16),
            number(b"CapEff", 0, 0, 16),
        ),
        vmsize_kb=number(b"VmSize", 0, 0),
        vmrss_kb=number(b"VmRSS", 0, 0),
        vmswap_kb=number(b"VmSwap", 0, 0),
    )


def _tty_device(number: int) -> int:
    """tty_nr of `stat` is printed signed; the device number is not."""
    return number & 0xFFFFFFFF


def _add_exe_facts(thread: Thread, link: str) -> None:
    try:
        facts = os.stat(link)
    except OSError:
        return
    thread.exe_ino = facts.st_ino
    thread.exe_ino_ctime_ns = facts.st_ctime_ns
    thread.exe_ino_mtime_ns = facts.st_mtime_ns
    write_bits = 0o002 | (0o020 if thread.gid == facts.st_gid else 0)
    thread.exe_writable = thread.uid in {facts.st_uid, 0} or facts.st_mode & write_bits != 0
