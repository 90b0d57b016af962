"""Pushdown on the live kernel: nothing that a rule matches is left out, everything is counted."""

import threading

import pytest

from exporter.pushdown.install import Pushdown
from exporter.rules.ruleset import Ruleset
from exporter.sources.probe import kernel
from tests.integration.live import ROOT, compile_source, wait_until
from tests.integration.probe_rig import Rig, of
from tests.integration.side_by_side import (
    EVENTS,
    is_drained,
    is_told,
    raised_by_both,
    rules_of,
    start_both,
)
from tests.rules.test_compiler import make_rule

OUTPUT = "%proc.name %evt.type %evt.rawres %fd.name %evt.arg.path %evt.arg.name %evt.arg.oldpath"

CONDITIONS = {
    "sensitive read": "open_any and evt.is_open_read=true and"
    " fd.name in (/etc/shadow, /etc/passwd)",
    "below etc": "open_any and evt.is_open_write=true and fd.name startswith {tmp}/etc/",
    "directory": "open_any and fd.directory={tmp}/d and not fd.filename endswith .ok",
    "file name": "open_any and fd.filename in (id_rsa, authorized_keys) and evt.rawres>=0",
    "no such file": "open_any and evt.res=ENOENT and fd.name contains /missing-",
    "glob": "open_any and fd.name glob '{tmp}/*/.ssh/*'",
    "pmatch": "open_any and fd.name pmatch ({tmp}/p, {tmp}/q/r)",
    "traversal": "open_any and fd.nameraw contains '../' and fd.name startswith {tmp}/",
    "by name": "open_any and proc.name=renamed and fd.name={tmp}/by-name",
    "truncated": "open_any and evt.arg.flags contains O_TRUNC and fd.name startswith {tmp}/t",
    "directory opened": "open_any and fd.typechar=d and fd.name={tmp}/d",
    "removed": "evt.type in (unlink, unlinkat, rmdir) and (evt.arg.path startswith {tmp} or"
    " evt.arg.name startswith {tmp})",
    "renamed": "evt.type in (rename, renameat, renameat2) and evt.arg.oldpath endswith /old",
    "mode": "evt.type in (chmod, fchmodat) and evt.arg.mode contains S_ISUID",
    "link": "evt.type in (symlink, symlinkat) and evt.arg.target in (/etc/shadow, {tmp}/d)",
    "made": "evt.type in (mkdir, mkdirat) and evt.arg.path startswith {tmp}/made",
    "packet": "evt.type=socket and evt.arg.domain=AF_PACKET",
    "loopback": "evt.type=connect and fd.sip=127.0.0.9 and fd.sport!=53",
    "any connect": "evt.type=connect and fd.typechar=4 and fd.net!=127.0.0.0/8",
    "accepted": "evt.type in (accept, accept4) and fd.cip=127.0.0.1 and fd.sip=127.0.0.8",
    "traced": "evt.type=ptrace and evt.arg.request in (PTRACE_ATTACH, PTRACE_SEIZE)",
    "low fd": "evt.type in (dup, dup2, dup3) and evt.rawres=0",
    "ran": "evt.type in (execve, execveat) and proc.name=true",
    "failed exec": "evt.type in (execve, execveat) and evt.rawres<0",
    "user": "open_any and user.uid=65534 and fd.name={tmp}/user",
    "host": "open_any and container.id!=host and fd.name={tmp}/host",
    "closed": "evt.type=close and fd.name startswith {tmp}/etc/",
    "closed by name": "evt.type=close and fd.filename in (id_rsa, x.ok) and fd.typechar=f",
    "closed directory": "evt.type=close and fd.directory={tmp}/d and evt.rawres=0 and fd.num>2",
    "closed connection": "evt.type=close and fd.sip in (127.0.0.8, 127.0.0.9) and fd.sport!=0",
    "closed pipe": "evt.type=close and fd.typechar=p and proc.name=no-such-name",
}

