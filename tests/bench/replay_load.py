"""A capture as a busy node writes it, of any length, for the bench of replays.

One round of some ten thousand events by several hundred processes is written once; longer captures
repeat it with later times. Each round leaves everything as it found it: what was opened is closed,
what was started has ended.
"""

import random
import struct
from pathlib import Path
from typing import Any

from tests.captures.values import Inet, InetPair
from tests.captures.writer import Capture, FdEntry, Process

PROCESSES = 400
_PROGRAMS = (
    "nginx",
    "postgres",
    "python3",
    "java",
    "kubelet",
    "containerd",
    "redis-server",
    "node",
)
_LIBRARIES = ("libc.so.6", "libssl.so.3", "libz.so.1", "libpthread.so.0")
_CONTAINERS = 40
_TS_AT = 10
"""Offset of the time in an event block without flags."""


class Load:
    """Writes one round of events. exit_only: as current probes do; else with enter events too."""

    def __init__(self, *, exit_only: bool = True, seed: int = 1) -> None:
        self.chance = random.Random(seed)
        self.exit_only = exit_only
        self.capture = Capture()
        self.events = 0
        self._next_child = 100_000
        self._open: dict[int, int] = {}
        self._lists()
        self.start = len(self.capture.out)

    def _lists(self) -> None:
        capture = self.capture.machine("node-1", cpus=16)
        capture.interfaces(("lo", "127.0.0.1", "255.0.0.0"), ("eth0", "10.0.0.1", "255.255.0.0"))
        capture.users((0, 0, "root", "/root", "/bin/bash"), groups=((0, "root"),))
        self.tids = list(range(1000, 1000 + PROCESSES))
        processes = [Process(1, "systemd")]
        for tid in self.tids:
            name = _PROGRAMS[tid % len(_PROGRAMS)]
            container = tid % (2 * _CONTAINERS)
            path = "/system.slice/x.service"
            if container < _CONTAINERS:
                path = f"/kubepods/burstable/podx/{container:064x}"
            processes.append(
                Process(
                    tid, name, args=("--config", f"/etc/{name}.conf"), cwd="/srv",
                    cgroups=tuple(f"{kind}={path}" for kind in ("cpuset", "cpu", "memory")),
                    env=("PATH=/usr/bin", "LANG=C"), exepath=f"/usr/sbin/{name}",
                )
            )  # fmt: skip
        capture.processes(*processes)
        for tid in self.tids:
            capture.fds(
                tid,
                FdEntry(0, 16, "/dev/null"),
                FdEntry(1, 16, f"/var/log/app{tid}.log", flags=2),
                FdEntry(3, 12, "anon_inode:[eventpoll]"),
                FdEntry(4, 5, source=("0.0.0.0", 8080 + tid % 10)),
                FdEntry(5, 3, source=("10.0.0.1", 30000 + tid), dest=("10.0.1.9", 5432)),
                FdEntry(6, 3, source=("10.0.0.1", 8080), dest=("10.0.7.7", 40000)),
            )

    def call(
        self, name: str, tid: int, enter: dict[str, Any] | None = None, /, **params: Any
    ) -> None:
        """One system call: its exit event, and before it its enter event where those are wanted."""
        after = self.chance.randrange(500, 20_000)
        if not self.exit_only and enter is not None:
            self.capture.event(f"PPME_{name}_E", tid, after_ns=after, **enter)
            self.events += 1
        self.capture.event(
            f"PPME_{name}_X", tid, after_ns=after, on_cpu=tid % 16, **params, **(enter or {})
        )
        self.events += 1

    def round(self, events: int) -> None:
        """About so many events."""
        jobs = (
            (self._server, 30), (self._file, 16), (self._missing, 4), (self._log, 16),
            (self._wait, 24), (self._client, 3), (self._query, 10), (self._spawn, 1),
        )  # fmt: skip
        chosen, weights = [job for job, _ in jobs], [weight for _, weight in jobs]
        while self.events < events:
            (job,) = self.chance.choices(chosen, weights)
            job(self.chance.choice(self.tids))

    def _wait(self, tid: int) -> None:
        op = self.chance.choice((0, 1, 128, 129))
        self.call("SYSCALL_FUTEX", tid, {"addr": 0x7F0000001000, "op": op, "val": 2}, res=0)
        self.call("SYSCALL_EPOLLWAIT", tid, {"maxevents": 64}, res=1)

    def _read(self, tid: int, fd: int, size: int) -> None:
        data = b"\x17\x03" * (min(size, 80) // 2)
        self.call("SYSCALL_READ", tid, {"fd": fd, "size": 4096}, res=size, data=data)

    def _write(self, tid: int, fd: int, size: int) -> None:
        data = b"x" * min(size, 80)
        self.call("SYSCALL_WRITE", tid, {"fd": fd, "size": size}, res=size, data=data)

    def _close(self, tid: int, fd: int) -> None:
        self.call("SYSCALL_CLOSE", tid, {"fd": fd}, res=0)

    def _log(self, tid: int) -> None:
        self._write(tid, 1, self.chance.randrange(40, 300))
        if self.chance.random() < 0.2:
            self.call("SYSCALL_LSEEK", tid, {"fd": 1, "offset": 0, "whence": 2}, res=100)

    def _server(self, tid: int) -> None:
        self._read(tid, 6, self.chance.choice((78, 300, 1200)))
        if self.chance.random() < 0.5:
            self.call(
                "SYSCALL_POLL", tid, {"fds": ((6, 1), (5, 4)), "timeout": 1000}, res=1
            )  # fmt: skip
        self._write(tid, 6, self.chance.choice((200, 1400)))

    def _query(self, tid: int) -> None:
        pair = InetPair(Inet("10.0.0.1", 30000 + tid), Inet("10.0.1.9", 5432))
        self.call(
            "SOCKET_SENDTO", tid, {"fd": 5, "size": 90, "tuple": pair}, res=90, data=b"q" * 80
        )
        self.call("SOCKET_RECVFROM", tid, {"fd": 5, "size": 8192}, res=70, data=b"r" * 70)

    def _openat(self, tid: int, fd: int, path: str, flags: int = 1) -> None:
        facts = {"dirfd": -100, "name": path, "flags": flags, "mode": 0}
        found = {"dev": 0x801, "ino": 77} if fd >= 0 else {}
        self.call("SYSCALL_OPENAT_2", tid, facts, fd=fd, **found)

    def _missing(self, tid: int) -> None:
        self._openat(tid, -2, f"/usr/lib/python3/{self.chance.randrange(500)}.so")

    def _file(self, tid: int) -> None:
        self._openat(tid, 9, f"/srv/www/assets/{self.chance.randrange(2000)}.html")
        self.call("SYSCALL_FSTAT", tid, {"fd": 9}, res=0)
        for _ in range(self.chance.randrange(1, 4)):
            self._read(tid, 9, 4096)
        self._close(tid, 9)

    def _client(self, tid: int) -> None:
        pair = InetPair(Inet("10.0.0.1", 50000 + tid % 1000), Inet("10.0.2.2", 443))
        self.call("SOCKET_SOCKET", tid, {"domain": 2, "type": 1, "proto": 6}, fd=10)
        self.call(
            "SOCKET_CONNECT", tid, {"fd": 10, "addr": Inet("10.0.2.2", 443)}, res=0, tuple=pair
        )
        self._write(tid, 10, 300)
        self._read(tid, 10, 1000)
        self._close(tid, 10)

    def _spawn(self, tid: int) -> None:
        self._next_child += 1
        child = self._next_child
        facts: dict[str, Any] = {
            "fdlimit": 1024, "pgft_maj": 0, "pgft_min": 9, "vm_size": 900, "vm_rss": 300,
            "vm_swap": 0, "cgroups": ("cpuset=/", "cpu=/", "memory=/"), "uid": 0, "gid": 0,
        }  # fmt: skip
        parent = {"exe": "/usr/sbin/app", "args": ("--config", "x"), "comm": "app", **facts}
        self.call(
            "SYSCALL_CLONE_20", tid, None, res=child, tid=tid, pid=tid, ptid=1, vtid=tid, vpid=tid,
            flags=0, **parent,
        )  # fmt: skip
        ids = {"tid": child, "pid": child, "ptid": tid}
        self.call(
            "SYSCALL_CLONE_20", child, None, res=0, vtid=child, vpid=child, flags=0, **ids, **parent
        )
        path = self.chance.choice(("/usr/bin/ls", "/usr/bin/cat", "/bin/date", "/usr/bin/grep"))
        name = path.rpartition("/")[2]
        self.call(
            "SYSCALL_EXECVE_19", child, {"filename": path}, res=0, exe=path, args=("-n", "x"),
            comm=name, env=("PATH=/usr/bin", "HOME=/root"), tty=0, vpgid=child, loginuid=0xFFFFFFFF,
            flags=1, cap_inheritable=0, cap_permitted=0, cap_effective=0, exe_ino=5,
            exe_ino_ctime=1, exe_ino_mtime=1, trusted_exepath=path, pgid=child, **ids, **facts,
        )  # fmt: skip
        for library in _LIBRARIES:
            self._openat(child, 3, f"/lib/x86_64-linux-gnu/{library}", 0x1001)
            self._read(child, 3, 832)
            for _ in range(3):
                self._mmap(child)
            self._close(child, 3)
        self._write(child, 1, 30)
        self.capture.event("PPME_PROCEXIT_1_E", child, status=0, ret=0, sig=0, core=0, reaper_tid=0)
        self.events += 1

    def _mmap(self, tid: int) -> None:
        asked = {"addr": 0, "length": 4096, "prot": 1, "flags": 2, "fd": 3, "offset": 0}
        self.call(
            "SYSCALL_MMAP", tid, asked, res=0x7F0000000000, vm_size=900, vm_rss=300, vm_swap=0
        )


def build(path: Path, events: int, *, exit_only: bool = True, round_events: int = 40_000) -> int:
    """Write a capture of at least so many events; how many it has."""
    load = Load(exit_only=exit_only)
    load.round(min(events, round_events))
    out, start = load.capture.out, load.start
    times = []
    at = start
    while at < len(out):
        times.append((at + _TS_AT, struct.unpack_from("<Q", out, at + _TS_AT)[0]))
        at += struct.unpack_from("<I", out, at + 4)[0]
    span = times[-1][1] - times[0][1] + 1000
    piece = bytearray(out[start:])
    rounds = -(-events // load.events)
    with path.open("wb") as file:
        file.write(out[:start])
        for number in range(rounds):
            for at, ts_ns in times:
                struct.pack_into("<Q", piece, at - start, ts_ns + number * span)
            file.write(piece)
    return rounds * load.events
