"""The default rules on made-up events: what fires, what does not, and that every word counts.

The live tests show that the kernel's events look like these.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.rules.ast import And, Check, Exists, Node, Not, Or, walk
from exporter.rules.engine import Engine
from exporter.rules.loader.load import RulesSource, load_rules
from exporter.rules.printer import print_condition
from exporter.rules.ruleset import Rule, Ruleset
from tests.factories import make_event, make_thread

FILE = Path(__file__).parents[2] / "exporter/ruleset/lanner_rules.yaml"
CONTAINER = "0123456789ab"
O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_F_CREATED = 1, 2, 4, 256, 16384
INSIDE = {"container_id": CONTAINER}
PTRACE_TRACEME, PTRACE_ATTACH = 1, 11
S_ISUID, S_IXUSR = 2048, 64


def program(name, *args, parent="bash", **fields):
    """A thread; its parent is another one, by name or as a thread."""
    if isinstance(parent, str):
        parent = make_thread(parent, tid=900)
    return parent, make_thread(name, args=args, parent=parent, **fields)


def event(kind, threads, **values):
    """An event of the last thread, with the others in the host's table."""
    *above, thread = threads
    made = make_event(kind, proc=thread, **values)
    for other in above:
        made.host.threads[other.tid] = other
    return made


def executed(name, *args, res=0, parent="bash", **fields):
    """A program has just been started."""
    return event("execve", program(name, *args, parent=parent, **fields), params={"res": res})


def opened(path, name="cat", *args, flags=O_RDONLY, kind="openat", **fields):
    """A file was opened."""
    fd = Fd(type=FdType.FILE_V2, name=path.encode(), name_raw=path.encode(), openflags=flags)
    params = {"fd": 3, "name": path} | ({"flags": flags} if kind != "creat" else {})
    return event(kind, program(name, *args, **fields), params=params, fd=fd, fd_num=3)


def moved(source, target, name="mv", res=0, **fields):
    """A file was renamed."""
    params = {"res": res, "oldpath": source, "newpath": target}
    return event("rename", program(name, **fields), params=params)


def deleted(path, name="rm", res=0, **fields):
    """A file was removed."""
    return event("unlink", program(name, **fields), params={"res": res, "path": path})


def linked(target, kind="symlink", name="ln", res=0, **fields):
    """A link to `target` was made."""
    names = ("target", "linkpath") if kind == "symlink" else ("oldpath", "newpath")
    params = {"res": res} | dict(zip(names, (target, "/tmp/link"), strict=True))
    return event(kind, program(name, **fields), params=params)


def connected(server, port, name, *args, res=0, **fields):
    """A TCP connection over IPv4 was made."""
    fd = Fd(
        type=FdType.IPV4,
        name=f"10.0.0.5:41000->{server}:{port}".encode(),
        sip=bytes([10, 0, 0, 5]),
        dip=bytes(map(int, server.split("."))),
        sport=41000,
        dport=port,
        l4=L4Proto.TCP,
        role=Role.CLIENT,
        is_connected=True,
    )
    params = {"res": res, "fd": 3}
    return event("connect", program(name, *args, **fields), params=params, fd=fd, fd_num=3)


def connected_unix(path, name, res=0, kind=FdType.UNIX, **fields):
    """A connection to a Unix socket was made."""
    fd = Fd(type=kind, name=f"ff00->ff11 {path}".encode(), role=Role.CLIENT)
    params = {"res": res, "fd": 3}
    return event("connect", program(name, **fields), params=params, fd=fd, fd_num=3)


def traced(request, name="gdb", res=0, **fields):
    """A ptrace call."""
    params = {"res": res, "request": request, "pid": 4711}
    return event("ptrace", program(name, **fields), params=params)


def changed_id(kind, value, name="python3", res=0, **fields):
    """A call of the setuid or setgid family; the state has taken the new id over."""
    ids = {"gid" if "gid" in kind else "uid": value}
    return event(kind, program(name, **ids, **fields), params={"res": res})


