"""Files and other descriptors: who opens, copies and closes what.

Source: spec/state-tracking.md section 6. Sockets are in sockets.py.
"""

from collections.abc import Mapping

from msgspec import structs

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType
from exporter.events.paths import concatenate, directory
from exporter.events.table import load_event_table
from exporter.events.thread import ThreadFlags
from exporter.state.tables import Handler, Tables

_VALUES = load_event_table().value_tables
FILE_FLAGS = dict(_VALUES["file_flags"])
O_DIRECTORY = FILE_FLAGS["O_DIRECTORY"]
O_CLOEXEC = FILE_FLAGS["O_CLOEXEC"]
_UPPER = FILE_FLAGS["FD_UPPER_LAYER"]
_LOWER = FILE_FLAGS["FD_LOWER_LAYER"]
_EXIT_ONLY_BITS = -FILE_FLAGS["O_F_CREATED"]
"""Mask of the bits that only the exit knows: O_F_CREATED and above."""

_NATIVE_CLOEXEC = 0o2000000
_FCNTL = dict(_VALUES["fcntl_commands"])
_CLOSE_RANGE_CLOEXEC = dict(_VALUES["close_range_flags"])["CLOSE_RANGE_CLOEXEC"]


_FILE = FdType.FILE_V2
_DIRECTORY = FdType.DIRECTORY


def _file(event: Event, path: bytes, flags: int, dirfd_index: int, device: tuple[int, int]) -> Fd:
    """The descriptor of an opened path. device: device and inode number."""
    if path[:1] == b"/":
        name = concatenate(b"", path)
    else:
        name = concatenate(directory(event, dirfd_index), path)
    return Fd(
        type=_DIRECTORY if flags & O_DIRECTORY else _FILE,
        name=name,
        name_raw=path,
        openflags=flags,
        dev=device[0],
        ino=device[1],
        is_cloexec=flags & O_CLOEXEC != 0,
        is_upper_layer=flags & _UPPER != 0,
        is_lower_layer=flags & _LOWER != 0,
    )


def _device(event: Event, index: int) -> tuple[int, int]:
    raw, decoders = event.raw, event.decoders
    if len(raw) < index + 2:
        return 0, 0
    # An empty number decodes as 0, which is what an unknown device is.
    return decoders[index](raw[index]), decoders[index + 1](raw[index + 1])


def _from_enter(event: Event, entered: Event, flags: int, dev_index: int) -> Fd | None:
    """The descriptor by the arguments seen at entry, which no other thread can have changed."""
    path = entered.named_param("name")
    if path is None:
        return None
    given = entered.named_param("flags")
    if given is not None:
        flags = given | (flags & _EXIT_ONLY_BITS)
    dirfd_index = entered.type.param_index.get("dirfd", -1)
    # The entered event has no thread of its own yet when its exit is lost and found again.
    entered.thread = event.thread
    return _file(entered, path, flags, dirfd_index, _device(event, dev_index))


def _open(path_index: int, flags_index: int, dirfd_index: int, dev_index: int) -> Handler:
    def handle(tables: Tables, event: Event) -> None:
        raw, decoders = event.raw, event.decoders
        number = tables.result
        if number is None or number < 0:
            return
        flags = decoders[flags_index](raw[flags_index])
        fd = None
        if tables.entered:
            entered = tables.entered_for(event)
            if entered is not None:
                fd = _from_enter(event, entered, flags, dev_index)
        if fd is None:
            path = decoders[path_index](raw[path_index]) if raw[path_index] else None
            path = b"<NA>" if path is None else path
            fd = _file(event, path, flags, dirfd_index, _device(event, dev_index))
        tables.add_fd(event, number, fd)

    return handle


def on_creat(tables: Tables, event: Event) -> None:
    """creat success; the layer bits stand in a parameter of their own."""
    number, path = event.param(0), event.param(1)
    if number is None or number < 0:
        return
    entered = tables.entered_for(event)
    fd = None if entered is None else _from_enter(event, entered, 0, 3)
    if fd is None:
        fd = _file(event, b"<NA>" if path is None else path, 0, -1, _device(event, 3))
    layers = event.param(5) or 0
    fd.is_upper_layer = bool(layers & 1)
    fd.is_lower_layer = bool(layers & 2)
    tables.add_fd(event, number, fd)


