"""Births, execs and exits by their records: the quick way to what their events do to the state.

Every process passes here, most of them without a rule that asks for it. What the state keeps of
a record is read in place, in a fraction of the time that an event takes. Whatever is not as usual
(a tid that is known already, another user, another cgroup) is left to the thorough way of these
events, with nothing changed.
Source: what clone.py, execve.py, procexit.py and live.py do; tests/integration/test_lifelines.py
compares the two.
"""

from collections.abc import Mapping

from exporter.events.cgroups import parse_cgroups
from exporter.events.live import TRUNCATED_ENV
from exporter.events.native import live_decoders
from exporter.events.paths import with_slash
from exporter.events.strings import StringList, Strings
from exporter.events.table import event_type
from exporter.events.thread import Thread
from exporter.sources.probe.lifelines import (
    ATTACHMENT,
    BIRTH_END,
    BIRTH_FACTS,
    BIRTH_LENGTHS,
    BIRTH_PARAMS,
    BIRTH_SHAPE,
    BIRTHS,
    EXEC_END_BYTES,
    EXEC_FACTS,
    EXEC_IMAGE,
    EXEC_LENGTHS,
    EXEC_PARAMS,
    EXEC_SHAPE,
    EXECVE,
    EXIT_BYTES,
    EXIT_REAPER,
    EXIT_REAPER_AT,
    EXIT_SHAPE,
    PARAMS_AT,
    PROCEXIT,
)
from exporter.sources.probe.record import HEADER, Attachment
from exporter.state.clone import CLONE_FILES, CLONE_INVERTED, IN_PIDNS, born_of
from exporter.state.execve import (
    KEPT_FLAGS,
    LOWER,
    MEMFD,
    NEW_FLAGS,
    UPPER,
    WRITABLE,
    note_image_times,
)
from exporter.state.live import Cgroups, LiveThreads, Quick
from exporter.state.tables import Tables

_CLONE = event_type("PPME_SYSCALL_CLONE_20_X")
_clone_flags = live_decoders(_CLONE)[_CLONE.param_index["flags"]]

_CWD, _CGROUP = int(Attachment.CWD), int(Attachment.CGROUP)
_BIRTH_AT = PARAMS_AT + 2 * BIRTH_PARAMS + 8
_EXEC_AT = PARAMS_AT + 2 * EXEC_PARAMS + 8
"""Where the parameters behind the result begin."""

_MAX_TOLD = 1024
_NOTHING: tuple[bytes, Cgroups] = (b"", ())


