"""Native kernel flag words -> PPM values (those of the event table), for live events.

Live records have the layout of captures, but their flag parameters hold what the kernel was given.
The decoders built here translate by name: each name of a value table that this architecture's
kernel knows. A native word may be stored wider than the parameter's type says.

Facts that only the probe can know travel as extra bits of the native word: `OPEN_CREATED`,
`OPEN_UPPER_LAYER`, `OPEN_LOWER_LAYER` in open flags, `CLONE_CHILD_IN_PIDNS` in clone flags (whose
low byte, the exit signal, the probe clears). execve_flags and creat_flags are computed by the
probe and hold PPM bits already; open modes are zeroed by the probe where the kernel ignores them.
Source: spec/state-tracking.md 11.1; include/uapi of Linux 6.18.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache

from exporter.events.event import ParamDecoder
from exporter.events.params import PollFd, decoder_for
from exporter.events.table import EventType, Param, load_event_table

OPEN_CREATED = 1 << 29
"""Bit of a native open flags word: this open created the file."""
OPEN_UPPER_LAYER = 1 << 30
"""Bit of a native open flags word: the file lies in an overlay's upper directory."""
OPEN_LOWER_LAYER = 1 << 31
"""Bit of a native open flags word: the file lies in an overlay's lower directory."""
CLONE_CHILD_IN_PIDNS = 1 << 0
"""Bit of a native clone flags word: the child lives in a pid namespace below the initial one."""

Translator = Callable[[int], int]

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