TRIGGERS = """
import ctypes, os, socket
libc = ctypes.CDLL(None)
tmp = {tmp!r}
os.chdir(tmp)
def touch(path, flags=os.O_RDWR | os.O_CREAT, **options):
    try:
        os.close(os.open(path, flags, 0o644, **options))
    except OSError:
        pass
for name in ('etc', 'd', 'p', 'q', 'q/r', 'u', 'u/.ssh', 'd/sub'):
    os.makedirs(f'{{tmp}}/{{name}}', exist_ok=True)
here = os.open(tmp, os.O_RDONLY | os.O_DIRECTORY)
for prefix in (tmp + '/', '', './', 'etc/../', tmp + '//', tmp + '/./', tmp + '/d/../'):
    for name in ('etc/a', 'd/x', 'd/x.ok', 'd/sub/x', 'id_rsa', 'authorized_keys', 'missing-/1',
                 'u/.ssh/key', 'u/.ssh', 'p/1', 'p1', 'q/r/2', 'q/2', 't1', 'by-name', 'host'):
        touch(prefix + name)
        if not prefix.startswith('/'):
            touch(prefix + name, dir_fd=here)
        touch(prefix + name, os.O_RDONLY)
touch(f'{{tmp}}/t2', os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
touch(f'{{tmp}}/d', os.O_RDONLY | os.O_DIRECTORY)
touch(f'{{tmp}}/d', os.O_RDONLY)
for path in ('/etc/shadow', '/etc/passwd', '/etc//passwd', '/etc/./passwd', '/etc/hostname'):
    touch(path, os.O_RDONLY)
touch('x' * 3000, os.O_RDONLY)
touch(tmp + '/' + 'y/' * 600, os.O_RDONLY)
touch('', os.O_RDONLY)
libc.prctl(15, b'renamed', 0, 0, 0)
touch(f'{{tmp}}/by-name', os.O_RDONLY)
libc.prctl(15, b'python3', 0, 0, 0)
touch(f'{{tmp}}/old'); os.rename(f'{{tmp}}/old', f'{{tmp}}/new'); touch('old')
os.rename('old', 'new')
os.chmod(f'{{tmp}}/new', 0o4755); os.chmod('new', 0o755)
os.symlink('/etc/shadow', f'{{tmp}}/link'); os.symlink('../etc', f'{{tmp}}/link2')
os.symlink(f'{{tmp}}/d', 'link3')
os.mkdir(f'{{tmp}}/made1'); os.mkdir('made2')
os.unlink(f'{{tmp}}/link'); os.unlink('link2'); os.unlink('link3'); os.rmdir('made2')
os.rmdir(f'{{tmp}}/made1')
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_STREAM)):
    try:
        socket.socket(family, kind).close()
    except OSError:
        pass
for address in ('127.0.0.8', '127.0.0.9'):
    with socket.socket() as server, socket.socket() as client:
        server.bind((address, 0)); server.listen()
        client.bind(('127.0.0.1', 0)); client.connect(server.getsockname())
        server.accept()[0].close()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    try:
        udp.connect(('192.0.2.1', 9))
    except OSError:
        pass
with socket.socket() as client:
    try:
        client.connect(('127.0.0.9', 1))
    except OSError:
        pass
child = os.fork()
if child == 0:
    libc.pause()
libc.ptrace(16, child, 0, 0)
os.kill(child, 9); os.waitpid(child, 0)
spare = os.dup(0); os.dup2(here, 0); os.dup2(spare, 0)
for program in ('true', 'no-such-program'):
    child = os.fork()
    if child == 0:
        try:
            os.execvp(program, [program])
        finally:
            os._exit(1)
    os.waitpid(child, 0)
child = os.fork()
if child == 0:
    os.setresuid(65534, 65534, 65534)
    touch(f'{{tmp}}/user', os.O_RDONLY)
    os._exit(0)
os.waitpid(child, 0)
for _ in range({benign}):
    touch('/etc/hostname', os.O_RDONLY)
    os.stat('/etc/shadow')
touch('/etc/shadow', os.O_RDONLY)
"""