class Lifelines:
    """Takes records in. Each method gives None, and has done nothing, where an event must do it."""

    def __init__(self, tables: Tables, lives: LiveThreads) -> None:
        self._tables = tables
        self._lives = lives
        self._threads = tables.host.threads
        self._told: dict[tuple[int, int], tuple[bytes, Cgroups]] = {}
        """Text and cgroups that the last record of a cgroup and mount namespace told."""

    def by_code(self) -> Mapping[int, Quick]:
        """What to do with the records of each event code."""
        return {
            **dict.fromkeys(BIRTHS, self.birth),
            EXECVE: self.exec,
            PROCEXIT: self.exit,
        }

    def birth(self, data: bytes, ts_ns: int) -> Thread | None:
        """The entry of a new thread, by the record of a clone that its child made.

        ts_ns: time of the event. Raises struct.error when the record is cut short.
        """
        (
            _, record_len, _, _, tid, pid, ptid, vtid, vpid, uid, gid, loginuid, sid,
            pgid, vpgid, tty, mntns, _, _, start_boottime_ns, cgroup_id, comm, _,
            attachments_len, _,
        ) = HEADER.unpack_from(data)  # fmt: skip
        threads = self._threads
        is_thread = tid != pid
        parent = threads.get(pid if is_thread else ptid)
        if tid in threads or parent is None or not parent.exepath:
            return None
        res, exe_len, args_len, process, comm_len, cgroups_len, ids, result = (
            BIRTH_LENGTHS.unpack_from(data, PARAMS_AT)
        )
        if (res, process, ids) != BIRTH_SHAPE or result:
            return None
        args_at = _BIRTH_AT + exe_len
        at = args_at + args_len
        fdlimit, pfmajor, pfminor, vmsize, vmrss, vmswap = BIRTH_FACTS.unpack_from(data, at)
        cgroups_at = at + BIRTH_FACTS.size + comm_len
        at = cgroups_at + cgroups_len
        flag_bytes, start_ns = BIRTH_END.unpack_from(data, at)
        at += BIRTH_END.size
        if not at + attachments_len == record_len == len(data):
            return None
        cwd_end = record_len
        if attachments_len and ATTACHMENT.unpack_from(data, at) != (
            _CWD,
            attachments_len - ATTACHMENT.size,
        ):
            cwd_end = self._end_of_cwd(data, at, cgroup_id)
            if not cwd_end:
                return None

        tables = self._tables
        flags = _clone_flags(flag_bytes) | CLONE_INVERTED
        child = born_of(tables, parent, is_thread=is_thread)
        child.tid, child.pid, child.ptid = tid, pid, ptid
        child.vtid, child.vpid = vtid, vpid
        child.flags = flags | CLONE_FILES if is_thread else flags
        child.exe = data[_BIRTH_AT : args_at - 1] if exe_len else b"<NA>"
        child.args = _strings(parent.args, data, args_at, args_len)
        child.comm = comm.partition(b"\0")[0]
        child.fdlimit = fdlimit
        child.pfmajor, child.pfminor = pfmajor, pfminor
        child.vmsize_kb, child.vmrss_kb, child.vmswap_kb = vmsize, vmrss, vmswap
        child.cgroups = cgroups = self._cgroups(cgroup_id, mntns, data, cgroups_at, cgroups_len)
        child.uid, child.gid, child.loginuid = uid, gid, loginuid
        child.sid, child.pgid, child.vpgid, child.tty = sid, pgid, vpgid, tty
        child.clone_ts_ns = child.seen_ns = ts_ns
        child.start_boottime_ns = start_boottime_ns
        if not (flags & IN_PIDNS or tid != vtid):
            start_ns = 0
        child.pidns_init_start_ts_ns = tables.host.boot_ts_ns + start_ns
        child.mntns, child.cgroup_id = mntns, cgroup_id
        if attachments_len:
            _move_to(parent if is_thread else child, data[at + ATTACHMENT.size : cwd_end])
        if is_thread or parent.pid < 0:
            tables.threads.add(child)
        else:
            tables.threads.add_process(child, parent)
        if (
            parent.container_id
            or mntns != parent.mntns
            or cgroup_id != parent.cgroup_id
            or cgroups != parent.cgroups
        ):
            tables.set_container(child)
            tables.users.ensure(child, ts_ns)
        if is_thread and ptid not in threads:
            self._lives.find_parents(child, ts_ns)
        return child

    def exec(self, data: bytes, ts_ns: int) -> Thread | None:
        """The entry of a process that runs another program now; as `birth` for the rest."""
        (
            _, record_len, _, _, tid, pid, ptid, _, vpid, uid, gid, loginuid, sid,
            pgid, vpgid, tty, mntns, _, bits, start_boottime_ns, cgroup_id, _, _,
            attachments_len, _,
        ) = HEADER.unpack_from(data)  # fmt: skip
        threads = self._threads
        thread = threads.get(tid)
        if (
            thread is None
            or thread.pid != pid
            or thread.start_boottime_ns != start_boottime_ns
            or thread.ptid != ptid
            or thread.uid != uid
            or thread.gid != gid
            or thread.cgroup_id != cgroup_id
            or thread.mntns != mntns
            or tid != pid
        ):
            return None
        (
            res, exe_len, args_len, process, comm_len, cgroups_len, env_len, image, exepath_len,
            ids, filename_len, result,
        ) = EXEC_LENGTHS.unpack_from(data, PARAMS_AT)  # fmt: skip
        if (res, process, image, ids) != EXEC_SHAPE or result or not exepath_len or not comm_len:
            return None
        args_at = _EXEC_AT + exe_len
        at = args_at + args_len
        fdlimit, pfmajor, pfminor, vmsize, vmrss, vmswap = EXEC_FACTS.unpack_from(data, at)
        comm_at = at + EXEC_FACTS.size
        cgroups_at = comm_at + comm_len
        env_at = cgroups_at + cgroups_len
        at = env_at + env_len
        flags, inheritable, permitted, effective, ino, ctime, mtime = EXEC_IMAGE.unpack_from(
            data, at
        )
        exepath_at = at + EXEC_IMAGE.size
        at = exepath_at + exepath_len + EXEC_END_BYTES + filename_len
        if not at + attachments_len == record_len == len(data):
            return None
        cwd_end = record_len
        if attachments_len and ATTACHMENT.unpack_from(data, at) != (
            _CWD,
            attachments_len - ATTACHMENT.size,
        ):
            cwd_end = self._end_of_cwd(data, at, cgroup_id)
            if not cwd_end:
                return None

        tables = self._tables
        thread.seen_ns = thread.lastexec_ts_ns = ts_ns
        thread.is_dead = False
        thread.exe = data[_EXEC_AT : args_at - 1] if exe_len else b"<NA>"
        thread.args = _strings(thread.args, data, args_at, args_len)
        thread.comm = data[comm_at : cgroups_at - 1]
        thread.exepath = data[exepath_at : exepath_at + exepath_len - 1]
        thread.fdlimit = fdlimit
        thread.pfmajor, thread.pfminor = pfmajor, pfminor
        thread.vmsize_kb, thread.vmrss_kb, thread.vmswap_kb = vmsize, vmrss, vmswap
        thread.loginuid, thread.sid, thread.tty = loginuid, sid, tty
        thread.pgid, thread.vpgid, thread.vpid = pgid, vpgid, vpid
        # An empty list may be one that could not be read: then what was known before stays.
        if env_len:
            thread.env = _strings(thread.env, data, env_at, env_len)
        elif not bits & TRUNCATED_ENV:
            thread.env = ()
        if cgroups_len:
            thread.cgroups = self._cgroups(cgroup_id, mntns, data, cgroups_at, cgroups_len)
        else:
            self._lives.learn_cgroups(cgroup_id, mntns, thread.cgroups)
        thread.cap_inheritable, thread.cap_permitted = inheritable, permitted
        thread.cap_effective = effective
        thread.exe_writable = flags & WRITABLE != 0
        thread.exe_upper_layer = flags & UPPER != 0
        thread.exe_from_memfd = flags & MEMFD != 0
        thread.exe_lower_layer = flags & LOWER != 0
        thread.exe_ino, thread.exe_ino_ctime_ns, thread.exe_ino_mtime_ns = ino, ctime, mtime
        note_image_times(thread, ctime)
        thread.flags = (thread.flags & KEPT_FLAGS) | NEW_FLAGS
        if attachments_len:
            _move_to(thread, data[at + ATTACHMENT.size : cwd_end])
        if len(tables.threads.groups[pid].members) > 1:
            tables.threads.remove_others(thread)
        if thread.container_id or thread.host_claim or not mntns or mntns != tables.rule.host_mntns:
            tables.set_container(thread)
            tables.users.ensure(thread, ts_ns, has_settled=True)
        if ptid not in threads:
            self._lives.find_parents(thread, ts_ns)
        return thread

    def exit(self, data: bytes, ts_ns: int) -> Thread | None:
        """The entry of a thread that is gone now, out of the table; as `birth` for the rest."""
        (
            _, record_len, _, _, tid, pid, ptid, _, _, uid, gid, _, _, _, _, _, mntns, _, _,
            start_boottime_ns, cgroup_id, _, _, _, _,
        ) = HEADER.unpack_from(data)  # fmt: skip
        thread = self._threads.get(tid)
        if (
            thread is None
            or thread.pid != pid
            or thread.start_boottime_ns != start_boottime_ns
            or thread.ptid != ptid
            or thread.uid != uid
            or thread.gid != gid
            or thread.cgroup_id != cgroup_id
            or thread.mntns != mntns
            # The end of a container's init is the end of the container.
            or (thread.container_id and thread.vpid == 1 and thread.vtid == 1)
            or not record_len == len(data) == EXIT_BYTES
            or not data.startswith(EXIT_SHAPE, PARAMS_AT)
        ):
            return None
        tables = self._tables
        members = tables.threads.groups[pid].members
        if tid == pid and len(members) > 1:
            # Its entry stays for the others.
            return None
        thread.seen_ns = ts_ns
        tables.threads.kill(thread)
        tables.note_exit(tid, ptid, ts_ns)
        if thread.children:
            (thread.reaper_tid,) = EXIT_REAPER.unpack_from(data, EXIT_REAPER_AT)
        if thread.children or tid != pid:
            tables.threads.remove(tid)
        else:
            tables.threads.drop(thread)
        return thread

    def _end_of_cwd(self, data: bytes, at: int, cgroup_id: int) -> int:
        """Where the directory ends when the cgroup's path, which is remembered, is behind it.

        0 for any other attachments.
        """
        kind, length = ATTACHMENT.unpack_from(data, at)
        end: int = at + ATTACHMENT.size + length
        path_at = end + ATTACHMENT.size
        if kind != _CWD or ATTACHMENT.unpack_from(data, end) != (_CGROUP, len(data) - path_at):
            return 0
        self._tables.note_unified(cgroup_id, data[path_at:])
        return end

    def _cgroups(self, cgroup_id: int, mntns: int, data: bytes, at: int, size: int) -> Cgroups:
        """The cgroups in so many bytes of a record, remembered for their id."""
        key = (cgroup_id, mntns)
        text, cgroups = self._told.get(key, _NOTHING)
        if len(text) != size or not data.startswith(text, at):
            text = data[at : at + size]
            cgroups = parse_cgroups(text)
            if len(self._told) >= _MAX_TOLD:
                self._told.clear()
            self._told[key] = text, cgroups
        lives = self._lives
        if lives.cgroups.get(key) is not cgroups:
            lives.learn_cgroups(cgroup_id, mntns, cgroups)
        return cgroups


def _strings(known: StringList, data: bytes, at: int, size: int) -> StringList:
    """The list of so many bytes: the known one where it is the same, so that many share one."""
    if type(known) is Strings and len(known.data) == size and data.startswith(known.data, at):
        return known
    return Strings(data[at : at + size]) if size else ()


def _move_to(thread: Thread, cwd: bytes) -> None:
    """Take over a working directory; what it was before, if that is the same."""
    if thread.cwd[:-1] != cwd:
        thread.cwd = with_slash(cwd)
