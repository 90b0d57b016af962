"""A capture of calls as releases of 2022 wrote them: an enter and an exit event each.

Files, sockets of all kinds, processes and ids, in forms that sysdig 0.29 reads as well as we do.
"""

from typing import Any

from tests.captures.values import Inet, InetPair, UnixPair
from tests.captures.writer import Capture, FdEntry, Process

OURS, THEIRS, OTHER = "10.0.0.5", "8.8.8.8", "10.0.0.2"
SHELL, WORKER = 10, 12


def calls() -> Capture:
    """The capture; every exit event is shown by both programs."""
    capture = Capture().machine()
    capture.interfaces(("lo", "127.0.0.1", "255.0.0.0"), ("eth0", OURS, "255.255.255.0"))
    capture.users((1000, 1000, "ann", "/home/ann", "/bin/sh"), groups=((1000, "crew"),))
    person: dict[str, Any] = {"uid": 1000, "gid": 1000, "cwd": "/home/ann"}
    capture.processes(
        Process(1, "systemd", ptid=0, cwd="/"),
        Process(SHELL, "bash", args=("-l", "x y"), sid=SHELL, vpgid=SHELL, **person),
        Process(11, "bash", pid=SHELL, flags=8193, **person),
        Process(WORKER, "worker", ptid=SHELL, **person),
    )
    capture.fds(
        WORKER,
        FdEntry(0, 16, "/dev/pts/1", flags=3, device=5),
        FdEntry(3, 3, source=(OURS, 4000), dest=(OTHER, 443)),
        FdEntry(4, 5, source=("0.0.0.0", 8080)),
        FdEntry(5, 3, source=(OURS, 8080), dest=(OTHER, 3333)),
        FdEntry(6, 8, "/run/x", unix=(1, 2)),
        FdEntry(7, 7, "pipe:[1]"),
        FdEntry(8, 2, "/srv"),
        FdEntry(9, 12, ""),
    )
    _files(capture)
    _streams(capture)
    _datagrams(capture)
    _others(capture)
    _programs(capture)
    return capture


def _call(capture: Capture, name: str, enter: Any, leave: Any, tid: int = SHELL) -> None:
    """One call. enter, leave: parameters of the two events in the order of the table's names."""
    capture.event(f"{name}_E", tid, nparams=len(enter), **enter)
    capture.event(f"{name}_X", tid, nparams=len(leave), **leave)


def _open(capture: Capture, result: int, dirfd: int, name: str, flags: int = 1) -> None:
    given = {"dirfd": dirfd, "name": name, "flags": flags, "mode": 0}
    _call(capture, "PPME_SYSCALL_OPENAT_2", given, {"fd": result, **given, "dev": 5})


def _files(capture: Capture) -> None:
    for number, name in enumerate(("a/./b//c/", "../../../../x", "/..", "/a/../b", "...x", "..a")):
        _open(capture, 20 + number, -100, name)
    _open(capture, 30, -100, "/srv/d", flags=1025)
    _open(capture, 31, 30, "x/../y")
    for dirfd, name in ((-100, "rel//n\n"), (-100, "/d/rel//n/"), (99, "rel"), (30, "z")):
        _open(capture, -2, dirfd, name)
    for result, name in ((32, "plain"), (-13, "x/../y"), (-13, "/x/../y")):
        given = {"name": name, "flags": 1, "mode": 0}
        _call(capture, "PPME_SYSCALL_OPEN", given, {"fd": result, **given, "dev": 5})
    _call(capture, "PPME_SYSCALL_READ", {"fd": 31, "size": 9}, {"res": 5, "data": b"root\n"})
    _call(capture, "PPME_SYSCALL_WRITE", {"fd": 77, "size": 1}, {"res": -9, "data": b""})
    _call(capture, "PPME_SYSCALL_FSTAT", {"fd": 30}, {"res": 0})
    _call(capture, "PPME_SYSCALL_DUP", {"fd": 31}, {"res": 33})
    _call(capture, "PPME_SYSCALL_READ", {"fd": 33, "size": 9}, {"res": 1, "data": b"\xe9"})
    _call(capture, "PPME_SYSCALL_CLOSE", {"fd": 31}, {"res": 0})
    _call(capture, "PPME_SYSCALL_CLOSE", {"fd": 31}, {"res": -9})
    _call(capture, "PPME_SYSCALL_READ", {"fd": 0, "size": 9}, {"res": 1, "data": b"x"}, WORKER)
    _open(capture, 40, 8, "below")
    capture.event("PPME_SYSCALL_CHDIR_E", 11, nparams=0)
    capture.event("PPME_SYSCALL_CHDIR_X", 11, res=0, path="/tmp//")
    _open(capture, 41, -100, "here")


