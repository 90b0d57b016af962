"""Paths: how a directory and a path argument become one absolute, normalised path.

Pure text work on bytes; the file system is never asked. The second half knows where an event's
relative paths start from. Source: spec/state-tracking.md section 6.
"""

import re

from exporter.events.event import Event
from exporter.events.fd import Fd

MAX_PATH_BYTES = 1024
"""Longer results are replaced by `TOO_LONG`."""

TOO_LONG = b"/DIR_TOO_LONG/FILENAME_TOO_LONG"

UNKNOWN_DIR = b"<UNKNOWN>"
"""Stands for a directory descriptor that nothing is known of; no slash follows it."""

UNKNOWN_CWD = b"./"
"""Stands for the working directory of a process that nothing is known of."""

AT_FDCWD = -100

_SLASH, _DOT = 0x2F, 0x2E
_CONTROLS = frozenset((*range(1, 0x20), 0x7F))
_odd = re.compile(rb"/(?:[./]|\Z)|[\x01-\x1f\x7f]").search


def normalise(path: bytes) -> bytes:
    """Normalise a path on its own: `.`, `..`, repeated and trailing slashes."""
    return concatenate(b"", path)


def concatenate(directory: bytes, path: bytes) -> bytes:
    """Join a directory (ending in `/`) and a path.

    An absolute or empty path stands alone. Only the path part is normalised, its `..` may climb
    into the directory but never above its first slash, and control characters become dots. Results
    over 1024 bytes become `TOO_LONG`.
    """
    first = path[0] if path else _SLASH
    base = b"" if first == _SLASH else directory
    if len(base) + len(path) > MAX_PATH_BYTES:
        return TOO_LONG
    # Most paths that programs open need no work at all.
    if first != _DOT and _odd(path) is None:
        return base + path
    out = bytearray(base)
    _extend(out, path)
    if len(out) > 1 and out[-1] == _SLASH:
        del out[-1]
    return bytes(out)


def _extend(out: bytearray, path: bytes) -> None:
    """Add a path to what stands in front of it.

    Dots mean something only where a component begins: a directory that nothing is known of ends in
    no slash, and what follows it is part of its name.
    """
    at, end = 0, len(path)
    while at < end:
        char = path[at]
        begins = not out or out[-1] == _SLASH
        at += 1
        if char == _SLASH:
            if not out or not begins:
                out.append(_SLASH)
        elif char == _DOT and begins:
            rest = path[at : at + 2]
            if rest in {b".", b"./"}:
                _climb(out)
                at += len(rest)
            elif rest[:1] == b"/":
                at += 1
            elif rest:
                out.append(_DOT)
        else:
            out.append(_DOT if char in _CONTROLS else char)


def _climb(out: bytearray) -> None:
    """Drop the last component, keeping the slash before it; a lone first character stays."""
    if len(out) > 1:
        del out[-1]
        del out[out.rfind(b"/") + 1 :]


def with_slash(path: bytes) -> bytes:
    """The path as a directory: ending in exactly the slash it has or one more."""
    return path if path[-1:] == b"/" else path + b"/"


def working_directory(event: Event) -> bytes:
    """Working directory of the event's process with a trailing slash; `./` when not known."""
    live = event.live
    if live is not None and live.cwd is not None:
        return with_slash(live.cwd)
    if event.thread is None:
        return UNKNOWN_CWD
    main = event.host.leader(event.thread)
    return UNKNOWN_CWD if main is None else main.cwd


def find_fd(event: Event, number: int) -> Fd | None:
    """What is known of one descriptor of the event's process: the event's own facts win."""
    if event.fd is not None and number == event.fd_num:
        return event.fd
    live = event.live
    if live is not None and live.fds is not None and number in live.fds:
        return live.fds[number]
    if event.thread is None:
        return None
    return event.host.descriptors(event.thread).get(number)


def dirfd_position(event: Event, index: int) -> int:
    """Whether parameter `index` is the first (0) or second (1) directory descriptor of its type."""
    earlier = {param.dirfd for param in event.type.params if 0 <= param.dirfd < index}
    return len(earlier)


def live_directory(event: Event, dirfd_index: int) -> bytes | None:
    """Path behind a directory descriptor of a live event; None when it did not travel with it."""
    live = event.live
    if live is None:
        return None
    return live.dirfd2_path if dirfd_position(event, dirfd_index) > 0 else live.dirfd_path


def directory(event: Event, dirfd_index: int) -> bytes:
    """Directory that a relative path of the event starts from, as `concatenate` wants it.

    dirfd_index: parameter that holds the descriptor; -1 for the working directory.
    """
    if dirfd_index < 0:
        return working_directory(event)
    number = event.param(dirfd_index)
    if number == AT_FDCWD:
        return working_directory(event)
    path = live_directory(event, dirfd_index)
    if path is not None:
        return with_slash(path)
    fd = None if number is None else find_fd(event, number)
    return UNKNOWN_DIR if fd is None else with_slash(fd.name)


def absolute(event: Event, path: bytes, dirfd_index: int = -1) -> bytes:
    """The event's path argument as an absolute, normalised path (see `directory`)."""
    if path[:1] == b"/":
        return concatenate(b"", path)
    return concatenate(directory(event, dirfd_index), path)
