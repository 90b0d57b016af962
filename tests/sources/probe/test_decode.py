"""Records become events; what is no record is refused."""

import socket
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import DecodeError
from exporter.events.fd import FdType, L4Proto
from exporter.events.host import Host
from exporter.events.table import event_type, load_event_table
from exporter.sources.probe.decode import Decoder
from exporter.sources.probe.fd_facts import decode_fd
from exporter.sources.probe.record import HEADER, HEADER_FIELDS, RECORD_STATE_ONLY, Attachment

HEADER_VALUES: dict[str, Any] = {
    "ts_ns": 1_000, "tid": 11, "pid": 10, "ptid": 5, "ppid": 4, "vtid": 2, "vpid": 1, "uid": 1000,
    "gid": 100, "loginuid": 0xFFFFFFFF, "sid": 9, "pgid": 8, "vpgid": 3, "tty": 34816,
    "mntns": 4026531841, "cpu": 1, "flags": 4, "start_boottime_ns": 77, "cgroup_id": 99,
    "comm": b"bash\0junk", "pidns_level": 1,
}  # fmt: skip


def make_record(event_id: str, params: Any, attachments: Any = (), **header: Any) -> bytes:
    """Bytes of a record; attachments are (kind, bytes)."""
    event = event_type(event_id)
    tail = b"".join(struct.pack("<HH", kind, len(data)) + data for kind, data in attachments)
    body = struct.pack(f"<{len(params)}H", *map(len, params)) + b"".join(params)
    values = HEADER_VALUES | {
        "record_len": HEADER.size + len(body) + len(tail),
        "event_code": event.code,
        "nparams": len(params),
        "attachments_len": len(tail),
    }
    values |= header
    head: bytes = HEADER.pack(*(values[field] for field in HEADER_FIELDS))
    return head + body + tail


OPENAT = (
    struct.pack("<q", 3),
    struct.pack("<q", -100),
    b"file\0",
    struct.pack("<I", 0o2000000 | 1 << 29),
    struct.pack("<I", 0),
    struct.pack("<I", 65024),
    struct.pack("<Q", 12),
)


def test_header_becomes_the_live_context():
    """Every member of the header arrives under its name."""
    data = make_record("PPME_SYSCALL_OPENAT_2_X", OPENAT, [(Attachment.CWD, b"/home")])

    event = Decoder(Host()).decode(data, 1_000_000)

    assert (event.num, event.ts_ns, event.kernel_ts_ns, event.cpu, event.tid) == (
        1,
        1_001_000,
        1_000,
        1,
        11,
    )
    live = event.live
    assert live is not None
    changed = {"ts_ns", "tid", "cpu", "flags", "comm"}
    for field in HEADER_VALUES.keys() - changed:
        assert (field, getattr(live, field)) == (field, HEADER_VALUES[field])
    assert (live.comm, live.truncated, live.cwd) == (b"bash", 4, b"/home")
    assert (live.dirfd_path, live.fds) == (None, None)


def test_events_that_no_rule_can_match_are_hidden():
    """The probe's word hides an event from the rules, and is none about what was cut short."""
    flagged = make_record("PPME_SYSCALL_OPENAT_2_X", OPENAT, flags=RECORD_STATE_ONLY | 4)
    plain = make_record("PPME_SYSCALL_OPENAT_2_X", OPENAT)

    for data, is_hidden in ((flagged, True), (plain, False)):
        event = Decoder(Host()).decode(data, 0)
        assert event.live is not None
        assert (event.is_hidden, event.live.truncated) == (is_hidden, 4)


def test_parameters_are_decoded_with_native_flags_translated():
    """Values are those of the event table."""
    flags = dict(load_event_table().value_tables["file_flags"])

    event = Decoder(Host()).decode(make_record("PPME_SYSCALL_OPENAT_2_X", OPENAT), 0)

    assert [event.param(i) for i in (0, 1, 2, 5, 6)] == [3, -100, b"file", 65024, 12]
    assert event.named_param("flags") == (
        flags["O_RDONLY"] | flags["O_CLOEXEC"] | flags["O_F_CREATED"]
    )


def test_all_attachments():
    """Directories and descriptor facts arrive where the state looks for them."""
    fd = struct.pack("<qQBIH", 7, 5, FdType.FILE_V2, 1, 6) + b"/x/y/z" + struct.pack("<I", 8)
    data = make_record(
        "PPME_SYSCALL_OPENAT_2_X",
        OPENAT,
        [
            (Attachment.DIRFD, b"/a"), (Attachment.DIRFD2, b"/b"), (Attachment.FD, fd),
            (Attachment.CGROUP, b"/c"), (99, b"new"),
        ],
    )  # fmt: skip

    live = Decoder(Host()).decode(data, 0).live
    assert live is not None
    assert live.fds is not None

    assert (live.dirfd_path, live.dirfd2_path, live.cwd) == (b"/a", b"/b", None)
    assert live.cgroup_path == b"/c"
    assert (live.fds[7].name, live.fds[7].dev, live.fds[7].ino) == (b"/x/y/z", 8, 5)