def changed_mode(mode, name="chmod", kind="chmod", res=0, **fields):
    """A file mode was set."""
    params = {"res": res, "filename": "/tmp/tool", "mode": mode}
    return event(kind, program(name, **fields), params=params)


DPKG = make_thread("dpkg", tid=800)
SHADOW = "/etc/shadow"
TOKEN = "/run/secrets/kubernetes.io/serviceaccount/token"
LOG = "/var/log/auth.log"
WRITE = {"flags": O_WRONLY | O_CREAT}
RUNC = make_thread("runc", tid=700)
MEMFD = {"exe_from_memfd": True, "exepath": "memfd:stage"}
CLONED = {"exe_from_memfd": True, "exepath": "memfd:runc_cloned:/proc/self/exe"}
SETUIDS = ("setuid", "setreuid", "setresuid", "setgid", "setregid", "setresgid")

FIRES = {
    "Program run from memory": [
        executed("3", **MEMFD),
        executed("3", parent=RUNC, **MEMFD),
        executed("runc", **CLONED),
    ],
    "Dropped executable run in container": [
        executed("tool", **INSIDE, exe_upper_layer=True),
        executed("tool", **INSIDE, vpid=7, pidns_init_start_ts_ns=5, exe_ino_ctime_ns=9),
        executed("tool", **INSIDE, exepath="/dev/shm/tool"),
    ],
    "Package manager run in container": [executed("apk", "add", "curl", **INSIDE)],
    "Search for keys or credentials": [
        executed("grep", "-r", "begin rsa private key", "/"),
        executed("find", "/", "-name", "id_ed25519"),
    ],
    "Shell on a terminal in container": [
        executed("bash", **INSIDE, tty=34816, parent="runc"),
        executed("busybox", "sh", **INSIDE, tty=34816, parent="runc"),
    ],
    "Log or audit trail cleared": [
        opened(LOG, "bash", flags=O_WRONLY | O_TRUNC),
        opened(LOG, "bash", kind="creat"),
        deleted("/home/ann/.bash_history"),
        moved("/var/log/wtmp", "/tmp/x"),
    ],
    "Write below a binary directory": [
        opened("/usr/bin/ls", "cp", **WRITE),
        opened("/usr/local/sbin/x", "cp", kind="creat"),
        moved("/tmp/ls", "/bin/ls"),
    ],
    "Write below etc": [
        opened("/etc/motd", "vi", **WRITE),
        opened("/etc/motd", "vi", kind="creat"),
        opened("/etc/cron.d/job", "sh", **WRITE, **INSIDE),
        moved("/tmp/hosts", "/etc/hosts"),
        moved("/tmp/passwd", "/etc/passwd", **INSIDE),
    ],
    "Sensitive file read by untrusted program": [
        opened(SHADOW),
        opened("/home/ann/.ssh/id_rsa", "python3"),
        opened("/etc/ssh/ssh_host_ed25519_key", kind="openat2"),
        opened(SHADOW, "sshd", exepath="/tmp/sshd"),
        opened("/etc/kubernetes/pki/etcd/ca.key", **INSIDE),
    ],
    "Service account token read by hand": [
        opened(TOKEN, **INSIDE),
        opened("/run/secrets/kubernetes.io/serviceaccount/..2026_11/token", "sh", **INSIDE),
    ],
    "Link to a sensitive file": [
        linked(SHADOW),
        linked(SHADOW, "link"),
        linked("/"),
    ],
    "Container runtime socket used by unexpected program": [
        connected_unix("/run/docker.sock", "curl"),
        connected_unix("/run/containerd/containerd.sock", "containerd", exepath="/tmp/containerd"),
        connected_unix("/run/docker.sock", "docker", **INSIDE),
    ],
    "Cloud metadata service contacted from container": [
        connected("169.254.169.254", 80, "curl", **INSIDE),
    ],
    "Outbound connection from unexpected program": [
        connected("198.51.100.7", 4444, "bash"),
        connected("198.51.100.7", 4444, "bash", res=-115),
        connected("198.51.100.7", 4444, "python3", "-c", "import socket"),
        connected("198.51.100.7", 4444, "nc", **INSIDE),
    ],
    "Process attached to with ptrace": [traced(PTRACE_ATTACH)],
    "Privileges raised to root by unexpected program": [
        *(changed_id(kind, 0) for kind in SETUIDS),
        changed_id("setuid", 0, "sh"),
        changed_id("setuid", 0, "exploit", exepath="/home/ann/exploit"),
    ],
    "Set-user-ID bit given to a file": [
        changed_mode(S_ISUID | S_IXUSR),
        changed_mode(S_ISUID | S_IXUSR, "cp", "fchmodat"),
    ],
}
"""Rule -> events that it must match."""

