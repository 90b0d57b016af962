"""Which system calls the probe can report, as what event, and how their arguments become it.

Most calls need no code in the kernel of their own: their event is the result and the arguments in
order, and `ops` names the kind of each (bpf/syscalls_generic.h). A call of that sort is added by
one line here.
Source: spec/events.yaml; state-tracking.md section 11.
"""

import re
from enum import IntEnum, StrEnum
from functools import cache

from msgspec import Struct

from exporter.events.table import event_type, load_syscall_table


class Step(IntEnum):
    """Programs of the probe that are reached by tail call, in the order of bpf/maps.h."""

    GENERIC = 0
    OPEN = 1
    CREAT = 2
    OPEN_BY_HANDLE = 3
    OPEN_BY_HANDLE_END = 4
    CONNECT = 5
    ACCEPT = 6
    BIND = 7
    SOCKET = 8
    PTRACE = 9
    CLONE = 10
    EXEC_FAILED = 11
    EXEC_FAILED_ENV = 12
    PROCESS = 13
    CGROUPS = 14
    CLONE_END = 15
    EXEC_ENV = 16
    EXEC_FACTS = 17
    EXEC_END = 18
    PATH = 19
    ATTACH = 20
    ATTACHED = 21
    FINISH = 22
    NUMBER = 23
    IO = 24
    PAIR = 25
    PRCTL = 26
    FSCONFIG = 27
    INIT_MODULE = 28
    KEYCTL = 29
    QUOTACTL = 30
    SOCKOPT = 31
    IO_PARAMS = 32
    MESSAGE = 33
    POLL = 34
    JUDGE = 35
    SUBMIT = 36
    SCAN = 37
    SCAN_ENV = 38
    CLOSE = 39


class Hook(StrEnum):
    """Tracepoints other than system calls whose events can have a filter, as of bpf/maps.h."""

    EXEC = "exec"
    EXIT = "exit"

    @property
    def slot(self) -> int:
        """Where its filter stands, behind the steps."""
        return len(Step) + list(Hook).index(self)


(
    HAS_DIRFD, OPEN_HOW, ACCEPT4, CLONE_ARG, CLONE3_ARG, EXECVEAT, PIPE2, SOCKETPAIR, SET_OPTION,
    PPOLL,
) = (1 << bit for bit in range(10))  # fmt: skip
STATE = 1 << 31
"""Flag of every call that the state follows; the probe drops its events last."""
BEAT = 1 << 29
"""Flag of the number that is no call of interest: our own process tests the probe with it."""
UNKNOWN = 1 << 28
"""Flag of the numbers that no known call has; the probe counts calls of them."""
ONLY_STATE = 1 << 30
"""Flag of such a call that nobody else looks at: failures and the caller's side of clone are left
out."""

OPS = {
    "F": 1, "D": 2, "P": 3, "S": 4, "U": 5, "M": 6, "R": 7, "O": 8, "C": 9, "L": 10, "I": 11,
    "H": 12, "B": 13, "T": 14, "Q": 15, "W": 16, "X": 17, "Y": 18, "V": 19, "K": 20, "J": 21,
    "E": 22,
}  # fmt: skip
"""Letters used in `ops` below, with their numbers in bpf/syscalls_generic.h.

Of an argument: F descriptor (with its facts), D directory of the next path, P path, S string, O
string that the call wrote, U 32-bit word (H 16, B 8, L 64 bits), I signed number without facts,
M permission bits, T timespec, Q and W 64- and 32-bit word pointed to, X limits given, Y limits
written, J io_uring_params, E sembufs. A digit behind the letter is the argument's index; without
one it is the next. 7 is an argument that is always 0.
Of no argument: R facts of the descriptor returned, C working directory after the call, V memory in
use, K capabilities.
"""

_NO_ARGUMENT = frozenset("RCVK")
_OP = re.compile(r"([A-Z])(\d?)")
MAX_OPS = 8