def on_open_by_handle(tables: Tables, event: Event) -> None:
    """open_by_handle_at success; the path is the real one, already absolute."""
    number, path = event.param(0), event.param(3)
    if number is None or number < 0:
        return
    flags = event.param(2) or 0
    tables.add_fd(event, number, _file(event, path or b"<NA>", flags, -1, _device(event, 4)))


def _plain(kind: FdType, flags_name: str = "", cloexec: int = 0) -> Handler:
    """A call that returns a descriptor without a name; `cloexec` is the bit of its flags."""

    def handle(tables: Tables, event: Event) -> None:
        number = event.param(0)
        if number is None or number < 0:
            return
        flags = event.named_param(flags_name) if flags_name else None
        tables.add_fd(event, number, Fd(type=kind, is_cloexec=bool((flags or 0) & cloexec)))

    return handle


def on_memfd_create(tables: Tables, event: Event) -> None:
    """memfd_create: the name is the argument as given."""
    number, name = event.param(0), event.param(1)
    if number is None:
        return
    if number < 0:
        # The reference engine shows a failed call as a descriptor of this number and no kind.
        tables.add_fd(event, number, Fd(type=FdType.UNKNOWN))
        return
    flags = event.param(2) or 0
    fd = Fd(type=FdType.MEMFD, name=b"" if name is None else name, openflags=flags)
    fd.is_cloexec = bool(flags & 1)
    tables.add_fd(event, number, fd)


def on_pidfd_open(tables: Tables, event: Event) -> None:
    """pidfd_open: the descriptor stands for a process."""
    number, pid = event.param(0), event.param(1)
    if number is None:
        return
    if number < 0:
        tables.add_fd(event, number, Fd(type=FdType.UNKNOWN))
        return
    if pid is None:
        return
    name = b"/proc/%d" % pid
    tables.add_fd(event, number, Fd(type=FdType.PIDFD, name=name, pid=pid, is_cloexec=True))


def on_pidfd_getfd(tables: Tables, event: Event) -> None:
    """pidfd_getfd: a copy of another process's descriptor."""
    number, pidfd, target = event.param(0), event.param(1), event.param(2)
    if number is None or number < 0:
        return
    through = tables.find_fd(event, pidfd)
    other = None if through is None else tables.host.threads.get(through.pid)
    original = None if other is None else tables.host.descriptors(other).get(target)
    if original is None:
        original = tables.find_fd(event, number)
    if original is not None:
        tables.add_fd(event, number, structs.replace(original, is_cloexec=True))


def on_pipe(tables: Tables, event: Event) -> None:
    """pipe and pipe2: both ends."""
    if event.param(0) != 0:
        return
    flags = event.named_param("flags") or 0
    ino = event.param(3) or 0
    for index in (1, 2):
        number = event.param(index)
        if number is not None and number >= 0:
            fd = Fd(type=FdType.PIPE, ino=ino, openflags=flags)
            fd.is_cloexec = bool(flags & O_CLOEXEC)
            tables.add_fd(event, number, fd)


def _copy(tables: Tables, event: Event, old: int, new: int, *, is_cloexec: bool) -> None:
    original = event.fd if event.fd_num == old else tables.find_fd(event, old)
    if original is None:
        return
    tables.add_fd(event, new, structs.replace(original, is_cloexec=is_cloexec))


def on_dup(tables: Tables, event: Event) -> None:
    """dup, dup2 and dup3: a copy that survives an exec unless dup3 says otherwise."""
    new, old = event.param(0), event.param(1)
    if new is None or new < 0 or old is None:
        return
    flags = event.named_param("flags") or 0
    thread = event.thread
    if thread is not None and new in {0, 1}:
        thread.flags |= int(ThreadFlags.PIPE_DST if new == 0 else ThreadFlags.PIPE_SRC)
    _copy(tables, event, old, new, is_cloexec=bool(flags & O_CLOEXEC))


