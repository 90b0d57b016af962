"""Reading fields by the text that rules have, and a family of processes to read of."""

from exporter.events.fd import Fd, FdType
from exporter.events.host import Host
from exporter.events.thread import UNKNOWN_ID
from exporter.rules.fields.catalogue import find_field
from tests.factories import NOW_NS, make_thread


def read(text, event):
    """The value of a field named as in a rule."""
    name, _, rest = text.partition("[")
    use = find_field(name, rest[:-1] if rest else None, event.source)
    assert use is not None, text
    return use.read(event)


def family():
    """systemd(1) <- sshd(20) <- bash(30) <- cat(40, with a second thread 41)."""
    host = Host(boot_ts_ns=5)
    init = make_thread("systemd", tid=1, ptid=0, clone_ts_ns=7)
    sshd = make_thread("sshd", tid=20, parent=init, args=("-D",), env=("A=1", "SHELL=x"), sid=20)
    bash = make_thread("bash", tid=30, parent=sshd, args=("-l",), sid=30, vpgid=30, pgid=30)
    cat = make_thread(
        "cat",
        tid=40,
        parent=bash,
        args=("/etc/shadow", "-n"),
        env=("HOME=/root", "B=2"),
        sid=30,
        vpgid=40,
        pgid=40,
        cgroups=((b"cpu", b"/a"), (b"memory", b"/b")),
        clone_ts_ns=NOW_NS - 5,
        fds={0: Fd(type=FdType.PIPE), 3: Fd(type=FdType.FILE_V2, name=b"/x")},
        fdlimit=100,
        cap_permitted=1 << 21 | 1,
        loginuid=UNKNOWN_ID,
    )
    other = make_thread("worker", tid=41, pid=40, parent=bash, cwd=b"")
    for thread in (init, sshd, bash, cat, other):
        host.threads[thread.tid] = thread
    return host, cat, other
