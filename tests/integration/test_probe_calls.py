"""Every system call with a plain event is told once per call, each parameter as it was given.

The calls are made by number, a prime number of times, with arguments that do no harm: most fail.
"""

import platform
from typing import Any

import pytest

from exporter.events.params import Dynamic
from exporter.events.table import load_event_table, load_syscall_table
from exporter.sources.probe.syscalls import CALLS, DEFAULT_CALLS
from tests.integration.probe_rig import Rig, of

TIMES = 3
TABLES = {name: dict(pairs) for name, pairs in load_event_table().value_tables.items()}
FLAGS = TABLES["file_flags"]
CLONE = TABLES["clone_flags"]
NUMBERS = {call.name: call.nr for call in load_syscall_table().syscalls}
EBADF, ENOENT, EFAULT, EINVAL, ESRCH = -9, -2, -14, -22, -3
LOW, HIGH = 0x1234, 0x1122334455667788

# call -> arguments (bytes become pointers to them), parameters by name. What the call answers is
# part of them where that is certain.
PLAIN: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "setns": ((-1, 0x20000000), {"res": EBADF, "fd": -1, "nstype": CLONE["CLONE_NEWPID"]}),
    "unshare": ((0x1,), {"res": EINVAL, "flags": 0}),
    "userfaultfd": ((0x10,), {"res": EINVAL, "flags": 0x10}),
    "memfd_create": ((b"secret", 1), {"name": b"secret", "flags": 1}),
    "pidfd_open": ((-5, 0o4000), {"fd": EINVAL, "pid": -5, "flags": 1}),
    "pidfd_getfd": (
        (-1, 7, 0),
        {"fd": EBADF, "pid_fd": -1, "target_fd": 7, "flags": 0},
    ),
    "bpf": ((5, 0, 0), {"cmd": 5}),
    "finit_module": (
        (-1, b"a=1", 3),
        {"fd": -1, "uargs": b"a=1", "flags": 3},
    ),
    "init_module": (
        (b"junk", 4, b"x=y"),
        {"img": b"junk", "length": 4, "uargs": b"x=y"},
    ),
    "delete_module": ((b"none-by-lanner", 0o1000), {"name": b"none-by-lanner", "flags": 1}),
    "io_uring_setup": (
        (0, (0).to_bytes(4, "little") * 4 + (9).to_bytes(4, "little") + bytes(100)),
        {"entries": 0, "sq_thread_idle": 9, "features": 0},
    ),
    "io_uring_enter": ((-1, 3, 4, 1, 0), {"fd": -1, "to_submit": 3, "min_complete": 4, "flags": 1}),
    "io_uring_register": ((-1, 2, 5, 6), {"fd": -1, "opcode": 2, "arg": 5, "nr_args": 6}),
    "kill": ((-2147483648, 0), {"pid": -2147483648, "sig": 0}),
    "tkill": ((-1, 11), {"res": EINVAL, "tid": -1, "sig": 11}),
    "tgkill": ((-1, -2, 9), {"res": EINVAL, "pid": -1, "tid": -2, "sig": 9}),
    "mount": (
        (b"/dev/none", b"/none/by/lanner", b"none", 0xC0ED0000 | 6, 0),
        {
            "res": ENOENT,
            "dev": b"/dev/none",
            "dir": b"/none/by/lanner",
            "type": b"none",
            "flags": 6,
        },
    ),
    "umount2": ((b"/none/by/lanner", 2), {"res": ENOENT, "name": b"/none/by/lanner", "flags": 2}),
    "chroot": ((b"/none/by/lanner",), {"res": ENOENT, "path": b"/none/by/lanner"}),
    "chown": ((b"/none/u", LOW, 5), {"res": ENOENT, "path": b"/none/u", "uid": LOW, "gid": 5}),
    "lchown": ((b"/none/u", 4, LOW), {"res": ENOENT, "path": b"/none/u", "uid": 4, "gid": LOW}),
    "fchown": ((-1, 3, 4), {"res": EBADF, "fd": -1, "uid": 3, "gid": 4}),
    "fchownat": (
        (-100, b"/none/u", 3, 4, 0x100),
        {"dirfd": -100, "pathname": b"/none/u", "uid": 3, "gid": 4, "flags": 1024},
    ),
    "mknod": ((b"/none/n", 0o20644, 0x103), {"path": b"/none/n", "mode": 0o20644, "dev": 0x103}),
    "mknodat": (
        (-100, b"/none/n", 0o644, 0),
        {"dirfd": -100, "path": b"/none/n", "mode": 0o100644, "dev": 0},
    ),
    "seccomp": ((99, HIGH), {"res": EINVAL, "op": 99, "flags": HIGH}),
    "setpgid": ((-7, 3), {"res": ESRCH, "pid": -7, "pgid": 3}),
    "setrlimit": (
        (7, (99).to_bytes(8, "little") + (9).to_bytes(8, "little")),
        {"res": EINVAL, "cur": 99, "max": 9, "resource": 7},
    ),
    "prlimit64": (
        (0, 5, 0, bytes(16)),
        {"res": 0, "newcur": -1, "newmax": -1, "pid": 0, "resource": 5},
    ),
    "getrlimit": ((99, bytes(16)), {"res": EINVAL, "cur": -1, "max": -1}),
    "epoll_create": ((-3,), {"res": EINVAL}),
    "epoll_create1": ((0o2000000,), {"flags": 1}),
    "epoll_wait": ((-1, 0, 17, 0), {"res": EBADF, "maxevents": 17}),
    "eventfd": ((17,), {"initval": 17, "flags": 0}),
    "eventfd2": ((17, 0o4000), {"initval": 17, "flags": FLAGS["O_NONBLOCK"]}),
    "signalfd4": ((-1, bytes(8), 8, 0o2000000), {"fd": -1, "flags": FLAGS["O_CLOEXEC"]}),
    "timerfd_create": ((99, 0), {"res": EINVAL, "clockid": 99, "flags": 0}),
    "inotify_init1": ((0o4000,), {"flags": FLAGS["O_NONBLOCK"]}),
    "access": ((b"/none/a", 5), {"res": ENOENT, "name": b"/none/a", "mode": 5}),
    "stat": ((b"/none/a", 0), {"res": ENOENT, "path": b"/none/a"}),
    "lstat": ((b"/none/b", 0), {"res": ENOENT, "path": b"/none/b"}),
    "fstat": ((-1, 0), {"res": EBADF, "fd": -1}),
    "newfstatat": (
        (-100, b"/none/c", 0, 0x100),
        {"res": ENOENT, "dirfd": -100, "path": b"/none/c", "flags": 0x100},
    ),
    "getdents64": ((-1, 0, 0), {"res": EBADF, "fd": -1}),
    "flock": ((-1, 6), {"res": EBADF, "fd": -1, "operation": 6}),
    "lseek": ((-1, HIGH, 2), {"res": EBADF, "fd": -1, "offset": HIGH, "whence": 2}),
    "ioctl": ((-1, HIGH, 3), {"res": EBADF, "fd": -1, "argument": 3}),
    "fcntl": ((-1, 1030, 4), {"res": EBADF, "fd": -1, "arg": 4}),
    "close": ((-1,), {"res": EBADF, "fd": -1}),
    "close_range": ((9, 3, 2), {"res": EINVAL, "first": 9, "last": 3, "flags": 2}),
    "splice": (
        (-1, 0, -2, 0, HIGH, 2),
        {"res": EBADF, "fd_in": -1, "fd_out": -2, "size": HIGH, "flags": 2},
    ),
    "sendfile": (
        (-1, -2, HIGH.to_bytes(8, "little"), 5),
        {"res": EBADF, "offset": HIGH, "out_fd": -1, "in_fd": -2, "size": 5},
    ),
    "copy_file_range": (
        (-1, (7).to_bytes(8, "little"), -2, 0, 5, 0),
        {"fdin": -1, "offin": 7, "fdout": -2, "offout": 0, "len": 5},
    ),
    "mmap": (
        (0, 0, 5, 0x22, -1, 0x3000),
        {"res": EINVAL, "addr": 0, "length": 0, "fd": -1, "offset": 0x3000},
    ),
    "munmap": ((HIGH | 1, 9), {"res": EINVAL, "addr": HIGH | 1, "length": 9}),
    "mprotect": ((1, 9, 5), {"res": EINVAL, "addr": 1, "length": 9, "prot": 5}),
    "mlock2": ((1, 9, 99), {"res": EINVAL, "addr": 1, "len": 9}),
    "mlockall": ((0,), {"res": EINVAL, "flags": 0}),
    "futex": ((3, 99, 4), {"addr": 3, "op": 99, "val": 4}),
    "nanosleep": (
        ((0).to_bytes(8, "little") + (2000).to_bytes(8, "little"), 0),
        {"res": 0, "interval": 2000},
    ),
    "semget": ((1, -3, 0o1000), {"res": EINVAL, "key": 1, "nsems": -3}),
    "semctl": ((-1, 2, 0, 4), {"res": EINVAL, "semid": -1, "semnum": 2, "val": 4}),
    "semop": (
        (-1, b"\1\0\2\0\0\10" + b"\3\0\4\0\0\0", 2),
        {"nsops": 2, "sem_num_0": 1, "sem_op_0": 2, "sem_num_1": 3, "sem_op_1": 4, "semid": -1},
    ),
    "shutdown": ((-1, 1), {"res": EBADF, "fd": -1, "how": 1}),
    "listen": ((-1, 5), {"res": EBADF, "fd": -1, "backlog": 5}),
    "pipe2": ((1, 0), {"res": EFAULT, "fd1": -1, "fd2": -1, "ino": 0, "flags": 0}),
    "socketpair": (
        (2, 1, 0, 1),
        {"fd1": -1, "fd2": -1, "source": 0, "peer": 0, "domain": 2, "type": 1, "proto": 0},
    ),
    "quotactl": (
        (0x80000800, b"/dev/none", 3, 0),
        {"special": b"/dev/none", "cmd": TABLES["quotactl_cmds"]["Q_SETQUOTA"], "id": 3},
    ),
    "fsconfig": (
        (-1, 1, b"key", b"value", 0),
        {"fd": -1, "cmd": 1, "key": b"key", "value_charbuf": None, "value_bytebuf": None},
    ),
    "prctl": ((99, HIGH), {"res": EINVAL, "option": 99, "arg2_str": b"", "arg2_int": HIGH}),
    "getuid": ((), {"uid": 0}),
    "getresuid": ((bytes(8), bytes(8), bytes(8)), {"res": 0, "ruid": 0, "euid": 0, "suid": 0}),
    "getsockname": ((-1, 0, 0), {}),
}
CALL = """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    args = [
        ctypes.create_string_buffer(bytes.fromhex(a[1:])) if isinstance(a, str)
        else ctypes.c_long(a if a < 1 << 63 else a - (1 << 64))
        for a in {args!r}
    ]
    out["res"] = [libc.syscall(ctypes.c_long({number}), *args) for _ in range({times})]
"""