def on_fcntl(tables: Tables, event: Event) -> None:
    """fcntl copies a descriptor or changes its close-on-exec mark."""
    result, old, command = event.param(0), event.param(1), event.param(2)
    if result is None or result < 0 or old is None:
        return
    if command in {_FCNTL["F_DUPFD"], _FCNTL["F_DUPFD_CLOEXEC"]}:
        _copy(tables, event, old, result, is_cloexec=command == _FCNTL["F_DUPFD_CLOEXEC"])
    elif command == _FCNTL["F_SETFD"] and event.fd is not None:
        event.fd.is_cloexec = bool((event.param(3) or 0) & 1)


def on_close(tables: Tables, event: Event) -> None:
    """close: the rules still see the descriptor."""
    result = tables.result
    if result is not None and result >= 0 and event.fd_num >= 0:
        tables.drop_fd(event, event.fd_num)


def on_close_range(tables: Tables, event: Event) -> None:
    """close_range: many closed, or marked close-on-exec."""
    first, last = event.param(1), event.param(2)
    if event.param(0) != 0 or first is None or last is None or event.thread is None:
        return
    if not tables.keep_fds:
        return
    fds = tables.host.descriptors(event.thread)
    numbers = [number for number in fds if first <= number <= last]
    if (event.param(3) or 0) & _CLOSE_RANGE_CLOEXEC:
        for number in numbers:
            fds[number].is_cloexec = True
    else:
        for number in numbers:
            tables.drop_fd(event, number)


HANDLERS: Mapping[str, Handler] = {
    "PPME_SYSCALL_OPEN_X": _open(1, 2, -1, 4),
    "PPME_SYSCALL_OPENAT_2_X": _open(2, 3, 1, 5),
    "PPME_SYSCALL_OPENAT2_X": _open(2, 3, 1, 6),
    "PPME_SYSCALL_CREAT_X": on_creat,
    "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X": on_open_by_handle,
    "PPME_SYSCALL_MEMFD_CREATE_X": on_memfd_create,
    "PPME_SYSCALL_PIDFD_OPEN_X": on_pidfd_open,
    "PPME_SYSCALL_PIDFD_GETFD_X": on_pidfd_getfd,
    "PPME_SYSCALL_PIPE_X": on_pipe,
    "PPME_SYSCALL_PIPE2_X": on_pipe,
    "PPME_SYSCALL_EVENTFD_X": _plain(FdType.EVENT),
    "PPME_SYSCALL_EVENTFD2_X": _plain(FdType.EVENT, "flags", O_CLOEXEC),
    "PPME_SYSCALL_SIGNALFD_X": _plain(FdType.SIGNALFD),
    "PPME_SYSCALL_SIGNALFD4_X": _plain(FdType.SIGNALFD, "flags", O_CLOEXEC),
    "PPME_SYSCALL_TIMERFD_CREATE_X": _plain(FdType.TIMERFD),
    "PPME_SYSCALL_INOTIFY_INIT_X": _plain(FdType.INOTIFY),
    "PPME_SYSCALL_INOTIFY_INIT1_X": _plain(FdType.INOTIFY, "flags", O_CLOEXEC),
    "PPME_SYSCALL_BPF_2_X": _plain(FdType.BPF),
    "PPME_SYSCALL_USERFAULTFD_X": _plain(FdType.USERFAULTFD, "flags", _NATIVE_CLOEXEC),
    "PPME_SYSCALL_IO_URING_SETUP_X": _plain(FdType.IO_URING),
    "PPME_SYSCALL_EPOLL_CREATE_X": _plain(FdType.EVENTPOLL),
    "PPME_SYSCALL_EPOLL_CREATE1_X": _plain(FdType.EVENTPOLL, "flags", 1),
    "PPME_SYSCALL_DUP_1_X": on_dup,
    "PPME_SYSCALL_DUP2_X": on_dup,
    "PPME_SYSCALL_DUP3_X": on_dup,
    "PPME_SYSCALL_FCNTL_X": on_fcntl,
    "PPME_SYSCALL_CLOSE_X": on_close,
    "PPME_SYSCALL_CLOSE_RANGE_X": on_close_range,
}
