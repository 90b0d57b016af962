"""Writes captures for tests: every block type and version, both byte orders, plain or gzip.

    capture = Capture()
    capture.machine("host").processes(Process(10, comm="cat"))
    capture.event("PPME_SYSCALL_READ_X", 10, res=3, fd=5, data=b"abc", size=10)
    capture.save(path)

Written from spec/scap-format.md alone and apart from the reader's code, so that a misreading of one
shows in the other.
"""

import gzip
import json
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.captures.values import as_bytes, encode, packed_ip, strings

BOOT_NS = 1_600_000_000_000_000_000
FIRST_NS = 1_700_000_000_000_000_000

PROCESS_LISTS = {
    1: 0x202, 2: 0x207, 3: 0x209, 4: 0x210, 5: 0x211, 6: 0x212, 7: 0x213, 8: 0x214, 9: 0x215,
}  # fmt: skip
FD_LISTS = {1: 0x203, 2: 0x218}
INTERFACE_LISTS = {1: 0x205, 2: 0x219}
USER_LISTS = {1: 0x206, 2: 0x220}
EVENTS = {
    # version, has flags, is large
    (1, False, False): 0x204,
    (1, True, False): 0x208,
    (2, False, False): 0x216,
    (2, True, False): 0x217,
    (2, False, True): 0x221,
    (2, True, True): 0x222,
}
STATE_ONLY, LARGE = 1, 4


@dataclass(frozen=True)
class Kind:
    """One event type as the writer needs it."""

    code: int
    params: tuple[tuple[str, str], ...]
    is_large: bool


@cache
def event_kinds() -> dict[str, Kind]:
    """Event types by PPME_ id, from the table's file itself."""
    file = Path(__file__).parents[2] / "exporter" / "events" / "events.json"
    return {
        event["id"]: Kind(
            event["code"],
            tuple((param["name"], param["type"]) for param in event["params"]),
            "EF_LARGE_PAYLOAD" in event["flags"],
        )
        for event in json.loads(file.read_text(encoding="utf-8"))["events"]
    }


@dataclass
class Process:
    """One thread of a process list; what is left out is as in a plain program of root."""

    tid: int
    comm: str | bytes = "cat"
    pid: int | None = None
    ptid: int = 1
    sid: int = 1
    vpgid: int = 1
    exe: str | bytes | None = None
    exepath: str | bytes | None = None
    args: tuple[str | bytes, ...] = ()
    cwd: str | bytes = "/root/"
    fdlimit: int = 1024
    flags: int = 0
    uid: int = 0
    gid: int = 0
    memory_kb: tuple[int, int, int] = (1000, 500, 0)
    faults: tuple[int, int] = (0, 0)
    env: tuple[str | bytes, ...] = ()
    vtid: int | None = None
    vpid: int | None = None
    cgroups: tuple[str, ...] = ()
    root: str | bytes = "/"
    pidns_start_ns: int = 0
    tty: int = 0
    loginuid: int = 0xFFFFFFFF
    exe_writable: int = 0
    caps: tuple[int, int, int] = (0, 0, 0)
    exe_upper_layer: int = 0
    exe_ino: tuple[int, int, int] = (0, 0, 0)
    exe_from_memfd: int = 0
    exe_lower_layer: int = 0
    pgid: int = 1
    has_pidns: bool = True
    """Whether the entry's tail begins with start of the pid namespace and tty (release 0.10 on)."""
    tail_bytes: int | None = None
    """Where the tail is cut (older releases wrote less of it)."""
    unknown_tail: bytes = b""
    """What a newer release would append."""

    def encoded(self, mark: str, version: int) -> bytes:
        """The entry as that version of the list has it."""

        def number(code: str, *values: int) -> bytes:
            return struct.pack(mark + code, *values)

        def text(value: str | bytes) -> bytes:
            return counted(value, mark)

        comm = as_bytes(self.comm)
        pid = self.tid if self.pid is None else self.pid
        out = number("qqq", self.tid, pid, self.ptid)
        out += number("q", self.sid) if version >= 6 else b""
        out += number("q", self.vpgid) if version >= 8 else b""
        out += text(comm) + text(comm if self.exe is None else self.exe)
        if version >= 7:
            out += text(b"/usr/bin/" + comm if self.exepath is None else self.exepath)
        out += text(strings(self.args)) + text(self.cwd)
        out += number("qIII", self.fdlimit, self.flags, self.uid, self.gid)
        if version >= 2:
            out += number("IIIQQ", *self.memory_kb, *self.faults)
        if version >= 3:
            out += text(strings(self.env))
        if version >= 4:
            vtid = self.tid if self.vtid is None else self.vtid
            out += number("qq", vtid, pid if self.vpid is None else self.vpid)
            out += text(strings(self.cgroups))
        if version >= 5:
            out += text(self.root)
        if version < 9:
            return out
        tail = number("QI", self.pidns_start_ns, self.tty) if self.has_pidns else b""
        tail += number("IB", self.loginuid, self.exe_writable) + number("QQQ", *self.caps)
        tail += number("B", self.exe_upper_layer) + number("QQQ", *self.exe_ino)
        tail += number("BBq", self.exe_from_memfd, self.exe_lower_layer, self.pgid)
        out += tail[: self.tail_bytes] + self.unknown_tail
        return number("I", len(out) + 4) + out


