"""Which system calls the probe can report, as what event, and how their arguments become it.

Most calls need no code in the kernel of their own: their event is the result and the arguments in
order, and `ops` names the kind of each (bpf/syscalls_generic.h). A call of that sort is added by
one line here.
Source: spec/events.yaml; state-tracking.md section 11.
"""

from enum import IntEnum

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


HAS_DIRFD, OPEN_HOW, ACCEPT4, CLONE_ARG, CLONE3_ARG, EXECVEAT = (1 << bit for bit in range(6))

OPS = {"F": 1, "D": 2, "P": 3, "S": 4, "U": 5, "M": 6, "R": 7, "-": 8, "C": 9}
"""Letters used in `ops` below, with their numbers in bpf/syscalls_generic.h: F descriptor (with
its facts), D directory of the next path, P path, S string, U 32-bit word, M mode, R facts of the
descriptor returned, - argument that is not shown, C working directory after the call."""


class CallSpec(Struct, frozen=True):
    """How one system call becomes an event."""

    event: str
    step: Step
    ops: str = ""
    flags: int = 0


def _generic(event: str, ops: str) -> CallSpec:
    return CallSpec(f"PPME_SYSCALL_{event}_X", Step.GENERIC, ops)


CALLS: dict[str, CallSpec] = {
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
    "listen": CallSpec("PPME_SOCKET_LISTEN_X", Step.GENERIC, "FU"),
    "accept": CallSpec("PPME_SOCKET_ACCEPT_5_X", Step.ACCEPT),
    "accept4": CallSpec("PPME_SOCKET_ACCEPT4_6_X", Step.ACCEPT, flags=ACCEPT4),
    "ptrace": CallSpec("PPME_SYSCALL_PTRACE_X", Step.PTRACE),
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
    "chmod": _generic("CHMOD", "PM"),
    "fchmod": _generic("FCHMOD", "FM"),
    "fchmodat": _generic("FCHMODAT", "DPM"),
    "fchmodat2": _generic("FCHMODAT", "DPM"),
    "chdir": _generic("CHDIR", "SC"),
    "fchdir": _generic("FCHDIR", "FC"),
    "chroot": _generic("CHROOT", "P"),
    "setuid": _generic("SETUID", "U"),
    "setgid": _generic("SETGID", "U"),
    "setreuid": _generic("SETREUID", "UU"),
    "setregid": _generic("SETREGID", "UU"),
    "setresuid": _generic("SETRESUID", "UUU"),
    "setresgid": _generic("SETRESGID", "UUU"),
    "setsid": _generic("SETSID", ""),
    "dup": _generic("DUP_1", "FR"),
    "dup2": _generic("DUP2", "FFR"),
    "dup3": _generic("DUP3", "FFUR"),
}
"""System call -> event. fchmodat2 is reported as fchmodat, so that rules on it cannot be evaded."""

PROCEXIT = "PPME_PROCEXIT_1_E"
EXECVE = CALLS["execve"].event
CLONE = CALLS["clone"].event

MAX_NUMBER = 512
"""Size of the kernel's table of wanted calls; native numbers lie below."""


def encode_ops(ops: str) -> int:
    """The letters as the number that the kernel reads, first one in the lowest nibble."""
    value = 0
    for index, letter in enumerate(ops):
        value |= OPS[letter] << 4 * index
    return value


def native_numbers(arch: str) -> dict[str, int]:
    """Native numbers of the calls in CALLS that exist on the architecture."""
    return {
        call.name: call.nr[arch]
        for call in load_syscall_table().syscalls
        if call.name in CALLS and arch in call.nr
    }


def supported_events() -> dict[int, str]:
    """Code -> id of every event that the probe can emit."""
    ids = {spec.event for spec in CALLS.values()} | {PROCEXIT}
    return {event_type(event).code: event for event in sorted(ids)}
