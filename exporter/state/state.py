"""State: the one entry to this room. Call `before` ahead of the rules and `after` behind them.

`before` finds the event's thread and descriptor, takes the event in and fills `thread`, `fd`,
`fd_num`, `error_code` and `fd_name_changed`; `after` does the deletions that the event decided, so
that rules see the descriptor a close closes and the process that exits.
Source: spec/state-tracking.md section 0.
"""

from collections.abc import Sequence
from pathlib import Path

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.table import EventType, load_event_table
from exporter.events.thread import Thread
from exporter.state import clone, cwd, execve, files, ids, metadata, procexit, sockets
from exporter.state.containers import ContainerRule
from exporter.state.counters import StateCounters
from exporter.state.interfaces import read_interfaces
from exporter.state.live import LiveThreads
from exporter.state.procfs import Procfs
from exporter.state.tables import Handler, Tables
from exporter.state.users import Users

PURGE_INTERVAL_NS = 300 * 1_000_000_000
"""How often entries are looked through, and for how long one must have been unseen to be purged."""

_CONCERNS = (clone, execve, procexit, files, sockets, ids, cwd, metadata)

_META = frozenset({
    "PPME_CONTAINER_E", "PPME_CONTAINER_JSON_E", "PPME_CONTAINER_JSON_2_E", "PPME_USER_ADDED_E",
    "PPME_USER_DELETED_E", "PPME_GROUP_ADDED_E", "PPME_GROUP_DELETED_E", "PPME_PLUGINEVENT_E",
    "PPME_ASYNCEVENT_E",
})  # fmt: skip
_LOOKUP_ONLY = frozenset({
    "PPME_SYSCALL_CLONE_20_X", "PPME_SYSCALL_FORK_20_X", "PPME_SYSCALL_VFORK_20_X",
    "PPME_SYSCALL_CLONE3_X", "PPME_SCHEDSWITCH_1_E", "PPME_SCHEDSWITCH_6_E", "PPME_PROCEXIT_E",
    "PPME_PROCEXIT_1_E",
})  # fmt: skip
_ENTERS = frozenset({
    "PPME_SYSCALL_OPEN_E", "PPME_SYSCALL_CREAT_E", "PPME_SYSCALL_OPENAT_2_E",
    "PPME_SYSCALL_OPENAT2_E", "PPME_SYSCALL_EXECVE_19_E", "PPME_SYSCALL_EXECVEAT_E",
    "PPME_SOCKET_CONNECT_E",
})  # fmt: skip


_IMAGE_EVENTS = frozenset({
    "PPME_SYSCALL_CLONE_20_X", "PPME_SYSCALL_FORK_20_X", "PPME_SYSCALL_VFORK_20_X",
    "PPME_SYSCALL_CLONE3_X", "PPME_SYSCALL_EXECVE_19_X", "PPME_SYSCALL_EXECVEAT_X",
})  # fmt: skip
"""Events that tell image, arguments and cgroup paths of a thread."""


