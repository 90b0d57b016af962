"""Threads and their descriptors as a capture's process and fd lists tell them.

Source: spec/scap-format.md sections 7 and 8.
"""

from exporter.events.addresses import ip_text
from exporter.events.cgroups import parse_cgroups
from exporter.events.fd import Fd, FdType, L4Proto
from exporter.events.paths import with_slash
from exporter.events.strings import split_strings
from exporter.events.table import load_event_table
from exporter.events.thread import Thread
from exporter.sources.capture.blocks import Block

_MAX_TEXT = 1024
_MAX_STRINGS = 4096
_MAX_FD_NAME = 1023
_ENTRY_MIN_BYTES = 4
_ENTRY_COST = 1024
"""About what an entry takes in memory beside its texts."""

_TAIL_WITHOUT_PIDNS = 29
"""A tail this short was written before start of the pid namespace and tty stood in front."""

_FILE_FLAGS = dict(load_event_table().value_tables["file_flags"])
_CLOEXEC = _FILE_FLAGS["O_CLOEXEC"]
_UPPER = _FILE_FLAGS["FD_UPPER_LAYER"]
_LOWER = _FILE_FLAGS["FD_LOWER_LAYER"]


class ProcessLists:
    """Fills a table of threads from the lists of one section.

    budget_bytes: memory that the lists may take together; entries beyond it are left out and
    counted in `dropped` (a packed file of some megabytes can claim to hold gigabytes of threads).
    """

    def __init__(self, threads: dict[int, Thread], budget_bytes: int) -> None:
        self.threads = threads
        self.dropped = 0
        self._budget = budget_bytes

    def read_processes(self, block: Block, version: int) -> None:
        """Take every thread of a process list. Raises CaptureError."""
        last = _LAST_VERSION
        while block.left >= _ENTRY_MIN_BYTES:
            before = block.left
            end = 0
            if version >= last:
                size = block.u32()
                if not 4 <= size <= before:
                    raise block.error(
                        f"process entry of {size} bytes where the block has {before} left",
                        offset=block.source.offset,
                    )
                end = before - size
            thread = _read_thread(block, version)
            if version >= last:
                _read_tail(block, thread, end)
                if block.left < end:
                    raise block.error(
                        "process entry whose content is longer than its length",
                        offset=block.source.offset,
                    )
                block.skip(block.left - end)
            self._keep(thread, before - block.left)

    def read_fds(self, block: Block, version: int) -> None:
        """Take the descriptors of one thread. Raises CaptureError."""
        thread = self.threads.get(block.s64())
        while block.left >= _ENTRY_MIN_BYTES:
            before = block.left
            end = 0
            if version > 1:
                size = block.u32()
                if not 4 <= size <= before:
                    raise block.error(
                        f"descriptor entry of {size} bytes where the block has {before} left",
                        offset=block.source.offset,
                    )
                end = before - size
            number, fd = _read_fd(block, end, has_length=version > 1)
            if version > 1:
                if block.left < end:
                    raise block.error(
                        "descriptor entry whose content is longer than its length",
                        offset=block.source.offset,
                    )
                block.skip(block.left - end)
            if thread is None:
                continue  # Valid files have a thread for every list.
            if self._affords(before - block.left):
                thread.fds[number] = fd
            else:
                self.dropped += 1

    def _affords(self, size: int) -> bool:
        self._budget -= size + _ENTRY_COST
        return self._budget >= 0

    def _keep(self, thread: Thread, size: int) -> None:
        if self._affords(size):
            self.threads[thread.tid] = thread
        else:
            self.dropped += 1


_LAST_VERSION = 9