def _socket(capture: Capture, number: int, *facts: int) -> None:
    given = dict(zip(("domain", "type", "proto"), facts, strict=True))
    _call(capture, "PPME_SOCKET_SOCKET", given, {"fd": number})


def _streams(capture: Capture) -> None:
    pair = InetPair(Inet(OURS, 4000), Inet(THEIRS, 80))
    _socket(capture, 50, 2, 1, 6)
    _call(capture, "PPME_SOCKET_CONNECT", {"fd": 50}, {"res": -111, "tuple": None})
    _call(capture, "PPME_SOCKET_CONNECT", {"fd": 50}, {"res": -115, "tuple": pair})
    _call(capture, "PPME_SYSCALL_WRITE", {"fd": 50, "size": 4}, {"res": 4, "data": b"GET "})
    _socket(capture, 51, 10, 1, 6)
    _call(capture, "PPME_SOCKET_CONNECT", {"fd": 51},
          {"res": 0, "tuple": InetPair(Inet("fd00::1", 5), Inet("2001:db8::2", 443))})  # fmt: skip
    _socket(capture, 52, 2, 1, 6)
    _call(capture, "PPME_SOCKET_BIND", {"fd": 52}, {"res": 0, "addr": Inet("0.0.0.0", 22)})
    _call(capture, "PPME_SOCKET_LISTEN", {"fd": 52, "backlog": 5}, {"res": 0})
    accepted = InetPair(Inet(OTHER, 33), Inet(OURS, 22))
    _call(capture, "PPME_SOCKET_ACCEPT4_5", {"flags": 0},
          {"fd": 53, "tuple": accepted, "queuepct": 0, "queuelen": 0, "queuemax": 1})  # fmt: skip
    _call(capture, "PPME_SYSCALL_READ", {"fd": 53, "size": 4}, {"res": 4, "data": b"SSH-"})
    mapped = InetPair(Inet("::ffff:10.0.0.2", 34), Inet("::ffff:10.0.0.5", 22))
    _call(capture, "PPME_SOCKET_ACCEPT4_5", {"flags": 0},
          {"fd": 54, "tuple": mapped, "queuepct": 0, "queuelen": 0, "queuemax": 1})  # fmt: skip
    _socket(capture, 55, 1, 1, 0)
    _call(capture, "PPME_SOCKET_CONNECT", {"fd": 55},
          {"res": 0, "tuple": UnixPair(0xFFFF880000000001, 2, "/run/x")})  # fmt: skip
    _call(capture, "PPME_SYSCALL_WRITE", {"fd": 55, "size": 4}, {"res": 4, "data": b"BEGIN"})
    for number in (3, 5, 6, 7):
        _call(capture, "PPME_SYSCALL_READ", {"fd": number, "size": 4}, {"res": 0, "data": b"x"},
              WORKER)  # fmt: skip


def _datagrams(capture: Capture) -> None:
    out = InetPair(Inet(OURS, 5353), Inet(THEIRS, 53))
    back = InetPair(Inet(THEIRS, 53), Inet(OURS, 5353))

    def send(number: int, pair: object, event: str = "SENDTO") -> None:
        given = {"fd": number, "size": 4, "tuple": pair}
        _call(capture, f"PPME_SOCKET_{event}", given, {"res": 4, "data": b"q..."})

    def receive(number: int, pair: object) -> None:
        _call(capture, "PPME_SOCKET_RECVFROM", {"fd": number, "size": 4},
              {"res": 4, "data": b"r...", "tuple": pair})  # fmt: skip

    _socket(capture, 60, 2, 2, 17)
    send(60, out)
    receive(60, back)
    _socket(capture, 61, 2, 2, 0)
    receive(61, back)
    send(61, out)
    for number in (62, 63):
        _socket(capture, number, 10, 2, 0)
    pair6 = InetPair(Inet("2001:db8::9", 53), Inet("fd00::1", 5353))
    receive(62, pair6)
    send(63, pair6)
    send(64, out)
    receive(65, back)
    _socket(capture, 66, 1, 2, 0)
    send(66, UnixPair(1, 2, "/dev/log"))
    send(66, UnixPair(1, 2, "/dev/log"), "SENDMSG")
    receive(66, UnixPair(3, 4, "/run/y"))


