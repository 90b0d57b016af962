"""What an event says of its descriptor comes from the kernel's own table, whatever it is.

Descriptors older than the probe, inherited, copied, passed along and deleted ones are no different
from those that were seen to be opened.
"""

import pytest

from exporter.rules.fields.catalogue import fields_of
from exporter.sources.probe.syscalls import CALLS, STATE_CALLS
from tests.integration.probe_rig import Rig
from tests.integration.test_probe_lifelines import Watched

FIELDS = fields_of("syscall")
NAMES = (
    "fd.num", "fd.type", "fd.typechar", "fd.name", "fd.filename", "fd.directory", "fd.ino",
    "fd.dev", "fd.sip", "fd.cip", "fd.sport", "fd.cport", "fd.lip", "fd.rport", "fd.l4proto",
    "fd.sockfamily", "proc.name", "proc.pid", "thread.tid", "user.uid",
)  # fmt: skip
CALLS_USED = frozenset({
    "fcntl", "fstat", "dup", "dup2", "dup3", "ioctl", "fchmod", "fchown", "flock", "lseek",
    "getdents64", "read", "write", "sendto", "recvfrom", "shutdown", "setsockopt", "mmap",
    "pidfd_getfd", "eventfd2", "memfd_create", "io_uring_enter", "openat", "socket", "sendfile",
    "splice", "copy_file_range", "accept4",
})  # fmt: skip
PRELUDE = """
import ctypes, fcntl, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    return libc.syscall(number, *(
        ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
tmp = {tmp!r}
def file(name="file", flags=os.O_RDWR | os.O_CREAT):
    return os.open(tmp + "/" + name, flags)
"""
USE = """
os.dup2(fd, 77, inheritable=False)
out["stat"] = os.fstat(77).st_ino, os.fstat(77).st_dev
fcntl.fcntl(77, fcntl.F_GETFD)
"""


class Descriptors(Watched):
    """A rig whose events are seen as rules see them, with the fields of their descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.rig.close()
        self.rig = Rig(syscalls=CALLS_USED, followed=STATE_CALLS, ring_bytes=4 << 20)

    def seen(self, code, tmp):
        """Code run in a child: its `out`, and the fields of each event by the event's name."""
        _, out, seen = self.run(PRELUDE.format(tmp=str(tmp)) + code, fields)
        return out, [(event, values) for event, values in seen]

    def used(self, code, tmp, name="fcntl", number=77):
        """The fields of the single event of this name on this descriptor."""
        out, seen = self.seen(code, tmp)
        found = [v for e, v in seen if e.type.name == name and v["fd.num"] == number]
        assert len(found) == 1, [(e.type.name, v["fd.num"]) for e, v in seen]
        return out, found[0]


def fields(event):
    """The values of the fields above."""
    return {name: read(event) for name in NAMES if (read := FIELDS[name].read) is not None}


@pytest.fixture(scope="module")
def rig():
    rig = Descriptors()
    yield rig
    rig.rig.close()