def _read_thread(block: Block, version: int) -> Thread:
    """The fields of every version up to the root directory."""
    thread = Thread(tid=block.s64(), comm=b"", exe=b"")
    thread.pid, thread.ptid = block.s64(), block.s64()
    if version >= 6:
        thread.sid = block.s64()
    if version >= 8:
        thread.vpgid = block.s64()
    thread.comm = block.text(_MAX_TEXT, "comm")
    thread.exe = block.text(_MAX_TEXT, "exe")
    if version >= 7:
        thread.exepath = block.text(_MAX_TEXT, "exepath")
    thread.args = split_strings(block.text(_MAX_STRINGS, "args"))
    cwd = block.text(_MAX_TEXT, "cwd")
    thread.fdlimit, thread.flags = block.s64(), block.u32()
    thread.uid, thread.gid = block.u32(), block.u32()
    if version >= 2:
        thread.vmsize_kb, thread.vmrss_kb, thread.vmswap_kb = block.u32(), block.u32(), block.u32()
        thread.pfmajor, thread.pfminor = block.u64(), block.u64()
    env = block.text(_MAX_STRINGS, "env") if version >= 3 else b""
    if version >= 4:
        thread.vtid, thread.vpid = block.s64(), block.s64()
        thread.cgroups = parse_cgroups(block.text(_MAX_STRINGS, "cgroups"))
    if version >= 5:
        thread.root = block.text(_MAX_TEXT, "root directory")
    if thread.is_main:
        # Other threads share directory and environment of their leader.
        thread.cwd = with_slash(cwd)
        thread.env = split_strings(env)
    return thread


def _read_tail(block: Block, thread: Thread, end: int) -> None:
    """The fields that were appended one release after the other; each may be missing.

    end: bytes of the block that are left behind this entry.
    """
    names = _TAIL if block.left - end > _TAIL_WITHOUT_PIDNS else _TAIL[2:]
    for name, width in names:
        if block.left - end < width:
            return
        if width == 1:
            value: int = block.u8() != 0
        elif width == 4:
            value = block.u32()
        else:
            value = block.s64() if name == "pgid" else block.u64()
        setattr(thread, name, value)


_TAIL = (
    ("pidns_init_start_ts_ns", 8),
    ("tty", 4),
    ("loginuid", 4),
    ("exe_writable", 1),
    ("cap_inheritable", 8),
    ("cap_permitted", 8),
    ("cap_effective", 8),
    ("exe_upper_layer", 1),
    ("exe_ino", 8),
    ("exe_ino_ctime_ns", 8),
    ("exe_ino_mtime_ns", 8),
    ("exe_from_memfd", 1),
    ("exe_lower_layer", 1),
    ("pgid", 8),
)
"""Field of Thread -> bytes, in the order of the file."""


def _read_fd(block: Block, end: int, *, has_length: bool) -> tuple[int, Fd]:
    """One descriptor with its number."""
    number, ino, kind = block.s64(), block.u64(), block.u8()
    if kind > max(FdType):
        if not has_length:
            raise block.error(
                f"unknown kind {kind} of descriptor in a list without entry lengths",
                offset=block.source.offset,
            )
        name = b"unknown-type:[%d]" % kind
        return number, Fd(type=FdType.UNSUPPORTED, name=name, ino=ino)
    fd = Fd(type=FdType(kind), ino=ino)
    match fd.type:
        case FdType.UNKNOWN:
            pass
        case FdType.IPV4 | FdType.IPV6:
            width = 4 if fd.type == FdType.IPV4 else 16
            fd.sip, fd.dip = block.take(width), block.take(width)
            fd.sport, fd.dport = block.u16(), block.u16()
            fd.l4 = _l4(block.u8())
        case FdType.IPV4_LISTEN | FdType.IPV6_LISTEN:
            fd.dip = block.take(4 if fd.type == FdType.IPV4_LISTEN else 16)
            fd.dport = block.u16()
            fd.l4 = _l4(block.u8())
            fd.name = b"%s:%d" % (ip_text(fd.dip), fd.dport)
        case FdType.UNIX:
            fd.unix_source, fd.unix_dest = block.u64(), block.u64()
            fd.name = block.text(_MAX_FD_NAME, "descriptor name")
        case FdType.FILE_V2:
            flags = fd.openflags = block.u32()
            fd.is_cloexec = flags & _CLOEXEC != 0
            fd.is_upper_layer = flags & _UPPER != 0
            fd.is_lower_layer = flags & _LOWER != 0
            fd.name = block.text(_MAX_FD_NAME, "descriptor name")
            if has_length and block.left - end >= 4:
                fd.dev = block.u32()
        case _:
            fd.name = block.text(_MAX_FD_NAME, "descriptor name")
    return number, fd


def _l4(number: int) -> L4Proto:
    return L4Proto(number) if number <= max(L4Proto) else L4Proto.UNKNOWN
