"""What fields of descriptors say of events built for the purpose."""

import pytest

from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.host import Host, Interface
from exporter.events.params import PollFd
from exporter.rules.fields.catalogue import find_field
from tests.factories import make_event, make_thread
from tests.rules.fields.reading import read

SOCKET = {
    "fd.name": b"10.0.0.1:5->8.8.8.8:53",
    "fd.type": b"ipv4",
    "fd.typechar": b"4",
    "fd.sockfamily": b"ip",
    "fd.l4proto": b"udp",
    "fd.cip": b"\x0a\0\0\1",
    "fd.sip": b"\x08\x08\x08\x08",
    "fd.lip": b"\x0a\0\0\1",
    "fd.rip": b"\x08\x08\x08\x08",
    "fd.cport": 5,
    "fd.sport": 53,
    "fd.lport": 5,
    "fd.rport": 53,
    "fd.sproto": b"53",
    "fd.cproto": b"5",
    "fd.is_server": False,
    "fd.directory": None,
    "fd.filename": None,
    "fd.num": 3,
    "fd.uid": b"10003",
    "fd.containername": b":10.0.0.1:5->8.8.8.8:53",
    "fd.connected": False,
    "fd.name_changed": False,
}


@pytest.mark.parametrize("text", SOCKET)
def test_socket_fields(text):
    """A client's UDP connection from this machine."""
    host = Host(interfaces=[Interface(name=b"eth0", address=b"\x0a\0\0\1", netmask=b"")])
    fd = Fd(
        type=FdType.IPV4,
        name=b"10.0.0.1:5->8.8.8.8:53",
        sip=b"\x0a\0\0\1",
        sport=5,
        dip=b"\x08\x08\x08\x08",
        dport=53,
        l4=L4Proto.UDP,
        role=Role.CLIENT,
    )

    assert SOCKET[text] == read(text, make_event("connect", fd=fd, host=host))


def test_sockets_without_a_role_have_no_ends():
    """Client, server, local and remote are missing until the role is known."""
    fd = Fd(type=FdType.IPV4, sip=b"\1\1\1\1", dip=b"\2\2\2\2", l4=L4Proto.TCP)
    event = make_event("connect", fd=fd)

    for name in ("fd.cip", "fd.sip", "fd.lport", "fd.rip"):
        assert read(name, event) is None
    assert read("fd.l4proto", event) == b"<NA>"


def test_listening_sockets_are_servers():
    """A bound socket's server end is its own address; it has no client."""
    fd = Fd(type=FdType.IPV4_LISTEN, sip=b"\0\0\0\0", sport=80, role=Role.SERVER, l4=L4Proto.TCP)
    event = make_event("listen", fd=fd)

    assert read("fd.sport", event) == 80
    assert read("fd.sip", event) == b"\0\0\0\0"
    assert read("fd.cport", event) is None
    assert read("fd.is_server", event) is True
    assert read("fd.l4proto", event) == b"tcp"


@pytest.mark.parametrize(
    ("event_name", "params", "expected"),
    [
        (
            "openat",
            {"fd": -2, "dirfd": -100, "name": "a/../b"},
            ("/root/b", "f", "a/../b", "/root"),
        ),
        ("openat", {"fd": -2, "dirfd": -100, "name": "/x//y"}, ("/x/y", "f", "/x/y", "/x")),
        ("open", {"fd": -2, "name": "/x"}, ("/x", "o", "/x", "/")),
    ],
)
def test_failed_opens_name_the_path_of_the_call(event_name, params, expected):
    """Without an entry the name is computed, the number is -1 and the type missing."""
    event = make_event(event_name, params=params)
    names = ("fd.name", "fd.typechar", "fd.nameraw", "fd.directory")

    assert expected == tuple(read(name, event).decode() for name in names)
    assert read("fd.num", event) == -1
    assert read("fd.type", event) is None
    assert read("fd.filename", event) is None


def test_descriptor_fields_need_a_descriptor_event():
    """Events that use no descriptor have none, whatever is attached."""
    event = make_event("execve", fd_name="/x")

    for name in ("fd.name", "fd.num", "fd.typechar", "fd.directory"):
        assert read(name, event) is None


