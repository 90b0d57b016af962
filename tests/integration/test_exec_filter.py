"""Filters of execs on the live kernel: rules see every exec that one of them matches."""

from exporter.pushdown.install import Pushdown
from exporter.rules.ruleset import Ruleset
from tests.integration.probe_rig import Rig, of
from tests.integration.side_by_side import EVENTS, raised_by_both, rules_of, start_both
from tests.rules.test_compiler import make_rule

OUTPUT = (
    "%proc.name %proc.exe %proc.exepath %proc.cmdline %user.name %proc.pname %proc.tty"
    " %proc.is_exe_from_memfd %evt.rawres"
)
CONDITIONS = {
    "by name": "proc.name in (odd-name, renamed-exe)",
    "by exe": "proc.exe startswith '{tmp}/' or proc.exe startswith './'",
    "by path": "proc.exepath endswith /script-interpreter",
    "script": "proc.args contains /a-script.sh",
    "by last argument": "proc.args endswith 'the end'",
    "words across arguments": "proc.cmdline contains 'true one two'",
    "any case": "proc.args icontains BEGIN_secret",
    "spaces": "proc.args = 'a b  c'",
    "control characters": "proc.args contains needle",
    "long": "proc.args contains needle-at-the-end",
    "not": "not proc.cmdline contains e and proc.exepath endswith /true",
    "no arguments": 'proc.args = ""',
    "environment": "proc.env icontains marker_of_the_env",
    "no environment": 'proc.args contains without-env and proc.env = ""',
    "memfd": "proc.is_exe_from_memfd = true",
    "parent": "proc.pname in (the-parent, python-parent)",
    "not that parent": "not proc.pname = the-parent and proc.args contains other-parent",
    "user": "user.name = nobody",
    "not root": "user.name != root and user.uid != 0",
    "terminal": "proc.tty != 0",
    "no host": "container.id != host",
    "failed": "evt.rawres < 0 and proc.name = the-parent",
    "left to Python": "proc.args contains left-to and proc.cwd startswith /",
}

ACTS = """
import ctypes, os, pty
libc = ctypes.CDLL(None, use_errno=True)
tmp = {tmp!r}
true = os.path.realpath('/bin/true')
env = {{'PATH': '/bin:/usr/bin'}}
def run(path, args, env=env, **how):
    child = os.fork()
    if child == 0:
        try:
            if how.get('uid'):
                os.setresuid(how['uid'], how['uid'], how['uid'])
            if how.get('root'):
                libc.unshare(0x20000)
            os.execve(path, args, env)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
for name in ('odd-name', 'odd-name2', 'script-interpreter'):
    with open(f'{{tmp}}/{{name}}', 'wb') as copy:
        copy.write(open(true, 'rb').read())
    os.chmod(f'{{tmp}}/{{name}}', 0o755)
open(f'{{tmp}}/a-script.sh', 'w').write(f'#!{{tmp}}/script-interpreter -x\\nnothing\\n')
os.chmod(f'{{tmp}}/a-script.sh', 0o755)
os.symlink(true, f'{{tmp}}/link')
for name in ('odd-name', 'odd-name2', 'a-script.sh', 'link'):
    run(f'{{tmp}}/{{name}}', [name, 'x'])
    run(f'{{tmp}}/{{name}}', [f'{{tmp}}/{{name}}'])
os.chdir(tmp)
run('./odd-name2', ['./odd-name2'])
some = [
    ['true'], [], [''], ['true', ''], ['true', '', ''], ['true', 'a b ', 'c'],
    ['true', 'a', 'b', '', 'c'],
    ['true', 'one', 'two'], ['true', 'one two'], ['x' * 600, 'one'], ['true', 'begin_SECRET'],
    ['true', 'begin', 'secret'], ['true', 'the', 'end'], ['true', 'the end'],
    ['true', 'the end', ''],
    ['true', '\\x01nee\\x7fdle'], ['true', '\\x1bneedle\\n'], [b'true', b'\\xff\\xfeneedle'],
    [b'\\xff', b'\\xc3\\xa9'], ['true', 'y' * 480, 'needle-at-the-end'], ['true', 'y' * 494],
    ['true', 'y' * 495], ['true', 'y' * 496], ['true', 'y' * 3000, 'needle-at-the-end'],
    ['true', 'y' * 5000, 'needle-at-the-end'], ['true', *['z'] * 2000], ['-', 'a'], ['tru', 'a'],
    ['true', 'left-to'],
]
run(true, ['true', 'without-env'], {{}})
for args in some:
    run(true, args)
for value in ('MARKER_of_the_ENV', 'marker_of_the_en', 'x' * 2000 + 'marker_of_the_env',
              'x' * 4500 + 'marker_of_the_env', 'xmarker_of_the_env'):
    run(true, ['true'], {{'A': '1', 'B': value, 'C': '3'}})
    run(true, ['true'], {{value: '1'}})
run(true, ['true'], {{}})
for size in range(0, 9):
    run(true, ['true'], {{'P' * (size + 1): 'marker_of_the_env'}})
memory = libc.memfd_create(b'x', 0)
os.write(memory, open(true, 'rb').read())
run(f'/proc/self/fd/{{memory}}', ['memory', 'a'])
for uid in (1, 65534, 12345):
    run(true, ['true', str(uid)], uid=uid)
run(true, ['true', 'unshared'], root=True)
libc.prctl(15, b'the-parent', 0, 0, 0)
run(true, ['true', 'other-parent']); run('/no/such/program', ['x', 'y']); run('/', ['x'])
open('/proc/self/comm', 'w').write('written')
run(true, ['true', 'other-parent'])
libc.prctl(15, b'python-parent', 0, 0, 0)
run(true, ['true', 'other-parent']); run('/no/such/program', ['x'])
libc.prctl(15, b'python3', 0, 0, 0)
child, terminal = pty.fork()
if child == 0:
    os.execve(true, ['true', 'on', 'a', 'terminal'], env)
os.waitpid(child, 0)
for _ in range({benign}):
    run(true, ['true', 'nothing', 'of', 'interest'])
run(true, ['true', 'the end'])
"""


