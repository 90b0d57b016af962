"""The thread table: entries, thread groups, parents and children, and who inherits orphans.

Writes `Host.threads`, which rules read. Source: spec/state-tracking.md sections 1 to 5.
"""

from msgspec import Struct

from exporter.events.host import Host
from exporter.events.table import load_event_table
from exporter.events.thread import Thread
from exporter.state.counters import StateCounters

MAX_THREADS = 262_144
"""New threads are dropped (and counted) when the table holds this many."""

_CHILD_IN_PIDNS = dict(load_event_table().value_tables["clone_flags"])["CLONE_CHILD_IN_PIDNS"]

_MAX_ANCESTORS = 1024
"""Bound of walks upwards; damaged captures can hold cycles."""


class Group(Struct):
    """The threads of one process. is_reaper: it inherits orphans (init, or a subreaper)."""

    members: dict[int, None]
    is_reaper: bool = False


class ThreadTable:
    """All threads of one host.

    keep_unknown_parents: a parent that is not in the table stays as the thread's ptid (live, where
    the kernel said so) instead of becoming 0 (captures).
    """

    def __init__(
        self,
        host: Host,
        counters: StateCounters,
        *,
        max_threads: int = MAX_THREADS,
        keep_unknown_parents: bool = False,
    ) -> None:
        self.host = host
        self.counters = counters
        self.max_threads = max_threads
        self.keep_unknown_parents = keep_unknown_parents
        self.groups: dict[int, Group] = {}
        self._children: dict[int, dict[int, None]] = {}

    def add(self, thread: Thread, *, link: bool = True) -> Thread:
        """Put a thread into the table in place of any earlier entry of its tid.

        The entry is returned even when the table is full and it is not kept.
        """
        threads = self.host.threads
        if thread.tid in threads:
            self.drop(threads[thread.tid])
        elif len(threads) >= self.max_threads:
            self.counters.threads_full += 1
            return thread
        threads[thread.tid] = thread
        self.counters.threads_added += 1
        if link and thread.is_valid:
            self.link(thread)
        return thread

    def add_process(self, thread: Thread, parent: Thread) -> None:
        """`add` of a process with a number that is in no table yet, and a known parent.

        parent: the entry of the thread's ptid. In half the time, for every process passes here.
        """
        tid, ptid = thread.tid, parent.tid
        if tid in self.groups or len(self.host.threads) >= self.max_threads or tid == 1:
            self.add(thread)
            return
        self.host.threads[tid] = thread
        self.counters.threads_added += 1
        self.groups[tid] = Group({tid: None}, thread.vpid == 1)
        siblings = self._children.get(ptid)
        if siblings is None:
            self._children[ptid] = {tid: None}
            parent.children = 1
        else:
            siblings[tid] = None
            parent.children = len(siblings)

    def link(self, thread: Thread) -> None:
        """Join the thread's group and become a child of its parent."""
        group = self.groups.get(thread.pid)
        if group is None:
            group = Group({}, is_reaper=thread.pid == 1 or thread.vpid == 1)
            self.groups[thread.pid] = group
        if thread.is_main and group.members:
            # The leader comes first, so that it is the first to inherit orphans.
            group.members = {thread.tid: None, **group.members}
        else:
            group.members[thread.tid] = None
        if thread.pid == 1:
            thread.ptid = 0
            return
        parent = self.host.threads.get(thread.ptid)
        if parent is None or not parent.is_valid or parent is thread:
            if not self.keep_unknown_parents:
                thread.ptid = 0
            return
        self._adopt(parent, thread)

    def link_all(self) -> None:
        """Link every entry; for lists whose parents may come after their children."""
        for thread in self.host.threads.values():
            if thread.is_valid:
                self.link(thread)

    def move(self, thread: Thread, ptid: int) -> None:
        """Give the thread another parent."""
        self._orphan(thread)
        thread.ptid = ptid
        self.link(thread)

    def live_members(self, pid: int) -> list[Thread]:
        """Threads of a group that are not dead."""
        group = self.groups.get(pid)
        if group is None:
            return []
        found = (self.host.threads.get(tid) for tid in group.members)
        return [thread for thread in found if thread is not None and not thread.is_dead]

    def children_of(self, tid: int) -> list[Thread]:
        """Entries whose parent this thread is."""
        tids = self._children.get(tid, {})
        found = (self.host.threads.get(child) for child in tids)
        return [thread for thread in found if thread is not None]

    def kill(self, thread: Thread) -> None:
        """Mark a thread dead: it counts no more among its group, but rules still see it."""
        thread.is_dead = True

    def remove(self, tid: int) -> None:
        """Take a dead thread out: children go to a reaper, a leader waits for its last thread."""
        thread = self.host.threads.get(tid)
        if thread is None:
            return
        thread.is_dead = True
        self._hand_over(thread)
        has_others = self._other_live_member(thread) is not None
        if thread.is_main and has_others:
            # Kept as a dead entry: the others share its descriptors, directory and environment.
            return
        self.drop(thread)
        if not has_others and not thread.is_main:
            leader = self.host.threads.get(thread.pid)
            if leader is not None and leader.is_dead:
                self.remove(leader.tid)

    def replace(self, thread: Thread) -> None:
        """Take out an entry whose exit was not seen, as another thread has its number now."""
        self.remove(thread.tid)
        if self.host.threads.get(thread.tid) is thread:
            self.drop(thread)

    def drop(self, thread: Thread) -> None:
        """Take an entry out with all its links, without looking for heirs."""
        tid, pid = thread.tid, thread.pid
        self._orphan(thread)
        # Children keep the number as their ptid: it is the truth until somebody says otherwise.
        self._children.pop(tid, None)
        thread.children = 0
        group = self.groups.get(pid)
        if group is not None:
            group.members.pop(tid, None)
            if not group.members:
                del self.groups[pid]
        if self.host.threads.get(tid) is thread:
            del self.host.threads[tid]
            self.counters.threads_removed += 1

    def remove_others(self, thread: Thread) -> None:
        """Take out all other threads of the group (an exec ends them)."""
        group = self.groups.get(thread.pid)
        if group is None or len(group.members) < 2:
            return
        for tid in [tid for tid in group.members if tid != thread.tid]:
            other = self.host.threads.get(tid)
            # An exec of another thread takes over the leader's number, never the other way round.
            if other is not None and not other.is_main:
                for child in self.children_of(tid):
                    self.move(child, thread.tid)
                self.drop(other)

    def set_reaper(self, pid: int, *, is_reaper: bool) -> None:
        """Note that a process wants (or no longer wants) to inherit orphans."""
        group = self.groups.get(pid)
        if group is not None:
            group.is_reaper = is_reaper

    def _adopt(self, parent: Thread, child: Thread) -> None:
        self._children.setdefault(parent.tid, {})[child.tid] = None
        parent.children = len(self._children[parent.tid])

    def _orphan(self, thread: Thread) -> None:
        siblings = self._children.get(thread.ptid)
        if siblings is None or siblings.pop(thread.tid, self) is self:
            return
        parent = self.host.threads.get(thread.ptid)
        if parent is not None:
            parent.children = len(siblings)
        if not siblings:
            del self._children[thread.ptid]

    def _hand_over(self, thread: Thread) -> None:
        children = self.children_of(thread.tid)
        if not children:
            return
        reaper = self._find_reaper(thread)
        if reaper is not None and reaper.pid != thread.pid:
            self.set_reaper(reaper.pid, is_reaper=True)
        for child in children:
            self._orphan(child)
            child.ptid = 0 if reaper is None else reaper.tid
            if reaper is not None:
                self._adopt(reaper, child)

    def _find_reaper(self, thread: Thread) -> Thread | None:
        told = self.host.threads.get(thread.reaper_tid) if thread.reaper_tid > 0 else None
        if told is not None and told.is_valid and told is not thread:
            return told
        return self._other_live_member(thread) or self._reaping_ancestor(thread)

    def _other_live_member(self, thread: Thread) -> Thread | None:
        """The first other thread of the group that is not dead."""
        group = self.groups.get(thread.pid)
        if group is not None:
            for tid in group.members:
                member = self.host.threads.get(tid)
                if member is not None and member is not thread and not member.is_dead:
                    return member
        return None

    def _reaping_ancestor(self, thread: Thread) -> Thread | None:
        in_namespace = _in_pid_namespace(thread)
        seen = thread
        for _ in range(_MAX_ANCESTORS):
            above = self.host.threads.get(seen.ptid)
            if above is None or above is seen or _in_pid_namespace(above) != in_namespace:
                return None
            group = self.groups.get(above.pid)
            if group is not None and group.is_reaper and above.pid != thread.pid:
                alive = self.live_members(above.pid)
                if alive:
                    return alive[0]
            seen = above
        return None


def _in_pid_namespace(thread: Thread) -> bool:
    """Whether the thread lives in a pid namespace below the initial one, as far as is known."""
    return thread.tid != thread.vtid or thread.flags & _CHILD_IN_PIDNS != 0
