"""Ancestors and leaders of a process, as proc.a*, proc.p*, proc.sid.* and friends see them.

Source: state-tracking.md section 5.
"""

from collections.abc import Callable, Iterator
from typing import Any

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.thread import Thread
from exporter.rules.fields.field import Arg, Reader

_MAX_LEVELS = 256
"""Longest chain of ancestors that is followed; real ones are a few dozen."""

_PID_NAMESPACE = (1 << 6) | (1 << 29)
"""CLONE_NEWPID and CLONE_CHILD_IN_PIDNS of the event table's clone flags."""


def ancestor(host: Host, thread: Thread, level: int) -> Thread | None:
    """The ancestor `level` steps up (0: the own main thread); None when it is not known."""
    found = host.leader(thread)
    for _ in range(min(level, _MAX_LEVELS)):
        if found is None:
            return None
        found = host.parent(found)
    return found


def ancestors(host: Host, thread: Thread) -> Iterator[Thread]:
    """Raw entries above the main thread, nearest first; stops at unknown entries and loops."""
    main = host.leader(thread)
    if main is not None:
        yield from _entries_above(host, main)


def _entries_above(host: Host, thread: Thread) -> Iterator[Thread]:
    seen = {thread.tid}
    above = host.threads.get(thread.ptid)
    while above is not None and above.tid not in seen:
        yield above
        seen.add(above.tid)
        above = host.threads.get(above.ptid)


def find_leader(
    host: Host, thread: Thread, id_of: Callable[[Thread], int], *, is_host_id: bool
) -> Thread | None:
    """Leader of a session or process group.

    id_of: the id that all members share. is_host_id: the id is one of the initial pid namespace,
    so that the leader can be looked up by it.
    """
    wanted = id_of(thread)
    if wanted == -1:
        return None
    if is_host_id or (thread.tid == thread.vtid and not thread.flags & _PID_NAMESPACE):
        found = host.threads.get(wanted)
        if found is not None:
            return found
    leader = None
    for above in _entries_above(host, thread):
        if id_of(above) != wanted:
            break
        leader = above
    return leader


def of_leader(
    id_of: Callable[[Thread], int], read: Callable[[Thread], bytes], *, is_host_id: bool = False
) -> Reader:
    """Reader of a text of the session or group leader; empty text when there is none."""

    def reader(event: Event) -> bytes | None:
        thread = event.thread
        if thread is None:
            return None
        leader = find_leader(event.host, thread, id_of, is_host_id=is_host_id)
        return b"" if leader is None else read(leader)

    return reader


def of_ancestor(read: Callable[[Thread], Any]) -> Callable[[Arg], Reader]:
    """Binder of a fact of the ancestor at a level."""

    def bind(arg: Arg) -> Reader:
        level = arg if isinstance(arg, int) else 0

        def reader(event: Event) -> Any:
            thread = event.thread
            if thread is None:
                return None
            found = ancestor(event.host, thread, level)
            return None if found is None else read(found)

        return reader

    return bind


def of_parent(read: Callable[[Thread], Any]) -> Reader:
    """Reader of a fact of the parent process."""

    def reader(event: Event) -> Any:
        thread = event.thread
        if thread is None:
            return None
        found = event.host.parent(thread)
        return None if found is None else read(found)

    return reader


def of_all(read: Callable[[Thread], Any]) -> Reader:
    """Reader of a fact of every ancestor, nearest first; a tuple."""

    def reader(event: Event) -> tuple[Any, ...] | None:
        thread = event.thread
        if thread is None:
            return None
        return tuple([read(above) for above in ancestors(event.host, thread)])

    return reader


def joined(read: Callable[[Thread], bytes]) -> Reader:
    """Reader of the texts of all ancestors joined with blanks."""
    every = of_all(read)

    def reader(event: Event) -> bytes | None:
        texts = every(event)
        return None if texts is None else b" ".join(texts)

    return reader
