"""Process and thread fields.

Source: fields catalogue class "process"; state-tracking.md sections 1 to 5.
"""

from collections.abc import Callable
from typing import Any

from exporter.events.event import Event
from exporter.events.paths import working_directory
from exporter.events.thread import Thread
from exporter.rules.fields.ancestors import (
    ancestor,
    ancestors,
    joined,
    of_all,
    of_ancestor,
    of_leader,
    of_parent,
)
from exporter.rules.fields.fd_facts import type_name
from exporter.rules.fields.field import (
    NO_RHS,
    NO_TRANSFORMER,
    TABLE_ONLY,
    Arg,
    ArgKind,
    Compare,
    Field,
    FieldClass,
    Reader,
)
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T

_MAX_PID = 0xFFFFFFFF
_U64 = (1 << 64) - 1
_ENV_LEVELS = 20

_CAPABILITIES = (
    b"CAP_CHOWN", b"CAP_DAC_OVERRIDE", b"CAP_DAC_READ_SEARCH", b"CAP_FOWNER", b"CAP_FSETID",
    b"CAP_KILL", b"CAP_SETGID", b"CAP_SETUID", b"CAP_SETPCAP", b"CAP_LINUX_IMMUTABLE",
    b"CAP_NET_BIND_SERVICE", b"CAP_NET_BROADCAST", b"CAP_NET_ADMIN", b"CAP_NET_RAW",
    b"CAP_IPC_LOCK", b"CAP_IPC_OWNER", b"CAP_SYS_MODULE", b"CAP_SYS_RAWIO", b"CAP_SYS_CHROOT",
    b"CAP_SYS_PTRACE", b"CAP_SYS_PACCT", b"CAP_SYS_ADMIN", b"CAP_SYS_BOOT", b"CAP_SYS_NICE",
    b"CAP_SYS_RESOURCE", b"CAP_SYS_TIME", b"CAP_SYS_TTY_CONFIG", b"CAP_MKNOD", b"CAP_LEASE",
    b"CAP_AUDIT_WRITE", b"CAP_AUDIT_CONTROL", b"CAP_SETFCAP", b"CAP_MAC_OVERRIDE",
    b"CAP_MAC_ADMIN", b"CAP_SYSLOG", b"CAP_WAKE_ALARM", b"CAP_BLOCK_SUSPEND", b"CAP_AUDIT_READ",
    b"CAP_PERFMON", b"CAP_BPF", b"CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""Names by bit number, as in capabilities(7)."""


def of_thread(read: Callable[[Thread], Any]) -> Reader:
    """Reader of a fact of the event's own thread."""

    def reader(event: Event) -> Any:
        thread = event.thread
        return None if thread is None else read(thread)

    return reader


def of_main(read: Callable[[Thread], Any]) -> Reader:
    """Reader of a fact that the main thread keeps for the whole process."""

    def reader(event: Event) -> Any:
        thread = event.thread
        if thread is None:
            return None
        main = event.host.leader(thread)
        return None if main is None else read(main)

    return reader


def known(read: Callable[[Thread], int], missing: int = 0) -> Reader:
    """Reader of a number of the thread that is missing when it has its unknown value."""

    def reader(event: Event) -> int | None:
        thread = event.thread
        if thread is None:
            return None
        value = read(thread)
        return None if value == missing else value

    return reader


def arguments(thread: Thread) -> bytes:
    """Arguments after argv[0], joined with blanks."""
    return b" ".join(thread.args)


def command_line(thread: Thread) -> bytes:
    """The comm and the arguments."""
    return b" ".join((thread.comm, *thread.args))


def exe_line(thread: Thread) -> bytes:
    """The argv[0] and the arguments."""
    return b" ".join((thread.exe, *thread.args))


def environment(thread: Thread) -> bytes:
    """NAME=value texts joined with blanks."""
    return b" ".join(thread.env)


def variable(thread: Thread, name: bytes) -> bytes | None:
    """Value of one environment variable; None when it is not set."""
    prefix = name + b"="
    for item in thread.env:
        if item.startswith(prefix):
            return item[len(prefix) :]
    return None


def _bind_argument(arg: Arg) -> Reader:
    index = arg if isinstance(arg, int) else 0
    return of_thread(lambda t: t.args[index] if 0 <= index < len(t.args) else b"")


def _bind_ancestor_arguments(arg: Arg) -> Reader:
    return of_ancestor(arguments)(arg)


def _bind_variable(arg: Arg) -> Reader:
    name = arg if isinstance(arg, bytes) else b""
    return of_main(lambda t: variable(t, name) or b"")


def _environment_of(event: Event, thread: Thread) -> bytes:
    main = event.host.leader(thread)
    return b"" if main is None else environment(main)


def _ancestor_environments(event: Event) -> tuple[bytes, ...] | None:
    thread = event.thread
    if thread is None:
        return None
    return tuple([_environment_of(event, above) for above in ancestors(event.host, thread)])


def _joined_environments(event: Event) -> bytes | None:
    texts = _ancestor_environments(event)
    return None if texts is None else b" ".join(texts)


def _bind_ancestor_variable(arg: Arg) -> Reader:
    if isinstance(arg, int):
        return of_ancestor(environment)(arg)
    name = arg if isinstance(arg, bytes) else b""

    def reader(event: Event) -> bytes | None:
        thread = event.thread
        if thread is None:
            return None
        for level in range(1, _ENV_LEVELS + 1):
            above = ancestor(event.host, thread, level)
            if above is None:
                break
            value = variable(above, name)
            if value is not None:
                return value
        return b""

    return reader


def capability_names(bits: int) -> bytes:
    """Names of the set bits, joined with blanks."""
    return b" ".join([name for bit, name in enumerate(_CAPABILITIES) if bits >> bit & 1])


def _pid(event: Event) -> int | None:
    thread = event.thread
    return None if thread is None or thread.pid > _MAX_PID else thread.pid


def _direct_parent(read: Callable[[Thread], int], missing: int) -> Reader:
    def reader(event: Event) -> int | None:
        thread = event.thread
        above = None if thread is None else event.host.threads.get(thread.ptid)
        value = missing if above is None else read(above)
        return None if above is None or value == missing else value

    return reader


def _duration(event: Event) -> int | None:
    thread = event.thread
    if thread is None or not thread.clone_ts_ns:
        return None
    return (event.ts_ns - thread.clone_ts_ns) & _U64


def _parent_duration(event: Event) -> int | None:
    thread = event.thread
    above = None if thread is None else event.host.parent(thread)
    if above is None:
        return None
    if above.clone_ts_ns:
        return (event.ts_ns - above.clone_ts_ns) & _U64
    # The reference engine falls through to the number of open descriptors here.
    return _fd_count(event)


def _fd_count(event: Event) -> int | None:
    thread = event.thread
    main = None if thread is None else event.host.leader(thread)
    return None if main is None else len(main.fds)


def _fd_usage(event: Event) -> float | None:
    thread = event.thread
    main = None if thread is None else event.host.leader(thread)
    if main is None or main.fdlimit <= 0:
        return None if main is None else 0.0
    return len(main.fds) * 100.0 / main.fdlimit


def _login_shell(event: Event) -> int | None:
    thread = event.thread
    main = None if thread is None else event.host.leader(thread)
    if thread is None or main is None:
        return None
    shell = main.pid if main.comm.endswith(b"sh") else None
    for above in ancestors(event.host, thread):
        if above.comm.endswith(b"sh"):
            shell = above.pid
    return shell


def _thread_count(event: Event) -> int | None:
    thread = event.thread
    if thread is None:
        return None
    pid = thread.pid
    return sum(1 for other in event.host.threads.values() if other.pid == pid and not other.is_dead)


def _child_count(event: Event) -> int | None:
    count = _thread_count(event)
    main = None if event.thread is None else event.host.leader(event.thread)
    if count is None:
        return None
    return count - 1 if main is not None and not main.is_dead else count


def _cwd(event: Event) -> bytes | None:
    thread = event.thread
    if thread is None or event.host.leader(thread) is None:
        return None
    return working_directory(event)


def _cgroups(event: Event) -> bytes | None:
    thread = event.thread
    if thread is None or not thread.cgroups:
        return None
    return b" ".join([b"%s=%s" % pair for pair in thread.cgroups])


def _bind_cgroup(arg: Arg) -> Reader:
    subsystem = str(arg).encode()

    def reader(event: Event) -> bytes | None:
        thread = event.thread
        if thread is None:
            return None
        for name, path in thread.cgroups:
            if name == subsystem:
                return path
        return None

    return reader


def _std_type(number: int) -> Reader:
    def reader(main: Thread) -> bytes | None:
        fd = main.fds.get(number)
        return None if fd is None else type_name(fd)

    return of_main(reader)


def _std_name(number: int) -> Reader:
    def reader(main: Thread) -> bytes | None:
        fd = main.fds.get(number)
        return None if fd is None else fd.name

    return of_main(reader)


def _cpu(event: Event) -> float | None:
    return 0.0 if event.type.id == "PPME_PROCINFO_E" and event.thread is not None else None


def _of_main_only(read: Callable[[Thread], int]) -> Reader:
    return of_thread(lambda t: read(t) if t.is_main else 0)


def _session(thread: Thread) -> int:
    return thread.sid


def _group(thread: Thread) -> int:
    return thread.vpgid


def _host_group(thread: Thread) -> int:
    return thread.pgid


CLASS = FieldClass(
    "process",
    "fields of the process and thread behind an event",
    ("syscall",),
    (
        Field(
            "proc.name",
            T.CHARBUF,
            "thread comm (at most 15 characters)",
            of_thread(lambda t: t.comm),
            inline="t.comm if t is not None else None",
            cost=15,
            kernel="proc.name",
        ),
        Field(
            "proc.pname",
            T.CHARBUF,
            "comm of the parent process",
            of_parent(lambda t: t.comm),
            cost=300,
        ),
        Field(
            "proc.cmdline",
            T.CHARBUF,
            "comm followed by the arguments, joined by spaces",
            of_thread(command_line),
            cost=250,
        ),
        Field(
            "proc.tty",
            T.UINT32,
            "controlling terminal device number, 0 if none",
            of_thread(lambda t: t.tty),
            inline="t.tty if t is not None else None",
            cost=15,
            kernel="proc.tty",
            print_as=P.ID,
        ),
        Field(
            "proc.exepath",
            T.CHARBUF,
            "resolved path of the executable (trusted_exepath at exec, /proc/PID/exe at scan)",
            of_thread(lambda t: t.exepath),
            inline="t.exepath if t is not None else None",
            cost=15,
        ),
        Field(
            "proc.aname",
            T.CHARBUF,
            (
                "comm of ancestor N (0 = self, 1 = parent); without index: any ancestor (self "
                "excluded)"
            ),
            of_thread(lambda t: t.comm),
            bind=of_ancestor(lambda t: t.comm),
            each=of_all(lambda t: t.comm),
            compare=Compare.ANCESTOR,
            cost=900,
            arg=ArgKind.INDEX,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "proc.pcmdline",
            T.CHARBUF,
            "proc.cmdline of the parent",
            of_parent(command_line),
            cost=500,
        ),
        Field(
            "proc.args",
            T.CHARBUF,
            (
                "arguments after argv[0] joined by single spaces; [N] = N-th argument (0 = "
                "first after argv[0], empty text if out of range)"
            ),
            of_thread(arguments),
            bind=_bind_argument,
            cost=200,
            arg=ArgKind.INDEX,
        ),
        Field(
            "proc.exe",
            T.CHARBUF,
            "argv[0] as given at exec (parameter exe of the exec exit event)",
            of_thread(lambda t: t.exe),
            inline="t.exe if t is not None else None",
            cost=15,
        ),
        Field(
            "proc.vpid",
            T.INT64,
            "process id inside its own pid namespace; missing if -1",
            known(lambda t: t.vpid, -1),
            print_as=P.ID,
        ),
        Field("proc.cwd", T.CHARBUF, "current directory with a trailing slash", _cwd, cost=300),
        Field(
            "proc.pexepath",
            T.CHARBUF,
            "proc.exepath of the parent",
            of_parent(lambda t: t.exepath),
            cost=300,
        ),
        Field(
            "proc.env",
            T.CHARBUF,
            (
                "environment as NAME=value joined by spaces; [NAME] = value of one variable "
                "(empty text if unset)"
            ),
            of_main(environment),
            bind=_bind_variable,
            cost=1000,
            arg=ArgKind.KEY,
        ),
        Field(
            "proc.sname",
            T.CHARBUF,
            "comm of the session leader (see state-tracking: leader lookup)",
            of_leader(_session, lambda t: t.comm),
            cost=600,
        ),
        Field(
            "thread.cap_permitted",
            T.CHARBUF,
            "permitted capabilities as CAP_* names joined by spaces",
            of_thread(lambda t: capability_names(t.cap_permitted)),
            cost=3000,
        ),
        Field(
            "thread.cap_effective",
            T.CHARBUF,
            "effective capabilities",
            of_thread(lambda t: capability_names(t.cap_effective)),
            cost=3000,
        ),
        Field(
            "proc.pexe",
            T.CHARBUF,
            "proc.exe of the parent process; missing if the parent is unknown",
            of_parent(lambda t: t.exe),
            cost=300,
        ),
        Field(
            "proc.aexe",
            T.CHARBUF,
            (
                "proc.exe of ancestor N; without index: filters match any ancestor (self "
                "excluded), output joins all with spaces"
            ),
            joined(lambda t: t.exe),
            bind=of_ancestor(lambda t: t.exe),
            each=of_all(lambda t: t.exe),
            compare=Compare.ANCESTOR,
            cost=900,
            arg=ArgKind.INDEX,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "proc.aexepath",
            T.CHARBUF,
            "proc.exepath of ancestor N / any ancestor",
            joined(lambda t: t.exepath),
            bind=of_ancestor(lambda t: t.exepath),
            each=of_all(lambda t: t.exepath),
            compare=Compare.ANCESTOR,
            cost=900,
            arg=ArgKind.INDEX,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "proc.duration",
            T.RELTIME,
            "ns between process start and the event; missing if the start is unknown",
            _duration,
            print_as=P.DEC,
        ),
        Field(
            "proc.is_exe_upper_layer",
            T.BOOL,
            "executable resides in the upper layer of an overlayfs",
            of_thread(lambda t: t.exe_upper_layer),
            inline="t.exe_upper_layer if t is not None else None",
            cost=15,
        ),
        Field(
            "proc.is_exe_from_memfd",
            T.BOOL,
            "executable is an anonymous memfd file",
            of_thread(lambda t: t.exe_from_memfd),
            inline="t.exe_from_memfd if t is not None else None",
            cost=15,
        ),
        Field(
            "proc.is_vpgid_leader",
            T.BOOL,
            "vpgid equals namespace pid",
            of_thread(lambda t: t.vpgid == t.vpid),
        ),
        Field(
            "proc.exe_ino.ctime",
            T.ABSTIME,
            "inode change time of the executable, ns since epoch; missing if 0",
            known(lambda t: t.exe_ino_ctime_ns),
            print_as=P.DEC,
        ),
        Field(
            "proc.exe_ino.mtime",
            T.ABSTIME,
            "modification time of the executable, ns since epoch; missing if 0",
            known(lambda t: t.exe_ino_mtime_ns),
            print_as=P.DEC,
        ),
        Field(
            "proc.exe_ino.ctime_duration_proc_start",
            T.ABSTIME,
            "process start minus executable ctime, ns; missing if 0",
            known(lambda t: t.ctime_duration_proc_start_ns),
            print_as=P.DEC,
        ),
        Field(
            "proc.aargs",
            T.CHARBUF,
            (
                "proc.args of ancestor N; without index the texts of all ancestors joined "
                "(filters compare the joined text)"
            ),
            joined(arguments),
            bind=_bind_ancestor_arguments,
            cost=900,
            arg=ArgKind.INDEX,
        ),
        Field(
            "proc.acmdline",
            T.CHARBUF,
            "proc.cmdline of ancestor N / any ancestor",
            joined(command_line),
            bind=of_ancestor(command_line),
            each=of_all(command_line),
            compare=Compare.ANCESTOR,
            cost=1200,
            arg=ArgKind.INDEX,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "proc.cmdnargs",
            T.UINT64,
            "number of arguments after argv[0]",
            of_thread(lambda t: len(t.args)),
            print_as=P.DEC,
        ),
        Field(
            "proc.cmdlenargs",
            T.UINT64,
            "summed length of those arguments without separators",
            of_thread(lambda t: sum(map(len, t.args))),
            print_as=P.DEC,
        ),
        Field(
            "proc.exeline",
            T.CHARBUF,
            "argv[0] followed by a space and the arguments",
            of_thread(exe_line),
            cost=250,
        ),
        Field(
            "proc.aenv",
            T.CHARBUF,
            (
                "ancestor environments: [N] level, [NAME] first ancestor (up to 20 levels) "
                "with that variable; filters without NAME scan all ancestors"
            ),
            _joined_environments,
            bind=_bind_ancestor_variable,
            each=_ancestor_environments,
            compare=Compare.ANCESTOR,
            cost=3000,
            arg=ArgKind.INDEX_OR_KEY,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "proc.loginshellid",
            T.INT64,
            "pid of the oldest ancestor-or-self whose comm ends in 'sh'; missing if none",
            _login_shell,
            cost=900,
            print_as=P.ID,
        ),
        Field(
            "proc.pid",
            T.INT64,
            "process id (thread group id, host pid namespace)",
            _pid,
            print_as=P.ID,
        ),
        Field(
            "proc.ppid",
            T.INT64,
            "process id of the parent; missing if unknown",
            of_parent(lambda t: t.pid),
            cost=300,
            print_as=P.ID,
        ),
        Field(
            "proc.apid",
            T.INT64,
            "pid of ancestor N (0 = self); without index filters match any ancestor",
            of_thread(lambda t: t.pid),
            bind=of_ancestor(lambda t: t.pid),
            each=of_all(lambda t: t.pid),
            compare=Compare.ANCESTOR,
            cost=900,
            arg=ArgKind.INDEX,
            print_as=P.ID,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "proc.pvpid",
            T.INT64,
            "namespace pid of the parent thread entry",
            _direct_parent(lambda t: t.vpid, -1),
            print_as=P.ID,
        ),
        Field(
            "proc.sid",
            T.INT64,
            "session id as seen from the process pid namespace",
            of_thread(lambda t: t.sid),
            inline="t.sid if t is not None else None",
            cost=15,
            print_as=P.ID,
        ),
        Field(
            "proc.sid.exe",
            T.CHARBUF,
            "argv[0] of the session leader",
            of_leader(_session, lambda t: t.exe),
            cost=600,
        ),
        Field(
            "proc.sid.exepath",
            T.CHARBUF,
            "executable path of the session leader",
            of_leader(_session, lambda t: t.exepath),
            cost=600,
        ),
        Field(
            "proc.vpgid",
            T.INT64,
            "process group id in its pid namespace",
            of_thread(lambda t: t.vpgid),
            inline="t.vpgid if t is not None else None",
            cost=15,
            print_as=P.ID,
        ),
        Field(
            "proc.vpgid.name",
            T.CHARBUF,
            "comm of the process group leader (namespace ids)",
            of_leader(_group, lambda t: t.comm),
            cost=600,
        ),
        Field(
            "proc.vpgid.exe",
            T.CHARBUF,
            "argv[0] of that leader",
            of_leader(_group, lambda t: t.exe),
            cost=600,
        ),
        Field(
            "proc.vpgid.exepath",
            T.CHARBUF,
            "executable path of that leader",
            of_leader(_group, lambda t: t.exepath),
            cost=600,
        ),
        Field(
            "proc.pgid",
            T.INT64,
            "process group id in the host pid namespace",
            of_thread(lambda t: t.pgid),
            inline="t.pgid if t is not None else None",
            cost=15,
            print_as=P.ID,
        ),
        Field(
            "proc.pgid.name",
            T.CHARBUF,
            "comm of the host-id group leader",
            of_leader(_host_group, lambda t: t.comm, is_host_id=True),
            cost=600,
        ),
        Field(
            "proc.pgid.exe",
            T.CHARBUF,
            "argv[0] of that leader",
            of_leader(_host_group, lambda t: t.exe, is_host_id=True),
            cost=600,
        ),
        Field(
            "proc.pgid.exepath",
            T.CHARBUF,
            "executable path of that leader",
            of_leader(_host_group, lambda t: t.exepath, is_host_id=True),
            cost=600,
        ),
        Field(
            "proc.ppid.duration",
            T.RELTIME,
            (
                "same for the parent (quirk: if the parent's start time is 0 the fd count of "
                "the process is returned instead)"
            ),
            _parent_duration,
            cost=400,
            print_as=P.DEC,
        ),
        Field(
            "proc.pid.ts",
            T.RELTIME,
            "process start time, ns since epoch; missing if 0",
            known(lambda t: t.clone_ts_ns),
            print_as=P.DEC,
        ),
        Field(
            "proc.ppid.ts",
            T.RELTIME,
            "start time of the parent",
            _direct_parent(lambda t: t.clone_ts_ns, 0),
            print_as=P.DEC,
        ),
        Field(
            "proc.is_exe_writable",
            T.BOOL,
            "executable was writable by the executing user at exec time",
            of_thread(lambda t: t.exe_writable),
            inline="t.exe_writable if t is not None else None",
            cost=15,
        ),
        Field(
            "proc.is_exe_lower_layer",
            T.BOOL,
            "executable resides in a lower layer of an overlayfs",
            of_thread(lambda t: t.exe_lower_layer),
            inline="t.exe_lower_layer if t is not None else None",
            cost=15,
        ),
        Field(
            "proc.is_sid_leader",
            T.BOOL,
            "sid equals namespace pid",
            of_thread(lambda t: t.sid == t.vpid),
        ),
        Field(
            "proc.is_pgid_leader", T.BOOL, "pgid equals pid", of_thread(lambda t: t.pgid == t.pid)
        ),
        Field(
            "proc.exe_ino",
            T.INT64,
            "inode of the executable; missing if 0",
            known(lambda t: t.exe_ino),
            print_as=P.DEC,
        ),
        Field(
            "proc.exe_ino.ctime_duration_pidns_start",
            T.ABSTIME,
            (
                "executable ctime minus pid-namespace start, ns, only if ctime is later; "
                "missing if 0"
            ),
            known(lambda t: t.ctime_duration_pidns_start_ns),
            print_as=P.DEC,
        ),
        Field(
            "proc.pidns_init_start_ts",
            T.UINT64,
            "start time of the pid namespace's init, ns since epoch; missing if 0",
            known(lambda t: t.pidns_init_start_ts_ns),
            print_as=P.DEC,
        ),
        Field(
            "thread.cap_inheritable",
            T.CHARBUF,
            "inheritable capabilities",
            of_thread(lambda t: capability_names(t.cap_inheritable)),
            cost=3000,
        ),
        Field(
            "proc.fdopencount",
            T.UINT64,
            "number of open fds known for the process",
            _fd_count,
            print_as=P.DEC,
        ),
        Field(
            "proc.fdlimit",
            T.INT64,
            "RLIMIT_NOFILE of the process",
            of_main(lambda t: t.fdlimit),
            print_as=P.DEC,
        ),
        Field("proc.fdusage", T.DOUBLE, "fdopencount * 100 / fdlimit", _fd_usage),
        Field(
            "proc.vmsize",
            T.UINT64,
            "virtual memory size in kB",
            of_thread(lambda t: t.vmsize_kb),
            inline="t.vmsize_kb if t is not None else None",
            cost=15,
            print_as=P.DEC,
        ),
        Field(
            "proc.vmrss",
            T.UINT64,
            "resident memory in kB",
            of_thread(lambda t: t.vmrss_kb),
            inline="t.vmrss_kb if t is not None else None",
            cost=15,
            print_as=P.DEC,
        ),
        Field(
            "proc.vmswap",
            T.UINT64,
            "swapped memory in kB",
            of_thread(lambda t: t.vmswap_kb),
            inline="t.vmswap_kb if t is not None else None",
            cost=15,
            print_as=P.DEC,
        ),
        Field(
            "thread.pfmajor",
            T.UINT64,
            "major page faults since start",
            of_thread(lambda t: t.pfmajor),
            inline="t.pfmajor if t is not None else None",
            cost=15,
            print_as=P.DEC,
        ),
        Field(
            "thread.pfminor",
            T.UINT64,
            "minor page faults since start",
            of_thread(lambda t: t.pfminor),
            inline="t.pfminor if t is not None else None",
            cost=15,
            print_as=P.DEC,
        ),
        Field(
            "thread.tid",
            T.INT64,
            "thread id that produced the event (available without thread entry)",
            lambda e: e.tid,
            inline="e.tid",
            cost=10,
            print_as=P.ID,
        ),
        Field("thread.ismain", T.BOOL, "true if tid equals pid", of_thread(lambda t: t.is_main)),
        Field(
            "thread.vtid",
            T.INT64,
            "thread id inside its pid namespace; missing if -1",
            known(lambda t: t.vtid, -1),
            print_as=P.ID,
        ),
        Field(
            "thread.nametid",
            T.CHARBUF,
            "comm immediately followed by the tid",
            of_thread(lambda t: b"%s%d" % (t.comm, t.tid)),
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "thread.exectime",
            T.RELTIME,
            "CPU time of the last slice; switch events only, else 0",
            of_thread(lambda _: 0),
            print_as=P.DEC,
        ),
        Field(
            "thread.totexectime",
            T.RELTIME,
            "accumulated CPU time from switch events",
            of_thread(lambda _: 0),
            print_as=P.DEC,
        ),
        Field(
            "thread.cgroups",
            T.CHARBUF,
            "all cgroups as subsystem=path joined by spaces; missing if none",
            _cgroups,
        ),
        Field(
            "thread.cgroup",
            T.CHARBUF,
            "cgroup path of one subsystem, written thread.cgroup.SUBSYS",
            bind=_bind_cgroup,
            arg=ArgKind.SUFFIX,
            is_arg_required=True,
        ),
        Field(
            "proc.nthreads",
            T.UINT64,
            "number of live threads of the process",
            _thread_count,
            cost=100_000,
            print_as=P.DEC,
        ),
        Field(
            "proc.nchilds",
            T.UINT64,
            "number of live threads that are not the leader",
            _child_count,
            cost=100_000,
            print_as=P.DEC,
        ),
        Field("thread.cpu", T.DOUBLE, "CPU use from procinfo events only", _cpu),
        Field("thread.cpu.user", T.DOUBLE, "user part of thread.cpu", _cpu),
        Field("thread.cpu.system", T.DOUBLE, "system part of thread.cpu", _cpu),
        Field(
            "thread.vmsize",
            T.UINT64,
            "vmsize for main threads, 0 for others",
            _of_main_only(lambda t: t.vmsize_kb),
            print_as=P.DEC,
        ),
        Field(
            "thread.vmrss",
            T.UINT64,
            "vmrss for main threads, 0 for others",
            _of_main_only(lambda t: t.vmrss_kb),
            print_as=P.DEC,
        ),
        Field(
            "thread.vmsize.b",
            T.UINT64,
            "thread.vmsize in bytes",
            _of_main_only(lambda t: t.vmsize_kb * 1024),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "thread.vmrss.b",
            T.UINT64,
            "thread.vmrss in bytes",
            _of_main_only(lambda t: t.vmrss_kb * 1024),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "proc.stdin.type",
            T.CHARBUF,
            "fd type of descriptor 0; missing if not tracked",
            _std_type(0),
        ),
        Field("proc.stdout.type", T.CHARBUF, "fd type of descriptor 1", _std_type(1)),
        Field("proc.stderr.type", T.CHARBUF, "fd type of descriptor 2", _std_type(2)),
        Field("proc.stdin.name", T.CHARBUF, "name of descriptor 0", _std_name(0)),
        Field("proc.stdout.name", T.CHARBUF, "name of descriptor 1", _std_name(1)),
        Field("proc.stderr.name", T.CHARBUF, "name of descriptor 2", _std_name(2)),
    ),
)
