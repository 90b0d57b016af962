"""Sockets, tasks and open_how in the kernel's filter, live: pushdown on == pushdown off.

Two instances watch the same acts, and every rule must be raised by something.
"""

from collections import Counter

from tests.integration.side_by_side import EVENTS, raised_by_both, rules_of, start_both

OUTPUT = (
    "%proc.name %evt.type %evt.rawres %fd.num %fd.name %fd.type %fd.typechar %fd.l4proto"
    " %fd.connected %fd.name_changed %fd.sip %fd.cip %fd.sport %fd.cport %fd.lport %fd.rport"
    " %proc.vpid %proc.tty %user.uid %evt.arg.flags %evt.arg.mode %evt.arg.resolve"
)
_WAITING = (
    "fd.l4proto != tcp and fd.connected=false and fd.name_changed=true and fd.typechar in (4, 6)"
)
_SENT = "evt.type in (sendto, sendmsg, sendmmsg)"
_GOT = "evt.type in (recvfrom, recvmsg, recvmmsg)"
_FILE = "fd.name={tmp}/file"

CONDITIONS = {
    "to ::1": 'evt.type=connect and fd.sip="::1" and fd.cip="::1" and fd.typechar=6',
    "to a network": 'evt.type=connect and fd.snet in ("::/96", "127.0.0.16/28")',
    "not to ::1": 'evt.type=connect and fd.snet != "::/96" and fd.l4proto=tcp',
    "from ::1": 'evt.type in (accept, accept4) and fd.cip="::1" and fd.cnet="::/64"',
    "either": 'evt.type in (accept, accept4, connect) and fd.ip="::1"',
    "neither": 'evt.type in (accept, accept4, connect) and fd.ip!="::1" and fd.net!="127.0.0.0/8"'
    " and not fd.typechar=u and evt.rawres>=0",
    "mapped": 'evt.type=connect and fd.sip="127.0.0.7" and fd.typechar=4',
    "mapped accept": 'evt.type in (accept, accept4) and fd.sip="127.0.0.7" and fd.type=ipv4',
    "six": "evt.type in (connect, accept, accept4, listen) and fd.typechar=6",
    "datagram peer": "evt.type=connect and fd.l4proto=udp and fd.connected=true",
    "stream peer": "evt.type=connect and fd.l4proto=tcp and fd.connected=true",
    "no peer": "evt.type=connect and fd.connected=false",
    "refused": "evt.type=connect and evt.res=ECONNREFUSED and not fd.sip exists",
    "accepted": "evt.type in (accept, accept4) and fd.l4proto=tcp and fd.connected=true",
    "streams": f"({_SENT} or {_GOT}) and fd.l4proto=tcp and fd.connected=true",
    "datagrams": f"({_SENT} or {_GOT}) and fd.l4proto!=tcp and fd.typechar in (4, 6)",
    "raw": f"({_SENT} or {_GOT}) and fd.l4proto=raw",
    "unconnected": f"({_SENT} or {_GOT}) and fd.connected=false and not fd.typechar=u",
    "server hears": f"{_GOT} and {_WAITING}",
    "server speaks": f"{_SENT} and {_WAITING}",
    "port": f"({_SENT} or {_GOT}) and fd.port=4777",
    "address": f'({_SENT} or {_GOT}) and fd.ip="::1"',
    "network": f'({_SENT} or {_GOT}) and fd.net != "127.0.0.0/8" and fd.typechar=4',
    "local": "evt.type in (connect, sendto, sendmsg, accept4) and fd.typechar=u",
    "netlink": "evt.type in (sendto, sendmsg) and fd.type=netlink",
    "listens": "evt.type=listen and fd.typechar in (4, 6)",
    "nothing sent": f"{_SENT} and evt.rawres<0",
    "much": f"{_SENT} and evt.rawres>4",
    "openat2 written": "evt.type=openat2 and evt.is_open_write=true and fd.name startswith {tmp}",
    "openat2 beneath": "evt.type=openat2 and evt.arg.resolve contains RESOLVE_BENEATH",
    "openat2 directory": "evt.type=openat2 and fd.typechar=d and fd.directory={tmp}/sub",
    "openat2 runs": "evt.type=openat2 and evt.is_open_exec=true",
    "openat2 truncates": "evt.type=openat2 and evt.arg.flags contains O_TRUNC",
    "openat2 created": "evt.type=openat2 and evt.is_open_create=true",
    "creat runs": "evt.type=creat and evt.is_open_exec=true and evt.rawarg.mode=493",
    "set-uid file": "evt.type in (openat, openat2, creat) and evt.rawarg.mode>=2048",
    "no mode": "evt.type=openat2 and evt.rawarg.mode=0 and fd.name contains file",
    "first of a namespace": f"evt.type=openat and proc.vpid=1 and {_FILE}",
    "not the first": f"evt.type=openat and proc.vpid!=1 and {_FILE}",
    "terminal": f"evt.type=openat and proc.tty!=0 and {_FILE}",
    "no terminal": f"evt.type=openat and proc.tty=0 and {_FILE}",
    "user of a namespace": f"evt.type=openat and user.uid=100007 and {_FILE}",
    "root": f"evt.type=openat and user.uid=0 and {_FILE}",
    "capable": f"evt.type=openat and thread.cap_effective contains CAP_SYS_ADMIN and {_FILE}",
    "incapable": f"evt.type=openat and not thread.cap_effective contains CAP_CHOWN and {_FILE}",
}