@dataclass
class FdEntry:
    """One descriptor of an fd list; `type` as in the table of spec section 8."""

    number: int
    type: int
    name: str | bytes = ""
    ino: int = 0
    flags: int = 0
    device: int | None = None
    source: tuple[str, int] = ("0.0.0.0", 0)
    dest: tuple[str, int] = ("0.0.0.0", 0)
    l4: int = 2
    unix: tuple[int, int] = (0, 0)
    unknown_tail: bytes = b""

    def encoded(self, mark: str, version: int) -> bytes:
        """The entry as that version of the list has it."""
        out = struct.pack(mark + "qQB", self.number, self.ino, self.type)
        if self.type in {3, 4}:
            out += packed_ip(self.source[0]) + packed_ip(self.dest[0])
            out += struct.pack(mark + "HHB", self.source[1], self.dest[1], self.l4)
        elif self.type in {5, 6}:
            out += packed_ip(self.source[0]) + struct.pack(mark + "HB", self.source[1], self.l4)
        elif self.type == 8:
            out += struct.pack(mark + "QQ", *self.unix) + counted(self.name, mark)
        elif self.type == 16:
            out += struct.pack(mark + "I", self.flags) + counted(self.name, mark)
            if self.device is not None:
                out += struct.pack(mark + "I", self.device)
        elif self.type:
            out += counted(self.name, mark)
        if version == 1:
            return out
        out += self.unknown_tail
        return struct.pack(mark + "I", len(out) + 4) + out


def counted(value: str | bytes, mark: str) -> bytes:
    """A text behind its length."""
    data = as_bytes(value)
    return struct.pack(mark + "H", len(data)) + data


