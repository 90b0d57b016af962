"""Host: everything known of the machine beside the event itself, at the time of the event.

Plain data that the state room writes and that fields of rules read through `Event.host`.
"""

from msgspec import Struct

from exporter.events.container import Container, Group, User
from exporter.events.fd import Fd
from exporter.events.thread import Thread, ThreadFlags

INITIAL_MNTNS = 0xEFFFFFF8
"""Inode number of the kernel's initial mount namespace since Linux 6.18 (uapi/linux/nsfs.h).

Earlier kernels hand it out with all others, from 0xF0000000 up, so the number is never another's.
"""


class Interface(Struct, kw_only=True):
    """One network interface address; network-order bytes (4 or 16)."""

    name: bytes
    address: bytes
    netmask: bytes
    broadcast: bytes = b""


class Host(Struct, kw_only=True):
    """The machine as seen by one source (the live kernel, or one capture).

    users and groups are keyed by (container id, id); the container id is b"" for the host's own.
    """

    hostname: bytes = b""
    num_cpus: int = 0
    boot_ts_ns: int = 0
    first_ts_ns: int = 0
    """Time of the first event that is no meta event; 0 while none was seen (evt.reltime)."""
    threads: dict[int, Thread] = {}
    users: dict[tuple[bytes, int], User] = {}
    groups: dict[tuple[bytes, int], Group] = {}
    containers: dict[bytes, Container] = {}
    interfaces: list[Interface] = []

    def leader(self, thread: Thread) -> Thread | None:
        """The main thread of the thread's process; None when it is not known."""
        if thread.tid == thread.pid or thread.is_main:
            return thread
        return self.threads.get(thread.pid)

    def descriptors(self, thread: Thread) -> dict[int, Fd]:
        """The table of descriptors the thread uses: its leader's.

        A thread of which only events tell has one of its own; a thread that shares the table of a
        leader nobody knows has an empty one.
        """
        main = self.leader(thread)
        if main is not None:
            return main.fds
        return {} if thread.flags & ThreadFlags.SHARES_FILES else thread.fds

    def parent(self, thread: Thread) -> Thread | None:
        """Main thread of the entry of the process's ptid (state-tracking.md 5, level 1)."""
        main = self.leader(thread)
        if main is None:
            return None
        above = self.threads.get(main.ptid)
        return None if above is None else self.leader(above)