@pytest.fixture(scope="module")
def rig():
    rig = Rig(syscalls=DEFAULT_CALLS | PLAIN.keys() | NUMBERED, ring_bytes=4 << 20)
    yield rig
    rig.close()


NUMBERED = frozenset({
    "pivot_root", "setxattr", "sethostname", "acct", "reboot", "name_to_handle_at",
})  # fmt: skip


def call(rig, name, args, times=TIMES):
    """The events of one call, made `times` times in a child of its own."""
    number = NUMBERS[name].get(platform.machine())
    if number is None:
        pytest.skip(f"{platform.machine()} has no {name}")
    shown = [f"x{a.hex()}" if isinstance(a, bytes) else a for a in args]
    pid, _, events = rig.run(CALL.format(args=shown, number=number, times=times))
    return pid, events


@pytest.mark.parametrize("name", PLAIN)
def test_arguments_arrive(rig, name):
    """Result and arguments of a call are the parameters of its event, once per call."""
    args, expected = PLAIN[name]

    pid, events = call(rig, name, args)

    found = [
        event
        for event in of(events, event_name(name), pid)
        if all(event.named_param(key) == value for key, value in expected.items())
    ]
    got = [
        {param.name: event.param(i) for i, param in enumerate(event.type.params)}
        for event in of(events, event_name(name), pid)
    ]
    # The interpreter makes calls of its own; ours are those with our arguments.
    assert len(found) >= TIMES, got
    assert len(found) == TIMES or not expected or name in {"getuid", "prlimit64"}, got


