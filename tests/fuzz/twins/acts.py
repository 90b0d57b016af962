"""Random scenes: circumstances, and system calls with random arguments in them.

Takes a random generator, gives what actor.py performs. That nothing comes to harm is not looked
after here but by where the acts are performed (walls.py); no call waits, though, and no signal is
sent to what exists.
"""

import os
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.twins.calls import Act, Calls
from tests.fuzz.twins.paths import Paths
from tests.fuzz.twins.socket_acts import SocketActs

Scene = dict[str, Any]
WHERE = {
    "plain": "walled", "nobody": "walled", "gone": "walled", "there": "box", "mounts": "bare",
    "chroot": "bare", "userns": "bare",
}  # fmt: skip
"""Kind of scene -> the actor that plays it (twins.py)."""

AT_FDCWD = -100
_NOBODY = 0x7FFFFF00
"""A process id beyond any."""
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_OPEN_BITS = (
    os.O_APPEND, os.O_CLOEXEC, os.O_DIRECTORY, os.O_NOFOLLOW, os.O_SYNC, os.O_NOATIME, os.O_PATH,
    os.O_DSYNC, os.O_ASYNC, 0o100000, 1 << 30,
)  # fmt: skip
_MAKING_BITS = (os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_TRUNC, os.O_TMPFILE, os.O_CREAT)
_MODES = (0, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o1777, 0o6711, 0o111, 0o7777, 1 << 16)
_COMMS = ("cat", "bash", "nginx", "fifteen-letters", "a b", "", "\xff\xfe", "x\x01y", "python3")
_ARGV = (
    "-c", "x", "", "two words", "--opt=1", "\xff", "new\nline", "/etc/shadow", "a" * 300, "\x01",
    "-" * 5000, "*", "'quoted'", "mark",
)  # fmt: skip
_PROGRAMS = ("/bin/true", "/usr/bin/true", "bin/script", "bin/garbage", "/missing/x", "/etc", "")
_HARMLESS = (
    "getpgid", "sched_yield", "uname", "times", "getcpu", "sysinfo", "umask", "getpriority",
    "gettid", "sched_getscheduler", "readlink", "statx", "faccessat", "fsync", "getxattr",
    "truncate",
)  # fmt: skip