IO_VECTOR, IO_MSGHDR, IO_SENT, IO_ADDRESS, IO_SIZE_IS_RESULT, IO_MESSAGES = (
    1 << bit for bit in range(6)
)
_IO_PARAMS = {"data": 1, "fd": 2, "size": 3, "tuple": 4, "pos": 5, "msgcontrol": 6, "pid": 7}


class CallSpec(Struct, frozen=True):
    """How one system call becomes an event. flags: meaning depends on the step."""

    event: str
    step: Step
    ops: str = ""
    flags: int = 0


def _generic(event: str, ops: str, kind: str = "SYSCALL") -> CallSpec:
    return CallSpec(f"PPME_{kind}_{event}_X", Step.GENERIC, ops)


def _io(event: str, options: int, kind: str = "SYSCALL") -> CallSpec:
    """A transfer; its parameters are those of the event, in that order."""
    event_id = f"PPME_{kind}_{event}_X"
    flags = options
    for place, param in enumerate(event_type(event_id).params[1:]):
        flags |= _IO_PARAMS[param.name] << 8 + 4 * place
    return CallSpec(event_id, Step.IO, flags=flags)


_VECTOR_IN = IO_VECTOR | IO_SIZE_IS_RESULT

_OWN_EVENTS: dict[str, CallSpec] = {
    "execve": CallSpec("PPME_SYSCALL_EXECVE_19_X", Step.EXEC_FAILED),
    "execveat": CallSpec("PPME_SYSCALL_EXECVEAT_X", Step.EXEC_FAILED, flags=EXECVEAT),
    "clone": CallSpec("PPME_SYSCALL_CLONE_20_X", Step.CLONE, flags=CLONE_ARG),
    "clone3": CallSpec("PPME_SYSCALL_CLONE3_X", Step.CLONE, flags=CLONE3_ARG),
    "fork": CallSpec("PPME_SYSCALL_FORK_20_X", Step.CLONE),
    "vfork": CallSpec("PPME_SYSCALL_VFORK_20_X", Step.CLONE),
    "open": CallSpec("PPME_SYSCALL_OPEN_X", Step.OPEN),
    "openat": CallSpec("PPME_SYSCALL_OPENAT_2_X", Step.OPEN, flags=HAS_DIRFD),
    "openat2": CallSpec("PPME_SYSCALL_OPENAT2_X", Step.OPEN, flags=HAS_DIRFD | OPEN_HOW),
    "creat": CallSpec("PPME_SYSCALL_CREAT_X", Step.CREAT),
    "open_by_handle_at": CallSpec("PPME_SYSCALL_OPEN_BY_HANDLE_AT_X", Step.OPEN_BY_HANDLE),
    "socket": CallSpec("PPME_SOCKET_SOCKET_X", Step.SOCKET),
    "bind": CallSpec("PPME_SOCKET_BIND_X", Step.BIND),
    "connect": CallSpec("PPME_SOCKET_CONNECT_X", Step.CONNECT),
    "listen": _generic("LISTEN", "FU", "SOCKET"),
    "accept": CallSpec("PPME_SOCKET_ACCEPT_5_X", Step.ACCEPT),
    "accept4": CallSpec("PPME_SOCKET_ACCEPT4_6_X", Step.ACCEPT, flags=ACCEPT4),
    "socketpair": CallSpec("PPME_SOCKET_SOCKETPAIR_X", Step.PAIR, flags=SOCKETPAIR),
    "getsockname": _generic("GETSOCKNAME", "", "SOCKET"),
    "getpeername": _generic("GETPEERNAME", "", "SOCKET"),
    "shutdown": _generic("SHUTDOWN", "FU", "SOCKET"),
    "getsockopt": CallSpec("PPME_SOCKET_GETSOCKOPT_X", Step.SOCKOPT),
    "setsockopt": CallSpec("PPME_SOCKET_SETSOCKOPT_X", Step.SOCKOPT, flags=SET_OPTION),
    "sendto": _io("SENDTO", IO_SENT | IO_ADDRESS, "SOCKET"),
    "recvfrom": _io("RECVFROM", IO_ADDRESS, "SOCKET"),
    "sendmsg": _io("SENDMSG", IO_SENT | IO_MSGHDR, "SOCKET"),
    "recvmsg": _io("RECVMSG", IO_MSGHDR | IO_SIZE_IS_RESULT, "SOCKET"),
    "sendmmsg": _io("SENDMMSG", IO_SENT | IO_MSGHDR | IO_MESSAGES, "SOCKET"),
    "recvmmsg": _io("RECVMMSG", IO_MSGHDR | IO_SIZE_IS_RESULT | IO_MESSAGES, "SOCKET"),
    "read": _io("READ", 0),
    "write": _io("WRITE", IO_SENT),
    "pread64": _io("PREAD", 0),
    "pwrite64": _io("PWRITE", IO_SENT),
    "readv": _io("READV", _VECTOR_IN),
    "writev": _io("WRITEV", IO_SENT | IO_VECTOR),
    "preadv": _io("PREADV", _VECTOR_IN),
    "pwritev": _io("PWRITEV", IO_SENT | IO_VECTOR),
    "process_vm_readv": _io("PROCESS_VM_READV", _VECTOR_IN),
    "process_vm_writev": _io("PROCESS_VM_WRITEV", IO_SENT | IO_VECTOR),
    "ptrace": CallSpec("PPME_SYSCALL_PTRACE_X", Step.PTRACE),
    "prctl": CallSpec("PPME_SYSCALL_PRCTL_X", Step.PRCTL),
    "fsconfig": CallSpec("PPME_SYSCALL_FSCONFIG_X", Step.FSCONFIG),
    "keyctl": CallSpec("PPME_SYSCALL_KEYCTL_X", Step.KEYCTL),
    "quotactl": CallSpec("PPME_SYSCALL_QUOTACTL_X", Step.QUOTACTL),
    "init_module": CallSpec("PPME_SYSCALL_INIT_MODULE_X", Step.INIT_MODULE),
    "pipe": CallSpec("PPME_SYSCALL_PIPE_X", Step.PAIR),
    "pipe2": CallSpec("PPME_SYSCALL_PIPE2_X", Step.PAIR, flags=PIPE2),
    "finit_module": _generic("FINIT_MODULE", "FSU"),
    "delete_module": _generic("DELETE_MODULE", "SU"),
    "bpf": _generic("BPF_2", "U"),
    "userfaultfd": _generic("USERFAULTFD", "UR"),
    "memfd_create": _generic("MEMFD_CREATE", "SUR"),
    "pidfd_open": _generic("PIDFD_OPEN", "IUR"),
    "pidfd_getfd": _generic("PIDFD_GETFD", "FIUR"),
    "io_uring_setup": _generic("IO_URING_SETUP", "UJR"),
    "io_uring_enter": _generic("IO_URING_ENTER", "FUUUU"),
    "io_uring_register": _generic("IO_URING_REGISTER", "FHLU"),
    "epoll_create": _generic("EPOLL_CREATE", "UR"),
    "epoll_create1": _generic("EPOLL_CREATE1", "UR"),
    "epoll_wait": _generic("EPOLLWAIT", "I2"),
    "eventfd": _generic("EVENTFD", "L0U7R"),
    "eventfd2": _generic("EVENTFD2", "U1L0R"),
    "signalfd": _generic("SIGNALFD", "I0U7B7R"),
    "signalfd4": _generic("SIGNALFD4", "U3I0U7R"),
    "timerfd_create": _generic("TIMERFD_CREATE", "BBR"),
    "inotify_init": _generic("INOTIFY_INIT", "B7R"),
    "inotify_init1": _generic("INOTIFY_INIT1", "UR"),
    "capset": _generic("CAPSET", "K"),
    "seccomp": _generic("SECCOMP", "LL"),
    "setns": _generic("SETNS", "FU"),
    "unshare": _generic("UNSHARE", "U"),
    "mount": _generic("MOUNT", "SPSU"),
    "umount2": _generic("UMOUNT2", "PU"),
    "kill": _generic("KILL", "IB"),
    "tkill": _generic("TKILL", "IB"),
    "tgkill": _generic("TGKILL", "IIB"),
    "unlink": _generic("UNLINK_2", "P"),
    "unlinkat": _generic("UNLINKAT_2", "DPU"),
    "rmdir": _generic("RMDIR_2", "P"),
    "rename": _generic("RENAME", "PP"),
    "renameat": _generic("RENAMEAT", "DPDP"),
    "renameat2": _generic("RENAMEAT2", "DPDPU"),
    "link": _generic("LINK_2", "PP"),
    "linkat": _generic("LINKAT_2", "DPDPU"),
    "symlink": _generic("SYMLINK", "SP"),
    "symlinkat": _generic("SYMLINKAT", "SDP"),
    "mkdir": _generic("MKDIR_2", "PU"),
    "mkdirat": _generic("MKDIRAT", "DPU"),
    "mknod": _generic("MKNOD", "PUU"),
    "mknodat": _generic("MKNODAT", "DPUU"),
    "chmod": _generic("CHMOD", "PM"),
    "fchmod": _generic("FCHMOD", "FM"),
    "fchmodat": _generic("FCHMODAT", "DPM"),
    "fchmodat2": _generic("FCHMODAT", "DPM"),
    "chown": _generic("CHOWN", "PUU"),
    "lchown": _generic("LCHOWN", "PUU"),
    "fchown": _generic("FCHOWN", "FUU"),
    "fchownat": _generic("FCHOWNAT", "DPUUU"),
    "chdir": _generic("CHDIR", "SC"),
    "fchdir": _generic("FCHDIR", "FC"),
    "chroot": _generic("CHROOT", "P"),
    "getcwd": _generic("GETCWD", "O"),
    "access": _generic("ACCESS", "PU"),
    "stat": _generic("STAT", "P"),
    "lstat": _generic("LSTAT", "P"),
    "fstat": _generic("FSTAT", "F"),
    "newfstatat": _generic("NEWFSTATAT", "DPU3"),
    "getdents": _generic("GETDENTS", "F"),
    "getdents64": _generic("GETDENTS64", "F"),
    "flock": _generic("FLOCK", "FU"),
    "lseek": _generic("LSEEK", "FLU"),
    "ioctl": _generic("IOCTL_3", "FLL"),
    "fcntl": _generic("FCNTL", "FUL"),
    "close": CallSpec("PPME_SYSCALL_CLOSE_X", Step.CLOSE),
    "close_range": _generic("CLOSE_RANGE", "UUU"),
    "splice": _generic("SPLICE", "F0F2L4U5"),
    "sendfile": _generic("SENDFILE", "Q2F0F1L3"),
    "copy_file_range": _generic("COPY_FILE_RANGE", "F2Q3F0Q1L4"),
    "setuid": _generic("SETUID", "U"),
    "setgid": _generic("SETGID", "U"),
    "setreuid": _generic("SETREUID", "UU"),
    "setregid": _generic("SETREGID", "UU"),
    "setresuid": _generic("SETRESUID", "UUU"),
    "setresgid": _generic("SETRESGID", "UUU"),
    "getuid": _generic("GETUID", ""),
    "geteuid": _generic("GETEUID", ""),
    "getgid": _generic("GETGID", ""),
    "getegid": _generic("GETEGID", ""),
    "getresuid": _generic("GETRESUID", "WWW"),
    "getresgid": _generic("GETRESGID", "WWW"),
    "setsid": _generic("SETSID", ""),
    "setpgid": _generic("SETPGID", "II"),
    "getrlimit": _generic("GETRLIMIT", "Y1B0"),
    "setrlimit": _generic("SETRLIMIT", "X1B0"),
    "prlimit64": _generic("PRLIMIT", "X2Y3I0B1"),
    "dup": _generic("DUP_1", "FR"),
    "dup2": _generic("DUP2", "FFR"),
    "dup3": _generic("DUP3", "FFUR"),
    "brk": _generic("BRK_4", "VL0"),
    "mmap": _generic("MMAP", "VLLUUFL"),
    "munmap": _generic("MUNMAP", "VLL"),
    "mprotect": _generic("MPROTECT", "LLU"),
    "mlock": _generic("MLOCK", "LL"),
    "munlock": _generic("MUNLOCK", "LL"),
    "mlock2": _generic("MLOCK2", "LLU"),
    "mlockall": _generic("MLOCKALL", "U"),
    "munlockall": _generic("MUNLOCKALL", ""),
    "futex": _generic("FUTEX", "LHL"),
    "nanosleep": _generic("NANOSLEEP", "T"),
    "poll": CallSpec("PPME_SYSCALL_POLL_X", Step.POLL),
    "ppoll": CallSpec("PPME_SYSCALL_PPOLL_X", Step.POLL, flags=PPOLL),
    "select": _generic("SELECT", ""),
    "semget": _generic("SEMGET", "UUU"),
    "semctl": _generic("SEMCTL", "UUUU"),
    "semop": _generic("SEMOP", "U2E1U0"),
}
"""System call -> event of its own. fchmodat2 is reported as fchmodat, so that rules on it cannot be
evaded."""


