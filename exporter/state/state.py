"""State: the one entry to this room. Call `before` ahead of the rules and `after` behind them.

`before` finds the event's thread and descriptor, takes the event in and fills `thread`, `fd`,
`fd_num`, `error_code` and `fd_name_changed`; `after` does the deletions that the event decided, so
that rules see the descriptor a close closes and the process that exits. `take` is the quick way of
live records that no rule looks at.
Source: spec/state-tracking.md section 0.
"""

import struct
from collections.abc import Callable
from pathlib import Path

from exporter.events.event import Event
from exporter.events.facts import Fact
from exporter.events.fd import Fd, FdType
from exporter.events.host import Host
from exporter.events.live import LiveContext
from exporter.events.paths import live_directory
from exporter.events.state_record import BriefLives, StateRecord
from exporter.events.table import load_event_table
from exporter.events.thread import Thread
from exporter.state import ids, sockets
from exporter.state.budget import ENTRY_BYTES
from exporter.state.containers import ContainerRule
from exporter.state.counters import StateCounters
from exporter.state.interfaces import read_interfaces
from exporter.state.lifelines import Lifelines
from exporter.state.live import LiveThreads
from exporter.state.lookups import Lookups
from exporter.state.plans import CLONES, EXECS, Plan, plans
from exporter.state.procfs import Procfs
from exporter.state.tables import Tables
from exporter.state.users import Users

PURGE_INTERVAL_NS = 300 * 1_000_000_000
"""How often entries are looked through, and for how long one must have been unseen to be purged."""

LIVE_NEEDS = CLONES | EXECS | frozenset({
    "PPME_PROCEXIT_1_E",
    # Working and root directories travel with few events.
    "PPME_SYSCALL_CHDIR_X", "PPME_SYSCALL_FCHDIR_X", "PPME_SYSCALL_CHROOT_X",
    # Capabilities of a thread, and the names of users, are kept from one event to the next.
    *ids.HANDLERS,
    # Ports that servers use; accept tells those of servers that were there before us.
    "PPME_SOCKET_BIND_X",
})  # fmt: skip
"""Live events whose loss would make fields of later events wrong; others carry what they need."""

_ONLY_FOR = {Fact.MEMORY: ids.MEMORY_EVENTS, Fact.CONNECTED: sockets.CONNECTED_EVENTS}
"""Events that write one fact and nothing else."""

_TICK_NS = 1_000_000_000
_NEVER_NS = 1 << 64