def _others(capture: Capture) -> None:
    _call(capture, "PPME_SYSCALL_PIPE", {}, {"res": 0, "fd1": 70, "fd2": 71, "ino": 9})
    _call(capture, "PPME_SOCKET_SOCKETPAIR", {"domain": 1, "type": 1, "proto": 0},
          {"res": 0, "fd1": 72, "fd2": 73, "source": 1, "peer": 2})  # fmt: skip
    _call(capture, "PPME_SYSCALL_EVENTFD", {"initval": 0, "flags": 0}, {"res": 74})
    _call(capture, "PPME_SYSCALL_INOTIFY_INIT", {"flags": 0}, {"res": 75})
    _call(capture, "PPME_SYSCALL_TIMERFD_CREATE", {"clockid": 0, "flags": 0}, {"res": 76})
    for number in (70, 72, 74, 75, 76):
        _call(capture, "PPME_SYSCALL_READ", {"fd": number, "size": 4}, {"res": 1, "data": b"x"})
    for number, family, protocol in ((77, 16, 0), (78, 17, 0), (79, 2, 1), (80, 2, 255)):
        _socket(capture, number, family, 3, protocol)
    _call(capture, "PPME_SYSCALL_KILL", {"pid": WORKER, "sig": 15}, {"res": 0})
    _call(capture, "PPME_SYSCALL_FCHMOD", {}, {"res": 0, "fd": 30, "mode": 0o755})


def _programs(capture: Capture) -> None:
    facts: dict[str, Any] = {
        "exe": "ls", "args": ("-n", "x"), "pid": 20, "ptid": SHELL, "cwd": "", "fdlimit": 9,
        "pgft_maj": 1, "pgft_min": 2, "vm_size": 3, "vm_rss": 4, "vm_swap": 5, "comm": "ls",
        "cgroups": ("cpu=/",),
    }  # fmt: skip
    ids: dict[str, Any] = {"flags": 0, "uid": 1000, "gid": 1000}
    parent = {**facts, "pid": SHELL, "ptid": 1, "comm": "bash", "exe": "bash"}
    capture.event("PPME_SYSCALL_CLONE_20_E", SHELL, nparams=0)
    capture.event("PPME_SYSCALL_CLONE_20_X", SHELL, nparams=20, res=20, tid=SHELL, vtid=SHELL,
                  vpid=SHELL, **parent, **ids)  # fmt: skip
    child = {**parent, "pid": 20, "ptid": SHELL}
    capture.event("PPME_SYSCALL_CLONE_20_X", 20, nparams=20, res=0, tid=20, vtid=20, vpid=20,
                  **child, **ids)  # fmt: skip
    _call(capture, "PPME_SYSCALL_READ", {"fd": 33, "size": 4}, {"res": 1, "data": b"x"}, 20)
    capture.event("PPME_SYSCALL_EXECVE_19_E", 20, filename="/bin/ls")
    capture.event("PPME_SYSCALL_EXECVE_19_X", 20, nparams=28, res=0, tid=20, env=("A=1",), tty=1,
                  vpgid=20, loginuid=1000, flags=0, cap_inheritable=0, cap_permitted=0,
                  cap_effective=0, exe_ino=1, exe_ino_ctime=1, exe_ino_mtime=1, uid=1000,
                  trusted_exepath="/usr/bin/ls", **facts)  # fmt: skip
    _call(capture, "PPME_SYSCALL_READ", {"fd": 33, "size": 4}, {"res": 1, "data": b"x"}, 20)
    _call(capture, "PPME_SYSCALL_SETUID", {"uid": 0}, {"res": 0}, 20)
    _call(capture, "PPME_SYSCALL_READ", {"fd": 33, "size": 4}, {"res": 1, "data": b"x"}, 20)
    _call(capture, "PPME_SYSCALL_EXECVE_8", {},
          {"res": 0, "exe": "/bin/old", "args": ("-o",), "tid": WORKER, "pid": WORKER,
           "ptid": SHELL, "cwd": "/", "fdlimit": 5}, WORKER)  # fmt: skip
    capture.event("PPME_PROCEXIT_1_E", 20, nparams=1, status=0)
