"""Live events: the kernel's word wins, gaps are filled from /proc within bounds."""

from typing import Any

import pytest

from exporter.events.fd import Fd, FdType, L4Proto, Role
from exporter.events.params import SocketTuple
from exporter.events.paths import working_directory
from exporter.state.live import MAX_READS_PER_SECOND
from tests.live_contexts import HOST_MNTNS, START_NS, make_live

A = "0123456789abcdef" * 4
B = "fedcba9876543210" * 4
SHORT_A, SHORT_B = A[:12].encode(), B[:12].encode()
UID = "1a2b3c4d-0000-1111-2222-333344445555"
POD = f"0::/kubepods/besteffort/pod{UID}/{A}\n"
OTHER_MNTNS = HOST_MNTNS + 99


def open_event(feeder, pid: int, **fields: Any) -> Any:
    """An open of /etc/hosts by a live process."""
    arguments = {"fd": 3, "dirfd": -100, "name": b"/etc/hosts", "flags": 1}
    params = {key: fields.pop(key) for key in list(fields) if key in arguments}
    tid = fields.pop("tid", pid)
    return feeder("openat", tid, live=make_live(pid, **fields), **{**arguments, **params})


def test_the_scan_fills_the_table(fed, proc):
    """Processes that run already are known with parents, users and container."""
    proc.add(50, "sh", cgroup=POD, mntns=OTHER_MNTNS)
    fed.state.scan()
    thread = fed.thread(50)

    assert (thread.container_id, thread.pod_uid) == (A[:12].encode(), UID.encode())
    assert fed.state.host.parent(thread).comm == b"init"
    assert thread.clone_ts_ns == fed.state.host.boot_ts_ns + START_NS
    assert fed.state.host.users[b"", 1000].name == b"ann"
    assert fed.thread(1).container_id == b""


def test_a_known_thread_costs_no_reading(fed, proc):
    """Events of scanned processes ask /proc for nothing."""
    proc.add(50)
    fed.state.scan()
    proc.remove(50)
    event = open_event(fed, 50, ptid=1)

    assert event.thread is fed.thread(50)
    assert event.thread.args == (b"9",)
    assert fed.state.counters.proc_reads == 0


def test_an_unknown_process_is_read(fed, proc):
    """A process that started unseen is read from /proc, parents included."""
    proc.add(60, "parent")
    proc.add(61, "child", ppid=60)
    event = open_event(fed, 61, ptid=60)

    assert event.thread.exe == b"/bin/sleep"
    assert fed.state.host.parent(event.thread).comm == b"parent"
    assert fed.state.counters.repaired_unknown == 1
    assert fed.state.counters.repaired_parent == 1


def test_a_process_that_is_gone_is_known_from_its_event(fed):
    """What the event carries is enough for ids, name and parent."""
    event = open_event(fed, 70, uid=1000, gid=4, comm=b"short", loginuid=5, tty=7)
    thread = event.thread

    assert (thread.pid, thread.ptid, thread.uid, thread.gid) == (70, 1, 1000, 4)
    assert (thread.comm, thread.loginuid, thread.tty) == (b"short", 5, 7)
    assert (fed.state.counters.proc_gone, fed.state.counters.placeholders) == (1, 1)


def test_reading_is_bounded(fed):
    """In one second of event time only so many files are read: image and cgroup of each process."""
    for pid in range(1000, 1000 + MAX_READS_PER_SECOND + 7):
        open_event(fed, pid)

    assert fed.state.counters.proc_reads == MAX_READS_PER_SECOND // 2
    assert fed.state.counters.proc_limited == MAX_READS_PER_SECOND + 2 * 7


def test_a_reused_pid_is_another_process(fed, proc):
    """Another start time under a known pid: the old entry is replaced."""
    proc.add(80, "old")
    fed.state.scan()
    event = open_event(fed, 80, start_boottime_ns=START_NS + 3_000_000_000, comm=b"new")

    assert event.thread.comm == b"new"
    assert event.thread.args == ()
    assert fed.state.counters.repaired_reused == 1


def test_start_times_of_proc_are_coarse(fed, proc):
    """The same hundredth of a second is the same process; the exact time is kept then."""
    proc.add(81)
    fed.state.scan()
    event = open_event(fed, 81, start_boottime_ns=START_NS + 1234)

    assert event.thread.start_boottime_ns == START_NS + 1234
    assert fed.state.counters.repaired_reused == 0


