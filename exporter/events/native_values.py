"""Flag words and numbers of the kernel by the names that the event table has for them.

Declarations only; native.py makes translators of them. Facts that only the probe can know travel as
extra bits of a native word: `OPEN_CREATED`, `OPEN_UPPER_LAYER`, `OPEN_LOWER_LAYER` in open flags,
`CLONE_CHILD_IN_PIDNS` in clone flags (whose low byte, the exit signal, the probe clears).
Source: spec/state-tracking.md 11.1; include/uapi of Linux 6.18.
"""

import os
from collections.abc import Mapping
from functools import cache

OPEN_CREATED = 1 << 29
"""Bit of a native open flags word: this open created the file."""
OPEN_UPPER_LAYER = 1 << 30
"""Bit of a native open flags word: the file lies in an overlay's upper directory."""
OPEN_LOWER_LAYER = 1 << 31
"""Bit of a native open flags word: the file lies in an overlay's lower directory."""
CLONE_CHILD_IN_PIDNS = 1 << 0
"""Bit of a native clone flags word: the child lives in a pid namespace below the initial one."""

O_CREAT = 0o100
O_NONBLOCK = 0o4000
O_CLOEXEC = 0o2000000
_O_DSYNC = 0o10000
_O_SYNC = 0o4010000
_O_TMPFILE_BIT = 0o20000000


@cache
def open_flag_bits(machine: str = "") -> Mapping[str, int]:
    """Name -> native bits of the open flags; they differ between x86_64 and aarch64.

    machine: as told by uname; empty for this machine.
    """
    is_arm = (machine or os.uname().machine) in {"aarch64", "arm64"}
    directory = 0o40000 if is_arm else 0o200000
    return {
        "O_LARGEFILE": 0o400000 if is_arm else 0o100000,
        "O_DIRECTORY": directory,
        "O_DIRECT": 0o200000 if is_arm else 0o40000,
        "O_TRUNC": 0o1000,
        "O_SYNC": _O_SYNC,
        "O_NONBLOCK": O_NONBLOCK,
        "O_EXCL": 0o200,
        "O_DSYNC": _O_DSYNC,
        "O_APPEND": 0o2000,
        "O_CREAT": O_CREAT,
        "O_CLOEXEC": O_CLOEXEC,
        # Any bit counts, so a directory opened with O_DIRECTORY shows O_TMPFILE as well.
        "O_TMPFILE": _O_TMPFILE_BIT | directory,
        "O_F_CREATED": OPEN_CREATED,
        "FD_UPPER_LAYER": OPEN_UPPER_LAYER,
        "FD_LOWER_LAYER": OPEN_LOWER_LAYER,
    }


CLONE_FLAGS = {
    "CLONE_CHILD_IN_PIDNS": CLONE_CHILD_IN_PIDNS,
    "CLONE_VM": 0x100,
    "CLONE_FS": 0x200,
    "CLONE_FILES": 0x400,
    "CLONE_SIGHAND": 0x800,
    "CLONE_PTRACE": 0x2000,
    "CLONE_VFORK": 0x4000,
    "CLONE_PARENT": 0x8000,
    "CLONE_THREAD": 0x10000,
    "CLONE_NEWNS": 0x20000,
    "CLONE_SYSVSEM": 0x40000,
    "CLONE_SETTLS": 0x80000,
    "CLONE_PARENT_SETTID": 0x100000,
    "CLONE_CHILD_CLEARTID": 0x200000,
    "CLONE_UNTRACED": 0x800000,
    "CLONE_CHILD_SETTID": 0x1000000,
    "CLONE_NEWCGROUP": 0x2000000,
    "CLONE_NEWUTS": 0x4000000,
    "CLONE_NEWIPC": 0x8000000,
    "CLONE_NEWUSER": 0x10000000,
    "CLONE_NEWPID": 0x20000000,
    "CLONE_NEWNET": 0x40000000,
    "CLONE_IO": 0x80000000,
}