@pytest.mark.parametrize(
    ("path", "kind", "directory", "filename"),
    [
        ("/etc/shadow", FdType.FILE_V2, b"/etc", b"shadow"),
        ("/shadow", FdType.FILE_V2, b"/", b"shadow"),
        ("/", FdType.FILE_V2, b"/", b"/"),
        ("noslash", FdType.FILE_V2, b"/", b"/"),
        ("/etc", FdType.DIRECTORY, b"/etc", None),
        ("/etc/x", FdType.PIPE, None, None),
    ],
)
def test_directory_and_file_name(path, kind, directory, filename):
    """The parts of a path before and after its last slash, for files."""
    event = make_event("openat", fd_name=path, fd_type=kind)

    assert (directory, filename) == (read("fd.directory", event), read("fd.filename", event))


def test_poll_lists():
    """Numbers and names of the polled descriptors."""
    thread = make_thread("x", fds={3: Fd(type=FdType.FILE_V2, name=b"/x")})
    event = make_event("poll", proc=thread, params={"res": 1, "fds": (PollFd(3, 1), PollFd(9, 1))})

    assert read("fdlist.nums", event) == b"3,9"
    assert read("fdlist.names", event) == b"/x,<NA>"


def test_failed_connects_name_their_ends():
    """A connect that failed shows the tuple of the event, not the name of the socket."""
    fd = Fd(type=FdType.IPV4, name=b"old", role=Role.CLIENT)
    failed = make_event("connect", fd=fd, fd_num=3, params={"res": -111, "fd": 3})
    failed.error_code = 111
    fine = make_event("connect", fd=fd, fd_num=3, params={"res": 0, "fd": 3})

    assert (read("fd.name", failed), read("fd.name", fine)) == (b"NULL", b"old")


def test_descriptors_nothing_is_known_of():
    """The name is empty and the directory its root; nothing else is there."""
    event = make_event("read", fd=None, fd_num=7, params={"res": 1, "fd": 7})

    names = ("fd.name", "fd.directory", "fd.num", "fd.typechar", "fd.type", "fd.filename")
    assert tuple(read(name, event) for name in names) == (b"", b"/", 7, b"o", None, None)


def test_sockets_without_an_address_have_the_one_of_zeros():
    """`fd.ip != x` is true of a new socket, and the loopback network of IPv6 holds `::`."""
    lo = Interface(name=b"lo", address=bytes(15) + b"\1", netmask=b"\xff" * 16)
    host = Host(interfaces=[lo])
    new4 = make_event("socket", fd=Fd(type=FdType.IPV4), fd_num=3, host=host)
    new6 = make_event("socket", fd=Fd(type=FdType.IPV6, role=Role.CLIENT), fd_num=3, host=host)
    use = find_field("fd.ip", None, "syscall")
    assert use is not None
    assert use.each is not None

    assert use.each(new4) == (bytes(4), bytes(4))
    assert read("fd.cip", new4) is None
    assert (read("fd.cip", new6), read("fd.sip", new6)) == (bytes(16), bytes(16))
    assert (read("fd.is_server", new4), read("fd.is_server", new6)) == (False, True)


def test_calls_without_a_socket_are_named_by_their_tuple():
    """A failed accept and a connect on an unknown descriptor show the tuple's text."""
    failed = make_event("accept4", params={"fd": -11, "tuple": None})

    assert (read("fd.name", failed), read("fd.directory", failed)) == (b"NULL", b"/")
    assert read("fd.nameraw", failed) == b"NULL"
    assert read("fd.typechar", failed) == b"4"


def test_types_of_descriptors_belong_to_events_with_one():
    """fd.types, as all fields of the class, is missing in events without a descriptor."""
    thread = make_thread("x", fds={3: Fd(type=FdType.FILE_V2)})

    assert read("fd.types", make_event("kill", proc=thread, params={"res": 0})) is None
    assert read("fd.types[3]", make_event("kill", proc=thread, params={"res": 0})) is None


def test_ports_as_text_are_empty_where_a_role_is_all_there_is():
    """Listening sockets have a role but no such text: it is empty, not missing."""
    server = Fd(type=FdType.IPV4_LISTEN, dip=bytes(4), dport=22, role=Role.SERVER)
    bound = make_event("bind", params={"res": 0}, fd=server)
    fresh = make_event("bind", params={"res": -1}, fd=Fd(type=FdType.IPV4))

    assert (read("fd.cproto", bound), read("fd.sproto", bound)) == (b"", b"")
    assert (read("fd.cproto", fresh), read("fd.sproto", fresh)) == (None, None)
