"""clone, fork, vfork and clone3 exits: new threads, seen from the caller and from the child.

Either event may come first or be missing; both lead to the same entry.
Source: spec/state-tracking.md section 2.
"""

from collections.abc import Mapping
from copy import copy

from exporter.events.cgroups import parse_cgroups
from exporter.events.event import Event
from exporter.events.params import decode_all
from exporter.events.strings import as_strings
from exporter.events.table import load_event_table
from exporter.events.thread import UNKNOWN_ID, Thread
from exporter.state.tables import RECENT_EXIT_NS, Handler, Tables

_FLAGS = dict(load_event_table().value_tables["clone_flags"])
CLONE_FILES = _FLAGS["CLONE_FILES"]
CLONE_THREAD = _FLAGS["CLONE_THREAD"]
CLONE_INVERTED = _FLAGS["CLONE_INVERTED"]
CLONE_VFORK = _FLAGS["CLONE_VFORK"]
CLONE_NEWPID = _FLAGS["CLONE_NEWPID"]
CLONE_CHILD_IN_PIDNS = _FLAGS["CLONE_CHILD_IN_PIDNS"]
CLONE_NEWUSER = _FLAGS["CLONE_NEWUSER"]
IN_PIDNS = CLONE_CHILD_IN_PIDNS | CLONE_NEWPID
_NOT_FROM_CALLER = CLONE_CHILD_IN_PIDNS | CLONE_NEWPID | _FLAGS["CLONE_PARENT"]


def on_clone(tables: Tables, event: Event) -> None:
    """Either side of a successful clone-family call."""
    result = event.param(0)
    if result is None or result < 0 or not tables.affords_texts(event):
        return
    if result > 0:
        _caller_side(tables, event, result)
    else:
        _child_side(tables, event)
    if event.thread is not None:
        tables.set_container(event.thread)
        tables.users.ensure(event.thread, event.ts_ns)


def _caller_side(tables: Tables, event: Event, child_tid: int) -> None:
    caller = tables.host.threads.get(event.tid)
    if caller is None:
        caller = tables.threads.add(Thread(tid=event.tid))
        tables.counters.placeholders += 1
    event.thread = caller
    was_valid = caller.is_valid
    if not was_valid:
        _fill_ids(caller, event)
        tables.threads.link(caller)
    flags = event.param(15) or 0
    if (
        flags & (_NOT_FROM_CALLER | CLONE_VFORK)
        or event.type.name == "vfork"
        or caller.tid != caller.vtid
        or tables.exited_recently(child_tid, caller.tid, event.ts_ns)
    ):
        return
    known = tables.host.threads.get(child_tid)
    if known is not None:
        if known.flags & CLONE_INVERTED or _is_fresh_live(known, event):
            return
        tables.threads.replace(known)
    is_thread = flags & CLONE_THREAD != 0
    child = born_of(tables, caller, is_thread=is_thread) if was_valid else Thread(tid=child_tid)
    child.tid = child.vtid = child_tid
    child.flags = flags | CLONE_FILES if is_thread else flags
    child.pid = child.vpid = caller.pid if is_thread else child_tid
    child.ptid = caller.ptid if is_thread else caller.tid
    _describe(event, child)
    if not was_valid:
        caller.exe, caller.comm, caller.args = child.exe, child.comm, child.args
    child.clone_ts_ns = event.ts_ns
    child.pidns_init_start_ts_ns = tables.host.boot_ts_ns
    tables.threads.add(child)


