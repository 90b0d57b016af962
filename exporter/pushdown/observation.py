"""What the kernel knows when a call returns: what predicates are about, as a value for Python."""

from enum import IntEnum
from typing import Optional

from msgspec import Struct, structs

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
_MAPPED = 0xFFFF << 32
_LOW = 0xFFFFFFFF


class Socket(Struct, frozen=True):
    """A socket as filters see it: what its descriptor shows, with its ends as numbers.

    A pair of mapped addresses makes an IPv6 socket an IPv4 one (`as_seen`). protocol: 255 for raw
    sockets. is_bound: bound to a port that the program chose.
    """

    family: int
    local_address: int = 0
    local_port: int = 0
    remote_address: int = 0
    remote_port: int = 0
    protocol: int = 6
    is_bound: bool = False

    def as_seen(self) -> Optional["Socket"]:
        """What filters take the kernel's socket for; None when the state may say otherwise.

        Which mapped addresses count is not the same everywhere where one of them is all zeros.
        """
        if self.family != AF_INET6:
            return self
        ends = self.local_address, self.remote_address
        if all(end >> 32 == _MAPPED >> 32 for end in ends):
            local, remote = (end & _LOW for end in ends)
            return structs.replace(self, family=AF_INET, local_address=local, remote_address=remote)
        return None if all(end == 0 or end >> 32 == _MAPPED >> 32 for end in ends) else self


CLOSED_PATH = b"/-"
"""Stands where a path would, when what was closed has none."""


class Closed(IntEnum):
    """Kinds of what was closed, as far as filters tell them apart (bpf/layout.h)."""

    NONE = 0
    FILE = 1
    DIRECTORY = 2
    PIPE = 3
    IPV4 = 4
    IPV6 = 5
    UNIX = 6
    NAMELESS = 7
    OTHER = 8


class Observation(Struct, kw_only=True, frozen=True):
    """What the kernel knows when a call returns.

    args: six 64-bit words. paths: bytes of the path arguments, None where they cannot be read.
    bases: for each of them the directory it starts from when it is relative, None where that is not
    known, or ALONE.
    how: the words of a struct open_how, None where they cannot be read. socket: as filters see it.
    closed: what a close closed.
    exe_flags and what follows: of a new image, None where the record tells no text.
    """

    ret: int = 0
    args: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    comm: bytes = b""
    uid: int = 0
    gid: int = 0
    loginuid: int = 0xFFFFFFFF
    vpid: int = 0
    tty: int = 0
    how: tuple[int, int, int] | None = None
    is_host: bool = True
    paths: tuple[bytes | None, ...] = ()
    bases: tuple[bytes | None, ...] = ()
    socket: Socket | None = None
    closed: Closed = Closed.NONE
    exe_flags: int = 0
    exe: bytes | None = None
    exepath: bytes | None = None
    arguments: bytes | None = None
    command_line: bytes | None = None
    environment: bytes | None = None
    user_name: bytes | None = None
    parent_comm: bytes | None = None
