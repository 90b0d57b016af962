"""Descriptors of captures: files, copies, sockets (state-tracking.md sections 6 and 7)."""

import pytest

from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.host import Host
from exporter.events.params import SocketAddress, SocketTuple
from exporter.events.thread import Thread, ThreadFlags
from exporter.state.state import State

A = b"\x0a\0\0\x01"
B = b"\x0a\0\0\x02"
A6 = bytes(15) + b"\x01"
B6 = bytes(15) + b"\x02"
TCP = {"type": 1, "proto": 6, "flags": 0}
UDP = {"type": 2, "proto": 0, "flags": 0}


@pytest.fixture
def process(captured):
    """A process 10 in /home/u."""
    captured.execve(10)
    captured.thread(10).cwd = b"/home/u/"
    return captured


def fds(feeder):
    return feeder.thread(10).fds


@pytest.mark.parametrize(
    ("name", "params", "path", "kind"),
    [
        ("open", {"name": b"f", "flags": 1, "dev": 5, "ino": 6}, b"/home/u/f", FdType.FILE_V2),
        ("openat", {"dirfd": -100, "name": b"../f", "flags": 3, "dev": 5, "ino": 6}, b"/home/f",
         FdType.FILE_V2),
        ("openat", {"dirfd": 77, "name": b"f", "flags": 1, "dev": 5, "ino": 6}, b"<UNKNOWN>f",
         FdType.FILE_V2),
        ("openat2", {"dirfd": -100, "name": b"/e", "flags": 1025, "dev": 5, "ino": 6}, b"/e",
         FdType.DIRECTORY),
        ("creat", {"name": b"f", "dev": 5, "ino": 6}, b"/home/u/f", FdType.FILE_V2),
        ("open_by_handle_at", {"path": b"/p", "flags": 1, "dev": 5, "ino": 6}, b"/p",
         FdType.FILE_V2),
    ],
)  # fmt: skip
def test_opens(process, name, params, path, kind):
    """Each open names its file and tells device and inode."""
    event = process(name, 10, fd=3, **params)

    assert (event.fd.name, event.fd.type, event.fd_num) == (path, kind, 3)
    assert (event.fd.dev, event.fd.ino) == (5, 6)
    assert event.fd_name_changed
    assert fds(process)[3] is event.fd


def test_an_empty_path_is_not_an_unreadable_one(process):
    """An empty argument is the empty path; one that could not be read is `<NA>`."""
    assert process("openat", 10, fd=3, dirfd=-100, name=b"", flags=1).fd.name == b""
    assert process("openat", 10, fd=3, dirfd=-100, flags=1).fd.name == b"/home/u/<NA>"


def test_a_failed_open_has_no_descriptor(process):
    """Number -1, no entry, the error code."""
    event = process("openat", 10, fd=-13, dirfd=-100, name=b"f", flags=1)

    assert (event.fd, event.fd_num, event.error_code) == (None, -1, 13)


def test_layers_come_from_flag_bits(process):
    """Upper and lower overlay layers, of opens and of creat."""
    upper = process("openat", 10, fd=3, dirfd=-100, name=b"/f", flags=1 | 32768).fd
    lower = process("creat", 10, fd=4, name=b"/f", creat_flags=2).fd

    assert (upper.is_upper_layer, upper.is_lower_layer) == (True, False)
    assert (lower.is_upper_layer, lower.is_lower_layer) == (False, True)


def test_arguments_at_entry_win(process):
    """A path changed by another thread during the call does not fool the rules."""
    process("PPME_SYSCALL_OPENAT_2_E", 10, dirfd=-100, name=b"/real", flags=2)
    event = process("openat", 10, fd=3, dirfd=-100, name=b"/fake", flags=1 | 16384)
    assert (event.fd.name, event.fd.name_raw) == (b"/real", b"/real")
    assert event.fd.openflags == 2 | 16384
    again = process("openat", 10, fd=4, dirfd=-100, name=b"/other", flags=1)

    assert again.fd.name == b"/other"


