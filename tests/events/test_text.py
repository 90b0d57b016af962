"""Texts of parameters (state-tracking.md section 8)."""

import re

import pytest

from exporter.events.container import Group, User
from exporter.events.event import Event
from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.host import Host
from exporter.events.params import Dynamic, PollFd, SocketAddress, SocketTuple
from exporter.events.table import EventType, Param
from exporter.events.text import arg_text, args_text, dots, errno_name, param_text, signal_name
from tests.factories import make_event, make_thread


def text(kind: str, value: object, form: str = "DEC", table: str = "") -> tuple[bytes, bytes]:
    """Both texts of a parameter of this type in an event of its own."""
    return param_text(event_of(kind, value, form, table), 0)


def event_of(kind: str, value: object, form: str = "DEC", table: str = "") -> Event:
    """An event with one parameter that decodes to the value."""
    host = Host(
        users={(b"", 1000): User(uid=1000, name=b"ann"), (b"abc", 0): User(uid=0, name=b"box")},
        groups={(b"", 4): Group(gid=4, name=b"adm")},
    )
    thread = make_thread("bash", tid=42, cwd=b"/home/ann/")
    thread.fds = {
        3: Fd(type=FdType.FILE_V2, name=b"/etc/passwd"),
        4: Fd(type=FdType.IPV4, l4=L4Proto.TCP, role=Role.CLIENT, name=b"1.1.1.1:1->2.2.2.2:2"),
        6: Fd(type=FdType.IPV4, l4=L4Proto.TCP),
        7: Fd(type=FdType.IPV6, l4=L4Proto.RAW),
        8: Fd(type=FdType.IPV4_LISTEN, l4=L4Proto.UDP, name=b"0.0.0.0:53"),
        5: Fd(type=FdType.DIRECTORY, name=b"/srv"),
    }
    host.threads[42] = thread
    param = Param(name="p", type=kind, format=form, table=table)
    event_type = EventType(
        code=1,
        id="X",
        name="x",
        is_enter=False,
        categories=(),
        flags=frozenset(),
        sc=(),
        params=(param,),
    )
    return Event(
        num=1,
        ts_ns=0,
        cpu=0,
        tid=42,
        type=event_type,
        raw=(b"x" if value is not None else b"",),
        decoders=(lambda _data: value,),
        host=host,
        thread=thread,
    )


@pytest.mark.parametrize(
    ("kind", "value", "form", "table", "expected"),
    [
        ("INT64", -5, "DEC", "", (b"-5", b"")),
        ("INT32", -1, "HEX", "", (b"FFFFFFFF", b"")),
        ("UINT32", 0o644, "OCT", "", (b"0644", b"")),
        ("UINT32", 0xABC, "HEX", "", (b"ABC", b"")),
        ("UINT64", (1 << 64) - 1, "DEC", "", (b"-1", b"")),
        ("UINT64", (1 << 64) - 1, "HEX", "", (b"F" * 16, b"")),
        ("ERRNO", -2, "DEC", "", (b"-2", b"ENOENT")),
        ("ERRNO", 7, "DEC", "", (b"7", b"")),
        ("ERRNO", -11, "DEC", "", (b"-11", b"EAGAIN")),
        ("FD", 3, "DEC", "", (b"3", b"<f>/etc/passwd")),
        ("FD", 4, "DEC", "", (b"4", b"<4t>1.1.1.1:1->2.2.2.2:2")),
        ("FD", 5, "DEC", "", (b"5", b"<d>/srv")),
        ("FD", 6, "DEC", "", (b"6", b"<4>")),
        ("FD", 7, "DEC", "", (b"7", b"<6r>")),
        ("FD", 8, "DEC", "", (b"8", b"<4u>0.0.0.0:53")),
        ("FD", 9, "DEC", "", (b"9", b"")),
        ("FD", -100, "DEC", "", (b"-100", b"AT_FDCWD")),
        ("FD", -13, "DEC", "", (b"-13", b"EACCES")),
        ("PID", 42, "DEC", "", (b"42", b"bash")),
        ("PID", 43, "DEC", "", (b"43", b"")),
        ("CHARBUF", b"a\n\x7fb \xc3\xa9", "NA", "", (b"ab \xc3\xa9", b"")),
        ("FSPATH", b"/etc/passwd", "NA", "", (b"/etc/passwd", b"")),
        ("FSPATH", b"../x", "NA", "", (b"../x", b"/home/x")),
        ("FSRELPATH", b"x", "NA", "", (b"x", b"/home/ann/x")),
        ("BYTEBUF", b"-c\0ls\xff\n~", "NA", "", (b"-c.ls..~", b"")),
        ("SOCKADDR", SocketAddress(2, b"\x7f\0\0\x01", 80), "NA", "", (b"127.0.0.1:80", b"")),
        ("SOCKTUPLE", SocketTuple(16), "NA", "", (b"family 16", b"")),
        ("FDLIST", (PollFd(3, 0x11), PollFd(9, 1)), "DEC", "", (b"3:f11 9:?1", b"")),
        ("SYSCALLID", 0, "DEC", "", (b"0", b"unknown")),
        ("SIGTYPE", 9, "DEC", "", (b"9", b"SIGKILL")),
        ("SIGTYPE", 64, "DEC", "", (b"64", b"")),
        ("RELTIME", 1_500_000_000, "DEC", "", (b"1500000000", b"1.5s")),
        ("RELTIME", (1 << 64) - 1, "DEC", "", (b"none", b"")),
        ("FLAGS32", 4097, "HEX", "file_flags", (b"4097", b"O_RDONLY|O_CLOEXEC")),
        ("FLAGS32", 3, "HEX", "file_flags", (b"3", b"O_RDWR")),
        ("FLAGS32", 0, "HEX", "file_flags", (b"0", b"O_NONE")),
        ("FLAGS32", 0, "HEX", "clone_flags", (b"0", b"")),
        ("FLAGS32", 0x10C, "HEX", "file_flags", (b"268", b"O_TRUNC|O_APPEND|O_CREAT")),
        ("ENUMFLAGS32", 16, "DEC", "socket_families", (b"16", b"AF_ROUTE|AF_NETLINK")),
        ("ENUMFLAGS32", 999, "DEC", "socket_families", (b"999", b"")),
        ("MODE", 0o755, "OCT", "chmod_mode", (
            b"0755", b"S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR",
        )),
        ("MODE", 0o100, "OCT", "chmod_mode", (b"0100", b"S_IXUSR")),
        ("UID", 1000, "DEC", "", (b"1000", b"ann")),
        ("UID", 7, "DEC", "", (b"7", b"<NA>")),
        ("UID", 0xFFFFFFFF, "DEC", "", (b"-1", b"<NONE>")),
        ("GID", 4, "DEC", "", (b"4", b"adm")),
        ("SIGSET", 0b1001, "DEC", "", (b"SIGHUP SIGILL", b"")),
        ("DYN", Dynamic(1, "SIGTYPE", "DEC", 9), "HEX", "", (b"9", b"SIGKILL")),
        ("DYN", Dynamic(9, "", "", None), "HEX", "", (b"NULL", b"")),
        ("BYTEBUF", None, "NA", "", (b"NULL", b"")),
        ("SOCKTUPLE", None, "NA", "", (b"NULL", b"")),
        ("CHARBUF", None, "NA", "", (b"<NA>", b"")),
        ("FD", None, "DEC", "", (b"<NA>", b"")),
    ],
)  # fmt: skip
def test_texts_by_type(kind, value, form, table, expected):
    """Raw and resolved text of every type, as the table of section 8 says."""
    assert expected == text(kind, value, form, table)