def test_a_thread_is_known_by_its_leader(fed, proc):
    """A thread met first by its own event has its process's image and directory."""
    proc.add(90, "server")
    event = open_event(fed, 90, tid=91, comm=b"worker", dirfd=-100, name=b"f", cwd=None)
    thread = event.thread

    assert (thread.tid, thread.pid, thread.comm, thread.exe) == (91, 90, b"worker", b"/bin/sleep")
    assert fed.state.host.leader(thread).comm == b"server"
    assert event.fd.name == b"/home/ann/f"


def test_the_kernel_s_ids_win(fed, proc):
    """Ids that changed unseen are taken from the event."""
    proc.add(50)
    fed.state.scan()
    event = open_event(fed, 50, uid=1000, gid=4, loginuid=1000, sid=3, pgid=4, vpgid=5, tty=6)
    thread = event.thread

    assert (thread.uid, thread.gid, thread.loginuid) == (1000, 4, 1000)
    assert (thread.sid, thread.pgid, thread.vpgid, thread.tty) == (3, 4, 5, 6)


def test_unchanged_ids_of_set_calls_stay(fed, proc):
    """setresuid(-1, ...) of a live process shows the uid it really has."""
    proc.add(50)
    fed.state.scan()
    event = fed("setresuid", 50, live=make_live(50, uid=9), res=0, ruid=1, euid=0xFFFFFFFF, suid=2)

    assert event.thread.uid == 9


def test_a_new_parent_is_taken_over(fed, proc):
    """Reparenting that nobody saw shows in the next event."""
    proc.add(50)
    proc.add(51, ppid=50)
    fed.state.scan()
    event = open_event(fed, 51, ptid=1)

    assert event.thread.ptid == 1
    assert (fed.thread(50).children, fed.thread(1).children) == (0, 2)


@pytest.mark.parametrize(
    ("mntns", "container"), [(OTHER_MNTNS, A[:12].encode()), (HOST_MNTNS, b"")]
)
def test_host_or_container(fed, proc, mntns, container):
    """A container's cgroup in the host's mount namespace is the host."""
    proc.add(50, cgroup=POD, mntns=mntns)
    event = open_event(fed, 50, mntns=mntns)

    assert event.thread.container_id == container


def test_moving_into_a_container(fed, proc):
    """runc: first the cgroup, then the mount namespace, then the exec."""
    base = proc.add(50, cgroup="0::/host\n")
    fed.state.scan()
    assert open_event(fed, 50, cgroup_id=5).thread.container_id == b""
    (base / "cgroup").write_text(POD)
    assert open_event(fed, 50, cgroup_id=6).thread.container_id == b""
    event = open_event(fed, 50, cgroup_id=6, mntns=OTHER_MNTNS)

    assert event.thread.container_id == A[:12].encode()
    assert event.thread.pod_uid == UID.encode()


@pytest.mark.parametrize("path", [f"/sandbox/{A}", "/supervisor/d99db929c07dd4535df907dfbd61470d"])
def test_leaving_the_mount_namespace_on_the_host(fed, proc, path):
    """`unshare -m` below an odd cgroup of the host stays there, with its children, for good."""
    proc.add(50, "sh", cgroup=f"4:memory:{path}\n")
    proc.add(40, "unshare", ppid=50, cgroup=f"4:memory:{path}\n", mntns=OTHER_MNTNS)
    proc.add(39, "sh", ppid=40, cgroup=f"4:memory:{path}\n", mntns=OTHER_MNTNS + 1)
    fed.state.scan()
    assert [fed.thread(pid).container_id for pid in (50, 40, 39)] == [b"", b"", b""]

    proc.remove(50)
    cgroups = [b"memory=" + path.encode()]
    live = make_live(40, ptid=1, cgroup_id=1, mntns=OTHER_MNTNS)
    event = fed.execve(40, b"/bin/sh", live=live, cgroups=cgroups)

    assert event.thread.container_id == b""


def test_a_container_below_an_odd_cgroup_of_the_host(fed, proc):
    """What enters another id than its parent's is a container; what is started in it is in it."""
    proc.add(50, "shim", cgroup=f"4:memory:/sandbox/{A}\n")
    inner = f"4:memory:/sandbox/{A}/docker/{B}\n"
    proc.add(60, "init", ppid=50, cgroup=inner, mntns=OTHER_MNTNS)
    proc.add(55, "unshare", ppid=60, cgroup=inner, mntns=OTHER_MNTNS + 1)
    fed.state.scan()

    assert [fed.thread(pid).container_id for pid in (50, 60, 55)] == [b"", SHORT_B, SHORT_B]


