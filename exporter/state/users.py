"""Users and groups: passwd and group files of the host and, when they appear, of containers.

Files are read whole, small, and only when the hot thread meets an id it has not seen: the host's
again when they changed (looked at once a second of event time), a container's once for each new id.
Source: spec/state-tracking.md section 9; passwd(5), group(5).
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.events.container import Group, User
from exporter.events.host import Host
from exporter.events.thread import UNKNOWN_ID, Thread
from exporter.state.counters import StateCounters

_WINDOW_NS = 1_000_000_000
_MAX_FILE_BYTES = 1 << 20
_MAX_READS_PER_SECOND = 20
"""Container files read in one second of event time; more ids than that stay unknown until later."""

_MAX_LOOKS_PER_SECOND = 500
"""Looks for a thread that can show a container's files, about 10 microseconds each."""

_MAX_TRIED = 65536
"""Ids of containers that were looked for; past it what containers told is dropped, as below."""

_MAX_BYTES = 16 << 20
"""What the names of containers may take; past it all of them are dropped and learned anew."""

_ENTRY_BYTES = 256
"""Rough size of a user or group without its texts."""

_MAX_A_FILE = 1024
"""Entries kept of one file of a container, besides the one that was looked for."""

_MAX_ANCESTORS = 8
"""Ancestors in the same container that are asked for its files when the thread itself has ended."""


class Users:
    """Keeps `host.users` and `host.groups`.

    etc: the host's /etc. proc_root: /proc through which containers' files are read; empty in
    captures, where nothing is read.
    """

    def __init__(
        self,
        host: Host,
        counters: StateCounters,
        etc: str | Path = "/etc",
        proc_root: str | Path = "/proc",
    ) -> None:
        self.host = host
        self.counters = counters
        self._passwd = str(Path(etc) / "passwd")
        self._group = str(Path(etc) / "group")
        self._host_root = str(Path(etc).parent)
        self._proc_root = str(proc_root)
        self._stamps: tuple[int, int] = (-1, -1)
        self._on_host_names: Callable[[Mapping[int, bytes]], None] | None = None
        self._window_ns = 0
        self._window_reads = 0
        self._window_looks = 0
        self._tried: set[tuple[bytes, bool, int]] = set()
        self._kept_bytes = 0
        """Of containers, by `_ENTRY_BYTES`; files that were read again count again."""

    def load_host(self) -> None:
        """Read the host's files if they changed since the last time; cheap when not."""
        stamps = (_stamp(self._passwd), _stamp(self._group))
        if stamps == self._stamps:
            return
        self._stamps = stamps
        users = {(b"", user.uid): user for user in read_passwd(self._passwd)}
        groups = {(b"", group.gid): group for group in read_groups(self._group)}
        users.setdefault((b"", 0), User(uid=0, gid=0, name=b"root", home=b"/root"))
        if self._on_host_names is not None:
            self._on_host_names({uid: user.name for (_, uid), user in users.items()})
        for key in [key for key in self.host.users if not key[0]]:
            del self.host.users[key]
        for gkey in [key for key in self.host.groups if not key[0]]:
            del self.host.groups[gkey]
        self.host.users.update(users)
        self.host.groups.update(groups)
        self.counters.users_read += 1

    def watch_host(self, on_names: Callable[[Mapping[int, bytes]], None]) -> None:
        """Tell a function the names of the host's users, now and just before they change."""
        self._on_host_names = on_names
        self._stamps = (-1, -1)
        self.load_host()

    def ensure(
        self,
        thread: Thread,
        now_ns: int,
        *,
        is_bounded: bool = True,
        has_settled: bool = False,
    ) -> None:
        """Learn the names of a thread's user and group if its container has not shown them yet.

        is_bounded: False at the start, when nobody waits and each container is met once.
        has_settled: True once the thread has executed a program inside its container.
        """
        if not is_bounded:
            self._window_reads = self._window_looks = 0
        container = thread.container_id
        if not container or not self._proc_root:
            return
        host = self.host
        if thread.uid != UNKNOWN_ID and (container, thread.uid) not in host.users:
            self._learn(thread, now_ns, thread.uid, is_group=False, has_settled=has_settled)
        if thread.gid != UNKNOWN_ID and (container, thread.gid) not in host.groups:
            self._learn(thread, now_ns, thread.gid, is_group=True, has_settled=has_settled)

    def forget_container(self, container: bytes) -> None:
        """Drop everything of a container that is gone."""
        for key in [key for key in self.host.users if key[0] == container]:
            del self.host.users[key]
        for gkey in [key for key in self.host.groups if key[0] == container]:
            del self.host.groups[gkey]
        self._tried = {key for key in self._tried if key[0] != container}

    def _learn(
        self, thread: Thread, now_ns: int, number: int, *, is_group: bool, has_settled: bool
    ) -> None:
        container = thread.container_id
        key = (container, is_group, number)
        if key in self._tried:
            return
        if now_ns - self._window_ns >= _WINDOW_NS:
            self._window_ns = now_ns
            self._window_reads = self._window_looks = 0
        if (
            self._window_reads >= _MAX_READS_PER_SECOND
            or self._window_looks >= _MAX_LOOKS_PER_SECOND
        ):
            self.counters.users_limited += 1
            return
        self._window_looks += 1
        etc = self._find_etc(thread, has_settled=has_settled)
        if not etc:
            # Not an answer: the next thread of the container is asked again.
            return
        self._window_reads += 1
        if len(self._tried) >= _MAX_TRIED:
            self._forget_containers()
        if is_group:
            groups = read_groups(f"{etc}/group")
            groups = groups[:_MAX_A_FILE] + [g for g in groups[_MAX_A_FILE:] if g.gid == number]
            self._make_room(sum(_ENTRY_BYTES + len(group.name) for group in groups))
            for group in groups:
                self.host.groups[container, group.gid] = group
        else:
            users = read_passwd(f"{etc}/passwd")
            users = users[:_MAX_A_FILE] + [u for u in users[_MAX_A_FILE:] if u.uid == number]
            self._make_room(
                sum(_ENTRY_BYTES + len(u.name) + len(u.home) + len(u.shell) for u in users)
            )
            for user in users:
                self.host.users[container, user.uid] = user
        self._tried.add(key)
        self.counters.users_read += 1

    def _make_room(self, size_bytes: int) -> None:
        """A container writes its files itself, as many and as long ones as it likes."""
        self._kept_bytes += size_bytes
        if self._kept_bytes > _MAX_BYTES:
            self._forget_containers()
            self._kept_bytes = size_bytes

    def _find_etc(self, thread: Thread, *, has_settled: bool) -> str:
        """The container's /etc through a thread that still runs in it; empty when there is none."""
        container = thread.container_id
        # The root of pid 1 takes the right to trace it; the directory above /etc is the next best.
        host_roots = {_identity(f"{self._proc_root}/1/root"), _identity(self._host_root)}
        member: Thread | None = thread
        for _ in range(1 + _MAX_ANCESTORS):
            if member is None or member.container_id != container:
                break
            root = f"{self._proc_root}/{member.tid}/root"
            found = _identity(root)
            # A runtime's helper joins cgroup and namespaces first and changes its root later. Until
            # then its files are the host's, whose names would be given to the container's ids.
            if found is not None and (has_settled or found not in host_roots):
                return f"{root}/etc"
            member = self.host.threads.get(member.ptid)
        return ""

    def _forget_containers(self) -> None:
        self._tried.clear()
        self._kept_bytes = 0
        for key in [key for key in self.host.users if key[0]]:
            del self.host.users[key]
        for gkey in [key for key in self.host.groups if key[0]]:
            del self.host.groups[gkey]


