"""Event fields: type, result, parameters, and what kind of event it is.

Source: fields catalogue class "evt"; state-tracking.md sections 6 and 8.
"""

from functools import cache
from typing import Any

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType
from exporter.events.params import Dynamic
from exporter.events.paths import AT_FDCWD, absolute, concatenate, directory, normalise
from exporter.events.table import EventType, Syscall, load_syscall_table
from exporter.events.text import arg_text, args_text, errno_name
from exporter.rules.fields.field import (
    FILTER_ONLY,
    NO_RHS,
    NO_TRANSFORMER,
    PRINT_ONLY,
    TABLE_ONLY,
    UNKNOWN,
    Arg,
    ArgKind,
    Compare,
    Field,
    FieldClass,
    Reader,
    never,
)
from exporter.rules.fields.field import PrintFormat as P
from exporter.rules.fields.field import ValueType as T
from exporter.rules.fields.generic import ASYNC_ID, async_name, local_time

_GENERIC_IDS = frozenset({"PPME_GENERIC_E", "PPME_GENERIC_X"})
_FILE_TYPES = frozenset({FdType.FILE, FdType.FILE_V2, FdType.DIRECTORY})
_INET_TYPES = frozenset({FdType.IPV4, FdType.IPV6, FdType.IPV4_LISTEN, FdType.IPV6_LISTEN})
_IPC_TYPES = frozenset({
    FdType.PIPE, FdType.UNIX, FdType.EVENT, FdType.SIGNALFD, FdType.INOTIFY,
})  # fmt: skip
_IO_CATEGORIES = frozenset({"EC_IO_BASE", "EC_IO_READ", "EC_IO_WRITE", "EC_IO_OTHER"})

# Where flags and mode stand in the parameters of the open family.
_OPEN_FLAGS = {
    "PPME_SYSCALL_OPEN_X": (2, 3),
    "PPME_SYSCALL_OPENAT_E": (2, 3),
    "PPME_SYSCALL_OPENAT_2_X": (3, 4),
    "PPME_SYSCALL_OPENAT2_X": (3, 4),
    "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X": (2, None),
}
_CREAT_IDS = frozenset({"PPME_SYSCALL_CREAT_E", "PPME_SYSCALL_CREAT_X"})
_WITHOUT_ABSPATH = frozenset({"PPME_SYSCALL_MKNODAT_X", "PPME_SYSCALL_NEWFSTATAT_X"})
"""Calls with a directory descriptor that the reference engine has no absolute path of."""

_OPENING_IDS = _OPEN_FLAGS.keys() | _CREAT_IDS
_CONNECTING_IDS = frozenset({
    "PPME_SOCKET_ACCEPT_5_X", "PPME_SOCKET_ACCEPT4_6_X", "PPME_SOCKET_CONNECT_X",
})  # fmt: skip
_O_RDONLY = 1 << 0
_O_WRONLY = 1 << 1
_O_CREAT = 1 << 2
_O_TMPFILE = 1 << 13
_O_F_CREATED = 1 << 14
_ANY_EXEC_BIT = 0o111


def has_result(event_type: EventType) -> bool:
    """Whether events of this type carry a return value: exits of system calls but generic ones."""
    return (
        not event_type.is_enter
        and "EC_SYSCALL" in event_type.categories
        and event_type.id not in _GENERIC_IDS
    )


def result(event: Event) -> int | None:
    """Return value of the call, signed; 0 when the record lacks it, None for other events."""
    if not has_result(event.type):
        return None
    value = event.param(0)
    if isinstance(value, Dynamic):
        value = value.value
    if not isinstance(value, int):
        return 0
    return value - (1 << 64) if value >= 1 << 63 else int(value)


def _no_result(event_type: EventType) -> object:
    return UNKNOWN if has_result(event_type) else None


def _flag(*flags: str) -> Any:
    wanted = frozenset(flags)

    def decide(event_type: EventType) -> bool:
        return not wanted.isdisjoint(event_type.flags)

    return decide


_is_io = _flag("EF_READS_FROM_FD", "EF_WRITES_TO_FD")
_is_read = _flag("EF_READS_FROM_FD")
_is_write = _flag("EF_WRITES_TO_FD")
_is_wait = _flag("EF_WAITS")