def test_cgroup_v1_shows_in_the_mount_namespace(fed, proc):
    """On v1 hosts the id stays that of the root; the new namespace makes us read the paths."""
    base = proc.add(50, cgroup="4:memory:/\n")
    fed.state.scan()
    assert open_event(fed, 50, cgroup_id=1).thread.container_id == b""
    (base / "cgroup").write_text(POD.replace("0:", "4:memory"))
    event = open_event(fed, 50, cgroup_id=1, mntns=OTHER_MNTNS)

    assert event.thread.container_id == A[:12].encode()


def test_only_events_that_always_come_move_the_directory_of_others(fed, proc):
    """A directory that was renamed shows in events that carry it; whether they come depends on
    the rules, and what other events show must not.
    """
    proc.add(50)
    fed.state.scan()
    directories = [
        working_directory(open_event(fed, 50, cwd=b"/renamed")),
        working_directory(open_event(fed, 50)),
    ]
    fed("chdir", 50, live=make_live(50, cwd=b"/there"), res=0, path=b"/there")
    directories.append(working_directory(open_event(fed, 50)))

    assert directories == [b"/renamed/", b"/home/ann/", b"/there/"]


def test_a_move_of_a_process_that_is_ending_keeps_what_is_known(fed, proc):
    """The kernel shows it at the root of v1 hierarchies from then on; it never was there.

    Else a late look would take the children of `unshare -m` below an odd cgroup for a container.
    """
    base = proc.add(50, cgroup=f"4:memory:/sandbox/{A}\n")
    fed.state.scan()
    (base / "cgroup").write_text("4:memory:/\n")
    words = (base / "stat").read_text().split()
    words[8] = str(0x400004)  # PF_RANDOMIZE | PF_EXITING
    (base / "stat").write_text(" ".join(words))
    event = open_event(fed, 50, cgroup_id=1, mntns=OTHER_MNTNS)

    assert event.thread.cgroups == ((b"memory", f"/sandbox/{A}".encode()),)


def test_a_move_keeps_the_subsystems_that_events_tell_of(fed, proc):
    """thread.cgroups reads the same whether an event told the paths or /proc was asked."""
    proc.add(50)
    fed.state.scan()
    told = [b"cpuset=/", b"io=/", b"memory=/old"]
    fed.execve(50, b"/bin/sh", live=make_live(50, cgroup_id=1), cgroups=told)
    (proc.root / "50" / "cgroup").write_text(
        "9:name=systemd:/\n8:pids:/\n4:memory:/new\n3:blkio:/\n2:cpuset:/\n0::/\n"
    )
    event = open_event(fed, 50, cgroup_id=1, mntns=OTHER_MNTNS)

    assert event.thread.cgroups == ((b"cpuset", b"/"), (b"blkio", b"/"), (b"memory", b"/new"))


def test_a_move_of_a_process_that_is_gone_keeps_what_is_known(fed, proc):
    """Where nothing better can be read the old paths stay."""
    proc.add(50, cgroup=POD, mntns=OTHER_MNTNS)
    fed.state.scan()
    open_event(fed, 50, cgroup_id=6, mntns=OTHER_MNTNS)
    proc.remove(50)
    event = open_event(fed, 50, cgroup_id=7, mntns=OTHER_MNTNS)

    assert event.thread.container_id == A[:12].encode()


def test_container_of_an_exec(fed):
    """The exec's own cgroup paths decide, without reading anything."""
    live = make_live(50, cgroup_id=9, mntns=OTHER_MNTNS)
    cgroups = [POD[3:].strip().encode().join((b"cpuset=", b""))]
    event = fed.execve(50, b"/bin/sh", live=live, cgroups=cgroups)

    assert event.thread.container_id == A[:12].encode()
    assert open_event(fed, 51, cgroup_id=9, mntns=OTHER_MNTNS).thread.container_id == (
        A[:12].encode()
    )


def test_a_cgroup_without_controllers(fed, proc):
    """On v2 the five controllers may end above the container; its own directory's path tells."""
    told = [b"cpuset=/user.slice", b"memory=/user.slice/user-9.slice"]
    own = f"0::/user.slice/user-9.slice/libpod-{A}.scope/container\n"
    proc.add(50, "sh", cgroup=own, mntns=OTHER_MNTNS)
    proc.add(51, "sh", cgroup="0::/user.slice/x.scope\n", mntns=OTHER_MNTNS + 1)
    events = [
        fed.execve(pid, b"/bin/sh", live=make_live(pid, cgroup_id=pid, mntns=mntns), cgroups=told)
        for pid, mntns in ((50, OTHER_MNTNS), (51, OTHER_MNTNS + 1))
    ]

    assert [event.thread.container_id for event in events] == [SHORT_A, b""]
    # Those that have gone, and their children, share what was read for the directory.
    proc.remove(50)
    gone = make_live(52, cgroup_id=50, mntns=OTHER_MNTNS)
    event = fed.execve(52, b"/bin/true", live=gone, cgroups=told)
    assert event.thread.container_id == SHORT_A
    assert event.thread.cgroups == ((b"cpuset", b"/user.slice"), (b"memory", told[1][7:]))