DATAGRAM_HOSTS = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "::")

ACTS = """
import ctypes, os, pty, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
tmp = {tmp!r}
V4, V6, STREAM, DGRAM = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM

def attempt(work, *arguments):
    try:
        return work(*arguments)
    except OSError:
        return None

def connection(family, host, target=None, port=0):
    with socket.socket(family) as server, socket.socket(family) as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == V6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((host, port)); server.listen()
        client.connect((target or host, server.getsockname()[1]))
        peer, _ = server.accept()
        with peer:
            client.send(b"hello"); peer.recv(100); peer.sendmsg([b"you"]); client.recvmsg(9)
            attempt(client.recv, 9, socket.MSG_DONTWAIT)

connection(V4, "127.0.0.1", port=4777)
connection(V4, "127.0.0.17")
connection(V6, "::1")
connection(V6, "::ffff:127.0.0.7")
connection(V6, "::", "::ffff:127.0.0.7")
connection(V6, "::", "::1")
for family, host in (V4, "127.0.0.1"), (V6, "::1"), (V6, "::ffff:127.0.0.1"):
    attempt(socket.socket(family).connect, (host, 1))
    attempt(socket.socket(family, DGRAM).connect, (host, 9))
attempt(socket.socket(V4, DGRAM).connect, ("192.0.2.1", 9))
attempt(libc.connect, -1, 0, 0)

def message(pieces, to):
    data = [ctypes.create_string_buffer(p, len(p)) for p in pieces]
    vector = ctypes.create_string_buffer(
        b"".join(struct.pack("<QQ", ctypes.addressof(d), len(d)) for d in data))
    name = ctypes.create_string_buffer(
        struct.pack("<H", 2) + struct.pack(">H", to[1]) + socket.inet_aton(to[0]) + bytes(8))
    keep.extend((data, vector, name))
    return struct.pack("<QIIQQQQIIII", ctypes.addressof(name), 16, 0, ctypes.addressof(vector),
                       len(pieces), 0, 0, 0, 0, 0, 0)
keep = []

for host in {hosts!r}:
    family = V6 if ":" in host else V4
    with socket.socket(family, DGRAM) as server, socket.socket(family, DGRAM) as client, \\
            socket.socket(family, DGRAM) as other:
        if family == V6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # A port that the kernel chose makes no server.
        with socket.socket(family, DGRAM) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        server.bind((host, port))
        target = "::1" if host == "::" else host
        other.bind((target, port + 1 if port < 65535 else port - 1))
        for _ in range(3):
            client.sendto(b"question", (target, port))
            data, peer = server.recvfrom(100)
            server.sendto(b"reply", peer)
            client.recvfrom(100)
        other.sendmsg([b"other", b"!"], [], 0, (target, port))
        server.recvmsg(100)
        client.connect((target, port))
        client.send(b"known"); server.recv(99)
        attempt(server.recv, 9, socket.MSG_DONTWAIT)
        if family == V4:
            two = message([b"one"], (host, port)) + message([b"two", b"2"], (host, port))
            libc.sendmmsg(other.fileno(), two, 2, 0)
            libc.sendmmsg(other.fileno(), two, 0, 0)
            libc.sendmmsg(-1, two, 2, 0)
            server.recv(9); server.recv(9)

with socket.socket(V4, socket.SOCK_RAW, 1) as raw:
    echo = struct.pack(">BBHHH", 8, 0, 0xF7FF - 0, 0, 0)
    attempt(raw.sendto, echo, ("127.0.0.1", 0))
    attempt(raw.recvfrom, 200, socket.MSG_DONTWAIT)
left, right = socket.socketpair(socket.AF_UNIX, DGRAM)
left.send(b"pair"); right.recv(9)
with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
    server.bind(tmp + "/socket"); server.listen(); client.connect(tmp + "/socket")
    server.accept()[0].close(); attempt(client.send, b"gone")
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
    attempt(link.sendto, struct.pack("<IHHII", 16, 18, 0x301, 1, 0), (0, 0))
    attempt(link.recv, 9999, socket.MSG_DONTWAIT)
attempt(libc.sendto, 0, b"x", 1, 0, None, 0)

def openat2(path, flags=0, mode=0, resolve=0, where=-100):
    how = struct.pack("<QQQ", flags, mode, resolve)
    fd = libc.syscall(437, where, path.encode(), how, len(how))
    if fd >= 0:
        os.close(fd)
here = os.open(tmp, os.O_RDONLY | os.O_DIRECTORY)
for prefix in tmp + "/", "":
    openat2(prefix + "file", os.O_RDWR | os.O_CREAT, 0o4755, where=here)
    openat2(prefix + "file", os.O_RDONLY, where=here)
    openat2(prefix + "file", os.O_WRONLY | os.O_TRUNC, where=here)
    openat2(prefix + "new" + str(len(prefix)), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600,
            where=here)
    openat2(prefix + "sub", os.O_RDONLY | os.O_DIRECTORY, where=here)
openat2("file", 0, 0, 8, here)
openat2("../x", 0, 0, 8, here)
openat2(tmp + "/file", 1 << 40)
libc.syscall(437, here, b"file", ctypes.c_void_p(8), 24)
libc.syscall(437, here, b"file", struct.pack("<QQQ", 0, 0, 0), 8)
for name, mode in ("c1", 0o644), ("c2", 0o755), ("c3", 0o4600):
    os.close(libc.syscall(85, f"{{tmp}}/{{name}}".encode(), mode))
os.close(os.open(tmp + "/m", os.O_CREAT, 0o4700))

def read_file():
    os.close(os.open(tmp + "/file", os.O_RDONLY))

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)

def in_namespaces():
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        libc.unshare(0x10000000)
        os.write(ready[1], b"x"); os.read(go[0], 1)
        libc.setresuid(7, 7, 7)
        read_file()
        os._exit(0)
    os.read(ready[0], 1)
    for name in "uid_map", "gid_map":
        with open(f"/proc/{{child}}/{{name}}", "w") as table:
            table.write("0 100000 1000\\n")
    os.write(go[1], b"x")
    os.waitpid(child, 0)

def in_pid_namespace():
    libc.unshare(0x20000000)
    in_child(read_file)

def without_capabilities():
    libc.capset(struct.pack("<Ii", 0x20080522, 0), bytes(24))
    read_file()

read_file()
in_child(read_file)
in_child(in_namespaces)
in_child(in_pid_namespace)
in_child(without_capabilities)
child, terminal = pty.fork()
if child == 0:
    read_file()
    os._exit(0)
os.waitpid(child, 0)
for _ in range(500):
    os.close(os.open("/etc/hostname", os.O_RDONLY))
    left.send(b"x"); right.recv(1)
"""


def test_facts_of_the_kernel_are_those_of_events(stage, start_lanner, tmp_path):
    """The same alerts, from every rule, with every field; most events stay in the kernel."""
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    work.chmod(0o777)
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    (work / "file").write_text("x")
    rules = tmp_path / "rules.yaml"
    conditions = {name: text.format(tmp=work) for name, text in CONDITIONS.items()}
    rules.write_text(rules_of(conditions, OUTPUT))
    instances = start_both(start_lanner, rules, "16MiB")
    script = tmp_path / "acts.py"
    script.write_text(ACTS.format(tmp=str(work), hosts=DATAGRAM_HOSTS))
    answer = stage.run("python3", "-I", str(script))
    assert answer["returncode"] == 0, answer["output"]
    filtered, everything = raised_by_both(instances)

    for lanner in instances:
        assert not [line for line in lanner.log if "could not be loaded" in line]
    assert filtered == everything
    raised = Counter(rule for rule, _ in everything)
    assert raised.keys() == CONDITIONS.keys()
    # Once a socket: of each of the four servers, and of the other bound socket that writes to it.
    assert raised["server hears"] == raised["server speaks"] == len(DATAGRAM_HOSTS)
    assert instances[0].total(EVENTS, stage="filtered") > 1000
