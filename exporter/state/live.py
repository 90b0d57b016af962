"""Live threads: keeps the table true by what each event carries of its own task.

The kernel's word wins over what earlier events made of a thread. A tid that nobody has seen, or
one that was given to another process, gets its entry here; /proc is asked only for what the event
cannot tell (image, arguments, environment, cgroup paths), within a bound.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from exporter.events.event import Event
from exporter.events.live import LiveContext
from exporter.events.paths import with_slash
from exporter.events.thread import Thread
from exporter.sources.probe.record_params import RecordParams
from exporter.state.plans import CLONES, EXECS
from exporter.state.procfs import Procfs
from exporter.state.tables import Tables

_NS_PER_TICK = 10_000_000
"""/proc tells start times in hundredths of a second."""

_NS = 1_000_000_000
MAX_READS_PER_SECOND = 500
"""Processes read from /proc in one second of event time, about 0.1 s of work."""

_MAX_CGROUPS = 4096
_MAX_MISSING_PARENTS = 32
"""Longest chain of unknown parents that is read at once."""

_MOVES = CLONES | EXECS | {"PPME_SYSCALL_CHDIR_X", "PPME_SYSCALL_FCHDIR_X", "PPME_SYSCALL_CHROOT_X"}
"""Events that come whatever the rules are, where they succeeded, and tell of the directory."""

Cgroups = tuple[tuple[bytes, bytes], ...]

Quick = Callable[[bytes, int], Thread | None]
"""Takes in a record of this time; None, with nothing done, where it cannot."""


class LiveThreads:
    """Finds or makes the thread of each live event."""

    def __init__(self, tables: Tables, procfs: Procfs) -> None:
        self.tables = tables
        self.procfs = procfs
        self._threads = tables.host.threads
        self._window_ns = 0
        self._window_reads = 0
        self.quick: Mapping[int, Quick] = {}
        """How records are read without an event's parameters, by event code (lifelines.py)."""
        self.cgroups: OrderedDict[tuple[int, int], Cgroups] = OrderedDict()
        """What was told of a cgroup id and mount namespace."""

    def thread_of(self, event: Event, live: LiveContext) -> Thread:
        """The event's thread, brought up to date with the event's context."""
        thread = self._threads.get(event.tid)
        if (
            thread is None
            or thread.pid != live.pid
            or (
                thread.start_boottime_ns != live.start_boottime_ns
                and not self._is_same(thread, live)
            )
        ):
            thread = self._build(event, live, thread)
        self._refresh(thread, event, live)
        return thread

    def child_of(self, event: Event, live: LiveContext) -> Thread | None:
        """The entry a new child has already, if that is not of an earlier process of its tid."""
        thread = self.tables.host.threads.get(event.tid)
        if thread is None:
            return None
        if thread.pid != live.pid or not self._is_same(thread, live):
            self.tables.counters.repaired_reused += 1
            self.tables.threads.drop(thread)
            return None
        return thread

    def born(self, event: Event, _live: LiveContext) -> bool:
        """Make the entry of a new child from its record; False if that needs more.

        What on_clone and `told` do with the same event, in a fraction of the time.
        tests/integration/test_probe_births.py compares the two.
        """
        return self._read_quickly(event)

    def ran(self, event: Event) -> bool:
        """The same for the entry of a process that runs another program, and on_execve."""
        return self._read_quickly(event)

    def _read_quickly(self, event: Event) -> bool:
        raw, quick = event.raw, self.quick.get(event.type.code)
        if quick is None or not isinstance(raw, RecordParams):
            return False
        event.thread = quick(raw.record, event.ts_ns)
        return event.thread is not None

    def told(self, event: Event, live: LiveContext, *, is_new: bool) -> None:
        """An event told image and cgroups of its thread: remember them, fill what it left out.

        is_new: the entry was made by this event and has not been brought up to date.
        """
        thread = event.thread
        if thread is None:
            return
        if event.param(0) == 0:
            self.learn_cgroups(live.cgroup_id, live.mntns, thread.cgroups)
            if is_new:
                self._refresh(thread, event, live)
            self.find_parents(thread, event.ts_ns)
            if not thread.exepath:
                self._read_image(thread, event.ts_ns)

    def _refresh(self, thread: Thread, event: Event, live: LiveContext) -> None:
        """Bring an entry up to date with the kernel's word."""
        thread.seen_ns = event.ts_ns
        thread.comm = live.comm
        if thread.uid != live.uid or thread.gid != live.gid:
            thread.uid, thread.gid = live.uid, live.gid
            self.tables.users.ensure(thread, event.ts_ns)
        thread.loginuid = live.loginuid
        thread.sid = live.sid
        thread.pgid = live.pgid
        thread.vpgid = live.vpgid
        thread.tty = live.tty
        thread.vpid = live.vpid
        if thread.ptid != live.ptid and thread.pid != 1:
            self._adopted(thread, live, event.ts_ns)
        if live.cwd is not None:
            leader = thread if thread.tid == thread.pid else self.tables.host.leader(thread)
            # An event reads its own directory anyway. Those without one must not depend on which
            # others the loaded rules let through: only what always comes tells of a move.
            if leader is not None and (not leader.cwd or _is_move(event)):
                leader.cwd = with_slash(live.cwd)
        if thread.cgroup_id != live.cgroup_id or thread.mntns != live.mntns:
            self._moved(thread, live, event.ts_ns)

    def _read_image(self, thread: Thread, now_ns: int) -> None:
        """Executable of a thread whose parent was never seen, while it still runs."""
        read = self.read_process(thread.tid, now_ns)
        if read is None or read.start_boottime_ns // _NS_PER_TICK != (
            thread.start_boottime_ns // _NS_PER_TICK
        ):
            return
        for name in ("exepath", *_IMAGE_FACTS, *_CAPABILITIES, "root"):
            setattr(thread, name, getattr(read, name))

    def learn_cgroups(self, cgroup_id: int, mntns: int, cgroups: Cgroups) -> None:
        """Remember the paths that an event tells of a cgroup id."""
        if cgroup_id > 1 and cgroups:
            self.cgroups[cgroup_id, mntns] = cgroups
            if len(self.cgroups) > _MAX_CGROUPS:
                self.cgroups.popitem(last=False)

    def _is_same(self, thread: Thread, live: LiveContext) -> bool:
        """Whether an entry is of the same process; a start that is not known yet is taken over."""
        known = thread.start_boottime_ns
        if known == live.start_boottime_ns:
            return True
        if known and known // _NS_PER_TICK != live.start_boottime_ns // _NS_PER_TICK:
            return False
        thread.start_boottime_ns = live.start_boottime_ns
        return True

    def _build(self, event: Event, live: LiveContext, old: Thread | None) -> Thread:
        counters = self.tables.counters
        if old is None:
            counters.repaired_unknown += 1
        elif old.is_valid:
            counters.repaired_reused += 1
        leader = self._leader_for(event, live)
        if event.tid == live.pid and leader is not None:
            return leader
        thread = self._from_context(event, live, leader)
        return self.tables.threads.add(thread)

    def _leader_for(self, event: Event, live: LiveContext) -> Thread | None:
        """The process's main thread, read from /proc when the table has none or a stale one."""
        known = self.tables.host.threads.get(live.pid)
        if known is not None and known.pid == live.pid and self._is_same(known, live):
            return known
        read = self.read_process(live.pid, event.ts_ns)
        if read is None or not self._is_same(read, live):
            if event.tid == live.pid:
                return None
            read = self._from_context(event, live, None)
            read.tid = live.pid
            read.vtid = live.vpid
        self.tables.threads.add(read)
        read.ptid = live.ptid
        self.find_parents(read, event.ts_ns)
        self._place(read, live, event.ts_ns)
        return read

    def _from_context(self, event: Event, live: LiveContext, leader: Thread | None) -> Thread:
        """A thread as far as the event tells; the image is the leader's, where that is known."""
        thread = Thread(
            tid=event.tid,
            pid=live.pid,
            ptid=live.ptid,
            vtid=live.vtid,
            vpid=live.vpid,
            sid=live.sid,
            pgid=live.pgid,
            vpgid=live.vpgid,
            comm=live.comm,
            uid=live.uid,
            gid=live.gid,
            loginuid=live.loginuid,
            tty=live.tty,
            start_boottime_ns=live.start_boottime_ns,
            clone_ts_ns=self.tables.host.boot_ts_ns + live.start_boottime_ns,
            cwd=with_slash(live.cwd) if live.cwd else b"",
        )
        if leader is None:
            self.tables.counters.placeholders += 1
            thread.exe = live.comm
        else:
            for name in _SHARED:
                setattr(thread, name, getattr(leader, name))
        self.find_parents(thread, event.ts_ns)
        self._place(thread, live, event.ts_ns)
        return thread

    def _place(self, thread: Thread, live: LiveContext, now_ns: int) -> None:
        """Settle cgroup paths, container and user names of a thread that is new or has moved."""
        thread.mntns = live.mntns
        thread.cgroup_id = live.cgroup_id
        known = self.cgroups.get((live.cgroup_id, live.mntns))
        if known is not None:
            thread.cgroups = known
        elif not thread.cgroups:
            self._read_cgroups(thread, live, now_ns)
        self.tables.set_container(thread)
        self.tables.users.ensure(thread, now_ns)

    def _moved(self, thread: Thread, live: LiveContext, now_ns: int) -> None:
        """Another cgroup or mount namespace: host or container is decided anew."""
        if thread.pid == 1:
            self.tables.rule.host_mntns = live.mntns
        has_new_cgroup = thread.cgroup_id not in {0, live.cgroup_id}
        # The id is that of the v2 hierarchy. Where containers live in v1 hierarchies only the new
        # mount namespace shows that the paths of before may be old.
        has_new_mntns = thread.mntns not in {0, live.mntns}
        if has_new_cgroup or has_new_mntns:
            self._read_cgroups(thread, live, now_ns)
        elif thread.cgroups and not thread.cgroup_id:
            # The paths were read before the id was known; they still hold.
            self.learn_cgroups(live.cgroup_id, live.mntns, thread.cgroups)
        self._place(thread, live, now_ns)

    def _read_cgroups(self, thread: Thread, live: LiveContext, now_ns: int) -> None:
        """Cgroup paths from memory or /proc; the old ones stay when neither knows better."""
        known = self.cgroups.get((live.cgroup_id, live.mntns))
        if known is None and self._may_read(now_ns):
            known = self.procfs.read_cgroups(thread.tid)
            self.learn_cgroups(live.cgroup_id, live.mntns, known)
        if known:
            renewed = _renewed(thread.cgroups, known)
            claim = self.tables.rule.claim
            thread.cgroups = renewed if claim(renewed) == claim(known) else known

    def _adopted(self, thread: Thread, live: LiveContext, now_ns: int) -> None:
        self.tables.threads.move(thread, live.ptid)
        self.find_parents(thread, now_ns)

    def find_parents(self, thread: Thread, now_ns: int) -> None:
        """Read missing ancestors, so that rules on parents hold for processes older than us."""
        threads = self.tables.host.threads
        child = thread
        for _ in range(_MAX_MISSING_PARENTS):
            if child.ptid <= 0 or child.ptid in threads:
                break
            parent = self.read_process(child.ptid, now_ns)
            if parent is None:
                break
            self.tables.counters.repaired_parent += 1
            self.tables.threads.add(parent)
            self.tables.set_container(parent)
            if child.tid in threads:
                self.tables.threads.move(child, child.ptid)
            child = parent

    def read_process(self, tid: int, now_ns: int) -> Thread | None:
        """A process from /proc, within the bound of reads a second."""
        if not self._may_read(now_ns):
            return None
        self.tables.counters.proc_reads += 1
        thread = self.procfs.read_thread(tid)
        if thread is not None:
            thread.clone_ts_ns = self.tables.host.boot_ts_ns + thread.start_boottime_ns
        return thread

    def _may_read(self, now_ns: int) -> bool:
        """Whether the bound of reads a second allows one more; counted if not."""
        if now_ns - self._window_ns >= _NS:
            self._window_ns = now_ns
            self._window_reads = 0
        if self._window_reads >= MAX_READS_PER_SECOND:
            self.tables.counters.proc_limited += 1
            return False
        self._window_reads += 1
        return True


def _is_move(event: Event) -> bool:
    return event.type.id in _MOVES and event.param(0) == 0


def _renewed(cgroups: Cgroups, read: Cgroups) -> Cgroups:
    """The paths as read now, for the same subsystems in the same order as before.

    Events tell of some subsystems, /proc of all; what rules see must not depend on who was asked.
    """
    paths = dict(read)
    if not cgroups or not all(name in paths for name, _ in cgroups):
        return read
    return tuple((name, paths[name]) for name, _ in cgroups)


_IMAGE_FACTS = (
    "exe_ino", "exe_ino_ctime_ns", "exe_ino_mtime_ns", "exe_writable", "exe_upper_layer",
    "exe_lower_layer", "exe_from_memfd",
)  # fmt: skip
_CAPABILITIES = ("cap_inheritable", "cap_permitted", "cap_effective")
_SHARED = (
    "exe", "exepath", "args", "fdlimit", "root", "lastexec_ts_ns", *_IMAGE_FACTS, *_CAPABILITIES,
)  # fmt: skip
"""What a thread has in common with the leader of its process when it is first met."""
