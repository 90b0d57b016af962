"""One system call seen twice: what the kernel's filter sees of it, and the event Python gets.

The event is made of the record that the probe would write for the call (bpf/syscalls_*.h said again
in Python), and goes through the decoders of live events and the state room, as it does in
`lanner run`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from exporter.events.event import Event
from exporter.events.fd import Fd, FdType, L4Proto
from exporter.events.host import Host
from exporter.events.native import live_decoders
from exporter.pushdown.layout import HERE, CallLayout, call_layout
from exporter.pushdown.memory import MAX_LEVELS
from exporter.pushdown.observation import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    CLOSED_PATH,
    Closed,
    Observation,
    Socket,
)
from exporter.pushdown.paths import ALONE
from exporter.rules.engine import Engine
from exporter.sources.probe.fd_facts import decode_fd
from exporter.sources.probe.record import Attachment
from exporter.sources.probe.syscalls import CALLS, HAS_DIRFD, IO_SENT, Step
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.live_contexts import HOST_MNTNS, make_live
from tests.pushdown.kernel_paths import levels

CONTAINER = "0::/docker/" + "ab" * 32
TID = 4242
O_CREAT_LIKE = 0o100 | 0o20200000

CALL_NAMES = (
    "open", "openat", "openat2", "creat", "unlink", "unlinkat", "rename", "renameat", "linkat",
    "symlink", "symlinkat",
    "chmod", "fchmod", "fchmodat", "mkdir", "mkdirat", "ptrace", "socket", "connect", "accept4",
    "listen", "sendto", "sendmmsg", "recvfrom", "dup2", "getsockname", "mknodat", "close",
)  # fmt: skip


AT_FDCWD = -100
DIRECTORIES = (b"/some/dir", b"/", b"/etc", b"/root/.ssh", None, b"/home/u", b"/etc/pam.d")
"""What descriptors of a process are, in turn; None for those that are closed."""
TABLE_SIZE = 64


@dataclass
class LiveCall:
    """A call and its circumstances.

    how: flags, mode and resolve of openat2, which lie in memory. cwd: where relative paths start
    from; with a descriptor it is that of `directory_of`. socket: as the kernel has it. to: the
    address given with what is sent or received on a socket without a peer. closed: what the probe
    noted at the entry of a close, as in an attachment; None for nothing.
    """

    name: str
    ret: int = 0
    args: list[int] = field(default_factory=lambda: [0] * 6)
    paths: list[bytes | None] = field(default_factory=list)
    comm: bytes = b"cat"
    uid: int = 0
    gid: int = 0
    loginuid: int = 0xFFFFFFFF
    is_host: bool = True
    socket: Socket | None = None
    to: tuple[int, int] = (0x08080808, 53)
    vpid: int = TID
    tty: int = 0
    how: tuple[int, int, int] = (0, 0, 0)
    cwd: bytes = b"/work/dir"
    closed: bytes | None = None

    @property
    def layout(self) -> CallLayout:
        """Where its arguments are."""
        return call_layout(self.name)

    def directory_of(self, argument: int) -> bytes | None:
        """The directory that an argument stands for."""
        number = AT_FDCWD if argument == HERE else _s32(self.args[argument])
        if number == AT_FDCWD:
            return self.cwd
        is_open = 0 <= number < TABLE_SIZE
        return DIRECTORIES[number % len(DIRECTORIES)] if is_open else None

    def _directories(self) -> list[bytes | None]:
        """Of the descriptors that paths start from, in their order."""
        return [self.directory_of(base) for base in self.layout.bases if base not in {None, HERE}]

    def _base(self, argument: int) -> bytes | None:
        """The directory if it is not too deep for the machine of these tests."""
        path = self.directory_of(argument)
        return path if path is not None and levels(path) < MAX_LEVELS else None

    def observe(self) -> Observation:
        """What the filter sees."""
        bases = [ALONE if base is None else self._base(base) for base in self.layout.bases]
        return Observation(
            ret=self.ret,
            args=tuple(arg & 0xFFFFFFFFFFFFFFFF for arg in self.args),
            comm=self.comm,
            uid=self.uid,
            gid=self.gid,
            loginuid=self.loginuid,
            is_host=self.is_host,
            paths=(self._closed_path(),) if self.name == "close" else tuple(self.paths),
            bases=tuple(bases),
            closed=self._closed_kind() if self.name == "close" else Closed.NONE,
            socket=None if self.layout.socket is None else self._seen_socket(),
            vpid=self.vpid,
            tty=self.tty,
            how=self.how if self.name == "openat2" else None,
        )

    @property
    def took(self) -> bytes | None:
        """What was taken over of the note: nothing where another thread was quicker."""
        return None if self.ret == -_EBADF else self.closed

    def _closed_kind(self) -> Closed:
        """As bpf/syscalls_close.h tells it."""
        if self.took is None:
            return Closed.OTHER if self.ret < 0 and self.ret != -_EBADF else Closed.NONE
        match FdType(self.took[16]):
            case FdType.PIPE:
                return Closed.PIPE if len(_closed_name(self.took)) <= 1 else Closed.OTHER
            case FdType.FILE_V2:
                is_path = _closed_name(self.took).startswith(b"/")
                return Closed.FILE if is_path else Closed.OTHER
            case kind:
                return _CLOSED_KINDS[kind]

    def closed_struct(self) -> bytes:
        """struct closed of bpf/layout.h."""
        kind, body = self._closed_kind(), self.took or b""
        at, name = 0, b""
        if kind in {Closed.FILE, Closed.DIRECTORY}:
            at, name = (27 if kind is Closed.FILE else 23), _closed_name(body)
        attachment = struct.pack("<HH", Attachment.FD, len(body)) + body
        return struct.pack("<IIIII4x", len(body) and 4 + len(body), 0, kind, at, len(name)) + (
            attachment if body else b""
        )

    def _closed_path(self) -> bytes:
        if self.took is None or self._closed_kind() not in {Closed.FILE, Closed.DIRECTORY}:
            return CLOSED_PATH
        return _closed_name(self.took)

    def _seen_socket(self) -> Socket | None:
        one = None if self.socket is None else self.socket.as_seen()
        if one is None or one.family not in IP_FAMILIES or one.remote_port:
            return one
        # The probe takes the far end of such a connect from memory.
        return None if self.layout.step is Step.CONNECT else one

    def event(self, state: State) -> Event:
        """The event, taken in by the state."""
        layout = self.layout
        raw = _WRITERS.get(layout.step, _generic)(self)
        fds = self._attached()
        dirfd_path, dirfd2_path, *_ = (*self._directories(), None, None)
        event = Event(
            num=1,
            ts_ns=1_700_000_000_000_000_000,
            cpu=0,
            tid=TID,
            type=layout.event,
            raw=[*raw, *[b""] * len(layout.event.params)][: len(layout.event.params)],
            decoders=live_decoders(layout.event),
            host=state.host,
            live=make_live(
                TID,
                comm=self.comm,
                uid=self.uid,
                gid=self.gid,
                loginuid=self.loginuid,
                mntns=HOST_MNTNS if self.is_host else HOST_MNTNS + 7,
                vpid=self.vpid,
                tty=self.tty,
                cwd=self.cwd,
                dirfd_path=dirfd_path,
                dirfd2_path=dirfd2_path,
                fds=fds,
            ),
        )
        state.before(event)
        return event

    def _attached(self) -> dict[int, Fd] | None:
        if self.name == "close":
            return None if self.took is None else dict([decode_fd(self.took)])
        socket = self.socket
        if socket is None or self.layout.socket is None:
            return None
        number = self.ret if self.layout.socket < 0 else self.args[0]
        if socket.family == AF_UNIX:
            return {number: Fd(type=FdType.UNIX, name=b"/run/peer.sock")}
        if socket.family not in IP_FAMILIES:
            is_netlink = socket.family == AF_NETLINK
            return {number: Fd(type=FdType.NETLINK if is_netlink else FdType.UNKNOWN)}
        return {number: _ip_fd(socket)}


def new_state(tmp_path_text: str) -> State:
    """A state of a machine whose /proc knows nobody."""
    state = State(Host(hostname=b"h"), keep_fds=False, procfs=Procfs(tmp_path_text))
    state.tables.rule.host_mntns = HOST_MNTNS
    return state


def matches(engine: Engine, event: Event) -> bool:
    """Whether any rule matches."""
    return bool(engine.match(event))


def _ip_fd(socket: Socket) -> Fd:
    """What the probe attaches for a socket (bpf/attach.h), decoded."""
    is_six = socket.family == AF_INET6
    local, remote = (
        _packed(end, is_six=is_six) for end in (socket.local_address, socket.remote_address)
    )
    if is_six and local[:12] == remote[:12] == MAPPED:
        is_six, local, remote = False, local[12:], remote[12:]
    fd = Fd(
        type=FdType.IPV6 if is_six else FdType.IPV4,
        sip=local,
        sport=socket.local_port,
        dip=remote,
        dport=socket.remote_port,
        l4=_L4.get(socket.protocol, L4Proto.RAW),
        ino=77,
    )
    if socket.protocol == _UDP and socket.is_bound and not socket.remote_port:
        fd.type = FdType.IPV6_LISTEN if socket.family == AF_INET6 else FdType.IPV4_LISTEN
        fd.sip = _packed(socket.local_address, is_six=socket.family == AF_INET6)
        fd.dip = b""
    return fd


AF_NETLINK, AF_VSOCK = 16, 40
IP_FAMILIES = (AF_INET, AF_INET6)
MAPPED = bytes(10) + b"\xff\xff"
_UDP = 17
_L4 = {6: L4Proto.TCP, _UDP: L4Proto.UDP, 1: L4Proto.ICMP, 58: L4Proto.ICMP}


_EBADF = 9
_CLOSED_KINDS = {
    FdType.DIRECTORY: Closed.DIRECTORY,
    FdType.IPV4: Closed.IPV4,
    FdType.IPV4_LISTEN: Closed.IPV4,
    FdType.IPV6: Closed.IPV6,
    FdType.IPV6_LISTEN: Closed.IPV6,
    FdType.UNIX: Closed.UNIX,
    FdType.UNSUPPORTED: Closed.NAMELESS,
    FdType.PIDFD: Closed.NAMELESS,
    FdType.NETLINK: Closed.NAMELESS,
    FdType.UNKNOWN: Closed.NAMELESS,
}


def _closed_name(noted: bytes) -> bytes:
    at = 21 if noted[16] == FdType.FILE_V2 else 17
    (size,) = struct.unpack_from("<H", noted, at)
    return noted[at + 2 : at + 2 + size]


def note_of(number: int, kind: FdType, rest: bytes) -> bytes:
    """What the probe notes of a descriptor (bpf/attach.h)."""
    return struct.pack("<qQB", number, 77, kind) + rest


def _named(name: bytes) -> bytes:
    return struct.pack("<H", len(name)) + name


def _notes(number: int) -> list[bytes]:
    """Of every kind of descriptor."""
    v4, v6 = bytes((127, 0, 0, 1)), bytes(15) + b"\1"
    mapped = MAPPED + v4
    paths = [path for path in PATHS if path[:1] == b"/" or not path]
    return [
        *(note_of(number, FdType.FILE_V2, bytes(4) + _named(path or b"memfd:x") + bytes(4))
          for path in paths),
        *(note_of(number, FdType.DIRECTORY, _named(path)) for path in paths if path),
        note_of(number, FdType.PIPE, _named(b"/")),
        note_of(number, FdType.PIPE, _named(b"/tmp/a")),
        note_of(number, FdType.IPV4, struct.pack("<4s4sHHB", v4, v4, 40000, 22, 2)),
        note_of(number, FdType.IPV4, struct.pack("<4s4sHHB", bytes(4), bytes(4), 0, 0, 2)),
        note_of(number, FdType.IPV4_LISTEN, struct.pack("<4sHB", v4, 80, 2)),
        note_of(number, FdType.IPV6, struct.pack("<16s16sHHB", v6, v6, 22, 40000, 3)),
        note_of(number, FdType.IPV6, struct.pack("<16s16sHHB", mapped, mapped, 8080, 53, 3)),
        note_of(number, FdType.IPV6_LISTEN, struct.pack("<16sHB", v6, 443, 2)),
        note_of(number, FdType.UNIX, struct.pack("<QQ", 1, 2) + _named(b"/run/peer.sock")),
        note_of(number, FdType.UNSUPPORTED, _named(b"[eventfd]")),
        note_of(number, FdType.UNSUPPORTED, _named(b"[other]")),
        note_of(number, FdType.PIDFD, _named(b"/")),
        note_of(number, FdType.NETLINK, bytes(2)),
        note_of(number, FdType.UNKNOWN, b""),
    ]  # fmt: skip


def _packed(address: int, *, is_six: bool) -> bytes:
    return address.to_bytes(16 if is_six else 4, "big")


def _s64(value: int) -> bytes:
    return struct.pack("<q", value)


def _u32(value: int) -> bytes:
    return struct.pack("<I", value & 0xFFFFFFFF)


def _text(path: bytes | None) -> bytes:
    return b"" if path is None else path + b"\0"


def _s32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _generic(call: LiveCall) -> list[bytes]:
    raw, argument, path = [_s64(call.ret)], 0, 0
    for letter in CALLS[call.name].ops:
        value = call.args[argument]
        if letter in "FD":
            raw.append(_s64(_s32(value)))
        elif letter in "PS":
            raw.append(_text(call.paths[path]))
            path += 1
        elif letter == "U":
            raw.append(_u32(value))
        elif letter == "M":
            raw.append(_u32(value & 0o7777))
        argument += letter not in "RC"
    return raw


def _open(call: LiveCall) -> list[bytes]:
    first = 1 if CALLS[call.name].flags & HAS_DIRFD else 0
    flags, mode = call.args[first + 1], call.args[first + 2]
    if call.name == "openat2":
        flags, mode, _ = call.how
    raw = [_s64(call.ret)]
    if first:
        raw.append(_s64(_s32(call.args[0])))
    raw += [
        _text(call.paths[0]),
        _u32(flags & 0x1FFFFFFF),
        _u32(mode & 0o7777 if flags & O_CREAT_LIKE else 0),
    ]
    if call.name == "openat2":
        raw.append(_u32(call.how[2]))
    return [*raw, _u32(0), struct.pack("<Q", 0)]


def _creat(call: LiveCall) -> list[bytes]:
    return [
        _s64(call.ret), _text(call.paths[0]), _u32(call.args[1] & 0o7777), _u32(0), bytes(8),
        bytes(2),
    ]  # fmt: skip


def _socket(call: LiveCall) -> list[bytes]:
    return [_s64(call.ret), *(_u32(call.args[index]) for index in (0, 1, 2)), _u32(0)]


def _ptrace(call: LiveCall) -> list[bytes]:
    nothing = b"\0" + bytes(8)
    request = struct.pack("<H", call.args[0] & 0xFFFF)
    return [_s64(call.ret), nothing, nothing, request, _s64(_s32(call.args[1]))]


def _tuple(call: LiveCall, *, is_outgoing: bool) -> bytes:
    socket = call.socket
    if socket is None or socket.family not in (AF_UNIX, *IP_FAMILIES):
        return b""
    if socket.family == AF_UNIX:
        return b"\1" + bytes(16) + b"/run/peer.sock\0"
    is_six = socket.family == AF_INET6
    address, port = socket.remote_address, socket.remote_port
    if not port and call.layout.step is not Step.ACCEPT:
        address, port = call.to
        if is_six:
            address |= 0xFFFF << 32
    local = _packed(socket.local_address, is_six=is_six) + struct.pack("<H", socket.local_port)
    remote = _packed(address, is_six=is_six) + struct.pack("<H", port)
    return bytes([socket.family]) + (local + remote if is_outgoing else remote + local)


def _connect(call: LiveCall) -> list[bytes]:
    is_made = call.ret in {0, -115}
    pair = _tuple(call, is_outgoing=True) if is_made else b""
    return [_s64(call.ret), pair, _s64(_s32(call.args[0])), b""]


def _accept(call: LiveCall) -> list[bytes]:
    pair = _tuple(call, is_outgoing=False) if call.ret >= 0 else b""
    return [_s64(call.ret), pair, b"\0", _u32(0), _u32(0), _u32(0)]


def _transfer(call: LiveCall) -> list[bytes]:
    # Of several messages each has its own result: its bytes.
    is_message = call.layout.has_messages and call.ret > 0
    fields = {
        "res": _s64(call.args[3] & 0xFFFFFFFF if is_message else call.ret),
        "fd": _s64(_s32(call.args[0])),
        "size": _u32(call.args[2]),
        "tuple": b"",
    }
    if call.ret >= 0 and not (call.layout.has_messages and not call.ret):
        fields["tuple"] = _tuple(call, is_outgoing=bool(CALLS[call.name].flags & IO_SENT))
    return [fields.get(param.name, b"") for param in call.layout.event.params]


def _close(call: LiveCall) -> list[bytes]:
    return [_s64(call.ret), _s64(_s32(call.args[0]))]


_WRITERS: dict[Step, Callable[[LiveCall], list[bytes]]] = {
    Step.OPEN: _open,
    Step.CREAT: _creat,
    Step.SOCKET: _socket,
    Step.PTRACE: _ptrace,
    Step.CONNECT: _connect,
    Step.ACCEPT: _accept,
    Step.IO: _transfer,
    Step.CLOSE: _close,
}

PATHS = (
    b"/etc/shadow", b"/etc/passwd", b"/etc", b"/etc/pam.d/su", b"/root/.ssh/id_rsa", b"/root",
    b"/home/u/.bashrc", b"/usr/bin/cat", b"/tmp/a", b"/", b"", b"etc/shadow", b"./x", b"../etc",
    b"/etc//shadow", b"/etc/./shadow", b"/etc/../etc/shadow", b"/etc/", b"/etc/.", b"/etc/..",
    b"/etc/sha\x01dow", b"/etc/\x7f", b"/etc/\x1f", b"/etc/\xc3\xa9t\xc3\xa9",
    b"/\x80\xff", b"/a b", b"shadow", b"pam.d/su", b"./shadow", b"././x", b".", b"..", b"../..",
    b"../shadow", b"../../etc/shadow", b"./../etc/passwd", b"x/../y", b"../../../../../root/.ssh/x",
    b".ssh/id_rsa", b"id_rsa", b"../.ssh", b"./", b"../", b"x/", b"x//y", b".x", b"..x", b"sha\x01",
    b"x" * 505, b"./" * 12 + b"x", b"../" * 7 + b"..",
    b"/a" * 300, b"/proc/self/environ", b"/dev/shm/x.sh", b"/..x", b"/.x", b"/etc/shadow-",
)  # fmt: skip
CWDS = (
    b"/work/dir", b"/", b"/etc", b"/etc/pam.d", b"/root", b"/home/u/.ssh", b"/a\x01b", b"/x" * 30,
    b"/" + b"long" * 30 + b"/d", b"/a/" + b"b" * 255, b"/\xc3\xa9", b"/d" * 80,
)  # fmt: skip
ADDRESSES = (0x7F000001, 0x0A000001, 0x0A0000FF, 0x08080808, 0xC0A80101, 0)
WIDE_ADDRESSES = (
    0, 1, 0xFE80 << 112 | 5, 0xFD00 << 112 | 1, 0x2001_0DB8 << 96 | 7, 0xFFFF_7F00_0001,
    0xFFFF_0808_0808, 0xFFFF << 32, 0x1_FFFF_0808_0808,
)  # fmt: skip
COMMS = (b"cat", b"bash", b"sh", b"nginx", b"python3.13", b"fifteen-letters", b"")


@st.composite
def live_calls(draw: st.DrawFn, names: tuple[str, ...] = CALL_NAMES) -> LiveCall:
    """Any call with any arguments, mostly plausible ones."""
    name = draw(st.sampled_from(names))
    layout = call_layout(name)
    ret = draw(st.sampled_from((0, 0, 3, 3, 1, -1, -2, -13, -115, -4095)))
    args = [draw(st.sampled_from((0, 1, 2, 3, 0o100, 0o1101, 0o200000, 0o20000000, 16, 17, 0o4755,
                                  0o777, 0xFFFFFF9C, 0x4206, 1 << 40)))
            for _ in range(6)]  # fmt: skip
    closed = None
    if name == "close":
        args[0] = draw(st.sampled_from((0, 3, 63, 0xFFFFFFFF)))
        ret = draw(st.sampled_from((0, 0, 0, 0, ret, -_EBADF)))
        number = _s32(args[0])
        closed = draw(st.sampled_from((*_notes(number), None))) if number >= 0 else None
    path_count = sum(letter in "PS" for letter in CALLS[name].ops) or len(layout.paths)
    paths = [draw(st.sampled_from((*PATHS, None))) for _ in range(path_count)]
    socket = None
    if layout.socket == 0:
        # A descriptor that the table of a small process has room for.
        args[0] = draw(st.sampled_from((0, 3, 63)))
    if draw(st.integers(0, 4)):
        family = draw(st.sampled_from((AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_VSOCK)))
        addresses = st.sampled_from(WIDE_ADDRESSES if family == AF_INET6 else ADDRESSES)
        port = draw(st.sampled_from((22, 53, 80, 443, 0)))
        # An accepted connection has a peer, and only what has one shows its address.
        port = port or 53 * (layout.step is Step.ACCEPT)
        socket = Socket(
            family=family,
            local_address=draw(addresses),
            local_port=draw(st.sampled_from((22, 80, 8080, 40000))),
            remote_address=draw(addresses) if port else 0,
            remote_port=port,
            protocol=draw(st.sampled_from((6, 17, 1, 58, 132, 255))),
            is_bound=draw(st.booleans()),
        )
    return LiveCall(
        name=name,
        ret=ret,
        args=args,
        paths=paths,
        comm=draw(st.sampled_from(COMMS)),
        uid=draw(st.sampled_from((0, 1, 1000))),
        gid=draw(st.sampled_from((0, 100))),
        loginuid=draw(st.sampled_from((0xFFFFFFFF, 0, 1000))),
        is_host=draw(st.booleans()),
        socket=socket,
        to=(draw(st.sampled_from(ADDRESSES)), draw(st.sampled_from((0, 22, 53)))),
        vpid=draw(st.sampled_from((TID, 1, 17))),
        tty=draw(st.sampled_from((0, 34816, 1025, 1 << 20 | 0x8805))),
        how=(args[2], args[3], args[4]),
        cwd=draw(st.sampled_from(CWDS)),
        closed=closed,
    )
