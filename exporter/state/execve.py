"""execve and execveat exits: a process gets a new image.

Source: spec/state-tracking.md section 3.
"""

from collections.abc import Mapping
from typing import Any

from exporter.events.cgroups import parse_cgroups
from exporter.events.event import Event
from exporter.events.live import TRUNCATED_ENV
from exporter.events.params import decode_all
from exporter.events.paths import AT_FDCWD, concatenate, with_slash, working_directory
from exporter.events.strings import as_strings
from exporter.events.table import load_event_table
from exporter.events.thread import UNKNOWN_ID, Thread, ThreadFlags
from exporter.state.tables import Handler, Tables

_TABLES = load_event_table().value_tables
_FLAGS = dict(_TABLES["execve_flags"])
_NAME_CHANGED = dict(_TABLES["clone_flags"])["NAME_CHANGED"]
_CLONE_INVERTED = dict(_TABLES["clone_flags"])["CLONE_INVERTED"]
_AT_EMPTY_PATH = dict(_TABLES["execveat_flags"])["AT_EMPTY_PATH"]

KEPT_FLAGS = int(
    ThreadFlags.PIPE_SRC | ThreadFlags.PIPE_DST | ThreadFlags.IS_MAIN_THREAD | _CLONE_INVERTED
)
NEW_FLAGS = int(ThreadFlags.ACTIVE | _NAME_CHANGED)
WRITABLE, UPPER = _FLAGS["EXE_WRITABLE"], _FLAGS["EXE_UPPER_LAYER"]
LOWER, MEMFD = _FLAGS["EXE_LOWER_LAYER"], _FLAGS["EXE_FROM_MEMFD"]


def on_execve(tables: Tables, event: Event) -> None:
    """A successful exec replaces what is known of the image; a failed one changes nothing."""
    thread = event.thread
    if thread is None or event.param(0) != 0 or not tables.affords_texts(event):
        return
    values = decode_all(event)
    thread.is_dead = False
    exe, comm, pid = values[1], values[13], values[4]
    thread.exe = b"<NA>" if exe is None else exe
    thread.lastexec_ts_ns = event.ts_ns
    thread.comm = thread.exe if comm is None else comm
    thread.args = as_strings(values[2])
    if not thread.is_valid:
        thread.pid = thread.tid if pid is None else pid
        thread.ptid = -1 if values[5] is None else values[5]
        thread.vtid, thread.vpid = thread.tid, thread.pid
        tables.threads.link(thread)
    elif pid is not None and pid != thread.pid:
        tables.threads.drop(thread)
        thread.pid = pid
        tables.threads.add(thread)
    _set_process_facts(event, values, thread)
    if event.live is None:
        # Old captures tell no ids here, and then the thread has none any more.
        thread.uid = UNKNOWN_ID if values[26] is None else values[26]
        thread.gid = UNKNOWN_ID if values[29] is None else values[29]
    _set_image_facts(values, thread)
    # The stored enter event must be looked at with the working directory of before the exec; where
    # neither event tells the path, the one of the image before stays.
    exepath = _path_from_enter(tables, event) if values[27] is None else values[27]
    if exepath is not None:
        thread.exepath = exepath
    if tables.keep_fds:
        for number in [number for number, fd in thread.fds.items() if fd.is_cloexec]:
            del thread.fds[number]
    thread.flags = (thread.flags & KEPT_FLAGS) | NEW_FLAGS
    tables.threads.remove_others(thread)
    tables.set_container(thread)
    tables.users.ensure(thread, event.ts_ns, has_settled=True)


def _set_process_facts(event: Event, values: list[Any], thread: Thread) -> None:
    """Limits, memory, environment, cgroups, terminal, ids, capabilities."""
    for index, name in _PROCESS_FACTS:
        value = values[index]
        if value is not None:
            setattr(thread, name, value)
    # An empty list may be one that could not be read: then what was known before stays.
    if event_env := values[15]:
        thread.env = as_strings(event_env)
    elif event.live is not None and not event.live.truncated & TRUNCATED_ENV:
        thread.env = ()
    if event_cgroups := values[14]:
        thread.cgroups = parse_cgroups(event_cgroups)
    if values[22] is not None:
        thread.cap_inheritable = values[20] or 0
        thread.cap_permitted = values[21] or 0
        thread.cap_effective = values[22]
    thread.pgid = -1 if values[28] is None else values[28]


_PROCESS_FACTS = (
    (7, "fdlimit"),
    (8, "pfmajor"),
    (9, "pfminor"),
    (10, "vmsize_kb"),
    (11, "vmrss_kb"),
    (12, "vmswap_kb"),
    (16, "tty"),
    (17, "vpgid"),
    (18, "loginuid"),
    (26, "uid"),
    (29, "gid"),
)
"""Parameters that replace a fact when they are not empty."""


def _set_image_facts(values: list[Any], thread: Thread) -> None:
    flags = values[19]
    if flags is not None:
        thread.exe_writable = flags & WRITABLE != 0
        thread.exe_upper_layer = flags & UPPER != 0
        thread.exe_from_memfd = flags & MEMFD != 0
        thread.exe_lower_layer = flags & LOWER != 0
    if values[23] is not None:
        thread.exe_ino = values[23]
    if values[24] is not None:
        thread.exe_ino_ctime_ns = values[24]
    if values[25] is not None:
        thread.exe_ino_mtime_ns = values[25]
    if values[24] is not None:
        note_image_times(thread, values[24])


def note_image_times(thread: Thread, ctime: int) -> None:
    """How old the executable was when the process and its pid namespace began.

    ctime: of the executable, ns since the epoch.
    """
    if thread.clone_ts_ns:
        thread.ctime_duration_proc_start_ns = thread.clone_ts_ns - ctime
    if thread.pidns_init_start_ts_ns and ctime > thread.pidns_init_start_ts_ns:
        thread.ctime_duration_pidns_start_ns = ctime - thread.pidns_init_start_ts_ns


def _path_from_enter(tables: Tables, event: Event) -> bytes | None:
    """Path by the stored enter event; `<NA>` if that one could not read it, None without one."""
    entered = tables.entered_for(event)
    if entered is None:
        return None
    name = entered.type.name
    if name == "execve":
        filename = entered.param(0)
        if filename is None or filename == b"<NA>":
            return b"<NA>"
        return concatenate(working_directory(event), filename)
    dirfd, path, flags = entered.param(0), entered.param(1), entered.param(2) or 0
    if path is not None and path[:1] == b"/":
        return concatenate(b"", path)
    if dirfd == AT_FDCWD:
        base = working_directory(event)
    else:
        thread = event.thread
        fd = None if thread is None else event.host.descriptors(thread).get(dirfd)
        if fd is None:
            return b"<NA>"
        base = with_slash(fd.name)
    if flags & _AT_EMPTY_PATH:
        # The descriptor is the program, whatever the path argument says.
        return concatenate(b"", base)
    return concatenate(base, path) if path else b"<NA>"


HANDLERS: Mapping[str, Handler] = {
    "PPME_SYSCALL_EXECVE_19_X": on_execve,
    "PPME_SYSCALL_EXECVEAT_X": on_execve,
}
