"""Layout of a record in the ring buffer, and which of its parameters hold native kernel values.

A record is the header below, one u16 length a parameter, the parameter bytes back to back, then
attachments (u16 kind, u16 length, bytes). Parameters are in the order and under the encodings of
the event table; strings end in NUL, `args`, `env` and `cgroups` hold NUL-terminated strings.
bpf/layout.h holds the same layout; tests/sources/probe/test_record.py compares the two.

Attachments:

- CWD, DIRFD, DIRFD2: an absolute path without NUL: the working directory (after the call: for
  chdir and fchdir that is the new one), and the directories
  behind the first and second directory descriptor of a relative path argument.
- FD: an entry of a capture's fd list (s64 fd, u64 inode, u8 type, then by type), with local end
  first for sockets, *native* open flags, and type 10 with a name such as `[eventfd]` for anonymous
  inodes.
- CGROUP: path of the task's cgroup v2 directory, whose id the header has; with execs and the births
  of processes outside the host's mount namespace.

Native values: flag words and enumerators are those of the running kernel and are
translated by exporter/events/native.py when somebody reads them. In open flags three bits that the
kernel does not use carry what the probe knows of the file: OPEN_CREATED, OPEN_UPPER_LAYER,
OPEN_LOWER_LAYER. In clone flags bit 0 (CLONE_CHILD_IN_PIDNS) stands for CHILD_IN_PIDNS; the exit
signal's byte is cleared, except CLONE_NEWTIME (0x80) of clone3. Everything else is as in captures:
`mode` of the open family and of chmod is masked as users of these fields expect, execve's `flags`
and creat's `creat_flags` hold the event table's bits, DYN parameters start with their variant.
Capability sets are the kernel's bit sets, whose numbers equal the event table's.
"""

from enum import IntEnum
from struct import Struct

from exporter.events.native_values import OPEN_CREATED

HEADER = Struct("<QIHHIIIIIIIIIIIIIHHQQ16sHHI")
"""ts_ns, record_len, event_code, nparams, tid, pid, ptid, vtid, vpid, uid, gid, loginuid, sid,
pgid, vpgid, tty, mntns, cpu, flags, start_boottime_ns, cgroup_id, comm, pidns_level,
attachments_len, ppid."""

HEADER_FIELDS = (
    "ts_ns",
    "record_len",
    "event_code",
    "nparams",
    "tid",
    "pid",
    "ptid",
    "vtid",
    "vpid",
    "uid",
    "gid",
    "loginuid",
    "sid",
    "pgid",
    "vpgid",
    "tty",
    "mntns",
    "cpu",
    "flags",
    "start_boottime_ns",
    "cgroup_id",
    "comm",
    "pidns_level",
    "attachments_len",
    "ppid",
)
"""Names of the header's members in C, in order."""


PEEK = Struct("<Q4xH56xH")
"""ts_ns, event_code and flags of the header."""

FLAGS_AT = 70
"""Where the flags are in the header, a word of 16 bits."""


class Attachment(IntEnum):
    """Kinds of attachment."""

    CWD = 1
    DIRFD = 2
    DIRFD2 = 3
    FD = 4
    CGROUP = 5


RECORD_STATE_ONLY = 1 << 4
"""Bit of the header's flags: no rule can match the event; the state alone needs it. The lower ones
are TRUNCATED_* of exporter/events/live.py."""

OPEN_NATIVE_MASK = OPEN_CREATED - 1
"""Bits of an open flags word that come from the caller; the probe masks the others off."""
