"""One small capture that has every kind of block and many kinds of events in it."""

from typing import Any

from tests.captures.values import Inet, InetPair, UnixPair
from tests.captures.writer import STATE_ONLY, Capture, FdEntry, Process


def everything() -> Capture:
    """Lists of every kind, a process tree, files, sockets, containers, old and new events."""
    capture = Capture(options=b"\x01\0\x04\0test").machine()
    capture.interfaces(("lo", "127.0.0.1", "255.0.0.0"), ("eth0", "10.0.0.1", "255.0.0.0"))
    capture.interfaces(("eth0", "fd00::1", "ffff::"), version=1)
    capture.users(
        (0, 0, "root", "/root", "/bin/sh"), (33, 33, "www", "/", ""), groups=((0, "root"),)
    )
    cgroups = ("cpu=/docker/" + "a1" * 32,)
    capture.processes(
        Process(1, "systemd"),
        Process(5, "sh", args=("-c", "x"), env=("A=1",), cgroups=cgroups, vpid=1, vtid=1),
    )
    capture.processes(Process(6, "old"), version=1)
    capture.fds(
        5,
        FdEntry(0, 16, "/dev/tty", flags=1, device=5),
        FdEntry(3, 3, source=("10.0.0.1", 4000), dest=("10.0.0.2", 443)),
        FdEntry(4, 5, source=("0.0.0.0", 22)),
        FdEntry(5, 8, "/run/x", unix=(1, 2)),
        FdEntry(6, 7, "pipe:[1]"),
    )
    meta = '{"container":{"id":"a1a1a1a1a1a1","type":0,"name":"web","image":"nginx:1"}}'
    capture.event("PPME_CONTAINER_JSON_2_E", -1, json=meta)
    capture.event("PPME_ASYNCEVENT_E", -1, plugin_id=0, name="container", data=meta)
    capture.event("PPME_USER_ADDED_E", -1, uid=7, gid=7, name="seven", home="/", shell="")
    _processes(capture)
    _files(capture)
    _sockets(capture)
    capture.event("PPME_SYSCALL_CHDIR_X", 5, dump_flags=STATE_ONLY, res=0, path="/tmp")
    capture.event("PPME_SYSCALL_CHDIR_X", 5, dump_flags=0, res=0, path="..")
    capture.event("PPME_PROCEXIT_1_E", 7, status=0, ret=0, sig=0, core=0, reaper_tid=1)
    capture.event("PPME_PROCEXIT_E", 6, nparams=0, block_version=1)
    return capture


def _processes(capture: Capture) -> None:
    facts: dict[str, Any] = {
        "exe": "/bin/cat", "args": ("-n", "x"), "pid": 7, "ptid": 5, "fdlimit": 9, "comm": "cat",
        "cgroups": ("cpu=/",), "uid": 0, "gid": 0,
    }  # fmt: skip
    capture.event("PPME_SYSCALL_CLONE_20_X", 5, res=7, tid=5, vtid=5, vpid=5, flags=0, **facts)
    capture.event("PPME_SYSCALL_CLONE_20_X", 7, res=0, tid=7, vtid=7, vpid=7, flags=0, **facts)
    capture.event("PPME_SYSCALL_EXECVE_19_E", 7, filename="/bin/cat")
    capture.event(
        "PPME_SYSCALL_EXECVE_19_X", 7, res=0, tid=7, env=("A=1",), tty=1, vpgid=7, loginuid=1000,
        flags=1, cap_inheritable=0, cap_permitted=1, cap_effective=1, exe_ino=1, exe_ino_ctime=1,
        exe_ino_mtime=1, trusted_exepath="/usr/bin/cat", pgid=7, filename="/bin/cat", **facts,
    )  # fmt: skip
    old = {key: facts[key] for key in ("exe", "args", "pid", "ptid", "fdlimit")}
    capture.event("PPME_SYSCALL_EXECVE_8_E", 6, block_version=1)
    capture.event("PPME_SYSCALL_EXECVE_8_X", 6, block_version=1, res=0, tid=6, cwd="/", **old)
    capture.event("PPME_SYSCALL_SETUID_E", 7, uid=33)
    capture.event("PPME_SYSCALL_SETUID_X", 7, nparams=1, res=0)
    capture.event("PPME_SYSCALL_PRCTL_X", 7, res=0, option=36, arg2_str="", arg2_int=1)


def _files(capture: Capture) -> None:
    capture.event("PPME_SYSCALL_OPENAT_2_E", 7, dirfd=-100, name="../etc/x", flags=1, mode=0)
    capture.event(
        "PPME_SYSCALL_OPENAT_2_X", 7, fd=8, dirfd=-100, name="../etc/x", flags=1, mode=0, dev=1,
        ino=2,
    )  # fmt: skip
    capture.event("PPME_SYSCALL_OPEN_X", 7, fd=-2, name="nope", flags=1, mode=0, dev=0, ino=0)
    capture.event("PPME_SYSCALL_READ_E", 7, block_version=1, fd=8, size=10)
    capture.event("PPME_SYSCALL_READ_X", 7, block_version=1, nparams=2, res=5, data=b"root:")
    capture.event("PPME_SYSCALL_POLL_X", 7, res=1, fds=((8, 1), (9, 4)))
    capture.event("PPME_SYSCALL_DUP3_X", 7, res=9, oldfd=8, newfd=9, flags=0)
    capture.event(
        "PPME_SYSCALL_RENAMEAT_X", 7, res=0, olddirfd=-100, oldpath="a", newdirfd=8, newpath="b"
    )
    capture.event("PPME_SYSCALL_CLOSE_X", 7, res=0, fd=8)
    capture.event("PPME_GENERIC_X", 7, ID=5, nativeID=5)


def _sockets(capture: Capture) -> None:
    pair = InetPair(Inet("10.0.0.1", 5000), Inet("10.0.0.2", 53))
    capture.event("PPME_SOCKET_SOCKET_X", 7, fd=10, domain=2, type=2, proto=0)
    capture.event("PPME_SOCKET_CONNECT_E", 7, fd=10, addr=Inet("10.0.0.2", 53))
    capture.event("PPME_SOCKET_CONNECT_X", 7, res=0, tuple=pair, fd=10, addr=Inet("10.0.0.2", 53))
    capture.event("PPME_SOCKET_SENDTO_X", 7, res=3, data=b"abc", fd=10, size=3, tuple=pair)
    capture.event("PPME_SOCKET_BIND_X", 7, res=0, addr=Inet("::", 80), fd=4)
    capture.event("PPME_SOCKET_ACCEPT_5_X", 7, fd=11, tuple=UnixPair(1, 2, "/run/y"))
