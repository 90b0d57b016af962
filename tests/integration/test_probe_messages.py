"""Calls that carry several messages or descriptors at once; how much of the data is shown."""

from pathlib import Path

import pytest

from exporter.events.params import PollFd
from exporter.events.table import load_event_table
from exporter.sources.probe.options import MAX_SNAPLEN
from tests.integration.probe_rig import Rig, of, only

TRUNCATED_ARGS = 1
POLL = dict(load_event_table().value_tables["poll_flags"])
MESSAGES = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
keep = []
def at(data):
    keep.append(ctypes.create_string_buffer(bytes(data), max(len(data), 1)))
    return ctypes.addressof(keep[-1])
def message(pieces, name=b"", control=b""):
    vector = at(b"".join(struct.pack("<QQ", at(p), len(p)) for p in pieces))
    return struct.pack(
        "<QIIQQQQIIII", at(name), len(name), 0, vector, len(pieces), at(control), len(control),
        0, 0, 0, 0,
    )
def address(sock):
    host, port = sock.getsockname()
    return struct.pack("<H", 2) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)
def transfer(call, fd, *messages):
    return call(fd, ctypes.c_void_p(at(b"".join(messages))), len(messages), 0, None)
def udp(host):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock
a, b, c = udp("127.0.0.1"), udp("127.0.0.2"), udp("127.0.0.3")
out["fds"] = [s.fileno() for s in (a, b, c)]
out["ports"] = [s.getsockname()[1] for s in (a, b, c)]
"""


@pytest.fixture(scope="module")
def rig():
    rig = Rig(syscalls=frozenset({"sendmmsg", "recvmmsg", "poll", "ppoll"}), ring_bytes=4 << 20)
    yield rig
    rig.close()


def ends_of(event):
    ends = event.named_param("tuple")
    return ends.sip[-1], ends.sport, ends.dip[-1], ends.dport


def told(event):
    return tuple(event.named_param(name) for name in ("res", "size", "data", "fd"))


def test_every_message_has_an_event(rig):
    """Sent and received ones: bytes, first data, and ends of each; the socket's facts with all."""
    pid, out, events = rig.run(
        MESSAGES
        + """
out["sent"] = transfer(
    libc.sendmmsg, a.fileno(), message([b"one", b"!"], address(b)),
    message([b"x" * 200], address(c)), message([], address(b)),
)
room = [bytes(300)]
out["got"] = transfer(
    libc.recvmmsg, b.fileno(), message(room, bytes(16)), message([bytes(1), bytes(9)], bytes(16)),
)
        """
    )
    (a, b, c), (fa, fb, _) = out["ports"], out["fds"]

    assert (out["sent"], out["got"]) == (3, 2)
    sent, received = of(events, "sendmmsg", pid), of(events, "recvmmsg", pid)
    assert [told(event) for event in sent] == [
        (4, 4, b"one!", fa),
        (200, 200, b"x" * 80, fa),
        (0, 0, None, fa),
    ]
    assert [ends_of(event) for event in sent] == [(1, a, 2, b), (1, a, 3, c), (1, a, 2, b)]
    assert [told(event) for event in received] == [(4, 4, b"one!", fb), (0, 0, None, fb)]
    assert [ends_of(event) for event in received] == [(1, a, 2, b)] * 2
    assert {event.live.fds[fa].sport for event in sent} == {a}
    assert {event.live.fds[fb].sport for event in received} == {b}
    assert len({event.kernel_ts_ns for event in (*sent, *received)}) == 2


@pytest.mark.parametrize(("count", "is_cut"), [(1, False), (2, False), (16, False), (17, True)])
def test_up_to_sixteen_messages(rig, count, is_cut):
    """More of them in one call count as cut short."""
    before = rig.source.probe.counters()
    pid, out, events = rig.run(
        MESSAGES
        + f"""
out["sent"] = transfer(
    libc.sendmmsg, a.fileno(), *(message([b"%d" % n], address(b)) for n in range({count}))
)
        """
    )
    sent = of(events, "sendmmsg", pid)

    assert out["sent"] == count
    assert [event.named_param("data") for event in sent] == [
        b"%d" % n for n in range(min(count, 16))
    ]
    assert {event.live.truncated for event in sent} == {TRUNCATED_ARGS if is_cut else 0}
    code = sent[0].type.code
    after = rig.source.probe.counters()
    assert after.events[code].submitted - before.events[code].submitted == len(sent)
    assert after.reasons == before.reasons


def test_calls_that_transfer_nothing(rig):
    """One event shows the result, and nothing else."""
    pid, out, events = rig.run(
        MESSAGES
        + """
transfer(libc.sendmmsg, -7, message([b"lost"], address(b)))
transfer(libc.sendmmsg, a.fileno())
libc.recvmmsg(b.fileno(), None, 1, 0x40, None)
        """
    )

    lost, none = of(events, "sendmmsg", pid)
    assert told(lost) == (-9, 0, None, -7)
    assert told(none) == (0, 0, None, out["fds"][0])
    (empty,) = of(events, "recvmmsg", pid)
    assert told(empty)[1:] == (0, None, out["fds"][1])
    assert empty.named_param("res") < 0
    assert {e.named_param("tuple") for e in (lost, none, empty)} == {None}
    assert empty.named_param("msgcontrol") is None