@cache
def _syscall_names() -> dict[int, bytes]:
    calls: tuple[Syscall, ...] = load_syscall_table().syscalls
    return {call.sc: call.name.encode() for call in calls}


def event_name(event: Event) -> bytes | None:
    """Name of the event: for generic events that of the system call, for async ones their own."""
    kind = event.type
    if kind.id in _GENERIC_IDS:
        return _syscall_names().get(event.param(0), kind.name.encode())
    return async_name(event) if kind.id == ASYNC_ID else kind.name.encode()


def constant_name(event_type: EventType) -> object:
    """Name that every event of this type has; UNKNOWN for generic and async events."""
    if event_type.id in _GENERIC_IDS or event_type.id == ASYNC_ID:
        return UNKNOWN
    return event_type.name.encode()


def _syscall_name(event: Event) -> bytes | None:
    return event_name(event) if "EC_SYSCALL" in event.type.categories else None


def _constant_syscall(event_type: EventType) -> object:
    return constant_name(event_type) if "EC_SYSCALL" in event_type.categories else None


def _result_text(event: Event) -> bytes | None:
    value = result(event)
    if value is None:
        return None
    return b"SUCCESS" if value >= 0 else errno_name(-value)


def _failed(event: Event) -> bool | None:
    value = result(event)
    return None if value is None else value < 0


def _open_flags(event: Event) -> int:
    """Flags of the open family; 0 for other events and a missing parameter."""
    places = _OPEN_FLAGS.get(event.type.id)
    return 0 if places is None else event.param(places[0]) or 0


def _open_mode(event: Event) -> int:
    """Mode of the open family; 0 for other events and a missing parameter."""
    places = _OPEN_FLAGS.get(event.type.id)
    mode = None if places is None else places[1]
    return 0 if mode is None else event.param(mode) or 0


def _is_open_read(event: Event) -> bool:
    return bool(_open_flags(event) & _O_RDONLY)


def _is_open_write(event: Event) -> bool:
    return bool(_open_flags(event) & _O_WRONLY)


def _is_open_exec(event: Event) -> bool:
    if event.type.id in _CREAT_IDS:
        return bool((event.named_param("mode") or 0) & _ANY_EXEC_BIT)
    makes = _open_flags(event) & (_O_CREAT | _O_TMPFILE)
    return bool(makes and _open_mode(event) & _ANY_EXEC_BIT)


def _is_open_create(event: Event) -> bool:
    flags = _open_flags(event)
    if flags & _O_F_CREATED:
        return True
    return bool(flags & _O_TMPFILE) and (result(event) or 0) >= 0


def _not_open(event_type: EventType) -> object:
    return UNKNOWN if event_type.id in _OPEN_FLAGS else False


def _not_open_or_creat(event_type: EventType) -> object:
    return UNKNOWN if event_type.id in _CREAT_IDS else _not_open(event_type)


def _bind_argument(arg: Arg) -> Reader:
    if isinstance(arg, int):
        index = arg

        def read_index(event: Event) -> bytes | None:
            return arg_text(event, index) if 0 <= index < len(event.raw) else None

        return read_index
    name = str(arg)

    def read_name(event: Event) -> bytes | None:
        found = event.type.param_index.get(name)
        return None if found is None else arg_text(event, found)

    return read_name


def _bind_raw_argument(arg: Arg) -> Reader:
    name = str(arg)

    def read(event: Event) -> Any:
        value = event.named_param(name)
        return value if isinstance(value, int | bytes) else None

    return read


def _bind_type_is(arg: Arg) -> Reader:
    name = str(arg).encode()
    return lambda event: int(event_name(event) == name)


def _bind_path(arg: Arg) -> Reader:
    """Absolute path of the first (.src or no suffix) or second (.dst) path of an *at call."""
    place = 1 if arg == "dst" else 0

    def read(event: Event) -> bytes | None:
        kind = event.type.id
        if kind == "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X":
            opened = event.param(3)
            return normalise(opened) if opened is not None and (result(event) or 0) > 0 else None
        paths = [i for i, param in enumerate(event.type.params) if param.type == "FSRELPATH"]
        if not paths or kind in _WITHOUT_ABSPATH:
            return None
        # Calls with one path show it whatever the suffix says.
        index = paths[min(place, len(paths) - 1)]
        path = event.param(index)
        if path is None:
            return None
        dirfd = event.type.params[index].dirfd
        if path[:1] == b"/" or event.param(dirfd) == AT_FDCWD:
            return absolute(event, path, dirfd)
        # Unlike in fd.name, a slash follows whatever stands for the directory.
        base = directory(event, dirfd)
        return concatenate(base if base[-1:] == b"/" else base + b"/", path)

    return read


