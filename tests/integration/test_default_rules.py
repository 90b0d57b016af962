"""Every default rule on the live kernel: a harmless act raises it, a benign likeness does not."""

import tempfile
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import pytest
import yaml

from tests.integration.live import ROOT, compile_program

pytestmark = pytest.mark.container

NET = """trap 'kill $httpd' EXIT
ip link set lo up && ip addr add {address}/32 dev lo
{busybox}httpd -p 80 -h {www} -f & httpd=$!
tries=0
until {busybox}wget -q -O /dev/null http://127.0.0.1/; do
  {busybox}usleep 10000; tries=$((tries + 1)); [ $tries -lt 500 ] || exit 1
done
"""
IN_CONTAINER = {"busybox": "", "www": "/www"}
ON_HOST = {"busybox": "busybox ", "www": "{tmp}"}
UNIX = """python3 -c '
import socket
path = "{tmp}/{name}"
with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
    server.bind(path)
    server.listen()
    client.connect(path)
'"""


class Where(Enum):
    """Where the scripts of a case run."""

    HOST = auto()
    HOST_NET = auto()
    """On the host, in a network namespace of its own."""
    CONTAINER = auto()
    TERMINAL = auto()
    """In a container; the act on a terminal, the benign script without."""


@dataclass(frozen=True)
class Case:
    """act raises `rule`, benign raises nothing; both are shell scripts."""

    rule: str
    act: str
    benign: str
    where: Where = Where.HOST