def test_descriptors_passed_with_messages(rig):
    """The ancillary data of each received message is its own."""
    pid, _, events = rig.run(
        MESSAGES
        + """
left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
rights = struct.pack("<QIIi", 20, 1, 1, a.fileno())
transfer(libc.sendmmsg, left.fileno(), message([b"1"]), message([b"2"], control=rights))
transfer(
    libc.recvmmsg, right.fileno(), message([bytes(9)], control=bytes(64)),
    message([bytes(9)], control=bytes(64)),
)
        """
    )

    first, second = of(events, "recvmmsg", pid)
    assert (first.named_param("data"), second.named_param("data")) == (b"1", b"2")
    assert first.named_param("msgcontrol") is None
    assert second.named_param("msgcontrol")[8:16] == (1).to_bytes(4, "little") * 2
    assert {fd.type.name for fd in second.live.fds.values()} == {"UNIX"}


POLLS = """
import ctypes, select
libc = ctypes.CDLL(None)
class Polled(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("found", ctypes.c_short)]
class Time(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]
read, write = out["pipe"] = os.pipe()
def polled(*asked):
    return (Polled * len(asked))(*(Polled(fd, events, 0) for fd, events in asked))
"""


def test_what_polls_have_found(rig):
    """The descriptors asked for with what was found of each, time limit and signal mask."""
    pid, out, events = rig.run(
        POLLS
        + """
asked = (read, 1), (write, 4), (-1, 1), (999, 1)
libc.poll(polled(*asked), 4, -1)
mask = ctypes.c_ulong(1 << 9 | 1 << 40)
libc.ppoll(polled(*asked), 4, ctypes.byref(Time(3, 7)), ctypes.byref(mask))
libc.ppoll(polled((write, 4)), 1, None, None)
libc.poll(None, 0, 5)
libc.poll(ctypes.c_void_p(16), 3, 5)
        """
    )
    read, write = out["pipe"]
    found = (
        PollFd(read, 0),
        PollFd(write, POLL["POLLOUT"]),
        PollFd(-1, 0),
        PollFd(999, POLL["POLLNVAL"]),
    )

    polls = of(events, "poll", pid)
    assert [e.named_param("fds") for e in polls[-3:]] == [found, (), ()]
    assert [e.named_param("timeout") for e in polls[-3:]] == [-1, 5, 5]
    assert [e.named_param("res") for e in polls[-3:]] == [2, 0, -14]
    timed, plain = of(events, "ppoll", pid)[-2:]
    assert (timed.named_param("res"), timed.named_param("fds")) == (2, found)
    # By then the kernel has put there what is left of the time.
    assert 2_000_000_000 < timed.named_param("timeout") <= 3_000_000_007
    assert timed.named_param("sigmask") == 1 << 9
    assert plain.named_param("fds") == (PollFd(write, POLL["POLLOUT"]),)
    assert (plain.named_param("timeout"), plain.named_param("sigmask")) == (0, 0)
    assert {e.live.truncated for e in polls[-3:]} == {0}


def test_polls_of_many(rig):
    """The first sixteen descriptors are told, and that there were more."""
    pid, out, events = rig.run(POLLS + "libc.poll(polled(*[(write, 4)] * 16), 16, 0)")
    sixteen = of(events, "poll", pid)[-1]
    assert sixteen.named_param("fds") == (PollFd(out["pipe"][1], POLL["POLLOUT"]),) * 16
    assert sixteen.live.truncated == 0

    pid, out, events = rig.run(POLLS + "libc.poll(polled(*[(write, 4)] * 40), 40, 0)")
    forty = of(events, "poll", pid)[-1]
    assert forty.named_param("fds") == (PollFd(out["pipe"][1], POLL["POLLOUT"]),) * 16
    assert (forty.named_param("res"), forty.live.truncated) == (40, TRUNCATED_ARGS)


@pytest.mark.parametrize("snaplen", [0, 3, 1000, MAX_SNAPLEN])
def test_as_many_bytes_as_are_asked_for(snaplen, tmp_path: Path):
    """Whatever the form of the call: never more than the setting, never less than there are."""
    path = tmp_path / "file"
    rig = Rig(
        syscalls=frozenset({"write", "writev", "read", "sendmmsg"}), snaplen=snaplen, procexit=True
    )
    text = bytes(range(256)) * 20
    try:
        pid, _, events = rig.run(
            MESSAGES
            + f"""
text = bytes(range(256)) * 20
fd = 77
os.dup2(os.open({str(path)!r}, os.O_RDWR | os.O_CREAT), fd)
os.write(fd, text)
os.writev(fd, [text[:1], b"", text[1:2000], text[2000:]])
os.lseek(fd, 0, 0)
os.read(fd, 9000)
transfer(libc.sendmmsg, a.fileno(), *[message([text[:7], text[7:]], address(b))] * 2)
            """
        )
    finally:
        rig.close()
    shown = text[:snaplen] or None
    for name in ("write", "writev", "read"):
        assert only(events, name, pid, fd=77).named_param("data") == shown
    assert [e.named_param("data") for e in of(events, "sendmmsg", pid)] == [shown] * 2
    assert {e.named_param("size") for e in of(events, "sendmmsg", pid)} == {len(text)}
