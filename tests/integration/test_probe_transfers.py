"""Reading and writing calls tell how much, the first bytes, and both ends; on the real kernel."""

import pytest

from tests.integration.probe_rig import Rig, of, only

TIMES = 5
CALLS = frozenset({
    "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "sendto",
    "recvfrom", "sendmsg", "recvmsg", "process_vm_readv", "process_vm_writev",
})  # fmt: skip
TEXT = bytes(range(65, 91)) * 8
SHOWN = TEXT[:80]


@pytest.fixture(scope="module")
def rig():
    rig = Rig(syscalls=CALLS, ring_bytes=4 << 20)
    yield rig
    rig.close()


def test_datagrams_to_an_address(rig):
    """sendto on an unconnected socket takes the far end from the address; recvfrom sees it back."""
    pid, out, events = rig.run(
        f"""
        a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(("127.0.0.1", 0))
        b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.bind(("127.0.0.2", 0))
        out["a"], out["b"] = a.getsockname()[1], b.getsockname()[1]
        out["fds"] = [a.fileno(), b.fileno()]
        for _ in range({TIMES}):
            a.sendto({TEXT!r}, b.getsockname())
            b.recvfrom(400)
        """
    )

    sent, received = of(events, "sendto", pid), of(events, "recvfrom", pid)
    assert len(sent) == len(received) == TIMES
    for event in sent:
        assert event.named_param("res") == event.named_param("size") == len(TEXT)
        assert event.named_param("data") == SHOWN
        assert event.named_param("fd") == out["fds"][0]
        ends = event.named_param("tuple")
        assert (ends.sip, ends.sport) == (b"\x7f\0\0\1", out["a"])
        assert (ends.dip, ends.dport) == (b"\x7f\0\0\2", out["b"])
    for event in received:
        assert (event.named_param("res"), event.named_param("size")) == (len(TEXT), 400)
        assert event.named_param("data") == SHOWN
        ends = event.named_param("tuple")
        assert (ends.sip, ends.sport) == (b"\x7f\0\0\1", out["a"])
        assert (ends.dip, ends.dport) == (b"\x7f\0\0\2", out["b"])


def test_messages_in_pieces(rig):
    """sendmsg sums up its pieces and shows their first bytes; recvmsg what arrived."""
    pid, out, events = rig.run(
        f"""
        a = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); a.bind(("::1", 0))
        b = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); b.bind(("::1", 0))
        out["a"], out["b"] = a.getsockname()[1], b.getsockname()[1]
        out["fds"] = [a.fileno(), b.fileno()]
        for _ in range({TIMES}):
            a.sendmsg([b"ab", b"", b"cde", {TEXT!r}], [], 0, b.getsockname())
            b.recvmsg_into([bytearray(3), bytearray(1000)])
        """
    )

    sent, received = of(events, "sendmsg", pid), of(events, "recvmsg", pid)
    assert len(sent) == len(received) == TIMES
    for event in sent:
        assert event.named_param("size") == event.named_param("res") == len(TEXT) + 5
        assert event.named_param("data") == (b"abcde" + TEXT)[:80]
        ends = event.named_param("tuple")
        assert (ends.sport, ends.dport) == (out["a"], out["b"])
        assert ends.dip == bytes(15) + b"\1"
        assert event.live.fds[out["fds"][0]].type.name == "IPV6"
    for event in received:
        assert event.named_param("size") == len(TEXT) + 5
        assert event.named_param("data") == (b"abcde" + TEXT)[:80]
        assert event.named_param("tuple").sport == out["a"]
        assert event.named_param("fd") == out["fds"][1]


def test_descriptors_passed_along(rig):
    """The ancillary data of a received message is told."""
    pid, _, events = rig.run(
        """
        a, b = socket.socketpair()
        socket.send_fds(a, [b"x"], [0])
        socket.recv_fds(b, 10, 1)
        """
    )

    event = only(events, "recvmsg", pid)
    assert event.named_param("data") == b"x"
    control = event.named_param("msgcontrol")
    assert int.from_bytes(control[8:12], "little") == 1  # SOL_SOCKET
    assert int.from_bytes(control[12:16], "little") == 1  # SCM_RIGHTS


