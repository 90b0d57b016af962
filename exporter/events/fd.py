"""Fd: what is known of one open file descriptor, as fd.* fields of rules read it.

Plain data, written by the state room (or carried by the live event, read in the kernel at event
time). Source: spec/state-tracking.md sections 6 and 7; type numbers: spec/scap-format.md section 8.
"""

from enum import IntEnum

from msgspec import Struct


class FdType(IntEnum):
    """Kinds of file descriptor, numbered as in capture fd lists and in the live record."""

    UNKNOWN = 0
    FILE = 1
    DIRECTORY = 2
    IPV4 = 3
    IPV6 = 4
    IPV4_LISTEN = 5
    IPV6_LISTEN = 6
    PIPE = 7
    UNIX = 8
    EVENT = 9
    UNSUPPORTED = 10
    SIGNALFD = 11
    EVENTPOLL = 12
    INOTIFY = 13
    TIMERFD = 14
    NETLINK = 15
    FILE_V2 = 16
    BPF = 17
    USERFAULTFD = 18
    IO_URING = 19
    MEMFD = 20
    PIDFD = 21


class L4Proto(IntEnum):
    """Transport protocol, numbered as in capture fd lists."""

    UNKNOWN = 0
    NA = 1
    TCP = 2
    UDP = 3
    ICMP = 4
    RAW = 5


class Role(IntEnum):
    """Which side of a connection this process is."""

    NONE = 0
    CLIENT = 1
    SERVER = 2


class Fd(Struct, kw_only=True):
    """One descriptor. Addresses are network-order bytes (4 or 16), ports host-order integers.

    Source = client side and dest = server side once a role is known. `openflags` holds PPM (event
    table) bits.
    """

    type: FdType
    name: bytes = b""
    name_raw: bytes = b""
    openflags: int = 0
    dev: int = 0
    ino: int = 0
    l4: L4Proto = L4Proto.UNKNOWN
    sip: bytes = b""
    dip: bytes = b""
    sport: int = 0
    dport: int = 0
    unix_source: int = 0
    unix_dest: int = 0
    role: Role = Role.NONE
    is_connected: bool = False
    is_cloexec: bool = False
    is_cloned: bool = False
    is_upper_layer: bool = False
    is_lower_layer: bool = False
    socket_family: int = 0
    pid: int = 0
    """Target process of a pidfd."""