def rules_text(tmp):
    """One rule a condition."""
    conditions = {name: text.format(tmp=tmp) for name, text in CONDITIONS.items()}
    macro = ("- macro: open_any", "  condition: evt.type in (open, openat, openat2, creat)")
    return rules_of(conditions, OUTPUT, macro)


class TestSoundness:
    """Pushdown on == pushdown off."""

    def test_raises_the_same_alerts(self, stage, start_lanner, tmp_path):
        """Two instances watch the same acts: odd paths, failures, other names, users, sockets."""
        work = tmp_path / "work"
        work.mkdir()
        work.chmod(0o777)
        tmp_path.chmod(0o755)
        rules = tmp_path / "rules.yaml"
        rules.write_text(rules_text(work))
        instances = start_both(start_lanner, rules)
        script = tmp_path / "triggers.py"
        script.write_text(TRIGGERS.format(tmp=str(work), benign=20_000))
        answer = stage.run("python3", "-I", str(script))
        assert answer["returncode"] == 0, answer["output"]
        both = raised_by_both(instances)
        assert both[0] == both[1]
        raised = {rule for rule, _ in both[0]}
        assert raised >= set(CONDITIONS) - {"host", "closed pipe"}
        filtered, everything = (lanner.total(EVENTS, stage="delivered") for lanner in instances)
        assert filtered < everything / 10
        assert instances[0].total(EVENTS, stage="filtered") > 20_000
        # What nobody's rules ask for goes to the state alone, with and without filters.
        left_out = {"openat", "unlink", "execve", "connect"}
        assert sum(instances[1].total(EVENTS, stage="filtered", type=one) for one in left_out) == 0

    def test_a_reload_loses_no_event(self, stage, start_lanner, tmp_path):
        """While rules change back and forth, every matching open raises its alert."""
        rules = tmp_path / "rules.yaml"
        target = tmp_path / "watched"
        target.touch()
        texts = [
            rules_text(tmp_path).replace("/etc/passwd", str(target)),
            rules_text(tmp_path / "other").replace("/etc/passwd", str(target)),
        ]
        rules.write_text(texts[0])
        lanner = start_lanner("--json", "-r", str(rules))
        lanner.wait_ready()
        count = 4000
        script = tmp_path / "paced.py"
        script.write_text(
            f"import os, time\nfor i in range({count}):\n"
            f"    os.close(os.open({str(target)!r}, os.O_RDONLY))\n    time.sleep(0.0004)\n"
            "print(os.getpid())\n"
        )
        done = threading.Event()

        def reload():
            turn = 0
            while not done.is_set():
                turn += 1
                rules.write_text(texts[turn % 2])
                assert lanner.fetch("/-/reload", method="POST")[0] == 200

        thread = threading.Thread(target=reload)
        thread.start()
        answer = stage.run("python3", "-I", str(script))
        done.set()
        thread.join()
        assert answer["returncode"] == 0
        wait_until(lambda: is_told(lanner), 60, "all alerts")
        mine = [a for a in lanner.alerts() if a["rule"] == "sensitive read"]
        assert len(mine) == count


PROBE_CONDITIONS = {
    "openat": "evt.type=openat and fd.name startswith {tmp}/a and proc.name contains yth"
    " and user.uid=0 and container.id=host and user.loginuid!=7",
    "unlink": "evt.type=unlink and evt.arg.path endswith b and group.gid=0",
    "chmod": "evt.type=chmod and evt.arg.mode contains S_IXUSR and evt.rawres=0",
    "connect": "evt.type=connect and fd.sip=127.0.0.1 and fd.sport!=1",
    "mkdir": "evt.type=mkdir and proc.pname=x",
    "close": "evt.type=close and fd.name startswith {tmp}/a and fd.typechar=f",
}
PROBE_ACTS = """
    import os, socket
    tmp = {tmp!r}
    os.chdir(tmp)
    for name in ("a1", "b", tmp + "/a2", tmp + "/c"):
        os.close(os.open(name, os.O_CREAT | os.O_RDWR))
    os.chmod(tmp + "/c", 0o600)
    os.chmod(tmp + "/c", 0o700)
    os.unlink(tmp + "/b")
    os.unlink(tmp + "/c")
    for address in ("127.0.0.1", "127.0.0.2"):
        with socket.socket() as server, socket.socket() as client:
            server.bind((address, 0))
            server.listen()
            client.connect(server.getsockname())
"""


