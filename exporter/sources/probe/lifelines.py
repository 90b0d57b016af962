"""Where the parts of births, execs and exits lie in their records.

The parameters of these events have fixed lengths but for a few, so a record is read by two or
three formats instead of one parameter after the other. A record of another shape, such as one with
a part that the probe could not read, is not read here.
Source: bpf/process.h, clone.h, exec.h, hook_exit.h.
"""

from struct import Struct

from exporter.events.table import event_type
from exporter.sources.probe.record import HEADER

BIRTHS = tuple(
    event_type(event_id).code
    for event_id in (
        "PPME_SYSCALL_CLONE_20_X", "PPME_SYSCALL_FORK_20_X", "PPME_SYSCALL_VFORK_20_X",
        "PPME_SYSCALL_CLONE3_X",
    )
)  # fmt: skip
EXECVE = event_type("PPME_SYSCALL_EXECVE_19_X").code
PROCEXIT = event_type("PPME_PROCEXIT_1_E").code
"""Codes of the events."""

PARAMS_AT = HEADER.size
"""Where the lengths of the parameters begin."""

_PROCESS = Struct("<10H").pack(8, 8, 8, 1, 8, 8, 8, 4, 4, 4)
"""Lengths of tid to vm_swap, in births and execs."""

_FACTS_AT = 25
"""Bytes of tid, pid, ptid and an empty cwd."""

BIRTH_FACTS = Struct(f"<{_FACTS_AT}xq2Q3I")
"""fdlimit, pgft_maj, pgft_min, vm_size, vm_rss, vm_swap, behind tid, pid, ptid and cwd."""

EXEC_FACTS = Struct(f"<{_FACTS_AT}x3Q3I")
"""The same; here the limit has no sign."""

BIRTH_LENGTHS = Struct("<H2H20s2H12sq")
"""res, exe, args, tid to vm_swap, comm, cgroups, flags to pidns_init_start_ts; then the result."""

BIRTH_PARAMS = 21
BIRTH_SHAPE = (8, _PROCESS, Struct("<6H").pack(4, 4, 4, 8, 8, 8))
"""The fixed ones of BIRTH_LENGTHS."""

BIRTH_END = Struct("<4s24xQ")
"""flags (undecoded), and pidns_init_start_ts behind uid, gid, vtid and vpid."""

EXEC_LENGTHS = Struct("<H2H20s3H22sH4sHq")
"""res, exe, args, tid to vm_swap, comm, cgroups, env, tty to uid, trusted_exepath, pgid and gid,
filename; then the result."""

EXEC_PARAMS = 31
EXEC_SHAPE = (
    8,
    _PROCESS,
    Struct("<11H").pack(4, 8, 4, 4, 8, 8, 8, 8, 8, 8, 4),
    Struct("<2H").pack(8, 4),
)
"""The fixed ones of EXEC_LENGTHS."""

EXEC_IMAGE = Struct("<16xI6Q4x")
"""flags, the three sets of capabilities, inode, ctime and mtime, between tty, vpgid, loginuid and
uid."""

EXEC_END_BYTES = 12
"""Bytes of pgid and gid, which the header tells too."""

EXIT_SHAPE = Struct("<5H").pack(8, 8, 1, 1, 8)
"""Lengths of status, ret, sig, core and reaper_tid."""

EXIT_REAPER_AT = PARAMS_AT + len(EXIT_SHAPE) + 18
EXIT_REAPER = Struct("<q")
EXIT_BYTES = EXIT_REAPER_AT + EXIT_REAPER.size

ATTACHMENT = Struct("<HH")
"""Kind and length of the attachment."""