BITS: Mapping[str, Mapping[str, int]] = {
    "clone_flags": CLONE_FLAGS,
    "mmap_flags": {
        "MAP_SHARED": 0x1,
        "MAP_PRIVATE": 0x2,
        "MAP_FIXED": 0x10,
        "MAP_ANONYMOUS": 0x20,
        "MAP_32BIT": 0x40,
        "MAP_GROWSDOWN": 0x100,
        "MAP_DENYWRITE": 0x800,
        "MAP_EXECUTABLE": 0x1000,
        "MAP_LOCKED": 0x2000,
        "MAP_NORESERVE": 0x4000,
        "MAP_POPULATE": 0x8000,
        "MAP_NONBLOCK": 0x10000,
    },
    "prot_flags": {
        "PROT_READ": 1,
        "PROT_WRITE": 2,
        "PROT_EXEC": 4,
        "PROT_SEM": 8,
        "PROT_GROWSDOWN": 0x1000000,
        "PROT_GROWSUP": 0x2000000,
    },
    "poll_flags": {
        "POLLIN": 0x1,
        "POLLPRI": 0x2,
        "POLLOUT": 0x4,
        "POLLERR": 0x8,
        "POLLHUP": 0x10,
        "POLLNVAL": 0x20,
        "POLLRDNORM": 0x40,
        "POLLRDBAND": 0x80,
        "POLLWRNORM": 0x100,
        "POLLWRBAND": 0x200,
        "POLLRDHUP": 0x2000,
    },
    "fchownat_flags": {"AT_SYMLINK_NOFOLLOW": 0x100, "AT_EMPTY_PATH": 0x1000},
    "execveat_flags": {"AT_SYMLINK_NOFOLLOW": 0x100, "AT_EMPTY_PATH": 0x1000},
    "openat2_flags": {
        "RESOLVE_NO_XDEV": 0x1,
        "RESOLVE_NO_MAGICLINKS": 0x2,
        "RESOLVE_NO_SYMLINKS": 0x4,
        "RESOLVE_BENEATH": 0x8,
        "RESOLVE_IN_ROOT": 0x10,
        "RESOLVE_CACHED": 0x20,
    },
    "io_uring_setup_flags": {
        "IORING_SETUP_IOPOLL": 0x1,
        "IORING_SETUP_SQPOLL": 0x2,
        # Not a set-up flag but tested as one by name; the kernel constant is 1.
        "IORING_SQ_NEED_WAKEUP": 0x1,
        "IORING_SETUP_SQ_AFF": 0x4,
        "IORING_SETUP_CQSIZE": 0x8,
        "IORING_SETUP_CLAMP": 0x10,
        "IORING_SETUP_ATTACH_RW": 0x20,
        "IORING_SETUP_R_DISABLED": 0x40,
    },
    "delete_module_flags": {"O_NONBLOCK": O_NONBLOCK, "O_TRUNC": 0o1000},
    "epoll_create1_flags": {"EPOLL_CLOEXEC": O_CLOEXEC},
    "pidfd_open_flags": {"PIDFD_NONBLOCK": O_NONBLOCK},
    "semop_flags": {"IPC_NOWAIT": 0o4000, "SEM_UNDO": 0x1000},
    "semget_flags": {"IPC_CREAT": 0o1000, "IPC_EXCL": 0o2000},
}
"""Tables whose native bits differ from the PPM bits: name -> native bits, any of which counts."""

SAME_BITS = frozenset({
    "flock_flags", "splice_flags", "access_flags", "unlinkat_flags", "linkat_flags",
    "newfstatat_flags", "mlockall_flags", "mlock2_flags", "memfd_create_flags",
    "close_range_flags", "umount_flags", "finit_module_flags", "io_uring_setup_feats",
    "io_uring_enter_flags",
})  # fmt: skip
"""Tables whose bits equal the kernel's; bits without a name are dropped."""

