"""Facts that the kernel can read: numbers and texts, and what is read together to know them.

`read` says what each is in Python; emit_facts.py and its neighbours make BPF of it.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from exporter.pushdown.observation import AF_INET, AF_INET6, Observation, Socket
from exporter.pushdown.paths import ALONE, is_plain, is_short, is_tidy, join


class Group(IntEnum):
    """Facts that are read together, cheapest first."""

    CALL = 0
    TASK = 1
    HOW = 2
    SOCKET = 3
    PATH = 4
    PATH2 = 5
    IMAGE = 6


HEAVY = frozenset({Group.HOW, Group.SOCKET, Group.PATH, Group.PATH2, Group.IMAGE})
"""Groups that may turn out to be unknown; all others are always there."""


class Kind(StrEnum):
    """Facts that are numbers."""

    RET = "result"
    ARG = "argument"
    UID = "uid"
    GID = "gid"
    LOGINUID = "loginuid"
    VPID = "vpid"
    TTY = "tty"
    HOST = "on the host"
    HOW = "open_how"
    EXE_FLAGS = "executable's flags"
    FAMILY = "socket family"
    PROTOCOL = "protocol"
    BOUND = "bound to a port"
    LOCAL_ADDRESS = "local address"
    LOCAL_ADDRESS6 = "local IPv6 address"
    LOCAL_PORT = "local port"
    REMOTE_ADDRESS = "remote address"
    REMOTE_ADDRESS6 = "remote IPv6 address"
    REMOTE_PORT = "remote port"
    RELATIVE = "path is relative"
    CLOSED = "kind of what was closed"


_SOCKET_KINDS = {
    Kind.FAMILY: "family",
    Kind.PROTOCOL: "protocol",
    Kind.BOUND: "is_bound",
    Kind.LOCAL_ADDRESS: "local_address",
    Kind.LOCAL_ADDRESS6: "local_address",
    Kind.LOCAL_PORT: "local_port",
    Kind.REMOTE_ADDRESS: "remote_address",
    Kind.REMOTE_ADDRESS6: "remote_address",
    Kind.REMOTE_PORT: "remote_port",
}
_FAMILIES = {
    Kind.LOCAL_ADDRESS: AF_INET,
    Kind.REMOTE_ADDRESS: AF_INET,
    Kind.LOCAL_ADDRESS6: AF_INET6,
    Kind.REMOTE_ADDRESS6: AF_INET6,
}
"""Addresses are 0 in sockets of other families."""

WIDE = frozenset({Kind.LOCAL_ADDRESS6, Kind.REMOTE_ADDRESS6})
"""Facts of 128 bits."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A number. ARG and HOW: argument or word `index`, of which the bits of `mask` count.

    is_signed: of 32 bits.
    """

    kind: Kind
    index: int = 0
    mask: int = 0xFFFFFFFF
    is_signed: bool = False

    @property
    def group(self) -> Group:
        """What is read to know it."""
        if self.kind in _SOCKET_KINDS:
            return Group.SOCKET
        if self.kind is Kind.RELATIVE:
            return Group.PATH
        if self.kind is Kind.HOW:
            return Group.HOW
        return Group.CALL if self.kind in {Kind.RET, Kind.ARG, Kind.CLOSED} else Group.TASK

    def read(self, seen: Observation) -> int | None:
        """The number; None when it is not known."""
        match self.kind:
            case Kind.RET:
                return seen.ret
            case Kind.ARG:
                value = seen.args[self.index] & self.mask
                return value - (1 << 32) if self.is_signed and value >> 31 else value
            case Kind.UID:
                return seen.uid
            case Kind.GID:
                return seen.gid
            case Kind.LOGINUID:
                return -1 if seen.loginuid == 0xFFFFFFFF else seen.loginuid
            case Kind.VPID:
                return seen.vpid
            case Kind.TTY:
                return seen.tty
            case Kind.HOST:
                return int(seen.is_host)
            case Kind.RELATIVE:
                path = Text.PATH.read(seen)
                return None if path is None else int(seen.paths[0] != path)
            case Kind.HOW:
                return None if seen.how is None else seen.how[self.index] & self.mask
            case Kind.CLOSED:
                return seen.closed
            case Kind.EXE_FLAGS:
                return seen.exe_flags & self.mask
            case kind:
                return _read_socket(kind, seen.socket)

    def __str__(self) -> str:
        mask = "" if self.mask == 0xFFFFFFFF else f" & {self.mask:#x}"
        match self.kind:
            case Kind.ARG:
                return f"argument {self.index + 1}{mask}"
            case Kind.HOW:
                return f"open_how.{_HOW_WORDS[self.index]}{mask}"
            case kind:
                return f"{kind}{mask}"


_HOW_WORDS = ("flags", "mode", "resolve")


def _read_socket(kind: Kind, socket: Socket | None) -> int | None:
    if socket is None:
        return None
    if _FAMILIES.get(kind, socket.family) != socket.family:
        return 0
    return int(getattr(socket, _SOCKET_KINDS[kind]))


class Text(StrEnum):
    """Facts that are texts."""

    COMM = "comm"
    PATH = "path"
    PATH2 = "second path"
    EXE = "exe"
    EXEPATH = "exepath"
    ARGUMENTS = "arguments"
    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    USER_NAME = "user's name"
    PARENT_COMM = "parent's comm"

    @property
    def group(self) -> Group:
        """What is read to know it."""
        return _GROUPS.get(self, Group.IMAGE)

    def read(self, seen: Observation) -> bytes | None:
        """The text; None when it is not known."""
        if self is Text.COMM:
            return seen.comm
        if self.group is Group.IMAGE:
            text: bytes | None = getattr(seen, self.name.lower())
            return text if text is not None and len(text) <= IMAGE_TEXT_BYTES[self] else None
        index = int(self is Text.PATH2)
        path = seen.paths[index] if index < len(seen.paths) else None
        base = seen.bases[index] if index < len(seen.bases) else None
        if path and base == ALONE:
            return path if is_tidy(path) else None
        if path and path[:1] != b"/" and is_short(path):
            path = None if base is None else join(base, path)
        return path if path and is_plain(path) else None


_GROUPS = {Text.COMM: Group.TASK, Text.PATH: Group.PATH, Text.PATH2: Group.PATH2}
IMAGE_TEXT_BYTES = {
    Text.EXE: 510,
    Text.EXEPATH: 510,
    Text.ARGUMENTS: 495,
    Text.COMMAND_LINE: 511,
    Text.ENVIRONMENT: 4096,
    Text.USER_NAME: 4096,
    Text.PARENT_COMM: 15,
}
"""Longest texts of a new image that are looked at (bpf/judge.h)."""