def rules_text(tmp):
    """One rule a condition."""
    return rules_of(
        {
            name: f"evt.type in (execve, execveat) and ({condition.format(tmp=tmp)})"
            for name, condition in CONDITIONS.items()
        },
        OUTPUT,
    )


def test_raises_the_same_alerts(stage, start_lanner, tmp_path):
    """Two instances watch the same execs: odd names, arguments, environments, images, users."""
    work = tmp_path / "work"
    work.mkdir()
    rules = tmp_path / "rules.yaml"
    rules.write_text(rules_text(work))
    instances = start_both(start_lanner, rules)
    benign = 499
    script = tmp_path / "acts.py"
    script.write_text(ACTS.format(tmp=str(work), benign=benign))
    answer = stage.run("python3", "-I", str(script))
    assert answer["returncode"] == 0, answer["output"]
    both = raised_by_both(instances)
    assert both[0] == both[1]
    assert {rule for rule, _ in both[0]} >= set(CONDITIONS) - {"no host"}
    filtered, seen = (
        instances[0].total(EVENTS, type="execve", stage=one) for one in ("filtered", "seen")
    )
    assert filtered >= benign
    assert seen == instances[1].total(EVENTS, type="execve", stage="seen")
    assert instances[1].total(EVENTS, type="execve", stage="filtered") == 0


NAMED = (
    "evt.type = chdir and proc.name = renamed and proc.cwd exists",
    "evt.type = procexit and proc.name = renamed",
    "evt.type in (execve, execveat) and proc.pname = renamed",
)
NAMED_ACTS = """
    import ctypes, os, subprocess
    libc = ctypes.CDLL(None)
    def act():
        os.chdir("/")
        try:
            os.chdir("/no/such/place")
        except OSError:
            pass
        subprocess.run(["/bin/true"])
    act()
    libc.prctl(15, b"renamed", 0, 0, 0)
    act()
    with open("/proc/self/comm", "w") as comm:
        comm.write("untold")
    subprocess.run(["/bin/true"])
    libc.prctl(15, b"told", 0, 0, 0)
    subprocess.run(["/bin/true"])
    libc.prctl(15, b"renamed", 0, 0, 0)
"""


def test_events_of_the_state_say_whether_rules_want_them():
    """A filter marks them and leaves none out; what failed and is not wanted never comes."""
    rules = Ruleset(tuple(make_rule(number, text) for number, text in enumerate(NAMED)))
    rig = Rig()
    try:
        watched = frozenset({"chdir", "execve", "execveat"})
        probe = rig.source.probe
        Pushdown(probe, lambda _: watched, lambda text, **_: print(text)).watch([rules])
        pid, _, events = rig.run(NAMED_ACTS)
    finally:
        rig.close()
    told = [(event.param(0), event.is_hidden) for event in of(events, "chdir", pid)]
    assert told == [(0, True), (0, False), (-2, False)]
    # The third parent has a name that user space may not know, so its child may match.
    assert [event.is_hidden for event in of(events, "execve")] == [True, False, False, True]
    assert [event.is_hidden for event in of(events, "procexit", pid)] == [False]
    assert {event.is_hidden for event in of(events, "prctl") + of(events, "vfork")} == {True}