class Capture:
    """A capture in the making. It begins with its section header; methods may be chained.

    big_endian: as a machine of that byte order writes it. version: of the event blocks.
    """

    def __init__(self, *, big_endian: bool = False, version: int = 2, options: bytes = b"") -> None:
        self.mark = ">" if big_endian else "<"
        self.version = version
        self.out = bytearray()
        self.now_ns = FIRST_NS
        self.section(options=options)

    def block(self, kind: int, body: bytes, *, total: int | None = None) -> "Capture":
        """Any block; the body is padded. total: both lengths, if they are to be wrong."""
        body += bytes(-len(body) % 4)
        size = struct.pack(self.mark + "I", len(body) + 12 if total is None else total)
        self.out += struct.pack(self.mark + "I", kind) + size + body + size
        return self

    def section(
        self, *, magic: int = 0x1A2B3C4D, version: tuple[int, int] = (1, 2), options: bytes = b""
    ) -> "Capture":
        """A section header; more than one makes a concatenated capture."""
        body = struct.pack(self.mark + "IHHQ", magic, *version, 0xFFFFFFFFFFFFFFFF)
        return self.block(0x0A0D0D0A, body + options)

    def machine(
        self, hostname: str = "host", *, cpus: int = 4, boot_ns: int = BOOT_NS, kind: int = 0x201
    ) -> "Capture":
        """The machine info."""
        name = hostname.encode().ljust(128, b"\0")
        body = struct.pack(self.mark + "IQQ", cpus, 8 << 30, 1 << 22) + name
        return self.block(kind, body + struct.pack(self.mark + "QQQQ", boot_ns, 0, 0, 0))

    def interfaces(
        self, *items: tuple[str, str, str], version: int = 2, with_speed: bool = True
    ) -> "Capture":
        """Interfaces as (name, address, netmask)."""
        body = b""
        for name, address, netmask in items:
            ip, mask = packed_ip(address), packed_ip(netmask)
            kind = (1 if len(ip) == 4 else 2) + (0 if with_speed else 2)
            broadcast = bytes(a | b ^ 0xFF for a, b in zip(ip, mask, strict=True))
            entry = struct.pack(self.mark + "HH", kind, len(name)) + ip + mask + broadcast
            entry += struct.pack(self.mark + "Q", 1000) if with_speed else b""
            entry += name.encode()
            body += (struct.pack(self.mark + "I", len(entry)) if version == 2 else b"") + entry
        return self.block(INTERFACE_LISTS[version], body)

    def users(
        self,
        *users: tuple[int, int, str, str, str],
        groups: tuple[tuple[int, str], ...] = (),
        version: int = 2,
        unknown_tail: bytes = b"",
    ) -> "Capture":
        """Users as (uid, gid, name, home, shell), groups as (gid, name)."""
        entries = []
        for uid, gid, *texts in users:
            head = struct.pack(self.mark + "BII", 0, uid, gid)
            entries.append(head + b"".join(counted(text, self.mark) for text in texts))
        for gid, name in groups:
            entries.append(struct.pack(self.mark + "BI", 1, gid) + counted(name, self.mark))
        if version == 2:
            entries = [entry + unknown_tail for entry in entries]
            entries = [struct.pack(self.mark + "I", len(entry) + 4) + entry for entry in entries]
        return self.block(USER_LISTS[version], b"".join(entries))

    def processes(self, *items: Process, version: int = 9, kind: int | None = None) -> "Capture":
        """A process list. kind: the block type, if not the version's own."""
        body = b"".join(item.encoded(self.mark, version) for item in items)
        return self.block(PROCESS_LISTS[version] if kind is None else kind, body)

    def fds(self, tid: int, *items: FdEntry, version: int = 2) -> "Capture":
        """The descriptors of one thread."""
        body = struct.pack(self.mark + "q", tid)
        body += b"".join(item.encoded(self.mark, version) for item in items)
        return self.block(FD_LISTS[version], body)

    def event(
        self,
        event_id: str,
        tid: int,
        /,
        *,
        nparams: int | None = None,
        dump_flags: int | None = None,
        after_ns: int = 1000,
        on_cpu: int = 0,
        block_version: int | None = None,
        extra_params: tuple[bytes, ...] = (),
        **params: Any,
    ) -> "Capture":
        """One event; params by name as plain values (see tests.captures.values), others empty.

        tid: -1 for none. nparams: only so many of the first parameters, as an older release wrote.
        extra_params: what a newer release would append. after_ns: time since the one before.
        dump_flags: writes a block with these flags, STATE_ONLY or 0.
        """
        kind = event_kinds()[event_id]
        named = kind.params if nparams is None else kind.params[:nparams]
        raw = [encode(what, params.pop(name, None), self.mark) for name, what in named]
        if params:
            raise KeyError(f"{event_id} has no parameter {sorted(params)} among these")
        return self.raw_event(
            kind.code, tid, (*raw, *extra_params), dump_flags=dump_flags, after_ns=after_ns,
            on_cpu=on_cpu, block_version=block_version, is_large=kind.is_large,
            claims=3 if event_id in CLAIMING else 0,
        )  # fmt: skip

    def raw_event(
        self,
        code: int,
        tid: int,
        raw: tuple[bytes, ...],
        *,
        dump_flags: int | None = None,
        after_ns: int = 1000,
        on_cpu: int = 0,
        block_version: int | None = None,
        is_large: bool = False,
        claims: int = 0,
    ) -> "Capture":
        """One event of any code with these parameter bytes."""
        v = self.version if block_version is None else block_version
        is_large = is_large and v == 2
        self.now_ns += after_ns
        lengths = [len(item) for item in raw]
        width = "I" if is_large else "H"
        tail = struct.pack(f"{self.mark}{len(raw)}{width}", *lengths) + b"".join(raw)
        size = (22 if v == 1 else 26) + len(tail) + (claims if v == 1 else 0)
        head = struct.pack(self.mark + "QQIH", self.now_ns, tid & (1 << 64) - 1, size, code)
        head += struct.pack(self.mark + "I", len(raw)) if v == 2 else b""
        body = struct.pack(self.mark + "H", on_cpu)
        if dump_flags is not None:
            body += struct.pack(self.mark + "I", dump_flags | (LARGE if is_large else 0))
        return self.block(EVENTS[v, dump_flags is not None, is_large], body + head + tail)

    def data(self, *, packed: bool = False) -> bytes:
        """The whole file."""
        return gzip.compress(bytes(self.out), mtime=0) if packed else bytes(self.out)

    def save(self, path: Path, *, packed: bool = False) -> Path:
        """Write the file; its path."""
        path.write_bytes(self.data(packed=packed))
        return path


CLAIMING = frozenset({"PPME_NOTIFICATION_E", "PPME_INFRASTRUCTURE_EVENT_E"})
"""Event types whose V1 records claim three bytes too much."""