def test_container_users_have_the_container_s_names():
    """A uid inside a container is named by the container's own passwd."""
    event = event_of("UID", 0)
    event.host.threads[42].container_id = b"abc"

    assert param_text(event, 0) == (b"0", b"box")


def test_absolute_time_is_a_local_date_with_nanoseconds():
    """Date, time with nine digits, zone."""
    raw, resolved = text("ABSTIME", 1_700_000_000_123_456_789)

    assert re.fullmatch(rb"2023-11-1[45] \d\d:\d\d:\d\d\.123456789 [+-]\d{4}", raw)
    assert resolved == b""


def test_times_past_the_calendar_are_numbers():
    """A time that no calendar knows is shown as its number."""
    assert text("ABSTIME", 1 << 100) == (b"%d" % (1 << 100), b"")


def test_arg_is_the_resolved_text_where_there_is_one():
    """evt.arg shows the resolved text, else the raw one."""
    event = make_event("openat", params={"fd": 3, "dirfd": -100, "name": "/x"}, fd_name="/x")

    assert [arg_text(event, index) for index in range(3)] == [b"<f>/x", b"AT_FDCWD", b"/x"]


def test_args_name_every_parameter():
    """evt.args shows all parameters with both texts, a blank behind each."""
    event = make_event("kill", params={"res": 0, "pid": 1000, "sig": 15})

    assert args_text(event) == b"res=0 pid=1000(cat) sig=15(SIGTERM) "


def test_args_of_a_relative_open():
    """A relative path is resolved by its directory descriptor."""
    event = make_event(
        "openat", params={"fd": -2, "dirfd": -100, "name": "shadow", "flags": 1, "mode": 0}
    )

    assert args_text(event) == (
        b"fd=-2(ENOENT) dirfd=-100(AT_FDCWD) name=shadow(/root/shadow) flags=1(O_RDONLY) mode=0 "
        b"dev=<NA> ino=<NA> "
    )


def test_generic_events_have_no_args():
    """The parameters of a generic event only say which call it was."""
    event = make_event("PPME_GENERIC_X", params={"ID": 1, "nativeID": 2})

    assert args_text(event) == b""
    assert arg_text(event, 1) == b"2"


def test_names_of_numbers_nobody_named():
    """A number without a name gives no name."""
    assert errno_name(4000) == b""
    assert signal_name(0) == b""
    assert signal_name(31) == b"SIGSYS"
    assert errno_name(95) == b"EOPNOTSUPP"


def test_dots_keep_the_length():
    """Every byte is one character, printable ones themselves."""
    assert len(dots(bytes(range(256)))) == 256
    assert dots(b"a~ \x7f\x80") == b"a~ .."