ENUMS: Mapping[str, Mapping[str, int]] = {
    "ptrace_requests": {
        "PTRACE_TRACEME": 0,
        "PTRACE_PEEKTEXT": 1,
        "PTRACE_PEEKDATA": 2,
        "PTRACE_PEEKUSR": 3,
        "PTRACE_POKETEXT": 4,
        "PTRACE_POKEDATA": 5,
        "PTRACE_POKEUSR": 6,
        "PTRACE_CONT": 7,
        "PTRACE_KILL": 8,
        "PTRACE_SINGLESTEP": 9,
        "PTRACE_GETREGS": 12,
        "PTRACE_SETREGS": 13,
        "PTRACE_GETFPREGS": 14,
        "PTRACE_SETFPREGS": 15,
        "PTRACE_ATTACH": 16,
        "PTRACE_DETACH": 17,
        "PTRACE_GETFPXREGS": 18,
        "PTRACE_SETFPXREGS": 19,
        "PTRACE_OLDSETOPTIONS": 21,
        "PTRACE_SYSCALL": 24,
        "PTRACE_GET_THREAD_AREA": 25,
        "PTRACE_SET_THREAD_AREA": 26,
        "PTRACE_ARCH_PRCTL": 30,
        "PTRACE_SYSEMU": 31,
        "PTRACE_SYSEMU_SINGLESTEP": 32,
        "PTRACE_SINGLEBLOCK": 33,
        "PTRACE_SETOPTIONS": 0x4200,
        "PTRACE_GETEVENTMSG": 0x4201,
        "PTRACE_GETSIGINFO": 0x4202,
        "PTRACE_SETSIGINFO": 0x4203,
        "PTRACE_GETREGSET": 0x4204,
        "PTRACE_SETREGSET": 0x4205,
        "PTRACE_SEIZE": 0x4206,
        "PTRACE_INTERRUPT": 0x4207,
        "PTRACE_LISTEN": 0x4208,
        "PTRACE_PEEKSIGINFO": 0x4209,
        "PTRACE_GETSIGMASK": 0x420A,
        "PTRACE_SETSIGMASK": 0x420B,
    },
    "fcntl_commands": {
        "F_DUPFD": 0,
        "F_GETFD": 1,
        "F_SETFD": 2,
        "F_GETFL": 3,
        "F_SETFL": 4,
        "F_GETLK": 5,
        "F_SETLK": 6,
        "F_SETLKW": 7,
        "F_SETOWN": 8,
        "F_GETOWN": 9,
        "F_SETSIG": 10,
        "F_GETSIG": 11,
        "F_SETOWN_EX": 15,
        "F_GETOWN_EX": 16,
        "F_OFD_GETLK": 36,
        "F_OFD_SETLK": 37,
        "F_OFD_SETLKW": 38,
        "F_SETLEASE": 1024,
        "F_GETLEASE": 1025,
        "F_NOTIFY": 1026,
        "F_CANCELLK": 1029,
        "F_DUPFD_CLOEXEC": 1030,
        "F_SETPIPE_SZ": 1031,
        "F_GETPIPE_SZ": 1032,
    },
    "semctl_commands": {
        "IPC_RMID": 0,
        "IPC_SET": 1,
        "IPC_STAT": 2,
        "IPC_INFO": 3,
        "GETPID": 11,
        "GETVAL": 12,
        "GETALL": 13,
        "GETNCNT": 14,
        "GETZCNT": 15,
        "SETVAL": 16,
        "SETALL": 17,
        "SEM_STAT": 18,
        "SEM_INFO": 19,
    },
    "sockopt_levels": {"SOL_SOCKET": 1, "SOL_TCP": 6},
    "quotactl_types": {"USRQUOTA": 0, "GRPQUOTA": 1},
    "quotactl_quota_fmts": {"QFMT_VFS_OLD": 1, "QFMT_VFS_V0": 2, "QFMT_VFS_V1": 4},
}
"""Enumerations whose native numbers differ: name -> native number."""

ENUM_DEFAULTS = {"quotactl_quota_fmts": "QFMT_NOT_USED"}

SAME_ENUMS = frozenset({
    "socket_families", "shutdown_how", "lseek_whence", "rlimit_resources", "sockopt_options",
})  # fmt: skip
"""Enumerations whose numbers equal the kernel's; others become the unknown entry or 0."""

SOCKOPT_RENUMBERED = {59: 51, 55: 52, 57: 53, 66: 20, 67: 21, 51: 0, 52: 0, 53: 0}
"""SO_PEERGROUPS, SO_MEMINFO, SO_COOKIE and the 64-bit time-outs have other numbers here."""

QUOTA_OPERATIONS = {
    0x800001: "Q_SYNC",
    0x800002: "Q_QUOTAON",
    0x800003: "Q_QUOTAOFF",
    0x800004: "Q_GETFMT",
    0x800005: "Q_GETINFO",
    0x800006: "Q_SETINFO",
    0x800007: "Q_GETQUOTA",
    0x800008: "Q_SETQUOTA",
    0x5801: "Q_XQUOTAON",
    0x5802: "Q_XQUOTAOFF",
    0x5803: "Q_XGETQUOTA",
    0x5804: "Q_XSETQLIM",
    0x5805: "Q_XGETQSTAT",
    0x5806: "Q_XQUOTARM",
    0x5807: "Q_XQUOTASYNC",
}
