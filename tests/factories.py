"""Factories of events and threads for tests: name what matters, the rest is a plausible default.

`make_event("openat", fd_name="/etc/shadow", proc="cat")` is a finished event as the rules see it;
parameters are given by name as decoded values and encoded by the event table.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType
from exporter.events.host import Host
from exporter.events.params import capture_decoders, encode_param
from exporter.events.table import EventType, load_event_table
from exporter.events.thread import Thread

NOW_NS = 1_700_000_000_123_456_789
"""The time of events unless a test says otherwise: 2023-11-14T22:13:20.123456789Z."""


@cache
def find_type(name: str) -> EventType:
    """The event type of a PPME_ id, or the newest exit (else the newest) event of a name."""
    events = load_event_table().events
    if name.startswith("PPME_"):
        return next(event for event in events if event.id == name)
    named = [e for e in events if e.name == name and "EF_UNUSED" not in e.flags]
    current = [e for e in named if "EF_OLD_VERSION" not in e.flags] or named
    exits = [e for e in current if not e.is_enter] or current
    if not exits:
        raise KeyError(name)
    return exits[-1]


def as_bytes(value: str | bytes) -> bytes:
    """The text as the kernel gives it."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def make_thread(
    name: str | bytes = "cat",
    *,
    tid: int = 1000,
    pid: int | None = None,
    parent: Thread | None = None,
    args: tuple[str | bytes, ...] = (),
    env: tuple[str | bytes, ...] = (),
    **fields: Any,
) -> Thread:
    """A thread with a comm; argv[0] and exepath follow from the name unless given.

    Text given in `fields` may be str; every other field is that of `Thread`.
    """
    comm = as_bytes(name)
    values: dict[str, Any] = {
        "tid": tid,
        "pid": tid if pid is None else pid,
        "ptid": parent.tid if parent is not None else 1,
        "vtid": tid,
        "vpid": tid if pid is None else pid,
        "comm": comm,
        "exe": comm,
        "exepath": b"/usr/bin/" + comm,
        "args": tuple(as_bytes(arg) for arg in args),
        "env": tuple(as_bytes(item) for item in env),
        "uid": 0,
        "gid": 0,
        "cwd": b"/root/",
    }
    for key, value in fields.items():
        values[key] = as_bytes(value) if isinstance(value, str) and key != "category" else value
    return Thread(**values)


def make_event(
    type: str = "openat",  # noqa: A002 - tests read like the rules they test
    *,
    proc: str | bytes | Thread | None = "cat",
    params: Mapping[str, Any] | None = None,
    fd: Fd | None = None,
    fd_name: str | bytes | None = None,
    fd_type: FdType = FdType.FILE_V2,
    fd_num: int | None = None,
    host: Host | None = None,
    num: int = 1,
    ts_ns: int = NOW_NS,
    source: str = "syscall",
    **fields: Any,
) -> Event:
    """One event of the newest exit type of that name.

    proc: the comm of a new thread, a thread, or None for no thread entry. params: decoded values
    by parameter name; str is encoded; missing parameters are empty. fd_name makes an fd entry
    (number 3 unless given). The thread is put into the host's table.
    """
    event_type = find_type(type)
    given = dict(params or {})
    raw = []
    for param in event_type.params:
        value = given.pop(param.name, None)
        value = as_bytes(value) if isinstance(value, str) else value
        raw.append(encode_param(param.type, value, table=param.table))
    if given:
        raise KeyError(f"{event_type.id} has no parameter {sorted(given)}")
    thread = proc if isinstance(proc, Thread) or proc is None else make_thread(proc)
    host = host if host is not None else Host(hostname=b"testhost")
    if thread is not None:
        host.threads.setdefault(thread.tid, thread)
    if fd is None and fd_name is not None:
        fd = Fd(type=fd_type, name=as_bytes(fd_name), name_raw=as_bytes(fd_name))
    if fd_num is None:
        fd_num = 3 if fd is not None else -1
    values: dict[str, Any] = {
        "num": num,
        "ts_ns": ts_ns,
        "cpu": 0,
        "tid": thread.tid if thread is not None else 1,
        "type": event_type,
        "raw": tuple(raw),
        "decoders": capture_decoders(event_type),
        "host": host,
        "source": source,
        "thread": thread,
        "fd": fd,
        "fd_num": fd_num,
    }
    values.update(fields)
    return Event(**values)
