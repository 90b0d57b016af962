"""LiveContext: what the probe read of the calling task in the kernel, at the time of the event.

Every live event carries it, so that threads which nobody has seen before (short-lived ones, ones
older than Lanner) can be created and stale ones (reused ids) be noticed without reading /proc.
Captures have none. Plain data; written by the probe source, read by the state room.
Source of the values: exporter/sources/probe/record.py.
"""

from msgspec import Struct

from exporter.events.fd import Fd


class LiveContext(Struct, kw_only=True, gc=False):
    """Facts of the event's own task. Ids are those of the initial namespaces unless said so.

    pid: thread group id (the event's tid is `Event.tid`). ptid: *thread* id of the real parent;
    ppid: its process id. vtid, vpid: numbers in the task's own pid namespace (equal to tid and pid
    outside one); pidns_level: depth of that namespace, 0 = initial. uid, gid: effective. sid,
    pgid: session and process group; vpgid: process group in the own pid namespace. tty: device
    number of the controlling terminal, 0 for none. mntns: inode number of the mount namespace.
    cgroup_id: id of the cgroup v2 directory (its inode number); cgroup_path: its path, None when
    this event does not carry it. start_boottime_ns: start of the
    *process* (group leader), ns since boot; another value under a known pid means that the pid was
    reused. comm: without NUL. cwd: absolute path without trailing slash, None when this event does
    not carry it; for chdir and fchdir the new one. dirfd_path, dirfd2_path: path of the directory
    behind the first and second dirfd parameter; None when it is AT_FDCWD, unknown, or not needed.
    fds: facts of the descriptors this event is about (new ones included), keyed by number.
    truncated: TRUNCATED_* bits.
    """

    pid: int
    ptid: int
    vtid: int
    vpid: int
    pidns_level: int
    uid: int
    gid: int
    loginuid: int
    sid: int
    pgid: int
    vpgid: int
    tty: int
    mntns: int
    cgroup_id: int
    start_boottime_ns: int
    comm: bytes
    ppid: int = -1
    cwd: bytes | None = None
    dirfd_path: bytes | None = None
    dirfd2_path: bytes | None = None
    fds: dict[int, Fd] | None = None
    cgroup_path: bytes | None = None
    truncated: int = 0


TRUNCATED_ARGS = 1 << 0
"""The argument list was longer than the probe keeps."""
TRUNCATED_ENV = 1 << 1
"""The environment was longer than the probe keeps, or could not be read."""
TRUNCATED_PATH = 1 << 2
"""A path or string argument was longer than the probe keeps (4096 bytes), or was cut by it."""
TRUNCATED_CGROUPS = 1 << 3
"""A cgroup path had more components than the probe walks."""