def _buffer(event: Event) -> bytes | None:
    data = event.named_param("data")
    # ptrace has a number of that name.
    return data if isinstance(data, bytes) else None


def _no_buffer(event_type: EventType) -> object:
    return UNKNOWN if "data" in event_type.param_index else None


def _category_word(event_type: EventType) -> bytes:
    word = event_type.categories[-1].removeprefix("EC_")
    # The one word that the reference engine writes in capitals.
    return (word if word == "IPC" else word.lower()).encode()


def _category(event: Event) -> bytes:
    categories = event.type.categories
    if _IO_CATEGORIES.isdisjoint(categories):
        return _category_word(event.type)
    kind = None if event.fd is None else event.fd.type
    if kind in _FILE_TYPES:
        return b"file"
    if kind in _INET_TYPES:
        return b"net"
    return b"ipc" if kind in _IPC_TYPES else b"unknown"


def _constant_category(event_type: EventType) -> object:
    categories = event_type.categories
    if not _IO_CATEGORIES.isdisjoint(categories):
        return UNKNOWN
    return _category_word(event_type)


def _io_direction(event: Event) -> bytes | None:
    return _constant_io_direction(event.type)


def _constant_io_direction(event_type: EventType) -> bytes | None:
    if _is_read(event_type):
        return b"read"
    return b"write" if _is_write(event_type) else None


def _is_syslog(event: Event) -> bool:
    fd = event.fd
    return fd is not None and _is_write(event.type) and b"/dev/log" in fd.name


def _transferred(event: Event, *, is_wanted: bool = True) -> int | None:
    if not is_wanted or event.fd is None or _IO_CATEGORIES.isdisjoint(event.type.categories):
        return None
    value = result(event)
    return value if value is not None and value >= 0 else None


def _of_file(fd: Fd | None) -> bool:
    return fd is not None and fd.type in _FILE_TYPES


def _of_net(fd: Fd | None) -> bool:
    return fd is not None and (fd.type in _INET_TYPES or fd.type is FdType.UNIX)


def _is_plain_file(fd: Fd | None) -> bool:
    return fd is not None and fd.type in {FdType.FILE, FdType.FILE_V2}


def _is_inet(fd: Fd | None) -> bool:
    return fd is not None and fd.type in _INET_TYPES


def _error_classes(event: Event) -> tuple[str, ...]:
    """Counts an error of this event goes into: one of a mapped file goes into two."""
    fd = event.fd
    in_memory = "EC_MEMORY" in event.type.categories
    kind = "other"
    if _of_file(fd) or (fd is None and event.type.id in _OPENING_IDS):
        kind = "file"
    elif _of_net(fd) or (fd is None and event.type.id in _CONNECTING_IDS):
        kind = "net"
    elif fd is None and in_memory:
        return ("memory",)
    return (kind, "memory") if in_memory else (kind,)


def _error_count(event: Event) -> int | None:
    value = result(event)
    return None if value is None else int(value < 0)


def _error_count_of(kind: str) -> Reader:
    return lambda event: _error_count(event) if kind in _error_classes(event) else None


def _is_procinfo(event: Event) -> bool:
    return event.type.id == "PPME_PROCINFO_E"


def _is_main_procinfo(event: Event) -> bool:
    return _is_procinfo(event) and event.thread is not None and event.thread.is_main