def _numbered() -> dict[str, CallSpec]:
    """Calls without an event of their own: the event is their number."""
    return {
        call.name: CallSpec("PPME_GENERIC_X", Step.NUMBER)
        for call in load_syscall_table().syscalls
        if call.exit == "PPME_GENERIC_X" and call.nr and call.name not in _OWN_EVENTS
    }


CALLS: dict[str, CallSpec] = _OWN_EVENTS | _numbered()
"""Every system call that can be reported -> its event."""

STATE_CALLS = frozenset({
    "clone", "clone3", "fork", "vfork", "execve", "execveat", "chdir", "fchdir", "chroot", "capset",
    "prctl",
})  # fmt: skip
"""Calls that the state follows whatever the rules ask for: processes, who inherits their children,
their directories and capabilities. Everything else that it knows travels with each event."""

_FREQUENT = frozenset({
    "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "close", "stat",
    "lstat", "fstat", "newfstatat", "access", "getdents", "getdents64", "lseek", "ioctl", "fcntl",
    "brk", "mmap", "munmap", "mprotect", "futex", "nanosleep", "select", "poll", "ppoll",
    "epoll_wait", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getsockname",
    "getpeername", "getsockopt", "getcwd", "flock", "io_uring_enter", "getrlimit", "prlimit64",
})  # fmt: skip