class State:
    """Everything known of one host, kept by its events.

    host: filled and kept up to date. keep_fds: True for captures (descriptors follow from events),
    False for live events (descriptors travel with events, nothing is kept). procfs: where gaps are
    filled from; None for captures. etc: the host's /etc for user names, read only with procfs.
    lookups: who asks the container runtimes; None for captures.
    """

    def __init__(
        self,
        host: Host,
        *,
        keep_fds: bool,
        procfs: Procfs | None = None,
        etc: str | Path = "/etc",
        counters: StateCounters | None = None,
        lookups: Lookups | None = None,
    ) -> None:
        self.host = host
        self.counters = counters if counters is not None else StateCounters()
        self.procfs = procfs
        if procfs is not None:
            procfs.counters = self.counters
        proc_root = procfs.root if procfs is not None else ""
        self.users = Users(host, self.counters, etc, proc_root)
        self.keep_fds = keep_fds
        self._lookups = lookups
        self.tables = self._new_tables()
        self._live = None if procfs is None else LiveThreads(self.tables, procfs)
        if self._live is not None:
            self._live.quick = Lifelines(self.tables, self._live).by_code()
        self._plans = plans()
        self._purged_ns = 0
        self._due_ns = 0

    def watch_container_ends(self, on_end: Callable[[bytes], None]) -> None:
        """Tell this function the short id of every container that ends, from now on."""
        self.tables.on_container_end = on_end

    def _new_tables(self) -> Tables:
        return Tables(
            self.host,
            self.counters,
            keep_fds=self.keep_fds,
            procfs=self.procfs,
            users=self.users,
            rule=ContainerRule(),
            lookups=self._lookups,
        )

    def reset(self) -> None:
        """Forget everything, `host` included: another capture begins in the same file."""
        host = self.host
        host.hostname = b""
        host.num_cpus = host.boot_ts_ns = host.first_ts_ns = 0
        for table in (host.threads, host.users, host.groups, host.containers):
            table.clear()
        host.interfaces = []
        self.tables = self._new_tables()
        self._purged_ns = self._due_ns = 0

    def scan(self, host_mntns: int = 0) -> int:
        """Fill the tables from /proc and /etc (live, at start). The number of threads found.

        host_mntns: mount namespace of pid 1 where the caller knows it; else /proc is asked, which
        needs the right to trace pid 1.
        """
        procfs = self.procfs
        if procfs is None:
            return 0
        host, tables = self.host, self.tables
        host.boot_ts_ns = host.boot_ts_ns or procfs.read_boot_time_ns()
        host.hostname = host.hostname or procfs.read_hostname()
        host.num_cpus = host.num_cpus or procfs.read_num_cpus()
        tables.rule = ContainerRule(host_mntns or procfs.read_mntns(1), procfs.read_cgroups(1))
        host.interfaces = read_interfaces(procfs.root)
        self.users.load_host()
        for thread in procfs.scan():
            thread.clone_ts_ns = host.boot_ts_ns + thread.start_boottime_ns
            tables.threads.add(thread, link=False)
        tables.threads.link_all()
        for thread in host.threads.values():
            tables.set_container(thread)
            self.users.ensure(thread, 0, is_bounded=False)
        return len(host.threads)

    def seed(self) -> None:
        """Read what runs already, once the source is attached, so that nothing falls between."""
        self.scan()

    def imported(self) -> None:
        """Finish what a capture's lists filled: links, roles of sockets, container ids."""
        self.tables.threads.link_all()
        sockets.settle_imported(self.host)
        for thread in self.host.threads.values():
            self.tables.set_container(thread)

    @staticmethod
    def needed_codes(facts: frozenset[Fact] = frozenset(Fact)) -> frozenset[int]:
        """Codes of the events that the state must see so that these facts and all others are true.

        Beyond those it must see the first event of each thread, the first event of all, and the
        next one of a thread behind an enter event.
        """
        spared = {
            event_id
            for fact, events in _ONLY_FOR.items()
            if fact not in facts
            for event_id in events
        }
        return frozenset(
            event.code
            for event, plan in zip(load_event_table().events, plans(), strict=True)
            if (plan.handler is not None and event.id not in spared) or plan.is_enter
        )

    def take_arrivals(self) -> None:
        """Take in what the container runtimes told; for the hot thread, between two events."""
        if self._lookups is not None:
            self.tables.take_arrivals(self._lookups)

    def take(self, record: StateRecord) -> bool:
        """Take in a record that no rule looks at.

        False when its event must pass through `before` and `after` instead; nothing was done then.
        """
        if self._lookups is not None and self._lookups.arrived:
            self.tables.take_arrivals(self._lookups)
        quick = None if self._live is None else self._live.quick.get(record.code)
        if quick is None:
            return False
        ts_ns = record.ts_ns
        try:
            if quick(record.data, ts_ns) is None:
                return False
        except struct.error:
            # Cut short: the source counts it when it fails to make an event of it.
            return False
        if not self.host.first_ts_ns:
            self.host.first_ts_ns = ts_ns
        if ts_ns >= self._due_ns:
            self._tick(ts_ns)
        return True

    def pass_over(self, lives: BriefLives) -> None:
        """Note that these processes have come and gone; nothing else of them stays."""
        tables, threads = self.tables, self.host.threads
        self.counters.lives_passed += lives.count
        ts_ns = 0
        for tid, ptid, ts_ns in lives.exits:
            known = threads.get(tid)
            if known is not None and known.seen_ns <= ts_ns:
                tables.threads.replace(known)
            tables.note_exit(tid, ptid, ts_ns)
        if ts_ns >= self._due_ns:
            self._tick(ts_ns)

    def before(self, event: Event) -> None:
        """Take the event in and say what it is about. Never raises for odd contents."""
        if self._lookups is not None and self._lookups.arrived:
            self.tables.take_arrivals(self._lookups)
        plan = self._plans[event.type.code]
        live = event.live
        lives = self._live
        handler = plan.handler
        if live is not None and lives is not None:
            if live.cgroup_path is not None:
                self.tables.note_unified(live.cgroup_id, live.cgroup_path)
            if plan.tells_image and self._has_read(lives, event, live, plan):
                return
            if plan.is_clone and event.param(0) == 0:
                event.thread = lives.child_of(event, live)
            else:
                event.thread = lives.thread_of(event, live)
        elif plan.is_unowned:
            event.thread = self.host.threads.get(event.tid)
        else:
            event.thread = self._thread(event, plan)
        if not self.host.first_ts_ns and not plan.is_meta:
            self.host.first_ts_ns = event.ts_ns
        if plan.has_result:
            data = event.raw[0] if event.raw else b""
            result = self.tables.result = event.decoders[0](data) if data else None
            if result is not None and result < 0:
                event.error_code = -result
        name = self._find_fd(event, plan.fd_index) if plan.fd_index >= 0 else b""
        if handler is not None:
            self.tables.old_name = name
            try:
                handler(self.tables, event)
            except (ValueError, IndexError, TypeError, OverflowError):
                # A record whose parameters do not fit their type: rules still see the event.
                self.counters.handler_errors += 1
            fd = event.fd
            if fd is not None and fd.name != self.tables.old_name:
                event.fd_name_changed = True
            if plan.tells_image and live is not None and lives is not None:
                lives.told(event, live, is_new=plan.is_clone)
        if plan.is_enter:
            self._store_enter(event)
        elif self.tables.entered and not plan.keeps_enter:
            self.tables.entered.pop(event.tid, None)

    def _has_read(self, lives: LiveThreads, event: Event, live: LiveContext, plan: Plan) -> bool:
        """Whether the quick way did all that a birth or an exec does to the state."""
        done = lives.born(event, live) if plan.is_clone else lives.ran(event)
        if done and not self.host.first_ts_ns:
            self.host.first_ts_ns = event.ts_ns
        return done

    def _find_fd(self, event: Event, index: int) -> bytes:
        """Fill in the descriptor the event uses; its name before the event is taken in."""
        number = event.param(index)
        if number is None:
            return b""
        event.fd_num = number
        if number < 0:
            return b""
        if event.live is None:
            thread = event.thread
            fd = None if thread is None else self.host.descriptors(thread).get(number)
        else:
            fd = self._find_live_fd(event, number, index)
        event.fd = fd
        if fd is None:
            self.counters.fd_unknown += 1
            return b""
        return fd.name

    def _find_live_fd(self, event: Event, number: int, index: int) -> Fd | None:
        """The descriptor as it travelled with the event."""
        fd = self.tables.find_fd(event, number)
        if fd is None:
            path = live_directory(event, index)
            return None if path is None else Fd(type=FdType.DIRECTORY, name=path)
        if fd.role == 0:
            sockets.settle_role(self.tables, event, fd)
        return fd

    def after(self, event: Event) -> None:
        """Do what the event decided for when the rules have seen it."""
        deferred = self.tables.deferred
        if deferred:
            for action in deferred:
                action()
            deferred.clear()
        if event.ts_ns >= self._due_ns:
            self._tick(event.ts_ns)

    def _tick(self, now_ns: int) -> None:
        """Work that is due once a second of event time."""
        if self.procfs is None:
            # A capture tells every exit, and nothing outside it can say that one was missed.
            self._due_ns = _NEVER_NS
            return
        self._due_ns = now_ns + _TICK_NS
        if now_ns - self._purged_ns >= PURGE_INTERVAL_NS:
            self._purge(now_ns)
        self.users.load_host()

    def _thread(self, event: Event, plan: Plan) -> Thread | None:
        """The thread of an event of a capture; unknown tids get a placeholder."""
        thread = self.host.threads.get(event.tid)
        if thread is None and not plan.is_lookup_only and _is_tid(event.tid):
            thread = Thread(tid=event.tid)
            if self.tables.affords(ENTRY_BYTES):
                self.tables.threads.add(thread)
            self.counters.placeholders += 1
        if thread is not None:
            thread.seen_ns = event.ts_ns
        return thread

    def _store_enter(self, event: Event) -> None:
        if event.type.id == "PPME_SYSCALL_EXECVE_19_E" and not event.param(0):
            return
        self.tables.remember(event)

    def _purge(self, now_ns: int) -> None:
        """Drop what ended unseen: threads long unseen and gone from /proc, empty containers."""
        if self._purged_ns:
            limit = now_ns - PURGE_INTERVAL_NS
            stale = [
                thread
                for thread in self.host.threads.values()
                if max(thread.seen_ns, thread.clone_ts_ns) < limit and self._is_gone(thread)
            ]
            for thread in stale:
                self.counters.threads_purged += 1
                self.tables.threads.remove(thread.tid)
        self.tables.forget_left_containers()
        self._purged_ns = now_ns

    def _is_gone(self, thread: Thread) -> bool:
        if self.procfs is None:
            return False
        return not self.procfs.is_alive(thread.tid)


def _is_tid(tid: int) -> bool:
    return 0 <= tid < 1 << 32