SILENT = {
    "Program run from memory": [
        executed("ls"),
        executed("3", res=-13, **MEMFD),
        executed("runc", parent=RUNC, **CLONED),
    ],
    "Dropped executable run in container": [
        executed("tool", **INSIDE),
        executed("tool", exe_upper_layer=True),
        executed("tool", **INSIDE, vpid=7, pidns_init_start_ts_ns=9, exe_ino_ctime_ns=5),
        # A container in the host's pid namespace: when it started is not known.
        executed("tool", **INSIDE, pidns_init_start_ts_ns=5, exe_ino_ctime_ns=9),
        executed("tool", **INSIDE, exepath="/tmpfiles/tool"),
    ],
    "Package manager run in container": [
        executed("apk"),
        executed("dpkg", **INSIDE, parent="apt-get"),
    ],
    "Search for keys or credentials": [
        executed("grep", "-r", "certificate", "/"),
        executed("cat", "id_rsa"),
        executed("grep", "-q", "PRIVATE KEY", "f", parent=DPKG),
    ],
    "Shell on a terminal in container": [
        executed("bash", **INSIDE, parent="runc"),
        executed("bash", tty=34816, parent="sshd"),
        executed("bash", **INSIDE, tty=34816, parent="sh"),
        executed("busybox", "ls", **INSIDE, tty=34816, parent="runc"),
    ],
    "Log or audit trail cleared": [
        opened(LOG, "bash", flags=O_WRONLY),
        opened(LOG, "bash", flags=O_WRONLY | O_TRUNC | O_CREAT | O_F_CREATED),
        opened("/var/log/app.log", "app", flags=O_WRONLY | O_TRUNC),
        deleted(LOG, "logrotate", exepath="/usr/sbin/logrotate"),
        moved("/root/.bash_history-1.tmp", "/root/.bash_history", "bash"),
    ],
    "Write below a binary directory": [
        opened("/usr/bin/ls"),
        opened("/opt/bin/ls", "cp", **WRITE),
        opened("/usr/bin/ls", "dpkg", **WRITE),
        opened("/usr/bin/ls", "sh", **WRITE, parent=DPKG),
    ],
    "Write below etc": [
        opened("/etc/motd", "vi"),
        opened("/etcetera", "vi", **WRITE),
        opened("/etc/nginx/nginx.conf", "sh", **WRITE, **INSIDE),
        moved("/tmp/x", "/etc/nginx/nginx.conf", **INSIDE),
        opened(SHADOW, "passwd", **WRITE),
        opened("/etc/resolv.conf", "dhclient", **WRITE, exepath="/usr/sbin/dhclient"),
    ],
    "Sensitive file read by untrusted program": [
        opened("/etc/passwd"),
        opened("/home/ann/.ssh/id_rsa.pub"),
        opened(SHADOW, "sshd", exepath="/usr/sbin/sshd"),
        opened("/home/ann/.ssh/id_rsa", "ssh"),
        opened(SHADOW, "grep", parent=DPKG),
        opened(SHADOW, "tee", flags=O_WRONLY),
    ],
    "Service account token read by hand": [
        opened(TOKEN, "controller", **INSIDE),
        opened(TOKEN.replace("token", "ca.crt"), **INSIDE),
        opened("/tmp/token", **INSIDE),
    ],
    "Link to a sensitive file": [
        linked("/etc/hostname"),
        linked(SHADOW, res=-13),
        linked(SHADOW, "link", "useradd", exepath="/usr/sbin/useradd"),
    ],
    "Container runtime socket used by unexpected program": [
        connected_unix("/run/docker.sock", "docker"),
        connected_unix("/run/other.sock", "curl"),
        connected_unix("/run/docker.sock", "curl", res=-111),
    ],
    "Cloud metadata service contacted from container": [
        connected("169.254.169.254", 80, "curl"),
        connected("169.254.169.253", 80, "curl", **INSIDE),
        connected("169.254.169.254", 80, "curl", **INSIDE, res=-111),
    ],
    "Outbound connection from unexpected program": [
        connected("127.0.0.1", 4444, "bash"),
        connected("198.51.100.7", 53, "bash"),
        connected("198.51.100.7", 4444, "bash", res=-111),
        connected("198.51.100.7", 4444, "python3", "app.py"),
        connected("198.51.100.7", 4444, "nc"),
        connected("198.51.100.7", 443, "curl"),
    ],
    "Process attached to with ptrace": [
        traced(PTRACE_TRACEME),
        traced(PTRACE_ATTACH, res=-1),
        traced(PTRACE_ATTACH, "criu"),
    ],
    "Privileges raised to root by unexpected program": [
        *(changed_id(kind, 65534) for kind in SETUIDS),
        changed_id("setuid", 0, "sudo"),
        changed_id("setuid", 0, res=-1),
        changed_id("setuid", 0, "runc:[2:INIT]", parent=RUNC, exepath="memfd:runc_cloned:"),
    ],
    "Set-user-ID bit given to a file": [
        changed_mode(S_IXUSR),
        changed_mode(S_ISUID | S_IXUSR, res=-1),
        changed_mode(S_ISUID | S_IXUSR, "dpkg"),
    ],
}
"""Rule -> likenesses that it must not match."""