DEFAULT_CALLS = frozenset(_OWN_EVENTS) - _FREQUENT
"""What is reported where nobody says which calls are wanted: everything that changes something."""

PROCEXIT = "PPME_PROCEXIT_1_E"
EXECVE = CALLS["execve"].event
CLONE = CALLS["clone"].event

MAX_NUMBER = 512
"""Size of the kernel's table of wanted calls; native numbers lie below."""


def parse_ops(ops: str) -> list[tuple[str, int]]:
    """Letter and index of the argument of each op; 0 where there is no argument."""
    found = _OP.findall(ops)
    assert "".join(letter + digit for letter, digit in found) == ops
    parsed = []
    argument = 0
    for letter, digit in found:
        index = int(digit) if digit else 0 if letter in _NO_ARGUMENT else argument
        if letter not in _NO_ARGUMENT:
            argument = index + 1
        parsed.append((letter, index))
    return parsed


def encode_ops(ops: str) -> int:
    """The letters as the number that the kernel reads, first one in the lowest byte."""
    parsed = parse_ops(ops)
    assert len(parsed) <= MAX_OPS
    value = 0
    for place, (letter, index) in enumerate(parsed):
        value |= (OPS[letter] | index << 5) << 8 * place
    return value


def native_numbers(arch: str) -> dict[str, int]:
    """Native numbers of the calls in CALLS that exist on the architecture."""
    return {
        call.name: call.nr[arch]
        for call in load_syscall_table().syscalls
        if call.name in CALLS and arch in call.nr
    }


@cache
def _sc_numbers() -> dict[str, int]:
    return {call.name: call.sc for call in load_syscall_table().syscalls}


def numbers_of(name: str, native: int) -> int:
    """What the step NUMBER shows of a call: its ppm_sc number, above it the native one."""
    return _sc_numbers()[name] | native << 16