def event_name(name):
    """What the event of a call is called."""
    by_id = {event.id: event.name for event in load_event_table().events}
    return by_id[CALLS[name].event]


@pytest.mark.parametrize("name", sorted(NUMBERED))
def test_calls_without_an_event_tell_their_number(rig, name):
    """A call without an event of its own gives one that carries its two numbers."""
    pid, events = call(rig, name, (0, 0, 0, -1, -1))

    (sc,) = (item.sc for item in load_syscall_table().syscalls if item.name == name)
    mine = [e for e in of(events, "syscall", pid) if e.named_param("ID") == sc]
    assert len(mine) == TIMES
    assert {e.named_param("nativeID") for e in mine} == {NUMBERS[name][platform.machine()]}


def test_names_of_threads(rig):
    """PR_SET_NAME shows the new name and no number."""
    pid, events = call(rig, "prctl", (15, b"renamed"), 1)

    event = next(e for e in of(events, "prctl", pid) if e.named_param("option") == 15)
    assert event.named_param("arg2_str") == b"renamed"
    assert event.named_param("arg2_int") == 0


def test_capabilities_are_those_after_the_call(rig):
    """capset tells the sets that the thread has then."""
    pid, _, events = rig.run(
        """
        import ctypes, struct
        header = struct.pack("<Ii", 0x20080522, 0)
        bits = 1 << 10 | 1 << 13
        ctypes.CDLL(None).capset(header, struct.pack("<IIIIII", bits, bits, 0, 0, 0, 0))
        """
    )

    (event,) = of(events, "capset", pid)
    assert event.named_param("res") == 0
    assert event.named_param("cap_effective") == event.named_param("cap_permitted") == 0x2400
    assert event.named_param("cap_inheritable") == 0


