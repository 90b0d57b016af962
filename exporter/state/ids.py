"""Ids, capabilities, sessions and limits of a thread.

Live events carry the kernel's own ids after the call, so those handlers change nothing for them.
Source: spec/state-tracking.md section 4.
"""

from collections.abc import Mapping

from exporter.events.event import Event
from exporter.events.table import load_event_table
from exporter.state.tables import Handler, Tables

_TABLES = load_event_table().value_tables
_NEWUSER = dict(_TABLES["clone_flags"])["CLONE_NEWUSER"]
_NOFILE = dict(_TABLES["rlimit_resources"])["RLIMIT_NOFILE"]
ALL_CAPABILITIES = (1 << 41) - 1
"""Every capability up to CAP_CHECKPOINT_RESTORE."""


def _setter(name: str, index: int) -> Handler:
    def handle(tables: Tables, event: Event) -> None:
        value = event.param(index)
        thread = event.thread
        if thread is None or value is None or event.param(0) != 0:
            return
        if event.live is None:
            setattr(thread, name, value)
        tables.users.ensure(thread, event.ts_ns)

    return handle


def on_setsid(_tables: Tables, event: Event) -> None:
    """The caller leads a new session."""
    sid = event.param(0)
    if event.thread is not None and event.live is None and sid is not None and sid >= 0:
        event.thread.sid = sid


def on_capset(_tables: Tables, event: Event) -> None:
    """The caller has other capabilities."""
    thread = event.thread
    if thread is None or event.param(0) != 0:
        return
    thread.cap_inheritable = event.param(1) or 0
    thread.cap_permitted = event.param(2) or 0
    thread.cap_effective = event.param(3) or 0


def _new_user_namespace(index: int) -> Handler:
    def handle(_tables: Tables, event: Event) -> None:
        thread = event.thread
        if thread is not None and event.param(0) == 0 and (event.param(index) or 0) & _NEWUSER:
            thread.cap_inheritable = ALL_CAPABILITIES
            thread.cap_permitted = ALL_CAPABILITIES
            thread.cap_effective = ALL_CAPABILITIES

    return handle


def on_rlimit(tables: Tables, event: Event) -> None:
    """getrlimit and setrlimit tell the limit of open files."""
    if event.thread is None or event.param(0) != 0 or event.param(3) != _NOFILE:
        return
    main = tables.leader(event.thread)
    if main is not None and event.param(1) is not None:
        main.fdlimit = event.param(1)


def on_prlimit(tables: Tables, event: Event) -> None:
    """prlimit may change the limit of another process."""
    limit, target = event.param(1), event.param(5) or event.tid
    if event.param(0) != 0 or event.param(6) != _NOFILE or limit is None or limit < 0:
        return
    thread = tables.host.threads.get(target)
    main = None if thread is None else tables.leader(thread)
    if main is not None:
        main.fdlimit = limit


def on_memory(_tables: Tables, event: Event) -> None:
    """brk, mmap and munmap tell the memory of the process."""
    thread = event.thread
    if thread is None:
        return
    for index, name in ((1, "vmsize_kb"), (2, "vmrss_kb"), (3, "vmswap_kb")):
        value = event.param(index)
        if value is not None:
            setattr(thread, name, value)


def on_switch(tables: Tables, event: Event) -> None:
    """A scheduler switch tells page faults of the thread and memory of the process."""
    thread = event.thread
    if thread is None:
        return
    thread.pfmajor = event.param(1) or thread.pfmajor
    thread.pfminor = event.param(2) or thread.pfminor
    main = tables.leader(thread)
    if main is None:
        return
    for index, name in ((3, "vmsize_kb"), (4, "vmrss_kb"), (5, "vmswap_kb")):
        value = event.param(index)
        if value is not None:
            setattr(main, name, value)


MEMORY_EVENTS = frozenset({
    "PPME_SYSCALL_BRK_4_X", "PPME_SYSCALL_MMAP_X", "PPME_SYSCALL_MMAP2_X",
    "PPME_SYSCALL_MUNMAP_X", "PPME_SCHEDSWITCH_6_E",
})  # fmt: skip
"""Events that change nothing but Fact.MEMORY."""

HANDLERS: Mapping[str, Handler] = {
    "PPME_SYSCALL_SETUID_X": _setter("uid", 1),
    "PPME_SYSCALL_SETREUID_X": _setter("uid", 2),
    "PPME_SYSCALL_SETRESUID_X": _setter("uid", 2),
    "PPME_SYSCALL_SETGID_X": _setter("gid", 1),
    "PPME_SYSCALL_SETREGID_X": _setter("gid", 2),
    "PPME_SYSCALL_SETRESGID_X": _setter("gid", 2),
    "PPME_SYSCALL_SETSID_X": on_setsid,
    "PPME_SYSCALL_CAPSET_X": on_capset,
    "PPME_SYSCALL_UNSHARE_X": _new_user_namespace(1),
    "PPME_SYSCALL_SETNS_X": _new_user_namespace(2),
    "PPME_SYSCALL_GETRLIMIT_X": on_rlimit,
    "PPME_SYSCALL_SETRLIMIT_X": on_rlimit,
    "PPME_SYSCALL_PRLIMIT_X": on_prlimit,
    "PPME_SYSCALL_BRK_4_X": on_memory,
    "PPME_SYSCALL_MMAP_X": on_memory,
    "PPME_SYSCALL_MMAP2_X": on_memory,
    "PPME_SYSCALL_MUNMAP_X": on_memory,
    "PPME_SCHEDSWITCH_6_E": on_switch,
}