def test_rules_see_what_a_close_closes(process):
    """The entry goes after the rules have seen the event; a failed close keeps it."""
    process("openat", 10, fd=3, dirfd=-100, name=b"/f", flags=1)
    process("close", 10, res=-9, fd=3)
    assert 3 in fds(process)
    event = process.seen("close", 10, res=0, fd=3)
    assert event.fd.name == b"/f"
    process.state.after(event)

    assert 3 not in fds(process)


def test_copies(process):
    """dup, dup3 and fcntl copy the entry with their own close-on-exec mark."""
    process("openat", 10, fd=3, dirfd=-100, name=b"/f", flags=1 | 4096)
    event = process("dup", 10, res=4, oldfd=3)
    assert (event.fd_num, event.fd.name, event.fd.is_cloexec) == (4, b"/f", False)
    assert process("dup3", 10, res=5, oldfd=3, newfd=5, flags=4096).fd.is_cloexec
    assert process("fcntl", 10, res=6, fd=3, cmd=26).fd.is_cloexec
    process("fcntl", 10, res=0, fd=3, cmd=3, arg=0)

    assert not fds(process)[3].is_cloexec
    assert set(fds(process)) == {3, 4, 5, 6}


def test_close_range(process):
    """A range is closed, or marked."""
    for number in (3, 4, 5):
        process("openat", 10, fd=number, dirfd=-100, name=b"/f", flags=1)
    process("close_range", 10, res=0, first=5, last=9, flags=4)
    assert fds(process)[5].is_cloexec
    process("close_range", 10, res=0, first=3, last=4, flags=0)

    assert set(fds(process)) == {5}


@pytest.mark.parametrize(
    ("name", "params", "kind"),
    [
        ("eventfd2", {"flags": 4096}, FdType.EVENT),
        ("signalfd4", {"flags": 4096}, FdType.SIGNALFD),
        ("inotify_init1", {"flags": 4096}, FdType.INOTIFY),
        ("epoll_create1", {"flags": 1}, FdType.EVENTPOLL),
        ("memfd_create", {"flags": 1, "name": b"x"}, FdType.MEMFD),
        ("pidfd_open", {"pid": 5}, FdType.PIDFD),
        ("userfaultfd", {"flags": 0o2000000}, FdType.USERFAULTFD),
    ],
)
def test_other_descriptors(process, name, params, kind):
    """Each call makes its kind of descriptor with its close-on-exec mark."""
    first = "fd" if name in {"memfd_create", "pidfd_open"} else "res"
    event = process(name, 10, **{first: 8}, **params)

    assert (event.fd.type, event.fd.is_cloexec) == (kind, True)


def test_pipes_have_both_ends(process):
    """pipe makes two descriptors of one inode; copying them onto 0 and 1 marks the thread."""
    process("pipe", 10, res=0, fd1=3, fd2=4, ino=99)
    assert {fds(process)[n].ino for n in (3, 4)} == {99}
    process("dup2", 10, res=1, oldfd=4, newfd=1)

    assert process.thread(10).flags & (1 << 21)


@pytest.mark.parametrize(
    ("arguments", "l4"),
    [
        (TCP, L4Proto.TCP),
        ({"type": 1, "proto": 0}, L4Proto.TCP),
        ({"type": 2 | 0o2000000, "proto": 0}, L4Proto.UDP),
        ({"type": 2, "proto": 1}, L4Proto.ICMP),
        ({"type": 3, "proto": 6}, L4Proto.RAW),
    ],
)
def test_transport_of_a_socket(process, arguments, l4):
    """Protocol first, kind for protocol 0, raw sockets are raw."""
    event = process("socket", 10, fd=3, domain=2, **arguments)

    assert (event.fd.type, event.fd.l4, event.fd.name) == (FdType.IPV4, l4, b"")


