"""Close tells what it closed, though at its exit the descriptor is gone.

A program at the entry of the call reads it. That program is in the kernel only while events of
close are wanted.
"""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from exporter.events.host import Host
from exporter.sources.probe.closing import HOOK, NOTES_MAX
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.options import ProbeOptions
from exporter.sources.probe.syscalls import STATE_CALLS
from tests.integration.probe_rig import Rig
from tests.integration.test_probe_descriptors import (
    CONNECTION,
    HOSTS,
    KINDS,
    NAMES,
    USE,
    Descriptors,
)
from tests.integration.test_probe_lifelines import Watched

FD_NAMES = [name for name in NAMES if name.startswith("fd.")]
CALLS = frozenset({"close", "fcntl", "bind", "accept4"})


class Closes(Descriptors):
    """A rig that reports uses of a descriptor and its end."""

    def __init__(self) -> None:
        Watched.__init__(self)
        self.rig.close()
        self.rig = Rig(syscalls=CALLS, followed=STATE_CALLS, ring_bytes=4 << 20)

    @property
    def unknown(self) -> int:
        """Closes whose descriptor was not noted."""
        return self.rig.source.probe.counters().reasons["no_descriptor"]


@pytest.fixture(scope="module")
def rig():
    rig = Closes()
    yield rig
    rig.rig.close()


def facts(values):
    """What an event says of its descriptor."""
    return {name: values[name] for name in FD_NAMES}


def closed(seen):
    """Descriptor -> fields of its last close."""
    return {values["fd.num"]: values for event, values in seen if event.type.name == "close"}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_descriptors(rig, tmp_path, kind):
    """Whatever it is, close says the same of it as a call that leaves it open."""
    _, seen = rig.seen(KINDS[kind][0] + USE + "os.close(77)\n", tmp_path)
    before = [v for e, v in seen if e.type.name == "fcntl" and v["fd.num"] == 77]

    assert facts(closed(seen)[77]) == facts(before[-1])
    assert rig.unknown == 0


@pytest.mark.parametrize("host", HOSTS)
def test_ends_of_connections(rig, tmp_path, host):
    """Of TCP sockets both ends, and who is the client: at client, server and listener."""
    code = CONNECTION.format(family=HOSTS[host][0], host=host)
    _, seen = rig.seen(code + "for number in 70, 71, 72: os.close(number)\n", tmp_path)
    before = {v["fd.num"]: v for e, v in seen if e.type.name == "fcntl"}
    last = closed(seen)

    for number in (70, 71, 72):
        assert facts(last[number]) == facts(before[number])
    assert last[71]["fd.sport"] == last[72]["fd.sport"] > 0
    assert last[71]["fd.cport"] == last[72]["fd.cport"] > 0


PAIRS = """
free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); free.bind(("127.0.0.1", 0))
address = free.getsockname(); free.close()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(address)
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); client.connect(server.getsockname())
listener = socket.socket(socket.AF_UNIX); listener.bind(tmp + "/s"); listener.listen()
near = socket.socket(socket.AF_UNIX); near.connect(tmp + "/s")
far = listener.accept()[0]
out["port"] = server.getsockname()[1]
for sock, number in (server, 70), (client, 71), (listener, 72), (near, 73), (far, 74):
    os.dup2(sock.fileno(), number)
    fcntl.fcntl(number, fcntl.F_GETFD)
    os.close(number)
"""


def test_datagrams_and_unix_sockets(rig, tmp_path):
    """Of UDP and unix sockets too, on either side."""
    out, seen = rig.seen(PAIRS, tmp_path)
    before = {v["fd.num"]: v for e, v in seen if e.type.name == "fcntl"}
    last = closed(seen)

    for number in (70, 71, 72, 73, 74):
        assert facts(last[number]) == facts(before[number])
    assert last[70]["fd.sport"] == last[71]["fd.sport"] == out["port"]
    assert last[71]["fd.l4proto"] == b"udp"
    assert str(tmp_path).encode() + b"/s" in last[72]["fd.name"]
    assert last[74]["fd.typechar"] == b"u"


def test_long_paths(rig, tmp_path):
    """A path of several thousand bytes is told whole, one beyond 4,095 as of any other call."""
    code = """
os.chdir(tmp)
for depth in range(18):
    os.mkdir("d" * 240); os.chdir("d" * 240)
    if depth in (14, 17):
        os.dup2(os.open("file", os.O_CREAT | os.O_RDWR), 60 + depth)
        fcntl.fcntl(60 + depth, fcntl.F_GETFD); os.close(60 + depth)
"""
    _, seen = rig.seen(code, tmp_path)
    before = {v["fd.num"]: v for e, v in seen if e.type.name == "fcntl"}
    last = closed(seen)

    assert 3500 < len(last[74]["fd.name"]) < 4096
    for number in (74, 77):
        assert last[number]["fd.name"] == before[number]["fd.name"]