@cache
def ruleset() -> Ruleset:
    """The default rules."""
    report = load_rules([RulesSource(FILE.name, FILE.read_bytes())])
    assert report.successful, report.verbose()
    return report.ruleset


def rule_named(name) -> Rule:
    """One rule of them."""
    return next(rule for rule in ruleset().rules if rule.name == name)


def outcomes(rule) -> list[bool]:
    """What one rule alone says to its own cases."""
    engine = Engine(Ruleset(rules=(rule,)))
    answers = [bool(engine.match(e)) for e in (*FIRES[rule.name], *SILENT[rule.name])]
    assert not engine.rule_errors
    return answers


def test_every_rule_has_both_kinds_of_case():
    """No rule is without a positive and a negative case."""
    names = {rule.name for rule in ruleset().rules}

    assert names == set(FIRES) == set(SILENT)


@pytest.mark.parametrize("name", FIRES)
def test_cases_of_one_rule(name):
    """Every positive case matches, no negative one does."""
    expected = [True] * len(FIRES[name]) + [False] * len(SILENT[name])

    assert expected == outcomes(rule_named(name))


@pytest.mark.parametrize("name", FIRES)
def test_first_match_is_the_rule(name):
    """With all rules loaded, where the first match decides, positive cases still tell the rule."""
    engine = Engine(ruleset())

    assert [name] * len(FIRES[name]) == [engine.match(e)[0].name for e in FIRES[name]]


def negate(node: Node, atom: Node) -> Node:
    """The condition with one atom (by identity) turned into its opposite."""
    match node:
        case And(children) | Or(children):
            return replace(node, children=tuple(negate(child, atom) for child in children))
        case Not(child):
            return replace(node, child=negate(child, atom))
    return Not(node) if node is atom else node


@pytest.mark.parametrize("name", FIRES)
def test_every_word_of_the_condition_counts(name):
    """Turning any one check of the condition into its opposite makes at least one case fail."""
    rule = rule_named(name)
    expected = outcomes(rule)
    atoms = [node for node in walk(rule.ast) if isinstance(node, Check | Exists)]
    survivors = [
        print_condition(atom)
        for atom in atoms
        if outcomes(replace(rule, ast=negate(rule.ast, atom))) == expected
    ]

    assert survivors == []