KINDS = {
    "file": ("fd = file()", "file", "f", "{tmp}/file"),
    "deleted": ("fd = file(); os.unlink(tmp + '/file')", "file", "f", "{tmp}/file"),
    "device": ("fd = os.open('/dev/null', 0)", "file", "f", "/dev/null"),
    "directory": ("fd = os.open(tmp, os.O_DIRECTORY)", "directory", "d", "{tmp}"),
    "plain directory": ("fd = os.open(tmp, 0)", "directory", "d", "{tmp}"),
    "path": ("fd = file(); fd = os.open(tmp + '/file', 0o10000000)", "file", "f", "{tmp}/file"),
    "pipe": ("fd = os.pipe()[0]", "pipe", "p", ""),
    "fifo": ("os.mkfifo(tmp + '/q'); fd = file('q', os.O_RDWR)", "pipe", "p", "{tmp}/q"),
    "memory file": ("fd = os.memfd_create('hidden')", "memfd", "m", "hidden"),
    "process": ("fd = call(434, os.getpid(), 0)", "pidfd", "P", ""),
    "event": ("fd = call(290, 1, 0)", "event", "e", ""),
    "timer": ("fd = call(283, 1, 0)", "timerfd", "t", ""),
    "signal": ("fd = call(289, -1, bytes(8), 8, 0)", "signalfd", "s", ""),
    "inotify": ("fd = call(294, 0)", "inotify", "i", ""),
    "epoll": ("fd = call(291, 0)", "eventpoll", "l", ""),
    "io_uring": ("fd = call(425, 2, ctypes.create_string_buffer(120))", "io_uring", "r", ""),
    "map": (
        "fd = call(321, 0, struct.pack('<IIIII', 2, 4, 8, 1, 0) + bytes(100), 120)",
        "bpf",
        "b",
        "",
    ),
    "page faults": ("fd = call(323, 1)", "userfaultfd", "u", ""),
    "unix": ("fd = socket.socket(socket.AF_UNIX).detach()", "unix", "u", ""),
    "named unix": (
        "s = socket.socket(socket.AF_UNIX); s.bind(tmp + '/s'); fd = s.fileno()",
        "unix",
        "u",
        "{tmp}/s",
    ),
    "netlink": ("fd = socket.socket(16, 3, 0).detach()", "netlink", "n", ""),
    "packets": ("fd = socket.socket(17, 3, 0).detach()", "<NA>", "o", ""),
    "TCP": ("fd = socket.socket().detach()", "ipv4", "4", ""),
    "TCP over IPv6": ("fd = socket.socket(10).detach()", "ipv6", "6", ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_descriptors(rig, tmp_path, kind):
    """Type, letter, name, inode and device of each; the copy that dup2 makes included."""
    code, type_, char, name = KINDS[kind]
    out, seen = rig.used(code + USE, tmp_path)

    assert (seen["fd.type"], seen["fd.typechar"]) == (type_.encode(), char.encode())
    assert seen["fd.name"].decode() == name.format(tmp=tmp_path)
    ino, dev = out["stat"]
    assert seen["fd.ino"] == ino
    assert seen["fd.dev"] == (dev if type_ in {"file", "memfd"} else 0)
    assert seen["user.uid"] == 0
    assert seen["proc.pid"] == seen["thread.tid"]


def test_a_descriptor_older_than_the_probe(rig, tmp_path):
    """The agent's own input was there before: it is known like any other."""
    out, seen = rig.used(
        "out['ino'] = os.fstat(0).st_ino\nfcntl.fcntl(0, fcntl.F_GETFD)", tmp_path, number=0
    )
    assert (seen["fd.type"], seen["fd.ino"]) == (b"pipe", out["ino"])


def test_inherited_and_passed_ones(rig, tmp_path):
    """A child's copy, one sent over a unix socket, and one taken from another process."""
    code = """
fd = file()
os.dup2(fd, 70)
left, right = socket.socketpair()
child = os.fork()
if child == 0:
    fcntl.fcntl(70, fcntl.F_GETFD)
    socket.send_fds(right, [b"x"], [os.open(tmp, 0)])
    os._exit(0)
_, (got, *_), _, _ = socket.recv_fds(left, 10, 1)
out["got"] = got
fcntl.fcntl(got, fcntl.F_GETFD)
os.waitpid(child, 0)
taken = out["taken"] = call(438, call(434, os.getpid(), 0), 70, 0)
fcntl.fcntl(taken, fcntl.F_GETFD)
"""
    out, seen = rig.seen(code, tmp_path)
    told = {v["fd.num"]: v for e, v in seen if e.type.name == "fcntl"}

    assert told[70]["fd.name"] == told[out["taken"]]["fd.name"] == f"{tmp_path}/file".encode()
    got = told[out["got"]]
    assert (got["fd.type"], got["fd.name"]) == (b"directory", str(tmp_path).encode())


def test_a_descriptor_that_is_none(rig, tmp_path):
    """Its number is all that is known; the fields are those of an unknown one."""
    code = """
for number in 999, -1, 1 << 30:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except (OSError, ValueError):
        pass
libc.fcntl(-7, 1)
"""
    _, seen = rig.seen(code, tmp_path)
    told = [v for e, v in seen if e.type.name == "fcntl" and e.error_code == 9]

    assert {v["fd.num"] for v in told} >= {999, 1 << 30, -7}
    for values in told:
        assert (values["fd.name"], values["fd.typechar"], values["fd.type"]) == (b"", b"o", None)
        assert values["fd.ino"] is values["fd.sip"] is values["fd.l4proto"] is None


CONNECTION = """
server = socket.socket({family}); server.bind(({host!r}, 0)); server.listen()
client = socket.socket({family}); client.connect(({host!r}, server.getsockname()[1]))
accepted = server.accept()[0]
out["ports"] = client.getsockname()[1], server.getsockname()[1]
for sock, number in (server, 70), (client, 71), (accepted, 72):
    os.dup2(sock.fileno(), number)
    fcntl.fcntl(number, fcntl.F_GETFD)
"""


HOSTS = {
    "127.0.0.1": ("2", b"\x7f\0\0\1", b"ipv4"),
    "::1": ("10", bytes(15) + b"\1", b"ipv6"),
    "::ffff:127.0.0.1": ("10", b"\x7f\0\0\1", b"ipv4"),
}


@pytest.mark.parametrize("host", HOSTS)
def test_ends_of_connections(rig, tmp_path, host):
    """Both sides of a connection tell the same client and server; the server waits on its port."""
    family, packed, type_ = HOSTS[host]
    out, seen = rig.seen(CONNECTION.format(family=family, host=host), tmp_path)
    client_port, server_port = out["ports"]
    told = {v["fd.num"]: v for e, v in seen if e.type.name == "fcntl"}

    for number in (71, 72):
        values = told[number]
        assert (values["fd.sip"], values["fd.sport"]) == (packed, server_port)
        assert (values["fd.cip"], values["fd.cport"]) == (packed, client_port)
        assert (values["fd.type"], values["fd.l4proto"]) == (type_, b"tcp")
        assert values["fd.sockfamily"] == b"ip"
    assert told[70]["fd.sport"] == server_port
    assert told[70]["fd.cip"] is None
    assert told[70]["fd.l4proto"] == b"tcp"


USES = {
    "fstat": "call(5, 77, ctypes.create_string_buffer(200))",
    "dup": "call(32, 77)",
    "dup2": "call(33, 77, 80)",
    "dup3": "call(292, 77, 81, 0)",
    "ioctl": "call(16, 77, 0x5401, bytes(60))",
    "fchmod": "call(91, 77, 0o600)",
    "fchown": "call(93, 77, -1, -1)",
    "flock": "call(73, 77, 8)",
    "lseek": "call(8, 77, 0, 1)",
    "getdents64": "call(217, 77, ctypes.create_string_buffer(99), 99)",
    "read": "os.read(77, 1)",
    "write": "os.write(77, b'x')",
    "sendto": "call(44, 77, b'x', 1, 0, 0, 0)",
    "recvfrom": "call(45, 77, ctypes.create_string_buffer(9), 1, 0, 0, 0)",
    "shutdown": "call(48, 77, 1)",
    "setsockopt": "call(54, 77, 1, 2, bytes(4), 4)",
    "mmap": "call(9, 0, 4096, 1, 2, 77, 0)",
    "sendfile": "call(40, 77, fd, 0, 1)",
    "splice": "call(275, 77, 0, os.pipe()[1], 0, 1, 0)",
    "copy_file_range": "call(326, fd, 0, 77, 0, 1, 0)",
}


@pytest.mark.parametrize("name", USES)
def test_every_use_tells_what_it_uses(rig, tmp_path, name):
    """Whether the call succeeds on a file or not, the file is named."""
    code = f"fd = file()\nos.write(fd, b'text')\nos.dup2(file(), 77)\n{USES[name]}"
    _, seen = rig.seen(code, tmp_path)
    # dup* show what they have made.
    numbers = {77, 80, 81} if name.startswith("dup") else {77}
    mine = [v for e, v in seen if e.type.name == name and v["fd.num"] in numbers]
    if name.startswith("dup"):
        mine = [v for e, v in seen if e.type.name == name and e.named_param("oldfd") == 77]

    assert mine
    for values in mine:
        assert (values["fd.name"], values["fd.typechar"]) == (f"{tmp_path}/file".encode(), b"f")
        assert values["fd.filename"] == b"file"
        assert values["fd.directory"] == str(tmp_path).encode()
        assert values["fd.ino"] == (tmp_path / "file").stat().st_ino


def test_everything_used_can_be_reported():
    """The calls above are calls of the probe."""
    assert CALLS_USED <= CALLS.keys()