def test_a_client(process):
    """connect names the socket and makes the caller the client."""
    process("socket", 10, fd=3, domain=2, **TCP)
    event = process("connect", 10, res=-115, fd=3, tuple=SocketTuple(2, A, 999, B, 80))
    fd = event.fd

    assert fd.name == b"10.0.0.1:999->10.0.0.2:80"
    assert (fd.role, fd.is_connected, fd.l4) == (Role.CLIENT, True, L4Proto.TCP)
    assert (fd.sip, fd.sport, fd.dip, fd.dport) == (A, 999, B, 80)
    assert event.fd_name_changed


def test_a_failed_connect_changes_nothing(process):
    """Only success and EINPROGRESS count."""
    process("socket", 10, fd=3, domain=2, **TCP)
    fd = process("connect", 10, res=-111, fd=3, tuple=SocketTuple(2, A, 1, B, 2)).fd

    assert (fd.name, fd.role, fd.is_connected) == (b"", Role.NONE, False)


def test_connect_takes_the_address_seen_at_entry(process):
    """The destination at entry counts when the tuple's came from the caller's memory."""
    process("socket", 10, fd=3, domain=2, **TCP)
    process("PPME_SOCKET_CONNECT_E", 10, fd=3, addr=SocketAddress(2, B, 80))
    event = process(
        "connect", 10, res=0, fd=3, tuple=SocketTuple(2, A, 9, A, 1), addr=SocketAddress(2, A, 1)
    )

    assert event.fd.name == b"10.0.0.1:9->10.0.0.2:80"


def test_a_server(process):
    """bind with a port makes a listener; accept makes connections whose server is the caller."""
    process("socket", 10, fd=3, domain=2, **TCP)
    process("bind", 10, res=0, fd=3, addr=SocketAddress(2, bytes(4), 80))
    listener = fds(process)[3]
    event = process("accept4", 10, fd=4, tuple=SocketTuple(2, B, 999, A, 80))

    assert (listener.type, listener.role, listener.name) == (
        FdType.IPV4_LISTEN, Role.SERVER, b"0.0.0.0:80",
    )  # fmt: skip
    assert (event.fd.name, event.fd.role, event.fd.l4) == (
        b"10.0.0.2:999->10.0.0.1:80", Role.SERVER, L4Proto.TCP,
    )  # fmt: skip


def test_bind_without_a_port_names_only(process):
    """Port 0 leaves kind and role."""
    process("socket", 10, fd=3, domain=10, **TCP)
    process("bind", 10, res=0, fd=3, addr=SocketAddress(10, bytes(16), 0))
    fd = fds(process)[3]

    assert (fd.type, fd.role, fd.name) == (FdType.IPV6, Role.NONE, b":::0")


def test_mapped_addresses_are_ipv4(process):
    """A v6 socket that talks IPv4 becomes an IPv4 descriptor."""
    mapped = bytes(10) + b"\xff\xff"
    process("socket", 10, fd=3, domain=10, **TCP)
    tuple_ = SocketTuple(10, mapped + A, 1, mapped + B, 2)
    fd = process("connect", 10, res=0, fd=3, tuple=tuple_).fd

    assert (fd.type, fd.name, fd.sip) == (FdType.IPV4, b"10.0.0.1:1->10.0.0.2:2", A)


def test_unix_sockets(process):
    """connect and accept on unix sockets show both kernel addresses and the path."""
    process("socket", 10, fd=3, domain=1, type=1, proto=0)
    tuple_ = SocketTuple(1, unix_source=0xAB, unix_dest=0xCD, path=b"/run/docker.sock")
    fd = process("connect", 10, res=0, fd=3, tuple=tuple_).fd

    assert (fd.type, fd.name, fd.role) == (
        FdType.UNIX, b"ab->cd /run/docker.sock", Role.CLIENT,
    )  # fmt: skip