def test_a_container_in_v2_alone_below_an_odd_cgroup_of_the_host(fed, proc):
    """The host's odd name in another hierarchy does not hide it."""
    odd = f"4:memory:/sandbox/{B}\n"
    proc.add(50, "shim", cgroup=odd + "0::/\n")
    proc.add(51, "sh", ppid=50, cgroup=f"{odd}0::/libpod-{A}.scope\n", mntns=OTHER_MNTNS)
    fed.state.scan()
    told = [b"memory=/sandbox/" + B.encode()]
    live = make_live(51, ptid=50, cgroup_id=7, mntns=OTHER_MNTNS)

    assert fed.execve(51, b"/bin/sh", ptid=50, live=live, cgroups=told).thread.container_id == (
        SHORT_A
    )
    proc.remove(50)
    live = make_live(51, ptid=1, cgroup_id=7, mntns=OTHER_MNTNS)
    assert fed.execve(51, b"/bin/cat", ptid=1, live=live, cgroups=told).thread.container_id == (
        SHORT_A
    )


def test_leaving_the_mount_namespace_in_an_odd_directory_of_v2(fed, proc):
    """The directory's name makes no container of who inherited it from the host."""
    odd = f"0::/sandbox/{A}\n"
    proc.add(50, "sh", cgroup=odd)
    proc.add(51, "unshare", ppid=50, cgroup=odd, mntns=OTHER_MNTNS)
    told = [b"memory=/sandbox"]
    fed.execve(50, b"/bin/sh", live=make_live(50, cgroup_id=7), cgroups=told)
    live = make_live(51, ptid=50, cgroup_id=7, mntns=OTHER_MNTNS)

    assert fed.execve(51, b"/bin/sh", ptid=50, live=live, cgroups=told).thread.container_id == b""


def test_fork_and_exec_need_no_reading(fed, proc):
    """A short-lived process is fully known from its own events."""
    proc.add(50, "sh", argv=("/bin/sh",))
    fed.state.scan()
    facts = {"exe": b"/bin/sh", "args": [], "comm": b"sh", "flags": 0, "cgroups": [b"cpu=/x"]}
    start = START_NS + 5_000_000_000
    fed("clone", 50, live=make_live(50, ptid=1), res=52, tid=50, pid=50, ptid=1, vtid=50,
        vpid=50, **facts)  # fmt: skip
    child = make_live(52, ptid=50, start_boottime_ns=start)
    fed("clone", 52, live=child, res=0, tid=52, pid=52, ptid=50, vtid=52, vpid=52, **facts)
    event = fed.execve(52, b"/bin/true", ptid=50, live=child)
    exit_event = fed("PPME_PROCEXIT_1_E", 52, live=child, status=0)

    assert event.thread is exit_event.thread
    assert event.thread.exepath == b"/bin/true"
    assert fed.thread(52) is None
    assert fed.state.counters.proc_reads == 0


def test_a_child_seen_before_its_parent_s_event(fed, proc):
    """The child's exec may be read before its parent's clone returns: the exec stays."""
    proc.add(50, "sh")
    fed.state.scan()
    child = make_live(53, ptid=50, start_boottime_ns=START_NS + 5_000_000_000)
    facts = {"exe": b"/bin/sh", "args": [], "comm": b"sh", "flags": 0}
    fed("clone", 53, live=child, res=0, tid=53, pid=53, ptid=50, vtid=53, vpid=53, **facts)
    fed.execve(53, b"/bin/true", ptid=50, live=child)
    fed("clone", 50, live=make_live(50), res=53, tid=50, pid=50, ptid=1, vtid=50, vpid=50, **facts)

    assert fed.thread(53).exepath == b"/bin/true"