def read_passwd(path: str) -> list[User]:
    """Users of a passwd file; the first line of an id wins. Unreadable files give none."""
    found: dict[int, User] = {}
    for fields in _lines(path, 7):
        uid, gid = fields[2], fields[3]
        if uid.isdigit() and gid.isdigit():
            user = User(uid=int(uid), gid=int(gid), name=fields[0], home=fields[5], shell=fields[6])
            found.setdefault(user.uid, user)
    return list(found.values())


def read_groups(path: str) -> list[Group]:
    """Groups of a group file; the first line of an id wins. Unreadable files give none."""
    found: dict[int, Group] = {}
    for fields in _lines(path, 4):
        if fields[2].isdigit():
            group = Group(gid=int(fields[2]), name=fields[0])
            found.setdefault(group.gid, group)
    return list(found.values())


def _lines(path: str, width: int) -> list[list[bytes]]:
    """Fields of each line with enough of them; NSS entries (+ and -) and comments left out."""
    try:
        # A container chooses this file's content and kind: never wait on a FIFO, never follow a
        # link out of its root at the last step, never read more than a bound.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        file = os.open(path, flags)
    except OSError:
        return []
    try:
        data = os.read(file, _MAX_FILE_BYTES)
    except OSError:
        return []
    finally:
        os.close(file)
    rows = [line.split(b":") for line in data.splitlines() if line[:1] not in {b"+", b"-", b"#"}]
    return [row for row in rows if len(row) >= width]


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a directory; None when it cannot be reached."""
    try:
        found = os.stat(path)  # noqa: PTH116 - in the hot thread
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - once a second in the hot thread
    except OSError:
        return 0