CASES = {
    "memory": Case(
        "Program run from memory", "{run_from_memory} /bin/busybox true", "/bin/busybox true"
    ),
    "dropped, in a new file": Case(
        "Dropped executable run in container",
        "cp /bin/busybox /opt/busybox && /opt/busybox true",
        "/bin/busybox true",
        where=Where.CONTAINER,
    ),
    "dropped, in tmp": Case(
        "Dropped executable run in container",
        "cp /bin/busybox /tmp/true && /tmp/true",
        "cp /bin/busybox /tmp/true",
        where=Where.CONTAINER,
    ),
    "package manager": Case(
        "Package manager run in container",
        "apk add netcat; true",
        "ls /bin/apk",
        where=Where.CONTAINER,
    ),
    "key search": Case(
        "Search for keys or credentials",
        "grep -r 'BEGIN RSA PRIVATE KEY' {tmp}; true",
        "grep -r 'BEGIN CERTIFICATE' {tmp}; true",
    ),
    "key search by name": Case(
        "Search for keys or credentials",
        "find {tmp} -name id_ed25519",
        "find {tmp} -name index.html",
    ),
    "shell": Case("Shell on a terminal in container", "exit", "exit", where=Where.TERMINAL),
    "log emptied": Case(
        "Log or audit trail cleared",
        ": > /var/log/auth.log",
        "echo more >> /var/log/auth.log; : > /var/log/app.log",
        where=Where.CONTAINER,
    ),
    "log deleted": Case(
        "Log or audit trail cleared",
        "rm /var/log/wtmp",
        "rm /var/log/app.log",
        where=Where.CONTAINER,
    ),
    "history moved away": Case(
        "Log or audit trail cleared",
        "mv /root/.ash_history /tmp/x",
        "cp /root/.ash_history /tmp/x",
        where=Where.CONTAINER,
    ),
    "binary written": Case(
        "Write below a binary directory",
        "cp /bin/busybox /usr/local/bin/tool",
        "cp /bin/busybox /opt/tool",
        where=Where.CONTAINER,
    ),
    "binary moved in": Case(
        "Write below a binary directory",
        "cp /bin/busybox /opt/tool && mv /opt/tool /usr/bin/tool",
        "cp /bin/busybox /opt/tool && mv /opt/tool /opt/tool2",
        where=Where.CONTAINER,
    ),
    "etc of the host": Case(
        "Write below etc",
        "touch {etc} && rm {etc}",
        "cat /etc/hostname",
    ),
    "control file in a container": Case(
        "Write below etc",
        "mkdir /etc/cron.d && echo '* * * * * root id' > /etc/cron.d/job",
        "echo colour = red > /etc/app.conf",
        where=Where.CONTAINER,
    ),
    "control file replaced in a container": Case(
        "Write below etc",
        "cp /etc/passwd /tmp/passwd && mv /tmp/passwd /etc/passwd",
        "cp /etc/app.conf /tmp/app.conf && mv /tmp/app.conf /etc/app.conf",
        where=Where.CONTAINER,
    ),
    "secret read": Case(
        "Sensitive file read by untrusted program",
        "cat /etc/shadow",
        "cat /etc/passwd; chage -l root",
    ),
    "token read": Case(
        "Service account token read by hand",
        "/bin/cat /run/secrets/kubernetes.io/serviceaccount/token",
        "/bin/cat /run/secrets/kubernetes.io/serviceaccount/ca.crt",
        where=Where.CONTAINER,
    ),
    "symbolic link": Case(
        "Link to a sensitive file",
        "ln -s /etc/shadow {tmp}/link",
        "ln -s /etc/hostname {tmp}/link",
    ),
    "hard link": Case(
        "Link to a sensitive file",
        "rm -f /tmp/link; ln /etc/shadow /tmp/link",
        "ln /etc/hostname /tmp/link",
        where=Where.CONTAINER,
    ),
    "runtime socket": Case(
        "Container runtime socket used by unexpected program",
        UNIX.replace("{name}", "docker.sock"),
        UNIX.replace("{name}", "other.sock"),
    ),
    "metadata service": Case(
        "Cloud metadata service contacted from container",
        NET.format(address="169.254.169.254", **IN_CONTAINER)
        + "wget -q -O /dev/null http://169.254.169.254/",
        NET.format(address="169.254.168.254", **IN_CONTAINER)
        + "wget -q -O /dev/null http://169.254.168.254/",
        where=Where.CONTAINER,
    ),
    "netcat in a container": Case(
        "Outbound connection from unexpected program",
        NET.format(address="10.9.9.9", **IN_CONTAINER) + "/bin/nc 10.9.9.9 80 < /dev/null",
        NET.format(address="10.9.9.9", **IN_CONTAINER) + "/bin/nc 127.0.0.1 80 < /dev/null",
        where=Where.CONTAINER,
    ),
    "shell connects": Case(
        "Outbound connection from unexpected program",
        NET.format(address="10.9.9.9", **ON_HOST) + "exec 3<>/dev/tcp/10.9.9.9/80",
        NET.format(address="10.9.9.9", **ON_HOST) + "exec 3<>/dev/tcp/127.0.0.1/80",
        where=Where.HOST_NET,
    ),
    "one-liner connects": Case(
        "Outbound connection from unexpected program",
        NET.format(address="10.9.9.9", **ON_HOST)
        + """python3 -c 'import socket; socket.create_connection(("10.9.9.9", 80))'""",
        NET.format(address="10.9.9.9", **ON_HOST)
        + """python3 -c 'import socket; socket.create_connection(("127.0.0.1", 80))'""",
        where=Where.HOST_NET,
    ),
    "ptrace": Case(
        "Process attached to with ptrace", "{trace_child} attach", "{trace_child} traceme"
    ),
    **{
        call: Case(
            "Privileges raised to root by unexpected program",
            f"python3 -c 'import os; os.{call}({root})'",
            f"python3 -c 'import os; os.{call}({nobody})'",
        )
        for call, root, nobody in (
            ("setuid", "0", "65534"),
            ("setreuid", "0, 0", "65534, 65534"),
            ("setresuid", "0, 0, 0", "65534, 65534, 65534"),
            ("setgid", "0", "65534"),
            ("setregid", "0, 0", "65534, 65534"),
            ("setresgid", "0, 0, 0", "65534, 65534, 65534"),
        )
    },
    "set-user-ID bit": Case(
        "Set-user-ID bit given to a file",
        "touch {tmp}/tool && chmod 4755 {tmp}/tool",
        "touch {tmp}/tool && chmod 2755 {tmp}/tool",
    ),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Our own C programs, compiled."""
    directory = tmp_path_factory.mktemp("programs")
    return {name: compile_program(name, directory) for name in ("run_from_memory", "trace_child")}


@pytest.fixture
def play(stage, container, programs, tmp_path):
    """Run a script of a case: `play(script, where)`; what is made below /etc goes away again."""
    etc = Path(f"/etc/lanner-test-{container.short_id}")

    def run(script, where):
        tmp = Path(tempfile.mkdtemp(dir=tmp_path))
        for name, value in {"tmp": tmp, "etc": etc, **programs}.items():
            script = script.replace(f"{{{name}}}", str(value))
        if where is Where.TERMINAL:
            return stage.run(*container.command("/bin/sh", tty=True), tty=True, stdin=script + "\n")
        if where is Where.CONTAINER:
            return stage.run(*container.command("/bin/sh", "-c", script))
        (tmp / "index.html").write_text("hello")
        file = tmp / "script"
        file.write_text(script)
        prefix = ["unshare", "-n"] if where is Where.HOST_NET else []
        return stage.run(*prefix, "bash", str(file))

    yield run
    etc.unlink(missing_ok=True)


@pytest.mark.parametrize("name", CASES)
def test_act_is_told_and_its_likeness_is_not(name, stage, lanner, container, play):
    """The benign script raises no alert at all; the act raises its rule in the right place."""
    case = CASES[name]
    on_host = case.where in (Where.HOST, Where.HOST_NET)

    since = len(lanner.lines)
    play(case.benign, Where.CONTAINER if case.where is Where.TERMINAL else case.where)
    assert [alert["output"] for alert in lanner.wait_barrier(stage, since)] == []

    since = len(lanner.lines)
    answer = play(case.act, case.where)
    alerts = lanner.wait_barrier(stage, since)
    mine = [alert for alert in alerts if alert["rule"] == case.rule]

    assert mine, (answer, alerts)
    where = "host" if on_host else container.short_id
    assert where == mine[0]["output_fields"]["container.id"]


def test_every_default_rule_has_a_case():
    """No rule is without a live trigger."""
    files = sorted((ROOT / "exporter/ruleset").glob("*.yaml"))
    items = [item for file in files for item in yaml.safe_load(file.read_text())]

    assert {item["rule"] for item in items if "rule" in item} == {c.rule for c in CASES.values()}
