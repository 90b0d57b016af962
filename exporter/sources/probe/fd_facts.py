"""Descriptor facts that travel with a live event: bytes of an FD attachment -> `Fd`.

The entry is that of a capture's fd list with native open flags. For sockets source and dest are
the local and the remote end: no role is known here, the state room decides it.
Source: spec/scap-format.md section 8; bpf/finish.h.
"""

from struct import Struct, error

from exporter.errors import DecodeError
from exporter.events.fd import Fd, FdType, L4Proto
from exporter.events.native import translator
from exporter.events.table import event_type

_HEAD = Struct("<qQB")
_FLAGS_NAME = Struct("<IH")
_NAME = Struct("<H")
_DEV = Struct("<I")
_IPV4 = Struct("<4s4sHHB")
_IPV4_LISTEN = Struct("<4sHB")
_IPV6 = Struct("<16s16sHHB")
_IPV6_LISTEN = Struct("<16sHB")
_UNIX = Struct("<QQH")

_ANON_TYPES = {
    b"[eventfd]": FdType.EVENT,
    b"[eventpoll]": FdType.EVENTPOLL,
    b"inotify": FdType.INOTIFY,
    b"anon_inode:inotify": FdType.INOTIFY,
    b"[signalfd]": FdType.SIGNALFD,
    b"[timerfd]": FdType.TIMERFD,
    b"[io_uring]": FdType.IO_URING,
    b"[userfaultfd]": FdType.USERFAULTFD,
    b"[pidfd]": FdType.PIDFD,
    b"bpf-map": FdType.BPF,
    b"bpf-prog": FdType.BPF,
    b"bpf_link": FdType.BPF,
    b"bpf-link": FdType.BPF,
    b"bpf_iter": FdType.BPF,
}
"""Name of an anonymous inode -> kind of descriptor."""

_MEMFD_PREFIX = b"memfd:"
_V4_MAPPED = bytes(10) + b"\xff\xff"
_OPENAT = event_type("PPME_SYSCALL_OPENAT_2_X")
_flags_to_ppm = translator(_OPENAT.name, _OPENAT.params[_OPENAT.param_index["flags"]])


def open_flags_to_ppm(native: int) -> int:
    """Open flags of the kernel (with the probe's bits) -> bits of the event table."""
    return native if _flags_to_ppm is None else _flags_to_ppm(native)


def decode_fd(data: bytes) -> tuple[int, Fd]:
    """Number and facts of one descriptor. Raises DecodeError when the entry is cut short."""
    try:
        return _decode(data)
    except (ValueError, error) as problem:
        raise DecodeError(f"fd entry: {problem}", code="D_FD") from problem


def _decode(data: bytes) -> tuple[int, Fd]:
    number, ino, kind = _HEAD.unpack_from(data)
    at = _HEAD.size
    fd = Fd(type=FdType(kind), ino=ino)
    if kind == FdType.FILE_V2:
        flags, size = _FLAGS_NAME.unpack_from(data, at)
        at += _FLAGS_NAME.size
        fd.name = data[at : at + size]
        fd.openflags = open_flags_to_ppm(flags)
        (fd.dev,) = _DEV.unpack_from(data, at + size)
        if fd.name.startswith(_MEMFD_PREFIX):
            fd.type = FdType.MEMFD
            fd.name = fd.name[len(_MEMFD_PREFIX) :]
    elif kind == FdType.IPV4:
        fd.sip, fd.dip, fd.sport, fd.dport, l4 = _IPV4.unpack_from(data, at)
        fd.l4 = L4Proto(l4)
    elif kind == FdType.IPV6:
        fd.sip, fd.dip, fd.sport, fd.dport, l4 = _IPV6.unpack_from(data, at)
        fd.l4 = L4Proto(l4)
        if fd.sip.startswith(_V4_MAPPED) and fd.dip.startswith(_V4_MAPPED):
            fd.type = FdType.IPV4
            fd.sip, fd.dip = fd.sip[12:], fd.dip[12:]
    elif kind == FdType.IPV4_LISTEN:
        fd.sip, fd.sport, l4 = _IPV4_LISTEN.unpack_from(data, at)
        fd.l4 = L4Proto(l4)
    elif kind == FdType.IPV6_LISTEN:
        fd.sip, fd.sport, l4 = _IPV6_LISTEN.unpack_from(data, at)
        fd.l4 = L4Proto(l4)
    elif kind == FdType.UNIX:
        fd.unix_source, fd.unix_dest, size = _UNIX.unpack_from(data, at)
        fd.name = data[at + _UNIX.size : at + _UNIX.size + size]
    elif kind != FdType.UNKNOWN:
        (size,) = _NAME.unpack_from(data, at)
        fd.name = data[at + _NAME.size : at + _NAME.size + size]
        if kind == FdType.UNSUPPORTED:
            fd.type = _ANON_TYPES.get(fd.name, FdType.UNSUPPORTED)
            fd.name = b""
        elif kind == FdType.PIDFD or (kind == FdType.PIPE and fd.name in (b"", b"/")):
            fd.name = b""
    return number, fd
