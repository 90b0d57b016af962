"""Users and groups of host and containers (state-tracking.md section 9)."""

import os

import pytest

from exporter.events.container import User
from exporter.events.host import Host
from exporter.state.counters import StateCounters
from exporter.state.users import Users, read_groups, read_passwd
from tests.factories import NOW_NS, make_thread


def make_users(proc, etc) -> Users:
    return Users(Host(), StateCounters(), etc, proc.root)


def test_files_are_read_line_by_line(etc):
    """NSS entries, comments and broken lines are left out, the first line of an id wins."""
    with (etc / "passwd").open("a") as file:
        file.write("ann2:x:1000:1::/:/bin/x\nbroken\n#c:x:1:1:::\nx:x:abc:1:::\n")
    users = read_passwd(str(etc / "passwd"))

    assert [(user.uid, user.name, user.home, user.shell) for user in users] == [
        (0, b"root", b"/root", b"/bin/bash"),
        (1000, b"ann", b"/home/ann", b"/bin/sh"),
    ]
    assert [group.name for group in read_groups(str(etc / "group"))] == [b"root", b"adm"]
    assert read_passwd(str(etc / "missing")) == []


def test_root_is_always_known(proc, tmp_path):
    """Without any file uid 0 is root."""
    users = make_users(proc, tmp_path / "none")
    users.load_host()

    assert users.host.users[b"", 0].home == b"/root"


def test_the_host_s_files_are_read_again_when_they_change(proc, etc):
    """A user added later is known, one removed is not; nothing is read while nothing changes."""
    users = make_users(proc, etc)
    users.load_host()
    users.load_host()
    assert users.counters.users_read == 1
    (etc / "passwd").write_text("bob:x:7:7::/:/bin/sh\n")
    os.utime(etc / "passwd", ns=(1, 1))
    users.load_host()

    assert users.host.users[b"", 7].name == b"bob"
    assert (b"", 1000) not in users.host.users
    assert users.host.users[b"", 0].name == b"root"


def container_process(proc, tid: int = 50, passwd: str = "app:x:5:6::/:\n"):
    """A process whose root is a directory of its own."""
    base = proc.add(tid)
    (base / "root").unlink()
    (base / "root" / "etc").mkdir(parents=True)
    (base / "root" / "etc" / "passwd").write_text(passwd.replace("::/:", "::/:/bin/sh"))
    (base / "root" / "etc" / "group").write_text("staff:x:6:\n")
    return make_thread("x", tid=tid, uid=5, gid=6, container_id=b"abc")


def test_a_container_s_own_names(proc, etc):
    """The container's passwd names its ids; it is read once for each new id."""
    users = make_users(proc, etc)
    thread = container_process(proc)
    users.ensure(thread, NOW_NS)
    users.ensure(thread, NOW_NS)
    assert users.host.users[b"abc", 5].name == b"app"
    assert users.host.groups[b"abc", 6].name == b"staff"
    assert users.counters.users_read == 2
    users.forget_container(b"abc")

    assert (b"abc", 5) not in users.host.users


def test_an_id_without_a_name_is_asked_for_once(proc, etc):
    """A uid that the file lacks stays unknown and costs one read."""
    users = make_users(proc, etc)
    thread = container_process(proc)
    thread.uid = 999
    for _ in range(5):
        users.ensure(thread, NOW_NS)

    assert (b"abc", 999) not in users.host.users
    assert users.counters.users_read == 2


def test_reads_of_containers_are_bounded(proc, etc):
    """More new ids than twenty a second wait for the next second."""
    users = make_users(proc, etc)
    thread = container_process(proc)
    for uid in range(100, 130):
        thread.uid = uid
        users.ensure(thread, NOW_NS)
    assert users.counters.users_limited == 11
    thread.uid = 5
    users.ensure(thread, NOW_NS + 1_000_000_000)

    assert isinstance(users.host.users[b"abc", 5], User)


def test_hostile_files_do_not_stop_us(proc, etc):
    """A FIFO or a link in place of passwd is not waited for and not followed."""
    users = make_users(proc, etc)
    thread = container_process(proc)
    passwd = proc.root / "50" / "root" / "etc" / "passwd"
    passwd.unlink()
    os.mkfifo(passwd)
    users.ensure(thread, NOW_NS)
    other = container_process(proc, 51)
    other.container_id = b"def"
    link = proc.root / "51" / "root" / "etc" / "passwd"
    link.unlink()
    link.symlink_to(etc / "passwd")
    other.uid = 1000
    users.ensure(other, NOW_NS)

    assert (b"abc", 5) not in users.host.users
    assert (b"def", 1000) not in users.host.users


def test_host_processes_need_no_reading(proc, etc):
    """A thread outside containers never causes a read."""
    users = make_users(proc, etc)
    users.ensure(make_thread("x", uid=77), NOW_NS)

    assert users.counters.users_read == 0


def test_a_process_that_has_ended_is_no_answer(proc, etc):
    """Where /proc has lost the process its ancestors are asked, and else the next process."""
    users = make_users(proc, etc)
    ended = make_thread("x", tid=51, ptid=50, uid=5, gid=6, container_id=b"abc")
    users.ensure(ended, NOW_NS)
    assert users.counters.users_read == 0
    parent = container_process(proc)
    users.host.threads[parent.tid] = parent
    users.ensure(ended, NOW_NS)

    assert users.host.users[b"abc", 5].name == b"app"
    assert users.counters.users_read == 2


def test_an_ancestor_outside_the_container_is_not_asked(proc, etc):
    """What runs in another container has other names."""
    users = make_users(proc, etc)
    other = container_process(proc)
    other.container_id = b"def"
    users.host.threads[other.tid] = other
    ended = make_thread("x", tid=51, ptid=50, uid=5, gid=6, container_id=b"abc")
    users.ensure(ended, NOW_NS)

    assert (b"abc", 5) not in users.host.users


@pytest.mark.parametrize("shows_root_of_pid_1", [True, False])
def test_a_helper_that_still_has_the_host_s_root_names_nobody(shows_root_of_pid_1, proc, etc):
    """A runtime joins the container's cgroup before it changes its root; what it execs has it."""
    users = make_users(proc, etc)
    helper = container_process(proc, passwd="host-app:x:5:6::/:\n")
    root = proc.root / "50" / "root"
    if shows_root_of_pid_1:
        (proc.root / "1").mkdir(exist_ok=True)
        (proc.root / "1" / "root").unlink(missing_ok=True)
        (proc.root / "1" / "root").symlink_to(root)
    else:
        users = make_users(proc, root / "etc")
    users.ensure(helper, NOW_NS)
    assert (b"abc", 5) not in users.host.users
    # Some containers have the host's root for their own.
    users.ensure(helper, NOW_NS, has_settled=True)

    assert users.host.users[b"abc", 5].name == b"host-app"