def _bind_delta(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Each use of the field remembers when it was last read."""
    last = 0

    def read(event: Event) -> int:
        nonlocal last
        delta = event.ts_ns - last if last else 0
        last = event.ts_ns
        return delta

    return read


def _bind_part_of_delta(part: int, divisor: int) -> Any:
    def bind(arg: Arg) -> Reader:
        inner = _bind_delta(arg)
        return lambda event: divmod(inner(event), divisor)[part]

    return bind


def _zero(event: Event) -> int:  # noqa: ARG001 - a reader's signature
    return 0


def _always_zero(event_type: EventType) -> int:  # noqa: ARG001 - a decider's signature
    return 0


def _bind_around(arg: Arg) -> Reader:
    centre = int(arg) if isinstance(arg, int) else 0
    return lambda event: abs(event.ts_ns - centre)


CLASS = FieldClass(
    "evt",
    "fields of system call and tracepoint events",
    ("syscall",),
    (
        Field(
            "evt.type",
            T.CHARBUF,
            (
                "event name (e.g. openat); for generic syscalls the syscall name; for async "
                "events the async name"
            ),
            event_name,
            constant=constant_name,
        ),
        Field(
            "evt.arg",
            T.CHARBUF,
            (
                "one parameter by name (evt.arg.NAME) or index (evt.arg[N]); resolved text if "
                "there is one, else raw text; missing if the event has no such parameter"
            ),
            bind=_bind_argument,
            cost=1500,
            arg=ArgKind.SUFFIX_OR_INDEX,
            is_arg_required=True,
            kernel="evt.arg",
        ),
        Field(
            "evt.res",
            T.CHARBUF,
            (
                "SUCCESS if the return value is >= 0, else the errno name (ENOENT...); missing "
                "for events without return value"
            ),
            _result_text,
            constant=_no_result,
            cost=300,
            kernel="evt.res",
        ),
        Field(
            "evt.is_open_write",
            T.BOOL,
            (
                "true for open/openat/openat2/open_by_handle_at whose flags include write "
                "access; false for every other event"
            ),
            _is_open_write,
            constant=_not_open,
            cost=250,
            kernel="evt.is_open_write",
        ),
        Field(
            "evt.rawres",
            T.INT64,
            "return value as a number",
            result,
            constant=_no_result,
            cost=250,
            kernel="evt.rawres",
            print_as=P.DEC,
        ),
        Field(
            "evt.is_open_read",
            T.BOOL,
            (
                "true for open/openat/openat2/open_by_handle_at whose flags include read "
                "access; false (not missing) for every other event"
            ),
            _is_open_read,
            constant=_not_open,
            cost=250,
            kernel="evt.is_open_read",
        ),
        Field(
            "evt.args",
            T.CHARBUF,
            "all parameters as name=value text joined by spaces; resolved text in parentheses",
            args_text,
            cost=10000,
        ),
        Field(
            "evt.buffer",
            T.BYTEBUF,
            "raw bytes of the parameter called data; printed with dots for non-printables",
            _buffer,
            constant=_no_buffer,
        ),
        Field(
            "evt.is_open_exec",
            T.BOOL,
            (
                "true if the call may create the file (O_CREAT/O_TMPFILE, or creat) and the "
                "mode has any execute bit; false otherwise"
            ),
            _is_open_exec,
            constant=_not_open_or_creat,
            cost=400,
            kernel="evt.is_open_exec",
        ),
        Field(
            "evt.latency",
            T.RELTIME,
            "always 0 at HEAD (enter events are gone)",
            _zero,
            constant=_always_zero,
            print_as=P.DEC,
            is_deprecated=True,
        ),
        Field(
            "evt.latency.s",
            T.RELTIME,
            "always 0",
            _zero,
            constant=_always_zero,
            print_as=P.DEC,
            is_deprecated=True,
        ),
        Field(
            "evt.latency.ns",
            T.RELTIME,
            "always 0",
            _zero,
            constant=_always_zero,
            print_as=P.PADDED,
            is_deprecated=True,
        ),
        Field(
            "evt.latency.quantized",
            T.UINT64,
            "always 0",
            _zero,
            constant=_always_zero,
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
            is_deprecated=True,
        ),
        Field(
            "evt.latency.human",
            T.CHARBUF,
            "always the text 0ns",
            lambda _: b"0ns",
            is_deprecated=True,
        ),
        Field(
            "evt.deltatime",
            T.RELTIME,
            "ns since the previous event on which this field was evaluated",
            bind=_bind_delta,
            print_as=P.DEC,
        ),
        Field(
            "evt.deltatime.s",
            T.RELTIME,
            "seconds part of deltatime",
            bind=_bind_part_of_delta(0, 1_000_000_000),
            print_as=P.DEC,
        ),
        Field(
            "evt.deltatime.ns",
            T.RELTIME,
            "ns part of deltatime",
            bind=_bind_part_of_delta(1, 1_000_000_000),
            print_as=P.PADDED,
        ),
        Field(
            "evt.outputtime",
            T.CHARBUF,
            "print-only time column of the sysdig-style tools",
            lambda e: local_time(e.ts_ns),
            flags=frozenset({PRINT_ONLY}),
        ),
        Field(
            "evt.dir",
            T.CHARBUF,
            (
                "'>' for enter codes, '<' for exit codes; rules only ever see exit codes for "
                "syscalls"
            ),
            lambda e: b">" if e.type.is_enter else b"<",
            constant=lambda t: b">" if t.is_enter else b"<",
            is_deprecated=True,
        ),
        Field(
            "evt.type.is",
            T.UINT32,
            "evt.type.is.NAME yields 1 if the event has that name, else 0",
            bind=_bind_type_is,
            arg=ArgKind.SUFFIX,
            is_arg_required=True,
        ),
        Field(
            "syscall.type",
            T.CHARBUF,
            "like evt.type but missing for events that are not syscalls",
            _syscall_name,
            constant=_constant_syscall,
        ),
        Field(
            "evt.category",
            T.CHARBUF,
            (
                "coarse class: file, net, process, memory, ipc ... ; for I/O events the class "
                "of the fd (file, net, ipc, unknown)"
            ),
            _category,
            constant=_constant_category,
        ),
        Field(
            "evt.cpu",
            T.INT16,
            "CPU number of the event",
            lambda e: e.cpu,
            inline="e.cpu",
            cost=10,
            print_as=P.ID,
        ),
        Field(
            "evt.rawarg",
            T.DYN,
            (
                "one parameter by name, typed as in the event table; missing if absent or zero "
                "length"
            ),
            bind=_bind_raw_argument,
            cost=400,
            arg=ArgKind.SUFFIX,
            is_arg_required=True,
            flags=frozenset({NO_RHS, NO_TRANSFORMER}),
            kernel="evt.rawarg",
        ),
        Field("evt.info", T.CHARBUF, "same as evt.args", args_text, cost=10000),
        Field(
            "evt.buflen",
            T.UINT64,
            "return value of I/O events with a known fd, if >= 0",
            _transferred,
            print_as=P.DEC,
        ),
        Field(
            "evt.failed",
            T.BOOL,
            "true if the return value is negative; missing without return value",
            _failed,
            constant=_no_result,
            cost=250,
            kernel="evt.failed",
        ),
        Field(
            "evt.is_io",
            T.BOOL,
            "true if the event reads from or writes to an fd",
            lambda e: _is_io(e.type),
            constant=_is_io,
        ),
        Field(
            "evt.is_io_read",
            T.BOOL,
            "true if the event reads from an fd",
            lambda e: _is_read(e.type),
            constant=_is_read,
        ),
        Field(
            "evt.is_io_write",
            T.BOOL,
            "true if the event writes to an fd",
            lambda e: _is_write(e.type),
            constant=_is_write,
        ),
        Field(
            "evt.io_dir",
            T.CHARBUF,
            "text 'read' or 'write'; missing otherwise",
            _io_direction,
            constant=_constant_io_direction,
        ),
        Field(
            "evt.is_wait",
            T.BOOL,
            "true for events flagged as waiting",
            lambda e: _is_wait(e.type),
            constant=_is_wait,
        ),
        Field(
            "evt.wait_latency",
            T.RELTIME,
            "always 0",
            _zero,
            constant=_always_zero,
            print_as=P.DEC,
            is_deprecated=True,
        ),
        Field("evt.is_syslog", T.BOOL, "true for writes to the syslog socket path", _is_syslog),
        Field("evt.count", T.UINT32, "always 1", lambda _: 1, constant=lambda _: 1, print_as=P.DEC),
        Field(
            "evt.count.error",
            T.UINT32,
            "1 if the return value is negative else 0; missing without return value",
            _error_count,
            constant=_no_result,
            print_as=P.DEC,
        ),
        Field(
            "evt.count.error.file",
            T.UINT32,
            "error count restricted to file fds or failed opens",
            _error_count_of("file"),
            print_as=P.DEC,
        ),
        Field(
            "evt.count.error.net",
            T.UINT32,
            "error count restricted to sockets",
            _error_count_of("net"),
            print_as=P.DEC,
        ),
        Field(
            "evt.count.error.memory",
            T.UINT32,
            "error count restricted to memory events",
            _error_count_of("memory"),
            print_as=P.DEC,
        ),
        Field(
            "evt.count.error.other",
            T.UINT32,
            "error count for everything else",
            _error_count_of("other"),
            print_as=P.DEC,
        ),
        Field(
            "evt.count.exit",
            T.UINT32,
            "1 for exit events, else missing",
            lambda e: None if e.type.is_enter else 1,
            print_as=P.DEC,
        ),
        Field(
            "evt.count.procinfo",
            T.UINT32,
            "1 for procinfo events of main threads, else 0",
            lambda e: int(_is_main_procinfo(e)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.count.threadinfo",
            T.UINT32,
            "1 for procinfo events, else 0",
            lambda e: int(_is_procinfo(e)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.around",
            T.UINT64,
            "filter only: evt.around[T]=D keeps events within D ms of timestamp T (ns)",
            bind=_bind_around,
            compare=Compare.AROUND,
            arg=ArgKind.INDEX,
            is_arg_required=True,
            print_as=P.DEC,
            flags=frozenset({FILTER_ONLY, NO_RHS, NO_TRANSFORMER}),
        ),
        Field(
            "evt.abspath",
            T.CHARBUF,
            (
                "absolute path built from dirfd + path for *at calls; suffix .src/.dst picks "
                "the first/second path"
            ),
            _bind_path(None),
            bind=_bind_path,
            kernel="evt.abspath",
            cost=1500,
            arg=ArgKind.SUFFIX,
        ),
        Field(
            "evt.buflen.in",
            T.UINT64,
            "buflen for read events",
            lambda e: _transferred(e, is_wanted=_is_read(e.type)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.buflen.out",
            T.UINT64,
            "buflen for write events",
            lambda e: _transferred(e, is_wanted=_is_write(e.type)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.buflen.file",
            T.UINT64,
            "buflen for file fds",
            lambda e: _transferred(e, is_wanted=_is_plain_file(e.fd)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.buflen.file.in",
            T.UINT64,
            "buflen for reads from file fds",
            lambda e: _transferred(e, is_wanted=_is_plain_file(e.fd) and _is_read(e.type)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.buflen.file.out",
            T.UINT64,
            "buflen for writes to file fds",
            lambda e: _transferred(e, is_wanted=_is_plain_file(e.fd) and _is_write(e.type)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.buflen.net",
            T.UINT64,
            "buflen for sockets",
            lambda e: _transferred(e, is_wanted=_is_inet(e.fd)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.buflen.net.in",
            T.UINT64,
            "buflen for socket reads",
            lambda e: _transferred(e, is_wanted=_is_inet(e.fd) and _is_read(e.type)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.buflen.net.out",
            T.UINT64,
            "buflen for socket writes",
            lambda e: _transferred(e, is_wanted=_is_inet(e.fd) and _is_write(e.type)),
            print_as=P.DEC,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.infra.docker.name",
            T.CHARBUF,
            "legacy docker infrastructure event: name",
            never,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.infra.docker.container.id",
            T.CHARBUF,
            "legacy docker infrastructure event: container id (12 chars)",
            never,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.infra.docker.container.name",
            T.CHARBUF,
            "legacy docker infrastructure event: container name",
            never,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.infra.docker.container.image",
            T.CHARBUF,
            "legacy docker infrastructure event: image",
            never,
            flags=frozenset({TABLE_ONLY}),
        ),
        Field(
            "evt.is_open_create",
            T.BOOL,
            (
                "true if the kernel reports the file as newly created (O_F_CREATED) or "
                "O_TMPFILE with success; false otherwise"
            ),
            _is_open_create,
            constant=_not_open,
            cost=250,
            kernel="evt.is_open_create",
        ),
    ),
)