_CLONE = {
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

_BITS: Mapping[str, Mapping[str, int]] = {
    "clone_flags": _CLONE,
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

_SAME_BITS = frozenset({
    "flock_flags", "splice_flags", "access_flags", "unlinkat_flags", "linkat_flags",
    "newfstatat_flags", "mlockall_flags", "mlock2_flags", "memfd_create_flags",
    "close_range_flags", "umount_flags", "finit_module_flags", "io_uring_setup_feats",
    "io_uring_enter_flags",
})  # fmt: skip
"""Tables whose bits equal the kernel's; bits without a name are dropped."""

_ENUMS: Mapping[str, Mapping[str, int]] = {
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

_ENUM_DEFAULTS = {"quotactl_quota_fmts": "QFMT_NOT_USED"}

_SAME_ENUMS = frozenset({
    "socket_families", "shutdown_how", "lseek_whence", "rlimit_resources", "sockopt_options",
})  # fmt: skip
"""Enumerations whose numbers equal the kernel's; others become the unknown entry or 0."""

_SOCKOPT_RENUMBERED = {59: 51, 55: 52, 57: 53, 66: 20, 67: 21, 51: 0, 52: 0, 53: 0}
"""SO_PEERGROUPS, SO_MEMINFO, SO_COOKIE and the 64-bit time-outs have other numbers here."""

_QUOTA_OPERATIONS = {
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

_MOUNT_MAGIC = 0xC0ED0000
_MAX_MEMO = 4096
"""Flag words come from any process: the memory of translated ones is bounded."""


def _ppm(table: str) -> dict[str, int]:
    return dict(load_event_table().value_tables[table])


def _bit_translator(pairs: Sequence[tuple[int, int]]) -> Translator:
    @lru_cache(maxsize=_MAX_MEMO)
    def translate(native: int) -> int:
        value = 0
        for mask, bit in pairs:
            if native & mask:
                value |= bit
        return value

    return translate


def _bits_by_name(table: str, native: Mapping[str, int]) -> Translator:
    ppm = _ppm(table)
    return _bit_translator([(mask, ppm[name]) for name, mask in native.items()])


def enum_numbers(table: str) -> frozenset[int] | None:
    """Native numbers that have a name of their own; every other one becomes the unknown entry.

    None for tables that are no enumeration.
    """
    if table in _ENUMS:
        return frozenset(_ENUMS[table].values())
    if table in _SAME_ENUMS:
        return frozenset(_ppm(table).values()) | _SOCKOPT_RENUMBERED.keys()
    return None


def _enum_by_name(table: str, native: Mapping[str, int]) -> Translator:
    ppm = _ppm(table)
    numbers = {number: ppm[name] for name, number in native.items()}
    unknown = ppm.get(_ENUM_DEFAULTS.get(table, ""), _unknown_entry(ppm))
    return lambda value: numbers.get(value, unknown)


def _unknown_entry(ppm: Mapping[str, int]) -> int:
    return next((value for name, value in ppm.items() if name.endswith("UNKNOWN")), 0)


def _same_enum(table: str) -> Translator:
    ppm = _ppm(table)
    known = frozenset(ppm.values())
    unknown = _unknown_entry(ppm)
    if table == "sockopt_options":
        return lambda value: (
            renumbered
            if (renumbered := _SOCKOPT_RENUMBERED.get(value, value)) in known
            else unknown
        )
    return lambda value: value if value in known else unknown


@cache
def _open_translator(machine: str, *, has_access_mode: bool) -> Translator:
    bits = _bits_by_name("file_flags", open_flag_bits(machine))
    if not has_access_mode:
        return bits
    ppm = _ppm("file_flags")
    access = (ppm["O_RDONLY"], ppm["O_WRONLY"], ppm["O_RDWR"], ppm["O_RDONLY"])

    @lru_cache(maxsize=_MAX_MEMO)
    def translate(native: int) -> int:
        return access[native & 3] | bits(native)

    return translate


_NAMESPACE_EVENTS = frozenset({"setns", "unshare"})
_OPEN_EVENTS = frozenset({"open", "openat", "openat2", "open_by_handle_at"})
_PERMISSION_BITS = 0o7777
_TYPE_BITS = 0o170000
_S_IFREG = 0o100000


def _mknod_mode(native: int) -> int:
    return (native & _PERMISSION_BITS) | (native & _TYPE_BITS or _S_IFREG)


def _quota_command(native: int) -> int:
    return _ppm("quotactl_cmds").get(_QUOTA_OPERATIONS.get(native >> 8, ""), 0)


def _mount_flags(native: int) -> int:
    native &= 0xFFFFFFFF
    return native & 0xFFFF if native & 0xFFFF0000 == _MOUNT_MAGIC else native


@cache
def translator(event_name: str, param: Param, machine: str = "") -> Translator | None:
    """The function native value -> PPM value of one parameter; None when the two are equal.

    event_name: name of the event type (open flags of `open` and of `dup3` differ). machine: as told
    by uname; empty for this machine.
    """
    table = param.table
    if event_name == "accept4" and param.name == "flags":
        table = "file_flags"
    if table == "file_flags":
        if event_name == "userfaultfd":
            return None
        return _open_translator(machine, has_access_mode=event_name in _OPEN_EVENTS)
    if table == "clone_flags" and event_name in _NAMESPACE_EVENTS:
        # Bit 0 is the probe's own word about a new task; here it comes from the caller.
        return _bits_by_name(table, {n: bit for n, bit in _CLONE.items() if bit > 1})
    if table in _BITS:
        return _bits_by_name(table, _BITS[table])
    if table in _SAME_BITS:
        return _bits_by_name(table, _ppm(table))
    if table in _ENUMS:
        return _enum_by_name(table, _ENUMS[table])
    if table in _SAME_ENUMS:
        return _same_enum(table)
    special: dict[str, Translator] = {
        "chmod_mode": lambda native: native & _PERMISSION_BITS,
        "mknod_mode": _mknod_mode,
        "mount_flags": _mount_flags,
        "quotactl_cmds": _quota_command,
        "quotactl_dqi_flags": lambda native: 2 if native & 1 else 1,
    }
    return special.get(table)


def _translated(decode: ParamDecoder, translate: Translator, width: int) -> ParamDecoder:
    mask = (1 << 8 * width) - 1

    # The mask keeps what a record of a capture could hold (SHUT_UNKNOWN is wider than its type).
    # Few flag words are in use at any time: remembering them by their bytes is one call instead
    # of four.
    @lru_cache(maxsize=_MAX_MEMO)
    def decode_translated(data: bytes) -> int:
        return translate(int(decode(data))) & mask

    return decode_translated


_WIDTHS = {"8": 1, "16": 2}


@cache
def live_decoders(event: EventType, machine: str = "") -> Sequence[ParamDecoder]:
    """One decoder a parameter for live events: as for captures, flags translated to PPM values."""
    decoders: list[ParamDecoder] = []
    for param in event.params:
        decode = decoder_for(param.type, table=param.table, is_live=True)
        translate = translator(event.name, param, machine)
        if translate is not None:
            width = next((n for end, n in _WIDTHS.items() if param.type.endswith(end)), 4)
            decode = _translated(decoder_for("UINT64"), translate, width)
        elif param.type == "FDLIST":
            decode = _live_fdlist(decode)
        decoders.append(decode)
    return tuple(decoders)


def _live_fdlist(decode: ParamDecoder) -> ParamDecoder:
    translate = _bits_by_name("poll_flags", _BITS["poll_flags"])
    return lambda data: tuple(PollFd(item.fd, translate(item.flags)) for item in decode(data))
