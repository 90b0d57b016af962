"""How process and thread facts are read from an event and its state.

Source: state-tracking.md sections 1 to 5. The fields that use these stand in process.py.
"""

from collections.abc import Callable
from typing import Any

from exporter.events.event import Event
from exporter.events.fd import Fd
from exporter.events.paths import working_directory
from exporter.events.text import printable
from exporter.events.thread import Thread
from exporter.rules.fields.ancestors import (
    ancestor,
    ancestors,
    of_ancestor,
)
from exporter.rules.fields.fd_facts import type_name
from exporter.rules.fields.field import (
    Arg,
    Reader,
)

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


def of_main_or_own(read: Callable[[Thread], Any]) -> Reader:
    """Reader of a fact that the main thread keeps; the thread's own where the main is unknown."""

    def reader(event: Event) -> Any:
        thread = event.thread
        if thread is None:
            return None
        return read(event.host.leader(thread) or thread)

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
    """The argv[0], a blank and the arguments; the blank stands there without any, too."""
    return thread.exe + b" " + b" ".join(thread.args)


def environment(thread: Thread) -> bytes:
    """NAME=value texts joined with blanks."""
    return b" ".join(thread.env)


def variable(thread: Thread, name: bytes) -> bytes | None:
    """Value of one environment variable without blanks around it; None when it has none."""
    prefix = name + b"="
    for item in thread.env:
        if item.startswith(prefix) and len(item) > len(prefix):
            return item[len(prefix) :].strip(b" ")
    return None


def bind_argument(arg: Arg) -> Reader:
    """Reader of one argument by index from 0; empty text past the last."""
    index = arg if isinstance(arg, int) else 0
    return of_thread(lambda t: t.args[index] if 0 <= index < len(t.args) else b"")


def bind_ancestor_arguments(arg: Arg) -> Reader:
    """Reader of the arguments of one ancestor."""
    return of_ancestor(arguments)(arg)


def bind_variable(arg: Arg) -> Reader:
    """Reader of one environment variable of the process; empty text when it is not set."""
    name = arg if isinstance(arg, bytes) else b""
    return of_main_or_own(lambda t: variable(t, name) or b"")


def _environment_of(event: Event, thread: Thread) -> bytes:
    main = event.host.leader(thread)
    return b"" if main is None else environment(main)


def ancestor_environments(event: Event) -> tuple[bytes, ...] | None:
    """Environments of all ancestors, self excluded, nearest first."""
    thread = event.thread
    if thread is None:
        return None
    return tuple([_environment_of(event, above) for above in ancestors(event.host, thread)])


def joined_environments(event: Event) -> bytes | None:
    """Environments of all ancestors in one text."""
    texts = ancestor_environments(event)
    return None if texts is None else b" ".join(texts)


def bind_ancestor_variable(arg: Arg) -> Reader:
    """Reader of an ancestor's environment by level, or of a variable's value in the nearest one."""
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


def process_id(event: Event) -> int | None:
    """Process id; missing past 32 bits."""
    thread = event.thread
    return None if thread is None or thread.pid > _MAX_PID else thread.pid


def direct_parent(read: Callable[[Thread], int], missing: int) -> Reader:
    """Reader of a number of the entry of the thread's own ptid, not of its leader."""

    def reader(event: Event) -> int | None:
        thread = event.thread
        above = None if thread is None else event.host.threads.get(thread.ptid)
        value = missing if above is None else read(above)
        return None if above is None or value == missing else value

    return reader


def duration(event: Event) -> int | None:
    """Event time minus start of the thread, ns."""
    thread = event.thread
    if thread is None or not thread.clone_ts_ns:
        return None
    return (event.ts_ns - thread.clone_ts_ns) & _U64


def parent_duration(event: Event) -> int | None:
    """Event time minus start of the parent, ns."""
    thread = event.thread
    above = None if thread is None else event.host.parent(thread)
    if above is None:
        return None
    if above.clone_ts_ns:
        return (event.ts_ns - above.clone_ts_ns) & _U64
    # The reference engine falls through to the number of open descriptors here.
    return fd_count(event)


def fd_count(event: Event) -> int | None:
    """Open descriptors of the process."""
    thread = event.thread
    if thread is None:
        return None
    main = event.host.leader(thread)
    return 0 if main is None else len(main.fds)


def fd_limit(event: Event) -> int | None:
    """Limit of open descriptors of the process; 0 where its main thread is unknown."""
    thread = event.thread
    if thread is None:
        return None
    main = event.host.leader(thread)
    return 0 if main is None else main.fdlimit


def fd_usage(event: Event) -> float | None:
    """Open descriptors in percent of the limit."""
    thread = event.thread
    if thread is None:
        return None
    main = event.host.leader(thread)
    if main is None or main.fdlimit <= 0:
        return 0.0
    return min(len(main.fds) * 100.0 / main.fdlimit, 100.0)


def login_shell(event: Event) -> int | None:
    """Pid of the oldest of self and ancestors whose comm ends in `sh`."""
    thread = event.thread
    main = None if thread is None else event.host.leader(thread)
    if thread is None or main is None:
        return None
    shell = main.pid if main.comm.endswith(b"sh") else None
    for above in ancestors(event.host, thread):
        if above.comm.endswith(b"sh"):
            shell = above.pid
    return shell


def thread_count(event: Event) -> int | None:
    """Living threads of the process."""
    thread = event.thread
    if thread is None:
        return None
    pid = thread.pid
    if pid < 0:
        return 0
    return sum(1 for other in event.host.threads.values() if other.pid == pid and not other.is_dead)


def child_count(event: Event) -> int | None:
    """Living threads of the process beside the main one."""
    count = thread_count(event)
    main = None if event.thread is None else event.host.leader(event.thread)
    if count is None:
        return None
    return count - 1 if main is not None and not main.is_dead else count


def cwd(event: Event) -> bytes | None:
    """Working directory of the process."""
    return None if event.thread is None else working_directory(event)


def cgroups(event: Event) -> bytes | None:
    """All cgroups as `subsystem=path`, joined with blanks."""
    thread = event.thread
    if thread is None or not thread.cgroups:
        return None
    return b" ".join([b"%s=%s" % pair for pair in thread.cgroups])


def bind_cgroup(arg: Arg) -> Reader:
    """Reader of the path in one cgroup subsystem."""
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


def std_type(number: int) -> Reader:
    """Reader of the type of descriptor 0, 1 or 2."""
    return _of_descriptor(number, type_name)


def std_name(number: int) -> Reader:
    """Reader of the name of descriptor 0, 1 or 2."""
    return _of_descriptor(number, lambda fd: printable(fd.name))


def _of_descriptor(number: int, read: Callable[[Fd], bytes]) -> Reader:
    def reader(event: Event) -> bytes | None:
        thread = event.thread
        fd = None if thread is None else event.host.descriptors(thread).get(number)
        return None if fd is None else read(fd)

    return reader


def of_main_only(read: Callable[[Thread], int]) -> Reader:
    """Reader of a number that is 0 for all but the main thread."""
    return of_thread(lambda t: read(t) if t.is_main else 0)


def session_id(thread: Thread) -> int:
    """Session id."""
    return thread.sid


def process_group(thread: Thread) -> int:
    """Process group id in the thread's own pid namespace."""
    return thread.vpgid


def host_process_group(thread: Thread) -> int:
    """Process group id in the initial pid namespace."""
    return thread.pgid