def test_files(rig, tmp_path):
    """Plain reads and writes, with a position and in pieces, in the order of their events."""
    path = tmp_path / "file"
    pid, out, events = rig.run(
        f"""
        import ctypes
        class Vec(ctypes.Structure):
            _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
        room = ctypes.create_string_buffer(b"four", 92)
        place = ctypes.addressof(room)
        libc = ctypes.CDLL(None)
        fd = out["fd"] = 77  # a number that the interpreter's own reads do not have
        os.dup2(os.open({str(path)!r}, os.O_RDWR | os.O_CREAT), fd)
        os.write(fd, {TEXT!r})
        os.pwrite(fd, b"xyz", 3)
        os.pread(fd, 300, 1)
        os.writev(fd, [b"one", b"two"])
        # os.pwritev and os.preadv make calls of other names (pwritev2, preadv2).
        libc.pwritev(fd, ctypes.byref(Vec(place, 4)), 1, ctypes.c_long(7))
        two = (Vec * 2)(Vec(place, 2), Vec(place + 2, 90))
        libc.preadv(fd, two, 2, ctypes.c_long(2))
        os.lseek(fd, 0, 0)
        os.read(fd, 500)
        os.lseek(fd, 0, 0)
        os.readv(fd, [bytearray(1), bytearray(1)])
        """
    )

    fd, size = out["fd"], len(TEXT)

    def told(name):
        (event,) = (e for e in of(events, name, pid) if e.named_param("fd") == fd)
        return {param.name: event.param(index) for index, param in enumerate(event.type.params)}

    content = TEXT[:3] + b"xyz" + TEXT[6:]
    after = content[:7] + b"four" + content[11:]
    assert told("write") == {"res": size, "data": SHOWN, "fd": fd, "size": size}
    assert told("pwrite") == {"res": 3, "data": b"xyz", "fd": fd, "size": 3, "pos": 3}
    assert told("pread") == {
        "res": size - 1, "data": content[1:81], "fd": fd, "size": 300, "pos": 1,
    }  # fmt: skip
    assert told("writev") == {"res": 6, "data": b"onetwo", "fd": fd, "size": 6}
    assert told("preadv") == {"res": 92, "size": 92, "data": after[2:82], "fd": fd, "pos": 2}
    assert told("pwritev") == {"res": 4, "data": b"four", "fd": fd, "size": 4, "pos": 7}
    assert told("read") == {"res": size + 6, "data": after[:80], "fd": fd, "size": 500}
    assert told("readv") == {"res": 2, "size": 2, "data": after[:2], "fd": fd}


def test_failed_transfers(rig):
    """A failed read shows nothing; a failed write what it was about to send."""
    pid, _, events = rig.run(
        """
        for work in (lambda: os.read(999, 10), lambda: os.write(999, b"lost")):
            try:
                work()
            except OSError:
                pass
        """
    )

    read = only(events, "read", pid, fd=999)
    assert (read.named_param("res"), read.named_param("data")) == (-9, None)
    write = only(events, "write", pid, fd=999)
    assert (write.named_param("res"), write.named_param("data")) == (-9, b"lost")


def test_memory_of_others(rig):
    """process_vm_readv shows whose memory, and the bytes that came over."""
    pid, _, events = rig.run(
        f"""
        import ctypes
        libc = ctypes.CDLL(None)
        class Vec(ctypes.Structure):
            _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
        there = ctypes.create_string_buffer({TEXT!r})
        here = ctypes.create_string_buffer(300)
        a = Vec(ctypes.addressof(here), 100)
        b = Vec(ctypes.addressof(there), 100)
        libc.process_vm_readv(os.getpid(), ctypes.byref(a), 1, ctypes.byref(b), 1, 0)
        libc.process_vm_writev(os.getpid(), ctypes.byref(a), 1, ctypes.byref(b), 1, 0)
        """
    )

    for name in ("process_vm_readv", "process_vm_writev"):
        event = only(events, name, pid)
        assert (event.named_param("res"), event.named_param("pid")) == (100, pid)
        assert event.named_param("data") == SHOWN