def test_bad_descriptors(rig, tmp_path):
    """A close of what is none tells its number alone, and is not counted as unknown."""
    code = """
for number in 999, -1, 1 << 30, -7:
    libc.close(number)
fd = file(); os.close(fd)
out["again"] = fd
libc.close(fd)
"""
    out, seen = rig.seen(code, tmp_path)
    failed = {v["fd.num"]: v for e, v in seen if e.type.name == "close" and e.error_code == 9}

    assert failed.keys() >= {999, -1, 1 << 30, -7, out["again"]}
    for values in failed.values():
        assert (values["fd.name"], values["fd.typechar"], values["fd.type"]) == (b"", b"o", None)
    assert rig.unknown == 0


def test_a_close_that_is_refused(rig, tmp_path):
    """A call that seccomp refuses leaves the descriptor, which is told as it is."""
    code = """
import struct
fd = file(); os.dup2(fd, 77)
def op(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
# close (3) of 77 gives EPERM, all else is allowed
program = b"".join([op(0x20, 0, 0, 0), op(0x15, 0, 3, 3), op(0x20, 0, 0, 16), op(0x15, 0, 1, 77),
                    op(6, 0, 0, 0x50001), op(6, 0, 0, 0x7fff0000)])
buffer = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxQ", 6, ctypes.addressof(buffer))
assert not call(157, 38, 1, 0, 0, 0)
assert not call(157, 22, 2, ctypes.create_string_buffer(filter), 0, 0), ctypes.get_errno()
libc.close(77)
"""
    _, seen = rig.seen(code, tmp_path)
    refused = [v for e, v in seen if e.type.name == "close" and e.error_code == 1]

    assert [values["fd.name"] for values in refused] == [f"{tmp_path}/file".encode()]


def test_two_threads_close_at_once(rig, tmp_path):
    """Each close that succeeds has the file that it closed; those that came too late have none."""
    code = """
import threading
rounds = 101
start = threading.Barrier(2)
def work():
    for number in range(rounds):
        start.wait()
        libc.close(200 + number)
for number in range(rounds):
    os.dup2(file("f%d" % number), 200 + number)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    _, seen = rig.seen(code, tmp_path)
    mine = [(e, v) for e, v in seen if e.type.name == "close" and 200 <= v["fd.num"] < 301]
    done = {v["fd.num"]: v["fd.name"] for e, v in mine if not e.error_code}

    assert len(mine) == 202
    assert done == {200 + n: f"{tmp_path}/f{n}".encode() for n in range(101)}
    assert {v["fd.name"] for e, v in mine if e.error_code} == {b""}
    assert rig.unknown == 0


def test_what_ends_with_its_process(rig, tmp_path):
    """Descriptors that an exit or an exec closes are no calls of close."""
    code = """
os.dup2(file("left"), 88, inheritable=False)
if os.fork() == 0:
    os.execv("/bin/true", ["true"])
os.wait()
"""
    _, seen = rig.seen(code, tmp_path)

    assert 88 not in closed(seen)


def test_a_note_is_left_by_nobody(rig, tmp_path):
    """More processes than there is room for notes, one after the other, lose nothing."""
    code = f"""
for number in range({NOTES_MAX + 11}):
    if os.fork() == 0:
        libc.close(0)
        os._exit(0)
    os.wait()
"""
    _, seen = rig.seen(code, tmp_path)
    ended = [v for e, v in seen if e.type.name == "close" and v["fd.num"] == 0]

    assert len(ended) == NOTES_MAX + 11
    assert {values["fd.typechar"] for values in ended} == {b"p"}
    assert rig.unknown == 0


def objects(kind):
    """Ids of this process's BPF objects of a kind that `fdinfo` tells."""
    found = set()
    for path in Path("/proc/self/fdinfo").iterdir():
        with suppress(FileNotFoundError):
            lines = path.read_text().splitlines()
            found |= {line.split()[1] for line in lines if line.startswith(kind)}
    return found