SOUND = make_record("PPME_SYSCALL_OPENAT_2_X", OPENAT, [(Attachment.CWD, b"/home")])


@given(st.integers(0, len(SOUND) - 1))
@settings(max_examples=100)
def test_cut_records_are_refused(size):
    """A record that lost its end is a DecodeError, wherever it was cut."""
    with pytest.raises(DecodeError):
        Decoder(Host()).decode(SOUND[:size], 0)


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_arbitrary_bytes_never_raise_anything_else(data):
    """Whatever the bytes, the answer is an event or a DecodeError."""
    with suppress(DecodeError):
        Decoder(Host()).decode(data, 0)


def test_unknown_codes_are_refused():
    """A code that the event table lacks is named."""
    with pytest.raises(DecodeError, match="unknown event code 9999"):
        Decoder(Host()).decode(make_record("PPME_SYSCALL_OPENAT_2_X", OPENAT, event_code=9999), 0)


def entry(kind, body):
    return struct.pack("<qQB", 4, 6, kind) + body


V4 = socket.inet_aton
V6 = lambda text: socket.inet_pton(socket.AF_INET6, text)  # noqa: E731


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            entry(3, V4("10.0.0.1") + V4("10.0.0.2") + struct.pack("<HHB", 1, 2, 2)),
            (FdType.IPV4, V4("10.0.0.1"), V4("10.0.0.2"), 1, 2, L4Proto.TCP),
        ),
        (
            entry(4, V6("::1") + V6("::2") + struct.pack("<HHB", 1, 2, 3)),
            (FdType.IPV6, V6("::1"), V6("::2"), 1, 2, L4Proto.UDP),
        ),
        (
            entry(4, V6("::ffff:1.2.3.4") + V6("::ffff:5.6.7.8") + struct.pack("<HHB", 1, 2, 2)),
            (FdType.IPV4, V4("1.2.3.4"), V4("5.6.7.8"), 1, 2, L4Proto.TCP),
        ),
        (
            entry(5, V4("0.0.0.0") + struct.pack("<HB", 80, 2)),
            (FdType.IPV4_LISTEN, bytes(4), b"", 80, 0, L4Proto.TCP),
        ),
        (
            entry(6, V6("::") + struct.pack("<HB", 80, 2)),
            (FdType.IPV6_LISTEN, bytes(16), b"", 80, 0, L4Proto.TCP),
        ),
    ],
)
def test_socket_entries(data, expected):
    """Local end first; mapped addresses become IPv4 when both ends are."""
    number, fd = decode_fd(data)

    assert number == 4
    assert (fd.type, fd.sip, fd.dip, fd.sport, fd.dport, fd.l4) == expected


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (10, b"[eventpoll]", (FdType.EVENTPOLL, b"")),
        (10, b"inotify", (FdType.INOTIFY, b"")),
        (10, b"[something-new]", (FdType.UNSUPPORTED, b"")),
        (7, b"/", (FdType.PIPE, b"")),
        (7, b"/tmp/fifo", (FdType.PIPE, b"/tmp/fifo")),
        (2, b"/etc", (FdType.DIRECTORY, b"/etc")),
    ],
)
def test_named_entries(kind, name, expected):
    """Anonymous inodes are told apart by name; pipes have a name only when they are in a tree."""
    _, fd = decode_fd(entry(kind, struct.pack("<H", len(name)) + name))

    assert (fd.type, fd.name) == expected


def test_memfd_and_unix_entries():
    """A memfd is a kind of its own; a unix socket tells both kernel addresses."""
    memfd = b"memfd:code"
    _, fd = decode_fd(entry(16, struct.pack("<IH", 2, 10) + memfd + struct.pack("<I", 1)))
    _, unix = decode_fd(entry(8, struct.pack("<QQH", 1, 2, 3) + b"/s."))

    assert (fd.type, fd.name) == (FdType.MEMFD, b"code")
    assert (unix.unix_source, unix.unix_dest, unix.name) == (1, 2, b"/s.")


@given(st.binary(max_size=80))
@settings(max_examples=200)
def test_arbitrary_entries_never_raise_anything_else(data):
    """Whatever the bytes, the answer is a descriptor or a DecodeError."""
    with suppress(DecodeError):
        decode_fd(data)