def test_keyctl_shows_strings_where_the_operation_takes_them(rig):
    """A session keyring's name is a string, a key's number a number."""
    pid, events = call(rig, "keyctl", (1, b"none-by-lanner"), 1)

    event = of(events, "keyctl", pid)[0]
    assert event.named_param("operation") == 1
    name = event.named_param("arg2")
    assert isinstance(name, Dynamic)
    assert (name.variant, name.value) == (1, b"none-by-lanner")

    pid, events = call(rig, "keyctl", (3, -3), 1)

    number = of(events, "keyctl", pid)[0].named_param("arg2")
    assert (number.variant, number.value) == (0, -3)


def test_pipes_and_pairs_bring_their_descriptors(rig):
    """pipe2 and socketpair tell both descriptors, with facts."""
    pid, out, events = rig.run(
        """
        out["pipe"] = os.pipe2(os.O_NONBLOCK)
        out["ino"] = os.fstat(out["pipe"][0]).st_ino
        a, b = socket.socketpair()
        out["pair"] = [a.fileno(), b.fileno()]
        """
    )

    pipe = next(e for e in of(events, "pipe2", pid) if e.named_param("fd1") == out["pipe"][0])
    assert pipe.named_param("fd2") == out["pipe"][1]
    assert pipe.named_param("ino") == out["ino"]
    assert pipe.named_param("flags") == FLAGS["O_NONBLOCK"]
    assert {fd.type.name for fd in pipe.live.fds.values()} == {"PIPE"}
    (pair,) = of(events, "socketpair", pid)
    assert [pair.named_param("fd1"), pair.named_param("fd2")] == out["pair"]
    assert pair.named_param("source") != 0
    assert pair.named_param("peer") != 0


def test_memfd_brings_its_file(rig):
    """The descriptor that memfd_create returns is told as a memory file."""
    pid, out, events = rig.run('out["fd"] = os.memfd_create("hidden")')

    (event,) = of(events, "memfd_create", pid)
    assert event.live.fds[out["fd"]].type.name == "MEMFD"


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ((1, 2), (1).to_bytes(4, "little"), (2, 1)),
        ((1, 20), (3).to_bytes(8, "little") + (5).to_bytes(8, "little"), (4, 3_000_005_000)),
        ((6, 1), (1).to_bytes(4, "little"), (0, (1).to_bytes(4, "little"))),
        ((99, 1), b"", (0, b"")),
    ],
)
def test_socket_options(rig, option, value, shown):
    """The value of an option is shown by what the option is: kind and value."""
    level, name = option
    pid, events = call(rig, "setsockopt", (-1, level, name, value, len(value)), 1)

    (event,) = of(events, "setsockopt", pid)
    assert event.named_param("optlen") == len(value)
    assert event.named_param("level") == {1: 1, 6: 2}.get(level, 0)
    assert event.named_param("optname") == (name if level == 1 else 0)
    got = event.named_param("val")
    assert (got.variant, got.value or b"") == shown