def test_hook_and_memory_come_and_go():
    """Only while close is reported there are its programs, maps and attachment."""
    source = ProbeSource(Host(), ProbeOptions(syscalls=frozenset({"kill"}), scope_pid=os.getpid()))
    source.open()
    try:
        probe = source.probe
        before = [objects(kind) for kind in ("map_id", "prog_id", "link_id")]
        for _ in range(3):
            assert HOOK not in probe.attached
            source.report(frozenset({"kill", "close"}))
            assert HOOK in probe.attached
            assert probe.missing() == []
            during = [objects(kind) for kind in ("map_id", "prog_id", "link_id")]
            assert all(now > then for now, then in zip(during, before, strict=True))
            source.report(frozenset({"kill"}))
            after = [objects(kind) for kind in ("map_id", "prog_id", "link_id")]
            assert after == before
    finally:
        source.close()


def test_a_lost_attachment_is_mended():
    """The self-test sees that the kernel does not hold the hook of close, and attaches it anew."""
    rig = Closes()
    try:
        probe = rig.rig.source.probe
        os.close(probe._closing._link)
        probe._closing._link = os.open("/dev/null", os.O_RDONLY)
        assert probe.missing() == [HOOK]
        probe.reattach(HOOK)
        assert probe.missing() == []
        _, _, events = rig.rig.run("os.close(os.dup(0))")
        assert any(e.type.name == "close" and e.live.fds for e in events)
    finally:
        rig.rig.close()


def test_other_calls_are_told_while_it_comes_and_goes():
    """Changing what is reported, close included, loses no event of a call that stays."""
    rig = Rig(syscalls=frozenset({"unlink"}))
    try:
        rig.run("pass")
        code = (
            "import os\nfor n in range(5003):\n try: os.unlink('/no/%d' % n)\n except OSError: pass"
        )
        rig.send(f"import subprocess; subprocess.run([sys.executable, '-I', '-S', '-c', {code!r}])")
        for _ in range(5):
            rig.source.report(frozenset({"unlink", "close"}))
            rig.source.report(frozenset({"unlink"}))
        pid, _ = rig.receive()
        events = rig.wait(lambda s: any(e.type.name == "procexit" and e.tid == pid for e in s))
        names = [e.param(1) for e in events if e.type.name == "unlink"]
        assert [n for n in names if n.startswith(b"/no/")] == [b"/no/%d" % n for n in range(5003)]
    finally:
        rig.close()


RULES = {
    "closed": "evt.type=close and fd.name startswith {tmp}/etc/",
    "closed by name": "evt.type=close and fd.filename in (id_rsa, x.ok) and fd.typechar=f",
    "closed directory": "evt.type=close and fd.directory={tmp}/d and evt.rawres=0 and fd.num>2",
    "closed connection": "evt.type=close and fd.sip=127.0.0.9 and fd.sport!=0",
}
ACTS = """
import os, socket
for name in ("etc", "d"):
    os.mkdir("{tmp}/" + name)
for name in ("etc/a", "d/x.ok", "d/other", "id_rsa"):
    os.close(os.open("{tmp}/" + name, os.O_CREAT | os.O_RDWR))
with socket.socket() as server, socket.socket() as client:
    server.bind(("127.0.0.9", 0)); server.listen(); client.connect(server.getsockname())
"""


@pytest.mark.parametrize("flags", [(), ("--no-pushdown",)], ids=["pushdown", "no pushdown"])
def test_rules_on_closes_come_with_a_reload(flags, stage, start_lanner, tmp_path):
    """They raise their alerts with what was closed from the reload on, filtered or not."""
    rules, work = tmp_path / "rules.yaml", tmp_path / "work"
    work.mkdir()
    rule = "- rule: {}\n  desc: x\n  condition: {}\n  output: '%fd.name'\n  priority: NOTICE\n"
    rules.write_text(rule.format("other", "evt.type=kill and evt.arg.sig=12345"))
    lanner = start_lanner("--json", "-r", str(rules), *flags, config="rule_matching: all\n")
    lanner.wait_ready()
    rules.write_text("".join(rule.format(n, text.format(tmp=work)) for n, text in RULES.items()))
    assert lanner.fetch("/-/reload", method="POST")[0] == 200
    answer = stage.run("python3", "-I", "-c", ACTS.format(tmp=work))
    assert answer["returncode"] == 0, answer["output"]
    lanner.wait_alert(lambda alert: alert["rule"] == "closed connection")

    told = [(alert["rule"], alert["output_fields"]["fd.name"]) for alert in lanner.alerts()]
    assert {rule for rule, _ in told} == set(RULES)
    assert ("closed", f"{work}/etc/a") in told
    assert ("closed by name", f"{work}/d/x.ok") in told
    assert ("closed by name", f"{work}/id_rsa") in told
    assert ("closed directory", f"{work}/d/other") in told
    assert any("->127.0.0.9:" in name for rule, name in told if rule == "closed connection")