class Acts:
    """Scenes of one fuzzing run. arch: of the native numbers."""

    def __init__(self, random: Random, directory: str, arch: str = "x86_64") -> None:
        self._random = random
        self._paths = Paths(random, directory)
        self._call = Calls(arch)
        self._sockets = SocketActs(random, self._paths, self._call)
        self._makers: tuple[tuple[int, Callable[[], list[Act]]], ...] = (
            (30, self._open), (12, self._change), (5, self._look), (6, self._use_fd),
            (12, self._sockets.streams), (4, self._sockets.datagrams), (6, self._run),
            (3, self._name), (3, self._who), (5, self._misc), (2, self._nested),
            (4, self._move), (2, self._dup),
        )  # fmt: skip

    def scene(self, length: int = 40) -> Scene:
        """One scene of about so many acts."""
        kind = self._random.choice(tuple(WHERE))
        acts = self._dirfds() + self._setting(kind)
        while len(acts) < length:
            acts += self._one()
        return {"kind": kind, "where": WHERE[kind], "acts": acts}

    def _one(self) -> list[Act]:
        weights, makers = zip(*self._makers, strict=True)
        make: Callable[[], list[Act]] = self._random.choices(makers, weights)[0]
        return make()

    # ------------------------------------------------------------------------------ circumstances

    def _dirfds(self) -> list[Act]:
        flags = os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC
        return [
            self._call("openat", AT_FDCWD, {"s": "a"}, flags, 0, keep="dir"),
            self._call(
                "openat", AT_FDCWD, {"s": "a/b"}, os.O_PATH | os.O_DIRECTORY, 0, keep="path"
            ),
            self._call("openat", AT_FDCWD, {"s": "a/f"}, os.O_RDWR, 0, keep="file"),
            self._call("openat", AT_FDCWD, {"s": "x y"}, flags, 0, keep="moved"),
            self._call("memfd_create", {"s": "memory"}, 0, keep="memfd"),
        ]

    def _setting(self, kind: str) -> list[Act]:
        random, call = self._random, self._call
        match kind:
            case "nobody":
                return [call("setgid", 65534), call("setuid", 65534)]
            case "chroot":
                inside = [call("chdir", {"s": "/"})] if random.random() < 0.5 else []
                return [call("chroot", {"s": "."}), *inside]
            case "userns":
                return [call("unshare", 0x10000000 | random.choice((0, 0x20000)))]
            case "gone":
                work = self._paths.work
                away = random.choice((
                    call("rmdir", {"s": f"{work}/a/b/c"}),
                    call("rename", {"s": f"{work}/a"}, {"s": f"{work}/n1"}),
                ))  # fmt: skip
                return [call("chdir", {"s": "a/b/c"}), away]
            case "mounts":
                work = self._paths.work
                choices: tuple[list[Act], ...] = (
                    [call("mount", {"s": f"{work}/etc"}, {"s": f"{work}/a/b"}, {"s": ""}, 4096, 0)],
                    [call("mount", {"s": "scene"}, {"s": f"{work}/a"}, {"s": "tmpfs"}, 0, 0),
                     call("mkdir", {"s": f"{work}/a/b"}, 0o755)],
                    [call("mount", {"s": "/etc"}, {"s": f"{work}/x y"}, {"s": ""}, 4096, 0)],
                    [],
                )  # fmt: skip
                moved = [call("chdir", {"s": random.choice(("a/b", "x y", "a", "/etc"))})]
                return [*random.choice(choices), *random.choice((moved, []))]
            case _:
                return []

    # -------------------------------------------------------------------------------------- paths

    def _path(self) -> Any:
        """A path argument; seldom none."""
        random = self._random
        if random.random() < 0.02:
            return random.choice((0, 1, -1))
        return {"s": self._paths.any()}

    def _dirfd(self) -> Any:
        return self._random.choice((
            AT_FDCWD, AT_FDCWD, AT_FDCWD, {"fd": "dir"}, {"fd": "dir"}, {"fd": "path"},
            {"fd": "file"}, {"fd": "moved"}, {"fd": "memfd"}, {"fd": "socket"}, {"fd": "other"},
            {"fd": "another"}, -1, 99, 0xFFFFFF9C,
        ))  # fmt: skip

    def _flags(self) -> int:
        random = self._random
        flags = random.choice((os.O_RDONLY, os.O_RDONLY, os.O_RDWR, os.O_WRONLY, 3))
        for bit in random.sample(_OPEN_BITS, random.choice((0, 0, 1, 2))):
            flags |= bit
        if random.random() < 0.3:
            flags |= random.choice(_MAKING_BITS)
        # A pipe by name must not make the scene wait.
        return flags | _NONBLOCK

    def _open(self) -> list[Act]:
        random, call = self._random, self._call
        flags = self._flags()
        mode = random.choice(_MODES)
        keep = random.choice(("", "", "", "other", "another"))
        name = random.choice(("open", "openat", "openat", "openat", "openat2", "creat"))
        if name == "creat":
            acts = [call(name, self._path(), mode, keep="opened")]
        else:
            path = self._path()
            if name == "open":
                acts = [call(name, path, flags, mode, keep="opened")]
            elif name == "openat":
                acts = [call(name, self._dirfd(), path, flags, mode, keep="opened")]
            else:
                how = {"hex": struct.pack("<QQQ", flags & ~(1 << 30), mode * bool(flags & 0o100),
                                          random.choice((0, 0, 4, 8, 16))).hex()}  # fmt: skip
                acts = [call(name, self._dirfd(), path, how,
                             random.choice((24, 24, 24, 0, 8)), keep="opened")]  # fmt: skip
        if keep:
            acts[0]["keep"] = keep
        else:
            acts.append(call("close", {"fd": "opened"}))
        return acts

    def _change(self) -> list[Act]:
        random, call = self._random, self._call

        def path() -> Any:
            return self._path()

        def at() -> Any:
            return self._dirfd()

        mode, flags = random.choice(_MODES), random.choice((0, 0, 0x100, 0x200, 0x1000, 1))
        makers: dict[str, Callable[[], list[Any]]] = {
            "unlink": lambda: [path()], "rmdir": lambda: [path()],
            "unlinkat": lambda: [at(), path(), random.choice((0, 0, 0x200))],
            "rename": lambda: [path(), path()],
            "renameat": lambda: [at(), path(), at(), path()],
            "renameat2": lambda: [at(), path(), at(), path(), random.choice((0, 1, 2))],
            "link": lambda: [path(), path()],
            "linkat": lambda: [at(), path(), at(), path(), random.choice((0, 0x400, 0x1000))],
            "symlink": lambda: [path(), path()],
            "symlinkat": lambda: [path(), at(), path()],
            "mkdir": lambda: [path(), mode], "mkdirat": lambda: [at(), path(), mode],
            "mknod": lambda: [path(), 0o100644, 0], "mknodat": lambda: [at(), path(), 0o100600, 0],
            "chmod": lambda: [path(), mode], "fchmodat": lambda: [at(), path(), mode],
            "fchmodat2": lambda: [at(), path(), mode, flags & 0x100],
            "chown": lambda: [path(), 0, 0], "lchown": lambda: [path(), 65534, -1],
            "fchownat": lambda: [at(), path(), 0, 65534, flags & 0x100],
        }  # fmt: skip
        name = random.choice([name for name in makers if self._call.has(name)])
        return [call(name, *makers[name]())]

    def _look(self) -> list[Act]:
        random, call = self._random, self._call
        buffer = {"hex": "00" * 512}
        name = random.choice(("access", "stat", "lstat", "newfstatat", "getcwd", "readlink"))
        match name:
            case "access":
                return [call(name, self._path(), random.choice((0, 1, 4, 7)))]
            case "newfstatat":
                return [call(name, self._dirfd(), self._path(), buffer, random.choice((0, 0x100)))]
            case "getcwd":
                return [call(name, buffer, random.choice((512, 1)))]
            case "readlink":
                return [call(name, self._path(), buffer, 512)]
            case _:
                return [call(name, self._path(), buffer)]

    def _move(self) -> list[Act]:
        random, call = self._random, self._call
        return [random.choice((
            call("chdir", self._path()), call("chdir", {"s": "a/b"}), call("fchdir", self._dirfd()),
            call("chdir", {"s": self._paths.work}), call("chroot", self._path()),
        ))]  # fmt: skip

    # -------------------------------------------------------------------------------- descriptors

    def _use_fd(self) -> list[Act]:
        random, call = self._random, self._call
        fd = random.choice(({"fd": "memfd"}, {"fd": "socket"}, {"fd": "pipe"}, -1, 99))
        any_fd = random.choice(
            (fd, {"fd": "file"}, {"fd": "dir"}, {"fd": "other"}, {"fd": "path"}, 0)
        )
        buffer = {"hex": "41" * 100}
        return [random.choice((
            call("write", fd, buffer, 100), call("pwrite64", fd, buffer, 7, 3),
            call("read", {"fd": "memfd"}, buffer, 50), call("lseek", any_fd, 0, 0),
            call("fstat", any_fd, {"hex": "00" * 256}), call("flock", any_fd, 4 | 2),
            call("fcntl", any_fd, random.choice((1, 3)), 0), call("ioctl", any_fd, 0x5401, 0),
            call("fchmod", {"fd": "memfd"}, random.choice(_MODES)), call("fchown", -1, 0, 0),
            call("getdents64", {"fd": "dir"}, {"hex": "00" * 512}, 512),
            call("splice", any_fd, 0, fd, 0, 0, 0), call("sendfile", fd, {"fd": "memfd"}, 0, 10),
            call("writev", fd, {"mem": [buffer, 10]}, 1), call("fsync", any_fd),
        ))]  # fmt: skip

    def _dup(self) -> list[Act]:
        random, call = self._random, self._call
        source = random.choice(({"fd": "socket"}, {"fd": "file"}, {"fd": "memfd"}, 0, -1))
        target = random.choice((0, 1, 2, 5, 40, -1))
        return [random.choice((
            call("dup", source), call("dup2", source, target), call("dup3", source, target, 0),
            call("dup3", source, target, os.O_CLOEXEC), call("fcntl", source, 0, 30),
        ))]  # fmt: skip

    # ----------------------------------------------------------------------------------- processes

    def _run(self) -> list[Act]:
        random = self._random
        argv = [random.choice((*_COMMS, *_ARGV)) for _ in range(random.randint(0, 5))]
        if random.random() < 0.05:
            argv = ["x" * 100] * 300
        env = [f"{random.choice(('A', 'PATH', 'LD_PRELOAD'))}={random.choice(_ARGV[:8])}"]
        if random.random() < 0.15:
            return [{"memfd": "/bin/true", "argv": argv or ["m"], "env": env,
                     "name": random.choice(("image", "x y", "runc"))}]  # fmt: skip
        how = random.choice(("execve", "execve", "spawn"))
        path = random.choice(_PROGRAMS) if random.random() < 0.8 else self._paths.any()
        return [{"exec": path, "argv": argv, "env": env, "how": how}]

    def _name(self) -> list[Act]:
        return [self._call("prctl", 15, {"s": self._random.choice(_COMMS)}, 0, 0, 0)]

    def _who(self) -> list[Act]:
        """Credentials, in a child: the scene itself stays who it is."""
        random, call = self._random, self._call
        who = random.choice((1, 1000, 65534, 4_000_000_000))
        acts = [
            call(
                *random.choice(
                    (("setgid", who), ("setresgid", -1, who, -1), ("setregid", who, who))
                )
            ),
            call(*random.choice((("setuid", who), ("setresuid", who, who, who)))),
            *self._some(random.randint(1, 4)),
        ]
        return [{"fork": acts}]

    def _nested(self) -> list[Act]:
        kind = self._random.choice(("fork", "thread", "fork"))
        return [{kind: self._some(self._random.randint(1, 6))}]

    def _some(self, count: int) -> list[Act]:
        return [act for _ in range(count) for act in self._one()]

    def _misc(self) -> list[Act]:
        random, call = self._random, self._call
        text = {"s": random.choice(("module", "", "x y", "\xff"))}
        name = random.choice(_HARMLESS)
        return [random.choice((
            call("ptrace", random.choice((0x4206, 16, 12, 24, 999, 0x4200)), -1, 0, 0),
            call("kill", _NOBODY, random.choice((0, 9, 15))), call("kill", 0, 0),
            call("tgkill", _NOBODY, _NOBODY, 9), call("tkill", _NOBODY, 9),
            call("memfd_create", text, random.choice((0, 1, 2, 99)), keep="memfd"),
            call("finit_module", {"fd": "memfd"}, text, random.choice((0, 1, 2))),
            call("delete_module", {"s": "no_such_module"}, random.choice((0, 0o4000))),
            call("bpf", random.choice((11, 99, 36)), 0, 0),
            call("userfaultfd", random.choice((0, 1, 0o4000, 99)), keep="memfd"),
            call("setns", {"fd": random.choice(("file", "memfd"))}, random.choice((0, 0x40000000))),
            call("unshare", random.choice((0, 1, 0x400, 0x8000000, 0x200))),
            call("umount2", self._path(), random.choice((2, 8, 99))),
            call("pidfd_open", random.choice((-1, _NOBODY)), 0),
            call("epoll_create1", random.choice((0, 0o2000000, 5)), keep="memfd"),
            call("eventfd2", 3, random.choice((0, 1, 0o4000)), keep="memfd"),
            call("inotify_init1", 0, keep="memfd"), call("timerfd_create", 0, 0, keep="memfd"),
            call("seccomp", 99, 0, 0), call("setpgid", 0, 0), call("setsid"),
            call("mprotect", 0, 0, random.choice((1, 5, 7))), call("mmap", 0, 4096, 1, 0x22, -1, 0),
            call("pipe2", {"hex": "00" * 8}, random.choice((0, 0o4000))),
            call("socketpair", random.choice((1, 2)), 1, 0, {"hex": "00" * 8}),
            call("keyctl", random.choice((11, 99)), 0, 0, 0), call("quotactl", 0x800000, 0, 0, 0),
            call("io_uring_setup", 0, 0), call("process_vm_readv", -1, 0, 0, 0, 0, 0),
            call("open_by_handle_at", {"fd": "dir"}, {"hex": "0800000001000000" + "00" * 8}, 0),
            call("getuid"), call("geteuid"), call("capset", 0, 0), call("close_range", 60, 70, 0),
            call(name, self._path() if name in {"readlink", "statx", "getxattr"} else -1, 0, 0, 0),
        ))]  # fmt: skip
