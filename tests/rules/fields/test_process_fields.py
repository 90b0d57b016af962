"""What process, thread and user fields say of events built for the purpose."""

import pytest

from exporter.events.container import Group, User
from exporter.events.host import Host
from exporter.events.thread import Thread
from tests.factories import NOW_NS, make_event, make_thread
from tests.rules.fields.reading import family, read

PROCESS = {
    "proc.name": b"cat",
    "proc.exe": b"cat",
    "proc.exepath": b"/usr/bin/cat",
    "proc.args": b"/etc/shadow -n",
    "proc.args[1]": b"-n",
    "proc.args[2]": b"",
    "proc.cmdline": b"cat /etc/shadow -n",
    "proc.exeline": b"cat /etc/shadow -n",
    "proc.cmdnargs": 2,
    "proc.cmdlenargs": 13,
    "proc.env": b"HOME=/root B=2",
    "proc.env[HOME]": b"/root",
    "proc.env[NONE]": b"",
    "proc.aenv[SHELL]": b"x",
    "proc.aenv[2]": b"A=1 SHELL=x",
    "proc.cwd": b"/root/",
    "proc.pname": b"bash",
    "proc.pexe": b"bash",
    "proc.pexepath": b"/usr/bin/bash",
    "proc.pcmdline": b"bash -l",
    "proc.ppid": 30,
    "proc.pid": 40,
    "proc.apid[2]": 20,
    "proc.aname[0]": b"cat",
    "proc.aname[2]": b"sshd",
    "proc.aname[3]": b"systemd",
    "proc.aname[4]": None,
    "proc.acmdline[2]": b"sshd -D",
    "proc.aexepath[1]": b"/usr/bin/bash",
    "proc.aexe": b"bash sshd systemd",
    "proc.aargs": b"-l -D ",
    "proc.aargs[1]": b"-l",
    "proc.sname": b"bash",
    "proc.sid.exe": b"bash",
    "proc.sid": 30,
    "proc.vpgid.name": b"cat",
    "proc.pgid.exepath": b"/usr/bin/cat",
    "proc.is_vpgid_leader": True,
    "proc.is_sid_leader": False,
    "proc.loginshellid": 30,
    "proc.duration": 5,
    "proc.pid.ts": NOW_NS - 5,
    "proc.ppid.ts": None,
    "proc.ppid.duration": 2,
    "proc.tty": 0,
    "proc.vpid": 40,
    "proc.pvpid": 30,
    "proc.nthreads": 2,
    "proc.nchilds": 1,
    "proc.fdopencount": 2,
    "proc.fdlimit": 100,
    "proc.fdusage": 2.0,
    "proc.exe_ino": None,
    "proc.stdin.type": b"pipe",
    "proc.stdout.type": None,
    "thread.tid": 40,
    "thread.ismain": True,
    "thread.cap_permitted": b"CAP_CHOWN CAP_SYS_ADMIN",
    "thread.cap_effective": b"",
    "thread.cgroups": b"cpu=/a memory=/b",
    "thread.cgroup.memory": b"/b",
    "thread.cgroup.io": None,
    "thread.nametid": b"cat40",
    "user.uid": 0,
    "user.name": b"root",
    "user.homedir": b"/root",
    "user.shell": b"<NA>",
    "user.loginuid": -1,
    "user.loginname": b"<NA>",
    "group.gid": 0,
    "group.name": b"root",
    "container.id": b"host",
    "container.name": b"host",
    "container.image": None,
    "fd.name": b"/etc/shadow",
    "evt.num": 1,
    "evt.type": b"openat",
    "evt.category": b"file",
    "evt.source": b"syscall",
    "evt.hostname": b"",
    "evt.is_async": False,
}


@pytest.mark.parametrize("text", PROCESS)
def test_process_fields(text):
    """Fields of a process with parents, session and environment."""
    host, cat, _ = family()
    event = make_event("openat", proc=cat, host=host, fd_name="/etc/shadow")

    assert PROCESS[text] == read(text, event)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proc.name", b"worker"),
        ("proc.pid", 40),
        ("proc.pname", b"bash"),
        ("proc.aname[0]", b"cat"),
        ("proc.env[B]", b"2"),
        ("proc.cwd", b"/root/"),
        ("proc.fdopencount", 2),
        ("thread.ismain", False),
        ("thread.vmsize", 0),
    ],
)
def test_threads_share_what_the_leader_keeps(text, expected):
    """Other threads have a comm of their own; environment and descriptors are the leader's."""
    host, _, worker = family()

    assert expected == read(text, make_event("kill", proc=worker, host=host))


@pytest.mark.parametrize(
    "text", ["proc.name", "proc.aname[1]", "user.name", "container.id", "fd.num"]
)
def test_without_a_thread_everything_is_missing(text):
    """Meta events of unknown threads have no process, user, container or descriptor."""
    assert read(text, make_event("openat", proc=None)) is None


def test_huge_pids_are_missing():
    """A process id beyond 32 bits is no process id."""
    event = make_event("kill", proc=make_thread("x", tid=1 << 33))

    assert read("proc.pid", event) is None


def test_loops_of_parents_end():
    """Threads that are their own ancestors do not hang the walk."""
    host = Host()
    one = make_thread("one", tid=2, ptid=3)
    two = make_thread("two", tid=3, ptid=2)
    host.threads = {2: one, 3: two}
    event = make_event("kill", proc=one, host=host)

    assert read("proc.aexe", event) == b"two"
    assert read("proc.aname[4000000000]", event) == b"one"


def test_users_are_those_of_the_container():
    """Names come from the database of the thread's container, never from the host's."""
    host = Host(
        users={(b"", 5): User(uid=5, name=b"hostuser"), (b"c1", 5): User(uid=5, name=b"inside")},
        groups={(b"c1", 6): Group(gid=6, name=b"crew")},
    )
    inside = make_event("kill", proc=make_thread("x", uid=5, gid=6, container_id=b"c1"), host=host)
    outside = make_event("kill", proc=make_thread("x", uid=5, gid=6), host=host)

    assert (read("user.name", inside), read("group.name", inside)) == (b"inside", b"crew")
    assert (read("user.name", outside), read("group.name", outside)) == (b"hostuser", b"<NA>")


def test_processes_only_known_by_events():
    """A placeholder has no main thread: numbers are 0 or -1, texts empty, the directory `./`."""
    event = make_event("kill", proc=Thread(tid=5), host=Host(threads={5: Thread(tid=5)}))

    expected = {
        "proc.name": b"<NA>",
        "proc.exeline": b"<NA> ",
        "proc.pid": -1,
        "proc.ppid": None,
        "proc.cwd": b"./",
        "proc.env": b"",
        "proc.env[A]": b"",
        "proc.fdlimit": 0,
        "proc.fdopencount": 0,
        "proc.fdusage": 0.0,
        "proc.nthreads": 0,
        "proc.aname": None,
        "thread.ismain": False,
    }
    assert {name: read(name, event) for name in expected} == expected


def test_values_of_variables_have_no_blanks_around():
    """A variable's value is trimmed; one of nothing is as good as none."""
    thread = make_thread("x", env=("A=  b c ", "AB=1", "E="))
    event = make_event("kill", proc=thread)

    assert (read("proc.env[A]", event), read("proc.env[E]", event)) == (b"b c", b"")
    assert read("proc.env", event) == b"A=  b c  AB=1 E="