def _child_side(tables: Tables, event: Event) -> None:
    known = tables.host.threads.get(event.tid)
    if known is not None and known.clone_ts_ns:
        if event.ts_ns - known.clone_ts_ns < RECENT_EXIT_NS:
            event.thread = known
            return
        tables.threads.replace(known)
    flags = (event.param(15) or 0) | CLONE_INVERTED
    is_thread = flags & CLONE_THREAD != 0
    template = tables.host.threads.get(event.param(4 if is_thread else 5) or -1)
    if template is not None and template.is_valid:
        child = born_of(tables, template, is_thread=is_thread)
        child.tid = event.tid
    else:
        child = Thread(tid=event.tid)
    child.flags = flags | CLONE_FILES if is_thread else flags
    _fill_ids(child, event)
    _describe(event, child)
    if is_thread and (template is None or not template.is_valid):
        _fill_leader(tables, child, template)
    child.clone_ts_ns = event.ts_ns
    boot = tables.host.boot_ts_ns
    in_pidns = child.flags & IN_PIDNS or child.tid != child.vtid
    inner_start = event.param(20) if in_pidns else 0
    child.pidns_init_start_ts_ns = 0 if inner_start is None else boot + inner_start
    live = event.live
    if live is not None:
        child.mntns = live.mntns
        child.cgroup_id = live.cgroup_id
        child.start_boottime_ns = live.start_boottime_ns
        child.seen_ns = event.ts_ns
    event.thread = tables.threads.add(child)


def _is_fresh_live(known: Thread, event: Event) -> bool:
    """A live child that was met before its parent's event, through an event of its own."""
    return event.live is not None and known.seen_ns > 0 and known.start_boottime_ns > 0


def _fill_ids(thread: Thread, event: Event) -> None:
    pid, ptid, vtid, vpid = event.param(4), event.param(5), event.param(18), event.param(19)
    thread.pid = thread.tid if pid is None else pid
    thread.ptid = -1 if ptid is None else ptid
    thread.vtid = thread.tid if vtid is None else vtid
    thread.vpid = -1 if vpid is None else vpid


def _fill_leader(tables: Tables, child: Thread, leader: Thread | None) -> None:
    if leader is None:
        leader = tables.threads.add(Thread(tid=child.pid), link=False)
        tables.counters.placeholders += 1
    leader.pid, leader.ptid = child.pid, child.ptid
    leader.vpid, leader.vtid = child.vpid, child.vpid
    leader.exe, leader.comm, leader.args = child.exe, child.comm, child.args
    tables.threads.link(leader)


def born_of(tables: Tables, source: Thread, *, is_thread: bool) -> Thread:
    """A copy of the thread that made it, without what only an event of its own can tell."""
    child = copy(source)
    child.children = child.reaper_tid = child.seen_ns = 0
    child.is_dead = False
    # Only an exec in the namespace itself tells this one.
    child.ctime_duration_pidns_start_ns = 0
    child.fds = {}
    if tables.procfs is None:
        # In captures the container is decided by the child's own event, not before.
        child.container_id = b""
        child.pod_uid = b""
        child.category = ""
    if is_thread:
        child.cwd = b""
        child.env = ()
        return child
    child.start_boottime_ns = child.lastexec_ts_ns = 0
    main = source if source.tid == source.pid else tables.leader(source) or source
    if main is not source:
        child.cwd, child.env = main.cwd, main.env
    if tables.keep_fds:
        child.fds = tables.inherited_fds(main)
    return child


def _describe(event: Event, child: Thread) -> None:
    """What the event itself tells of the new thread."""
    values = decode_all(event)
    exe, comm = values[1], values[13]
    child.exe = exe if exe is not None else b"<NA>"
    child.args = as_strings(values[2])
    child.comm = child.exe if comm is None else comm
    child.fdlimit = -1 if values[7] is None else values[7]
    child.pfmajor = values[8] or 0
    child.pfminor = values[9] or 0
    child.vmsize_kb = values[10] or 0
    child.vmrss_kb = values[11] or 0
    child.vmswap_kb = values[12] or 0
    child.cgroups = parse_cgroups(values[14] or b"")
    uid, gid = values[16], values[17]
    child.uid = UNKNOWN_ID if uid is None else uid
    child.gid = UNKNOWN_ID if gid is None else gid


HANDLERS: Mapping[str, Handler] = {
    "PPME_SYSCALL_CLONE_20_X": on_clone,
    "PPME_SYSCALL_FORK_20_X": on_clone,
    "PPME_SYSCALL_VFORK_20_X": on_clone,
    "PPME_SYSCALL_CLONE3_X": on_clone,
}