def test_datagrams_name_their_socket(process):
    """The first datagram sent makes a client, the first received a server."""
    process("socket", 10, fd=3, domain=2, **UDP)
    process("socket", 10, fd=4, domain=2, **UDP)
    sent = process("sendto", 10, res=5, fd=3, size=5, tuple=SocketTuple(2, A, 999, B, 53)).fd
    got = process("recvfrom", 10, res=5, fd=4, size=5, tuple=SocketTuple(2, B, 999, A, 53)).fd

    assert (sent.name, sent.role) == (b"10.0.0.1:999->10.0.0.2:53", Role.CLIENT)
    assert (got.name, got.role) == (b"10.0.0.2:999->10.0.0.1:53", Role.SERVER)


def test_answers_do_not_turn_a_connection_round(process):
    """The server's answer has the ends the other way round; the entry keeps client first."""
    process("socket", 10, fd=4, domain=2, **UDP)
    process("recvfrom", 10, res=5, fd=4, size=5, tuple=SocketTuple(2, B, 999, A, 53))
    fd = process("sendto", 10, res=5, fd=4, size=5, tuple=SocketTuple(2, A, 53, B, 999)).fd

    assert (fd.name, fd.role) == (b"10.0.0.2:999->10.0.0.1:53", Role.SERVER)


def test_traffic_on_an_unknown_socket(process):
    """A datagram on a socket made before the capture makes an entry; a failed one does not."""
    process("sendto", 10, res=-11, fd=8, size=5, tuple=SocketTuple(2, A, 9, B, 53))
    assert 8 not in fds(process)
    fd = process("sendto", 10, res=5, fd=9, size=5, tuple=SocketTuple(10, A6, 9, A6, 53)).fd

    assert (fd.type, fd.l4, fd.role) == (FdType.IPV6, L4Proto.UDP, Role.CLIENT)


def test_socketpair(process):
    """Both ends know each other's kernel address."""
    process("socketpair", 10, res=0, fd1=3, fd2=4, source=0x1, peer=0x2)

    assert {fds(process)[n].type for n in (3, 4)} == {FdType.UNIX}


def test_traffic_connects(process):
    """A read that succeeds shows that an ip socket is connected."""
    process("socket", 10, fd=3, domain=2, **TCP)
    assert not process("read", 10, res=-11, fd=3).fd.is_connected
    assert process("read", 10, res=1, fd=3).fd.is_connected


def test_unknown_descriptors_are_counted(process):
    """An event on a descriptor nobody knows has its number and no entry."""
    event = process("read", 10, res=1, fd=55)

    assert (event.fd, event.fd_num) == (None, 55)
    assert process.state.counters.fd_unknown == 1


def test_unix_traffic_names_both_ends(process):
    """A unix socket is named by the tuple of its last datagram, not by the path alone."""
    process("socket", 10, fd=3, domain=1, type=2, proto=0, flags=0)

    fd = process(
        "sendto", 10, res=5, fd=3, size=5,
        tuple=SocketTuple(1, unix_source=0xA, unix_dest=0xB, path=b"/dev/log"),
    ).fd  # fmt: skip

    assert (fd.name, fd.unix_source, fd.unix_dest) == (b"a->b /dev/log", 10, 11)
    assert not fd.is_connected


def test_the_first_ipv6_datagram_makes_a_client(process):
    """IPv4 peers that speak first are clients of ours; with IPv6 we are theirs (a quirk)."""
    process("socket", 10, fd=3, domain=10, type=2, proto=0, flags=0)

    fd = process("recvfrom", 10, res=5, fd=3, size=5, tuple=SocketTuple(10, B6, 999, A6, 53)).fd

    assert (fd.role, fd.sip, fd.sport, fd.dip, fd.dport) == (Role.CLIENT, A6, 53, B6, 999)


def test_what_is_received_on_an_unknown_socket_makes_none(process):
    """Only what is sent shows a socket nobody was seen to make."""
    event = process("recvfrom", 10, res=5, fd=9, size=5, tuple=SocketTuple(2, A, 9, B, 53))

    assert (event.fd, event.fd_num, fds(process)) == (None, 9, {})


