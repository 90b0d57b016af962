"""Live datagram sockets: role, name and connection are those of a descriptor that was followed."""

from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.params import SocketTuple
from exporter.state.talks import MAX_SOCKETS, Talks
from tests.live_contexts import make_live

HERE, A, B = b"\x0a\0\0\x01", b"\x0a\0\0\x02", b"\x0a\0\0\x03"
IN, OUT = ("recvfrom", False), ("sendto", True)


def bound(ino=9) -> Fd:
    """A socket that waits on a port, as the probe reads it."""
    return Fd(type=FdType.IPV4_LISTEN, l4=L4Proto.UDP, sip=HERE, sport=53, ino=ino)


def free(ino=9) -> Fd:
    """A socket that never chose a port."""
    return Fd(type=FdType.IPV4, l4=L4Proto.UDP, sip=bytes(4), sport=4000, dip=bytes(4), ino=ino)


def transfer(fed, fd, kind, peer, *, port=40000, res=5):
    """One datagram with a peer, and what rules see of the descriptor."""
    name, is_sent = kind
    ends = (HERE, fd.sport, peer, port) if is_sent else (peer, port, HERE, fd.sport)
    pair = SocketTuple(2, *ends) if res >= 0 else None
    event = fed(name, 50, live=make_live(50, fds={7: fd}), res=res, fd=7, tuple=pair)
    return event.fd.is_connected, event.fd_name_changed, event.fd


def told(seen):
    return seen[:2]


def test_the_first_datagram_of_a_server_shows_no_connection(fed, proc):
    """Later ones do, and the name changes with the peer alone; whichever way they go."""
    proc.add(50)
    fed.state.scan()
    assert told(transfer(fed, bound(), IN, A)) == (False, True)
    assert told(transfer(fed, bound(), OUT, A)) == (True, False)
    assert told(transfer(fed, bound(), IN, A)) == (True, False)
    _, _, fd = seen = transfer(fed, bound(), IN, B)
    assert told(seen) == (True, True)
    assert (fd.role, fd.name) == (Role.SERVER, b"10.0.0.3:40000->10.0.0.1:53")
    assert told(transfer(fed, bound(ino=10), OUT, A)) == (False, True)


def test_what_failed_is_not_remembered(fed, proc):
    """The datagram after it is the first."""
    proc.add(50)
    fed.state.scan()
    assert told(transfer(fed, bound(), IN, A, res=-11)) == (False, False)
    assert told(transfer(fed, bound(), IN, A)) == (False, True)


def test_a_client_stays_one(fed, proc):
    """Who speaks first is the client, also when the answer comes."""
    proc.add(50)
    fed.state.scan()
    assert told(transfer(fed, free(), OUT, A, port=53)) == (True, True)
    _, _, fd = seen = transfer(fed, free(), IN, A, port=53)
    assert told(seen) == (True, False)
    assert (fd.role, fd.sip, fd.dip, fd.dport) == (Role.CLIENT, HERE, A, 53)


def test_streams_are_not_remembered(fed, proc):
    """The kernel knows both ends of a TCP connection."""
    proc.add(50)
    fed.state.scan()
    fd = Fd(type=FdType.IPV4, l4=L4Proto.TCP, sip=HERE, sport=4000, dip=A, dport=80, ino=9)
    assert told(transfer(fed, fd, OUT, A, port=80)) == (True, False)
    assert len(fed.state.tables.talks) == 0


def test_the_memory_is_bounded():
    """The socket that was silent longest is forgotten."""
    talks = Talks()
    for ino in range(1, MAX_SOCKETS + 1):
        talks.note(free(ino))
    talks.note(free(1))
    talks.note(free(MAX_SOCKETS + 1))
    assert len(talks) == MAX_SOCKETS
    assert talks.find(free(1)) is not None
    assert talks.find(free(2)) is None


def test_sockets_without_a_number_are_not_remembered():
    """One that nobody can tell from others is new each time."""
    talks = Talks()
    talks.note(free(0))
    assert len(talks) == 0