def test_a_reused_child_pid_starts_anew(fed, proc):
    """A fork's child takes the place of a process whose exit was lost."""
    proc.add(50, "sh", argv=("/bin/sh",))
    proc.add(54, "stale")
    fed.state.scan()
    child = make_live(54, ptid=50, start_boottime_ns=START_NS + 9_000_000_000, comm=b"sh")
    facts = {"exe": b"/bin/sh", "args": [], "comm": b"sh", "flags": 0}
    event = fed("clone", 54, live=child, res=0, tid=54, pid=54, ptid=50, vtid=54, vpid=54, **facts)

    assert event.thread.comm == b"sh"
    assert event.thread.ptid == 50
    assert fed.state.counters.repaired_reused == 1


def test_nothing_is_kept_of_descriptors(fed, proc):
    """A live state keeps no descriptors, however many are opened."""
    proc.add(50)
    fed.state.scan()
    for number in range(100):
        event = open_event(fed, 50, fd=number)
        assert event.fd.name == b"/etc/hosts"

    assert fed.thread(50).fds == {}


def test_the_event_s_descriptor_facts(fed, proc):
    """A descriptor opened long ago is known from the event that uses it."""
    proc.add(50)
    fed.state.scan()
    fds = {7: Fd(type=FdType.FILE_V2, name=b"/var/log/x")}
    event = fed("fchmod", 50, live=make_live(50, fds=fds), res=0, fd=7, mode=0o777)

    assert (event.fd_num, event.fd.name) == (7, b"/var/log/x")


def test_a_directory_descriptor_is_the_event_s(fed, proc):
    """The descriptor of an *at call is the directory that travelled with the event."""
    proc.add(50)
    fed.state.scan()
    event = fed(
        "unlinkat", 50, live=make_live(50, dirfd_path=b"/srv"), res=0, dirfd=6, name=b"x", flags=0
    )

    assert (event.fd_num, event.fd.type, event.fd.name) == (6, FdType.DIRECTORY, b"/srv")
    assert fed.state.counters.fd_unknown == 0


def connection(**fields) -> Fd:
    """A TCP connection as the probe reads it: local end first, no role, no name."""
    values = {
        "type": FdType.IPV4, "l4": L4Proto.TCP, "sip": b"\x0a\0\0\x01", "sport": 40000,
        "dip": b"\x0a\0\0\x02", "dport": 80,
    }  # fmt: skip
    return Fd(**{**values, **fields})


def test_roles_of_live_connections(fed, proc):
    """A local port that a server used makes the process the server."""
    proc.add(50)
    fed.state.scan()
    ours = fed("dup2", 50, live=make_live(50, fds={7: connection()}), res=0, oldfd=7, newfd=0)
    assert (ours.fd.role, ours.fd.name) == (Role.CLIENT, b"10.0.0.1:40000->10.0.0.2:80")
    tuple_ = SocketTuple(2, b"\x0a\0\0\x02", 5, b"\x0a\0\0\x01", 8080)
    fed("accept4", 50, live=make_live(50), fd=8, tuple=tuple_)
    facts = {8: connection(sport=8080, dport=5)}
    theirs = fed("dup2", 50, live=make_live(50, fds=facts), res=0, oldfd=8, newfd=0)

    assert (theirs.fd.role, theirs.fd.name) == (Role.SERVER, b"10.0.0.2:5->10.0.0.1:8080")


def test_connect_of_a_socket_nobody_saw(fed, proc):
    """Without any facts the tuple makes the descriptor."""
    proc.add(50)
    fed.state.scan()
    tuple_ = SocketTuple(2, b"\x0a\0\0\x01", 5, b"\x0a\0\0\x02", 80)
    event = fed("connect", 50, live=make_live(50), res=0, fd=3, tuple=tuple_)

    assert (event.fd.role, event.fd.name) == (Role.CLIENT, b"10.0.0.1:5->10.0.0.2:80")


def test_lost_exits_are_purged(fed, proc):
    """Every 300 s, processes that are gone and were silent for 300 s are dropped."""
    proc.add(50)
    proc.add(51)
    fed.state.scan()
    open_event(fed, 51)
    proc.remove(50)
    fed.now_ns += 301_000_000_000
    open_event(fed, 51)

    assert fed.thread(50) is None
    assert fed.thread(51) is not None
    assert fed.state.counters.threads_purged == 1


def test_pid_1_tells_the_host_s_mount_namespace(fed, proc):
    """Where /proc hides it, the first event of pid 1 says which namespace is the host's."""
    fed.state.tables.rule.host_mntns = 0
    open_event(fed, 1, ptid=0, start_boottime_ns=10_000_000, mntns=4242)
    proc.add(50, cgroup=POD)

    assert open_event(fed, 50, cgroup_id=8, mntns=4242).thread.container_id == b""
    assert open_event(fed, 50, cgroup_id=8, mntns=4243).thread.container_id == A[:12].encode()