def test_processes_only_known_by_events_have_descriptors(captured):
    """A tid that no list and no clone told of keeps a table of its own, which close empties."""
    captured("socket", 77, fd=3, domain=2, type=1, proto=6, flags=0)

    assert captured("read", 77, res=1, fd=3, size=1).fd.type == FdType.IPV4
    captured("close", 77, res=0, fd=3)
    assert captured.thread(77).fds == {}


def test_threads_of_an_unknown_leader_have_none(captured):
    """A thread that shares the descriptors of a leader nobody knows of finds nothing."""
    captured("socket", 77, fd=3, domain=2, type=1, proto=6, flags=0)
    captured.thread(77).pid = 70
    captured.thread(77).flags = 1

    assert captured("read", 77, res=1, fd=3, size=1).fd is None


def test_a_failed_memfd_shows_its_error_as_number(process):
    """memfd_create alone does so."""
    event = process("memfd_create", 10, fd=-22, name=b"x", flags=0)

    assert (event.fd_num, event.fd.type, event.fd.name) == (-22, FdType.UNKNOWN, b"")


def test_listed_files_were_asked_for_by_their_name():
    """What a capture lists has its name as the path that was passed, too."""
    host = Host()
    host.threads[10] = Thread(tid=10, pid=10)
    host.threads[10].fds = {
        0: Fd(type=FdType.FILE_V2, name=b"/dev/tty"),
        1: Fd(type=FdType.IPV4, sip=A, dip=B, sport=1, dport=2),
    }
    State(host, keep_fds=True).imported()

    assert [fd.name_raw for fd in host.threads[10].fds.values()] == [b"/dev/tty", b""]


def test_a_copy_onto_standard_streams_marks_the_thread(process):
    """dup2 onto 0 or 1 marks an end of a shell pipe, whatever the descriptor is."""
    process("dup2", 10, res=1, oldfd=77, newfd=1)

    assert process.thread(10).flags & ThreadFlags.PIPE_SRC
    assert not process.thread(10).flags & ThreadFlags.PIPE_DST


def test_an_accepted_socket_without_addresses_has_a_number(process):
    """The new descriptor is the event's even when nothing else is known of it."""
    event = process("accept", 10, fd=9)

    assert (event.fd, event.fd_num) == (None, 9)


def test_a_socketpair_of_unread_numbers_makes_nothing(process):
    """Two equal numbers are no descriptors."""
    process("socketpair", 10, res=0, fd1=7, fd2=7, source=1, peer=2)

    assert 7 not in fds(process)


def test_a_failed_pidfd_shows_its_error_as_number(process):
    """As with memfd_create, the failed call shows a descriptor of no kind."""
    event = process("pidfd_open", 10, fd=-3, pid=5, flags=0)

    assert (event.fd_num, event.fd.type, event.fd.name) == (-3, FdType.UNKNOWN, b"")


def test_the_address_of_zeros_counts_as_mapped(process):
    """A socket bound to [::] is an IPv4 server of 0.0.0.0; its name stays as it was given."""
    process("socket", 10, fd=3, domain=10, **TCP)
    event = process("bind", 10, res=0, fd=3, addr=SocketAddress(10, bytes(16), 8080))

    assert (event.fd.type, event.fd.dip) == (FdType.IPV4_LISTEN, bytes(4))
    assert event.fd.name == b":::8080"


def test_an_address_at_entry_alone_makes_no_client(process):
    """A connect whose addresses the kernel did not tell knows where it goes, but no local end."""
    process("socket", 10, fd=3, domain=2, **TCP)
    process("PPME_SOCKET_CONNECT_E", 10, fd=3, addr=SocketAddress(2, B, 80))
    event = process("connect", 10, res=0, fd=3, tuple=None)

    assert (event.fd.dip, event.fd.dport, event.fd.is_connected) == (B, 80, True)
    assert (event.fd.role, event.fd.name) == (Role.NONE, b"")
