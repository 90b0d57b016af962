"""What event fields read: results, names, parameters, paths and categories of an event.

Source: fields catalogue class "evt"; state-tracking.md sections 6 and 8.
"""

from functools import cache
from typing import Any

from exporter.events.event import Event
from exporter.events.fd import FdType
from exporter.events.params import Dynamic
from exporter.events.paths import AT_FDCWD, absolute, concatenate, directory, normalise
from exporter.events.table import EventType, Syscall, load_syscall_table
from exporter.events.text import arg_text, errno_name
from exporter.rules.fields.field import (
    UNKNOWN,
    Arg,
    Reader,
)
from exporter.rules.fields.generic import ASYNC_ID, async_name

_GENERIC_IDS = frozenset({"PPME_GENERIC_E", "PPME_GENERIC_X"})
FILE_TYPES = frozenset({FdType.FILE, FdType.FILE_V2, FdType.DIRECTORY})
INET_TYPES = frozenset({FdType.IPV4, FdType.IPV6, FdType.IPV4_LISTEN, FdType.IPV6_LISTEN})
_IPC_TYPES = frozenset({
    FdType.PIPE, FdType.UNIX, FdType.EVENT, FdType.SIGNALFD, FdType.INOTIFY,
})  # fmt: skip
IO_CATEGORIES = frozenset({"EC_IO_BASE", "EC_IO_READ", "EC_IO_WRITE", "EC_IO_OTHER"})

WITHOUT_ABSPATH = frozenset({"PPME_SYSCALL_MKNODAT_X", "PPME_SYSCALL_NEWFSTATAT_X"})
"""Calls with a directory descriptor that the reference engine has no absolute path of."""


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


def no_result(event_type: EventType) -> object:
    """None for types without a return value, UNKNOWN for the others."""
    return UNKNOWN if has_result(event_type) else None


def _flag(*flags: str) -> Any:
    wanted = frozenset(flags)

    def decide(event_type: EventType) -> bool:
        return not wanted.isdisjoint(event_type.flags)

    return decide


is_io = _flag("EF_READS_FROM_FD", "EF_WRITES_TO_FD")
is_read = _flag("EF_READS_FROM_FD")
is_write = _flag("EF_WRITES_TO_FD")
is_wait = _flag("EF_WAITS")


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


def syscall_name(event: Event) -> bytes | None:
    """Name of the system call; None for events that are none."""
    return event_name(event) if "EC_SYSCALL" in event.type.categories else None


def constant_syscall(event_type: EventType) -> object:
    """That name for a type: None, the name, or UNKNOWN where events tell it."""
    return constant_name(event_type) if "EC_SYSCALL" in event_type.categories else None


def result_text(event: Event) -> bytes | None:
    """`SUCCESS`, or the name of the error that the call returned."""
    value = result(event)
    if value is None:
        return None
    return b"SUCCESS" if value >= 0 else errno_name(-value)


def failed(event: Event) -> bool | None:
    """Whether the call returned an error; None for events without a return value."""
    value = result(event)
    return None if value is None else value < 0


def bind_argument(arg: Arg) -> Reader:
    """Text of the parameter with this index or name."""
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


def bind_raw_argument(arg: Arg) -> Reader:
    """Number or bytes of the parameter with this name; None for other kinds."""
    name = str(arg)

    def read(event: Event) -> Any:
        value = event.named_param(name)
        return value if isinstance(value, int | bytes) else None

    return read


def bind_type_is(arg: Arg) -> Reader:
    """1 for events with this name, else 0."""
    name = str(arg).encode()
    return lambda event: int(event_name(event) == name)


def bind_path(arg: Arg) -> Reader:
    """Absolute path of the first (.src or no suffix) or second (.dst) path of an *at call."""
    place = 1 if arg == "dst" else 0

    def read(event: Event) -> bytes | None:
        kind = event.type.id
        if kind == "PPME_SYSCALL_OPEN_BY_HANDLE_AT_X":
            opened = event.param(3)
            return normalise(opened) if opened is not None and (result(event) or 0) > 0 else None
        paths = [i for i, param in enumerate(event.type.params) if param.type == "FSRELPATH"]
        if not paths or kind in WITHOUT_ABSPATH:
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


def buffer(event: Event) -> bytes | None:
    """Bytes read or written, as far as the event carries them."""
    data = event.named_param("data")
    # ptrace has a number of that name.
    return data if isinstance(data, bytes) else None


def no_buffer(event_type: EventType) -> object:
    """None for types without such bytes, UNKNOWN for the others."""
    return UNKNOWN if "data" in event_type.param_index else None


def _category_word(event_type: EventType) -> bytes:
    word = event_type.categories[-1].removeprefix("EC_")
    # The one word that the reference engine writes in capitals.
    return (word if word == "IPC" else word.lower()).encode()


def category(event: Event) -> bytes:
    """Category of the event; for input and output that of its descriptor."""
    categories = event.type.categories
    if IO_CATEGORIES.isdisjoint(categories):
        return _category_word(event.type)
    kind = None if event.fd is None else event.fd.type
    if kind in FILE_TYPES:
        return b"file"
    if kind in INET_TYPES:
        return b"net"
    return b"ipc" if kind in _IPC_TYPES else b"unknown"


def constant_category(event_type: EventType) -> object:
    """That category for a type; UNKNOWN where the descriptor decides."""
    categories = event_type.categories
    if not IO_CATEGORIES.isdisjoint(categories):
        return UNKNOWN
    return _category_word(event_type)


def io_direction(event: Event) -> bytes | None:
    """`read`, `write`, or None for events that move no bytes."""
    return constant_io_direction(event.type)


def constant_io_direction(event_type: EventType) -> bytes | None:
    """The same for a type."""
    if is_read(event_type):
        return b"read"
    return b"write" if is_write(event_type) else None


def is_syslog(event: Event) -> bool:
    """Whether bytes are written to the log socket."""
    fd = event.fd
    return fd is not None and is_write(event.type) and b"/dev/log" in fd.name


def bind_delta(arg: Arg) -> Reader:  # noqa: ARG001 - a binder's signature
    """Each use of the field remembers when it was last read."""
    last = 0

    def read(event: Event) -> int:
        nonlocal last
        delta = event.ts_ns - last if last else 0
        last = event.ts_ns
        return delta

    return read


def bind_part_of_delta(part: int, divisor: int) -> Any:
    """Time since the last event: quotient (part 0) or remainder (1) by a number of ns."""

    def bind(arg: Arg) -> Reader:
        inner = bind_delta(arg)
        return lambda event: divmod(inner(event), divisor)[part]

    return bind


def zero(event: Event) -> int:  # noqa: ARG001 - a reader's signature
    """Always 0: since enter events are gone, nothing is between two of them."""
    return 0


def always_zero(event_type: EventType) -> int:  # noqa: ARG001 - a decider's signature
    """The same for a type."""
    return 0


def bind_around(arg: Arg) -> Reader:
    """Distance in ns of the event from a point in time."""
    centre = int(arg) if isinstance(arg, int) else 0
    return lambda event: abs(event.ts_ns - centre)