def refuse_typed(monkeypatch, name):
    """Have the kernel refuse one program of the typed kind."""
    load = kernel.load_program

    def load_others(program, code, typed_for=0, **options):
        if program == name and typed_for:
            load(program, code[:-8], typed_for)  # it cannot end without its last instruction
        return load(program, code, typed_for, **options)

    monkeypatch.setattr(kernel, "load_program", load_others)


@pytest.mark.parametrize("refused", ["", "step_generic", "hook_sys_exit", "step_connect"])
def test_both_kinds_of_programs_decide_alike(refused, monkeypatch, tmp_path):
    """Where the kernel refuses one program of the typed kind, whichever it is, all are plain and
    read registers and task through helpers: same events. Why is told."""
    refuse_typed(monkeypatch, refused)
    is_typed = not refused
    tmp = str(tmp_path)
    rules = Ruleset(
        tuple(
            make_rule(number, text.format(tmp=tmp))
            for number, text in enumerate(PROBE_CONDITIONS.values())
        )
    )
    said = []
    rig = Rig()
    try:
        assert rig.source.probe.is_typed is is_typed
        reason = rig.source.probe.plain_reason
        assert refused in reason
        assert ("last insn" in reason) is not is_typed  # the verifier's own words
        calls = frozenset(PROBE_CONDITIONS)
        Pushdown(rig.source.probe, lambda _: calls, lambda text, **_: said.append(text)).watch(
            [rules]
        )
        assert rig.source.probe.filters.calls == {
            "openat", "unlink", "chmod", "connect", "close",
        }  # fmt: skip
        assert said == ["a rule wants every event of a type"]
        _, _, events = rig.run(PROBE_ACTS.format(tmp=tmp))
    finally:
        rig.close()
    opened = [event.named_param("name") for event in of(events, "openat")]
    mine = [name for name in opened if name.startswith((b"a", b"b", tmp.encode()))]
    assert mine == [b"a1", f"{tmp}/a2".encode()]
    removed = [event.named_param("path") for event in of(events, "unlink")]
    assert removed == [f"{tmp}/b".encode()]
    assert [event.named_param("mode") for event in of(events, "chmod")] == [0o700]
    assert len(of(events, "connect")) == 1
    closed = [fd.name for event in of(events, "close") for fd in (event.live.fds or {}).values()]
    assert closed == [f"{tmp}/a1".encode(), f"{tmp}/a2".encode()]


@pytest.mark.parametrize("flags", [(), ("--no-pushdown",)], ids=["pushdown", "all"])
def test_every_event_is_counted_once(flags, stage, start_lanner, tmp_path):
    """Seen is filtered + submitted + dropped, and what the loop did."""
    storm = compile_source(ROOT / "tests/bench/open_storm.c", tmp_path)
    lanner = start_lanner(*flags)
    lanner.wait_ready()
    answer = stage.run(str(storm), "/etc/hostname", "50021", "0", "0", "1")
    assert answer["output"].split()[0] == "50021"
    wait_until(lambda: is_drained(lanner), 60, "all events to be looked at")

    def count(stage_name):
        return lanner.total(EVENTS, default=0, type="open", stage=stage_name)

    dropped = lanner.total("lanner_events_dropped_total", default=0, type="open")
    assert count("seen") == 50_021 == count("filtered") + count("submitted") + dropped
    assert (count("filtered") == 50_021) is not bool(flags)
