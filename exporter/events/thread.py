"""Thread: what is known of one thread (task), as fields of rules read it.

Plain data. The state room alone writes it (single writer: the hot thread); rules only read.
Source: spec/state-tracking.md section 1.
"""

from enum import IntFlag

from msgspec import Struct

from exporter.events.fd import Fd
from exporter.events.strings import StringList

UNKNOWN_ID = 0xFFFFFFFF
"""uid, gid or loginuid that is not set or not known (u32 -1)."""


class ThreadFlags(IntFlag):
    """Bits of `Thread.flags` that readers look at; the PPM_CL_* of the event table and our own."""

    SHARES_FILES = 1 << 0
    ACTIVE = 1 << 19
    PIPE_SRC = 1 << 21
    PIPE_DST = 1 << 22
    CLONE_INVERTED = 1 << 16
    IS_MAIN_THREAD = 1 << 30


class Thread(Struct, kw_only=True):
    """One thread. Defaults are those of a thread that nothing is known of (a placeholder, pid -1).

    Strings are raw bytes without a trailing NUL. `cwd`, `env` and `fds` are kept by the leader
    (main thread) of the process only; read them through `Host.leader(thread)`. Times are ns since
    the epoch, 0 when unknown.
    """

    tid: int
    pid: int = -1
    ptid: int = -1
    vtid: int = -1
    vpid: int = -1
    sid: int = -1
    vpgid: int = -1
    pgid: int = -1
    comm: bytes = b"<NA>"
    exe: bytes = b"<NA>"
    exepath: bytes = b""
    args: StringList = ()
    env: StringList = ()
    cgroups: tuple[tuple[bytes, bytes], ...] = ()
    flags: int = 0
    fdlimit: int = -1
    uid: int = UNKNOWN_ID
    gid: int = UNKNOWN_ID
    loginuid: int = UNKNOWN_ID
    vmsize_kb: int = 0
    vmrss_kb: int = 0
    vmswap_kb: int = 0
    pfmajor: int = 0
    pfminor: int = 0
    root: bytes = b"/"
    cwd: bytes = b""
    tty: int = 0
    cap_inheritable: int = 0
    cap_permitted: int = 0
    cap_effective: int = 0
    exe_ino: int = 0
    exe_ino_ctime_ns: int = 0
    exe_ino_mtime_ns: int = 0
    ctime_duration_proc_start_ns: int = 0
    """Start of the process minus ctime of its executable, set at exec; 0 when unknown."""
    ctime_duration_pidns_start_ns: int = 0
    """Ctime of the executable minus start of the pid namespace, set at exec if ctime is later."""
    exe_writable: bool = False
    exe_upper_layer: bool = False
    exe_lower_layer: bool = False
    exe_from_memfd: bool = False
    clone_ts_ns: int = 0
    lastexec_ts_ns: int = 0
    pidns_init_start_ts_ns: int = 0
    reaper_tid: int = 0
    children: int = 0
    is_dead: bool = False
    mntns: int = 0
    """Inode number of the mount namespace; 0 when the source does not tell (captures)."""
    container_id: bytes = b""
    """First 12 hex digits (or the runtime's short name); empty on the host."""
    pod_uid: bytes = b""
    """Pod uid from the cgroup path, with dashes; empty when the path names none."""
    host_claim: bytes = b""
    """Container id that cgroup paths of a process outside the host's mount namespace name though it
    came with them from the host; empty for all others (live only)."""
    cgroup_id: int = 0
    """Id of the cgroup v2 directory (live only); another value means that the cgroup changed."""
    start_boottime_ns: int = 0
    """Start of the process (leader), ns since boot; 0 when unknown (captures)."""
    seen_ns: int = 0
    """Time of the last event of this thread; 0 when it had none."""
    category: str = ""
    """container, healthcheck, liveness or readiness (spec/state-tracking.md 10.2); empty: none."""
    fds: dict[int, Fd] = {}

    @property
    def is_valid(self) -> bool:
        """Whether anything beyond the tid is known."""
        return self.pid >= 0

    @property
    def is_main(self) -> bool:
        """Whether this is the leader of its process."""
        return self.tid == self.pid or bool(self.flags & ThreadFlags.IS_MAIN_THREAD)