class State:
    """Everything known of one host, kept by its events.

    host: filled and kept up to date. keep_fds: True for captures (descriptors follow from events),
    False for live events (descriptors travel with events, nothing is kept). procfs: where gaps are
    filled from; None for captures. etc: the host's /etc for user names, read only with procfs.
    """

    def __init__(
        self,
        host: Host,
        *,
        keep_fds: bool,
        procfs: Procfs | None = None,
        etc: str | Path = "/etc",
        counters: StateCounters | None = None,
    ) -> None:
        self.host = host
        self.counters = counters if counters is not None else StateCounters()
        self.procfs = procfs
        if procfs is not None:
            procfs.counters = self.counters
        proc_root = procfs.root if procfs is not None else ""
        self.users = Users(host, self.counters, etc, proc_root)
        self.tables = Tables(
            host,
            self.counters,
            keep_fds=keep_fds,
            procfs=procfs,
            users=self.users,
            rule=ContainerRule(),
        )
        self._live = None if procfs is None else LiveThreads(self.tables, procfs)
        self._handlers = _handlers()
        self._is_meta = _marks(_META)
        self._is_lookup_only = _marks(_LOOKUP_ONLY)
        self._is_enter = _marks(_ENTERS)
        self._keeps_enter = ["EF_SKIPPARSERESET" in e.flags for e in load_event_table().events]
        self._tells_image = _marks(_IMAGE_EVENTS)
        self._result_index = [_result_index(event) for event in load_event_table().events]
        self._fd_index = [_fd_index(event) for event in load_event_table().events]
        self._purged_ns = 0

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
        tables.rule = ContainerRule(host_mntns or procfs.read_mntns(1), procfs.read_cgroups(1))
        host.interfaces = read_interfaces(procfs.root)
        self.users.load_host()
        for thread in procfs.scan():
            thread.clone_ts_ns = host.boot_ts_ns + thread.start_boottime_ns
            tables.threads.add(thread, link=False)
        tables.threads.link_all()
        for thread in host.threads.values():
            tables.set_container(thread)
        return len(host.threads)

    def imported(self) -> None:
        """Finish a table that a capture's process list filled: links and container ids."""
        self.tables.threads.link_all()
        for thread in self.host.threads.values():
            self.tables.set_container(thread)

    def before(self, event: Event) -> None:
        """Take the event in and say what it is about. Never raises for odd contents."""
        code = event.type.code
        live = event.live
        if live is not None and self._live is not None:
            if self._tells_image[code] and event.param(0) == 0 and self._is_lookup_only[code]:
                event.thread = self._live.child_of(event, live)
            else:
                event.thread = self._live.thread_of(event, live)
        elif self._is_meta[code]:
            event.thread = self.host.threads.get(event.tid)
        else:
            event.thread = self._thread(event, code)
        if self._is_enter[code]:
            self._store_enter(event)
            return
        first = self._result_index[code]
        if first >= 0:
            result = event.param(first)
            if result is not None and result < 0:
                event.error_code = -result
        name = b""
        index = self._fd_index[code]
        if index >= 0:
            name = self._find_fd(event, index)
        handler = self._handlers[code]
        if handler is not None:
            try:
                handler(self.tables, event)
            except (ValueError, IndexError, TypeError, OverflowError):
                # A record whose parameters do not fit their type: rules still see the event.
                self.counters.handler_errors += 1
            if event.fd is not None and event.fd.name != name:
                event.fd_name_changed = True
            if live is not None and self._live is not None and self._tells_image[code]:
                self._live.told(event, live)
        if self.tables.entered and not self._keeps_enter[code]:
            self.tables.entered.pop(event.tid, None)

    def _find_fd(self, event: Event, index: int) -> bytes:
        """Fill in the descriptor the event uses; its name before the event is taken in."""
        number = event.param(index)
        if number is None:
            return b""
        event.fd_num = number
        if number < 0:
            return b""
        fd = event.fd = self.tables.find_fd(event, number)
        if fd is None:
            self.counters.fd_unknown += 1
            return b""
        return fd.name

    def after(self, event: Event) -> None:
        """Do what the event decided for when the rules have seen it."""
        deferred = self.tables.deferred
        if deferred:
            for action in deferred:
                action()
            deferred.clear()
        now_ns = event.ts_ns
        if now_ns - self._purged_ns >= PURGE_INTERVAL_NS:
            self._purge(now_ns)
        if self.procfs is not None:
            self.users.tick(now_ns)

    def _thread(self, event: Event, code: int) -> Thread | None:
        """The thread of an event of a capture; unknown tids get a placeholder."""
        thread = self.host.threads.get(event.tid)
        if thread is None and not self._is_lookup_only[code] and _is_tid(event.tid):
            thread = self.tables.threads.add(Thread(tid=event.tid))
            self.counters.placeholders += 1
        if thread is not None:
            thread.seen_ns = event.ts_ns
        return thread

    def _store_enter(self, event: Event) -> None:
        if event.type.id == "PPME_SYSCALL_EXECVE_19_E" and not event.param(0):
            return
        self.tables.entered[event.tid] = event

    def _purge(self, now_ns: int) -> None:
        """Drop entries whose exit was never seen: long unseen and, live, gone from /proc."""
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
        self._purged_ns = now_ns

    def _is_gone(self, thread: Thread) -> bool:
        if self.procfs is None:
            return False
        return not self.procfs.is_alive(thread.tid)


def _is_tid(tid: int) -> bool:
    return 0 <= tid < 1 << 32


def _handlers() -> list[Handler | None]:
    by_id = {event_id: handler for part in _CONCERNS for event_id, handler in part.HANDLERS.items()}
    table: Sequence[EventType] = load_event_table().events
    unknown = by_id.keys() - {event.id for event in table}
    assert not unknown, f"handlers of unknown events: {unknown}"
    return [by_id.get(event.id) for event in table]


def _marks(event_ids: frozenset[str]) -> list[bool]:
    return [event.id in event_ids for event in load_event_table().events]


def _result_index(event: EventType) -> int:
    """0 for exit events whose first parameter is the return value, else -1."""
    if event.is_enter or not event.params:
        return -1
    return 0 if event.params[0].type in {"ERRNO", "FD", "PID", "INT64"} else -1


def _fd_index(event: EventType) -> int:
    """Index of the descriptor that an exit event uses; -1 for events that use none."""
    if event.is_enter or "EF_USES_FD" not in event.flags:
        return -1
    for index, param in enumerate(event.params):
        if index and param.type == "FD":
            return index
    return -1
