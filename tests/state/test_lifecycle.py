"""Threads from birth to death in captures (state-tracking.md sections 2 to 5)."""

from exporter.events.fd import Fd, FdType
from exporter.events.table import load_event_table
from exporter.events.thread import UNKNOWN_ID, ThreadFlags

FLAGS = dict(load_event_table().value_tables["clone_flags"])
THREAD = FLAGS["CLONE_THREAD"]


def chain(host, thread):
    """Tids from a thread's process upwards."""
    found = []
    while thread is not None:
        found.append(thread.tid)
        thread = host.parent(thread)
    return found


def test_unknown_tids_get_a_placeholder(captured):
    """An event of a tid nobody knows has a thread of which nothing is known."""
    event = captured("openat", 10, fd=-2, dirfd=-100, name=b"x")

    assert (event.thread.pid, event.thread.comm, event.thread.uid) == (-1, b"<NA>", UNKNOWN_ID)
    assert captured.state.counters.placeholders == 1


def test_meta_events_make_no_thread(captured):
    """Container, user and plugin events have a thread only if their tid is known."""
    assert captured("PPME_USER_ADDED_E", 10, uid=5).thread is None
    assert captured.thread(10) is None


def test_a_child_inherits_image_directory_and_descriptors(captured):
    """The parent's event alone makes the whole child."""
    captured.execve(10, b"/bin/bash", tty=5)
    parent = captured.thread(10)
    parent.cwd = b"/srv/"
    parent.fds[3] = Fd(type=FdType.FILE_V2, name=b"/x")
    captured("clone", 10, res=11, exe=b"/bin/bash", args=[b"-i"], comm=b"bash", flags=0, uid=3)
    child = captured.thread(11)

    assert (child.pid, child.ptid, child.vtid, child.vpid) == (11, 10, 11, 11)
    assert (child.exepath, child.tty, child.cwd, child.env) == (
        b"/bin/bash", 5, b"/srv/", (b"A=1",),
    )  # fmt: skip
    assert (child.comm, child.args, child.uid) == (b"bash", (b"-i",), 3)
    assert child.fds[3].is_cloned
    assert not parent.fds[3].is_cloned
    assert parent.children == 1


def test_either_side_of_a_fork_may_come_first(captured):
    """Parent then child, or child then parent: one entry, the same."""
    captured.execve(10)
    facts = {"exe": b"sh", "args": [], "comm": b"sh", "flags": 0}
    caller = {"res": 11, "tid": 10, "pid": 10, "ptid": 1, "vtid": 10, "vpid": 10, **facts}
    child = {"res": 0, "tid": 11, "pid": 11, "ptid": 10, "vtid": 11, "vpid": 11, **facts}
    captured("clone", 10, **caller)
    first = captured.thread(11)
    captured("clone", 11, **child)
    assert captured.thread(11) is first
    captured("PPME_PROCEXIT_1_E", 11, status=0)
    captured.now_ns += 3_000_000_000
    captured("clone", 11, **child)
    second = captured.thread(11)
    captured("clone", 10, **caller)

    assert captured.thread(11) is second
    assert (second.pid, second.ptid, second.exepath) == (11, 10, b"/bin/cat")


def test_a_failed_clone_changes_nothing(captured):
    """A negative result makes no thread."""
    captured.execve(10)
    captured("clone", 10, res=-11, flags=0)

    assert set(captured.state.host.threads) == {10}


def test_the_child_is_left_to_its_own_event(captured):
    """In a pid namespace, for vfork and with CLONE_PARENT the parent cannot make the child."""
    captured.execve(10)
    for flag in ("CLONE_NEWPID", "CLONE_CHILD_IN_PIDNS", "CLONE_PARENT", "CLONE_VFORK"):
        captured("clone", 10, res=11, exe=b"sh", flags=FLAGS[flag])
    captured("vfork", 10, res=11, exe=b"sh", flags=0)

    assert captured.thread(11) is None


def test_a_child_that_ended_is_not_made_again(captured):
    """The parent's event may come after the child's exit."""
    captured.execve(10)
    captured("clone", 11, res=0, exe=b"sh", tid=11, pid=11, ptid=10, vtid=11, vpid=11, flags=0)
    captured("PPME_PROCEXIT_1_E", 11, status=0)
    captured("clone", 10, res=11, exe=b"sh", flags=0)

    assert captured.thread(11) is None


def test_threads_share_what_their_leader_keeps(captured):
    """A new thread belongs to the process and uses its directory and descriptors."""
    captured.execve(10)
    captured.thread(10).cwd = b"/srv/"
    captured("clone", 10, res=12, exe=b"cat", comm=b"cat", flags=THREAD)
    event = captured("openat", 12, fd=5, dirfd=-100, name=b"f", flags=1)
    thread = captured.thread(12)

    assert (thread.pid, thread.ptid) == (10, captured.thread(10).ptid)
    assert thread.flags & FLAGS["CLONE_FILES"]
    assert event.fd.name == b"/srv/f"
    assert captured.thread(10).fds[5] is event.fd


def test_exec_replaces_the_image(captured):
    """Image, arguments, environment, ids and capabilities come from the event."""
    captured.fork(1, 10)
    event = captured.execve(
        10, b"/usr/bin/id", uid=7, gid=8, loginuid=9, tty=34816, exe_ino=99, vpgid=4, pgid=5
    )
    thread = event.thread

    assert (thread.comm, thread.exe, thread.exepath, thread.args) == (
        b"id", b"/usr/bin/id", b"/usr/bin/id", (b"-n",),
    )  # fmt: skip
    assert (thread.uid, thread.gid, thread.loginuid, thread.tty) == (7, 8, 9, 34816)
    assert (thread.exe_ino, thread.vpgid, thread.pgid, thread.cap_effective) == (99, 4, 5, 3)
    assert thread.exe_writable
    assert thread.lastexec_ts_ns == event.ts_ns


def test_a_failed_exec_keeps_the_old_image(captured):
    """Rules see who tried, not what was tried."""
    captured.execve(10, b"/bin/sh")
    event = captured.execve(10, b"/bin/nope", res=-2)

    assert event.thread.exepath == b"/bin/sh"
    assert event.error_code == 2


def test_exec_closes_marked_descriptors_and_ends_other_threads(captured):
    """Close-on-exec descriptors and all other threads are gone after an exec."""
    captured.execve(10)
    captured("clone", 10, res=12, exe=b"cat", comm=b"cat", flags=THREAD)
    captured("openat", 10, fd=3, dirfd=-100, name=b"/a", flags=1)
    captured("openat", 10, fd=4, dirfd=-100, name=b"/b", flags=1 | 4096)
    captured.execve(10, b"/bin/ls")

    assert captured.thread(12) is None
    assert set(captured.thread(10).fds) == {3}


def test_exec_path_from_the_stored_enter_event(captured):
    """Old captures tell the path at entry only; a relative one starts at the old directory."""
    captured.execve(10, b"/bin/sh")
    captured.thread(10).cwd = b"/opt/"
    captured("PPME_SYSCALL_EXECVE_19_E", 10, filename=b"./tool")
    event = captured.execve(10, b"./tool", trusted_exepath=None)

    assert event.thread.exepath == b"/opt/tool"


def test_rules_see_the_process_that_exits(captured):
    """The entry lives until the rules have seen the exit."""
    captured.execve(10)
    event = captured.seen("PPME_PROCEXIT_1_E", 10, status=0)
    assert event.thread.is_dead
    assert captured.thread(10) is event.thread
    captured.state.after(event)

    assert captured.thread(10) is None


def test_orphans_go_to_the_reaper_the_event_names(captured):
    """reaper_tid, when known, becomes the parent."""
    captured.execve(1, b"/sbin/init")
    captured.execve(20, b"/bin/reaper")
    captured.fork(1, 10)
    captured.fork(10, 11)
    captured("PPME_PROCEXIT_1_E", 10, status=0, reaper_tid=20)

    assert captured.thread(11).ptid == 20
    assert captured.thread(20).children == 1
    assert captured.state.tables.threads.groups[20].is_reaper


def test_orphans_go_to_the_next_subreaper(captured):
    """Without a named reaper: the nearest ancestor that reaps, else init."""
    captured.execve(1, b"/sbin/init")
    captured.fork(1, 5)
    captured.fork(5, 6)
    captured.fork(6, 7)
    captured("prctl", 5, res=0, option=36, arg2_str=b"", arg2_int=1)
    captured("PPME_PROCEXIT_1_E", 6, status=0, reaper_tid=0)
    assert captured.thread(7).ptid == 5
    captured("prctl", 5, res=0, option=36, arg2_str=b"", arg2_int=0)
    captured("PPME_PROCEXIT_1_E", 5, status=0, reaper_tid=0)

    assert captured.thread(7).ptid == 1


def test_orphans_of_a_thread_stay_in_the_process(captured):
    """Another live thread of the same process takes them."""
    captured.execve(10)
    captured("clone", 10, res=12, exe=b"cat", comm=b"cat", flags=THREAD)
    captured("clone", 12, res=13, exe=b"cat", comm=b"cat", flags=0)
    assert captured.thread(13).ptid == 12
    captured("PPME_PROCEXIT_1_E", 12, status=0)

    assert captured.thread(13).ptid == 10


def test_a_leader_waits_for_its_last_thread(captured):
    """The main entry is dead but present while other threads live."""
    captured.execve(10)
    captured("clone", 10, res=12, exe=b"cat", comm=b"cat", flags=THREAD)
    captured("PPME_PROCEXIT_1_E", 10, status=0)
    assert captured.thread(10).is_dead
    captured("PPME_PROCEXIT_1_E", 12, status=0)

    assert captured.thread(12) is None
    assert captured.thread(10) is None
    assert captured.state.tables.threads.groups == {}


def test_a_reused_tid_starts_anew(captured):
    """A fork that gives a known number replaces the old process."""
    captured.execve(10)
    captured.execve(11, b"/bin/old")
    captured("clone", 10, res=11, exe=b"sh", comm=b"sh", flags=0)

    assert captured.thread(11).exepath == b"/bin/cat"
    assert captured.thread(11).ptid == 10


def test_parents_of_parents(captured):
    """Ancestors are found through leaders."""
    captured.execve(1, b"/sbin/init")
    captured.fork(1, 5)
    captured("clone", 5, res=6, exe=b"sh", comm=b"sh", flags=THREAD)
    captured("clone", 6, res=7, exe=b"sh", comm=b"sh", flags=0)

    assert chain(captured.state.host, captured.thread(7)) == [7, 5, 1]


def test_unknown_parents_are_none(captured):
    """A parent that is not in the table is written as 0."""
    captured.execve(10, ptid=999)

    assert captured.thread(10).ptid == 0


def test_the_table_has_a_bound(captured):
    """Past the limit new threads are counted, not kept; the event still has one."""
    captured.state.tables.threads.max_threads = 2
    captured("openat", 1, fd=-2, dirfd=-100, name=b"x")
    captured("openat", 2, fd=-2, dirfd=-100, name=b"x")
    event = captured("openat", 3, fd=-2, dirfd=-100, name=b"x")

    assert set(captured.state.host.threads) == {1, 2}
    assert event.thread.tid == 3
    assert captured.state.counters.threads_full == 1


def test_old_recent_exits_are_forgotten(captured):
    """Two seconds later the same number may be made again."""
    captured.execve(10)
    captured("clone", 11, res=0, exe=b"sh", tid=11, pid=11, ptid=10, vtid=11, vpid=11, flags=0)
    captured("PPME_PROCEXIT_1_E", 11, status=0)
    captured("clone", 10, after_ns=2_000_000_000, res=11, exe=b"sh", comm=b"sh", flags=0)

    assert captured.thread(11) is not None


def test_ids_and_sessions(captured):
    """Set-id calls that succeed change the calling thread only; -1 is stored as given."""
    captured.execve(10)
    thread = captured.thread(10)
    captured("setuid", 10, res=0, uid=5)
    captured("setgid", 10, res=-1, gid=6)
    assert (thread.uid, thread.gid) == (5, 0)
    captured("setresuid", 10, res=0, ruid=1, euid=0xFFFFFFFF, suid=3)
    captured("setreuid", 10, res=-1, ruid=1, euid=2)
    captured("setregid", 10, res=0, rgid=1, egid=9)
    captured("setsid", 10, res=10)
    captured("capset", 10, res=0, cap_inheritable=1, cap_permitted=2, cap_effective=4)

    assert (thread.uid, thread.gid, thread.sid) == (0xFFFFFFFF, 9, 10)
    assert (thread.cap_inheritable, thread.cap_permitted, thread.cap_effective) == (1, 2, 4)
    captured("unshare", 10, res=0, flags=FLAGS["CLONE_NEWUSER"])
    assert thread.cap_effective == (1 << 41) - 1


def test_directories(captured):
    """chdir, fchdir and getcwd set the directory, chroot the root; failures do not."""
    captured.execve(10)
    thread = captured.thread(10)
    captured("chdir", 10, res=0, path=b"/srv/data/")
    assert thread.cwd == b"/srv/data/"
    captured("chdir", 10, res=0, path=b"../x")
    assert thread.cwd == b"/srv/x/"
    captured("chdir", 10, res=-2, path=b"/nope")
    captured("openat", 10, fd=4, dirfd=-100, name=b"/etc", flags=1024)
    captured("fchdir", 10, res=0, fd=4)
    assert thread.cwd == b"/etc/"
    captured("getcwd", 10, res=5, path=b"/home")
    captured("chroot", 10, res=0, path=b"jail")

    assert (thread.cwd, thread.root) == (b"/home/", b"/home/jail")


def test_limits_and_memory(captured):
    """rlimit calls on open files and memory calls are taken over."""
    captured.execve(10)
    captured.execve(20)
    captured("setrlimit", 10, res=0, cur=77, max=99, resource=7)
    captured("prlimit", 10, res=0, newcur=55, newmax=1, oldcur=1, oldmax=1, pid=20, resource=7)
    captured("brk", 10, res=1, vm_size=11, vm_rss=12, vm_swap=13)
    thread = captured.thread(10)

    assert (thread.fdlimit, captured.thread(20).fdlimit) == (77, 55)
    assert (thread.vmsize_kb, thread.vmrss_kb, thread.vmswap_kb) == (11, 12, 13)


def test_exec_keeps_who_is_the_main_thread(captured):
    """Pipe and main-thread marks survive an exec, clone flags do not."""
    captured.execve(10)
    captured.thread(10).flags |= ThreadFlags.PIPE_SRC | FLAGS["CLONE_VM"]
    captured.execve(10)
    flags = captured.thread(10).flags

    assert flags & ThreadFlags.PIPE_SRC
    assert flags & ThreadFlags.ACTIVE
    assert not flags & FLAGS["CLONE_VM"]


def test_a_switch_tells_memory_of_the_process(captured):
    """Page faults are the thread's own, memory is the leader's."""
    captured.execve(10)
    captured("clone", 10, res=11, tid=10, pid=10, ptid=1, vtid=10, vpid=10, flags=8192, exe=b"x")
    captured("PPME_SCHEDSWITCH_6_E", 11, pgft_maj=5, pgft_min=6, vm_size=7, vm_rss=8, vm_swap=9)

    main, own = captured.thread(10), captured.thread(11)
    assert (own.pfmajor, own.pfminor, main.pfmajor) == (5, 6, 0)
    assert (main.vmsize_kb, main.vmrss_kb, main.vmswap_kb) == (7, 8, 9)


def test_an_unreadable_directory_is_a_word(captured):
    """The state takes a path that could not be read as the text of missing values."""
    captured.execve(10)
    captured("chdir", 10, res=0, path=b"/srv")
    captured("chdir", 10, res=0)

    assert captured.thread(10).cwd == b"/srv/<NA>/"


def test_events_nobody_made_leave_no_thread(captured):
    """Drops, notices and the like find a thread but never make one; nor do they start the clock."""
    captured.execve(10)
    captured.state.host.first_ts_ns = 0

    assert captured("PPME_DROP_E", 99, ratio=1).thread is None
    assert captured("PPME_PROCINFO_E", 10, cpu_usr=1, cpu_sys=2).thread is captured.thread(10)
    assert captured.thread(99) is None
    assert captured.state.host.first_ts_ns == 0


def test_start_of_a_process_against_its_program(captured):
    """Start minus ctime is told by every exec that tells a ctime."""
    captured.fork(10, 20)
    captured.execve(20, exe_ino_ctime=5)
    started = captured.thread(20).clone_ts_ns

    assert captured.thread(20).ctime_duration_proc_start_ns == started - 5
    captured.execve(20)
    assert captured.thread(20).ctime_duration_proc_start_ns == started - 5


def test_lists_an_exec_could_not_read_stay(captured):
    """An empty environment or cgroup list in an exec event leaves what was known before."""
    captured.execve(10, env=[b"A=1"], cgroups=[b"cpu=/x"])
    captured.execve(10, b"/bin/ls", env=None, cgroups=None)
    thread = captured.thread(10)

    assert (thread.exe, thread.env, thread.cgroups) == (b"/bin/ls", (b"A=1",), ((b"cpu", b"/x"),))


def test_the_path_stays_when_no_event_tells_it(captured):
    """An exec without a path of its own and without a stored enter event keeps the old path."""
    captured.execve(10, b"/bin/cat")
    captured.execve(10, b"ls", trusted_exepath=None)

    assert captured.thread(10).exepath == b"/bin/cat"


def test_an_empty_path_flag_names_the_descriptor(captured):
    """With AT_EMPTY_PATH the program is the descriptor's file, whatever the path argument says."""
    captured.execve(10)
    captured.thread(10).fds[3] = Fd(type=FdType.FILE_V2, name=b"/opt/tool")
    flag = dict(load_event_table().value_tables["execveat_flags"])["AT_EMPTY_PATH"]
    captured("PPME_SYSCALL_EXECVEAT_E", 10, dirfd=3, pathname=b"other", flags=flag)
    captured.execve(10, b"tool", trusted_exepath=None)

    assert captured.thread(10).exepath == b"/opt/tool"


def test_an_exec_of_another_thread_keeps_the_leader(captured):
    """The leader's entry, which holds the descriptors, survives the exec of another thread."""
    captured.execve(10)
    facts = {"exe": b"x", "args": [], "comm": b"x", "uid": 0, "gid": 0}
    for tid in (11, 12):
        captured("clone", 10, res=tid, tid=10, pid=10, ptid=1, flags=THREAD, **facts)
    captured.execve(11, pid=10)

    assert set(captured.state.host.threads) == {10, 11}


def test_an_exec_of_another_process_number_begins_without_children(captured):
    """What is counted as its children is what has it for a parent."""
    captured.execve(10)
    captured("clone", 10, res=11, exe=b"sh", args=[], comm=b"sh", flags=0)
    assert captured.thread(10).children == 1

    captured.execve(10, pid=12)

    assert captured.thread(10).pid == 12
    assert captured.thread(10).children == len(captured.state.tables.threads.children_of(10)) == 0


def test_children_of_a_lost_process_find_another_parent(captured):
    """A tid that is given again: the children of the process that had it before are orphans."""
    captured.execve(10)
    captured.fork(10, 11)
    captured.fork(11, 12)
    captured.state.host.threads[11].flags = 0
    captured.now_ns += 3_000_000_000
    captured("clone", 10, res=11, exe=b"new", args=[], comm=b"new", flags=0, uid=0, gid=0)

    assert captured.thread(11).comm == b"new"
    assert captured.thread(12).ptid == 0
    assert captured.thread(11).children == 0


def test_the_leader_inherits_before_other_threads(captured):
    """Orphans of a thread go to the leader even when another thread was known earlier."""
    captured.execve(10, pid=10)
    facts = {"exe": b"x", "args": [], "comm": b"x", "uid": 0, "gid": 0, "vtid": 21, "vpid": 20}
    captured("clone", 21, res=0, tid=21, pid=20, ptid=10, flags=THREAD, **facts)
    captured("clone", 22, res=0, tid=22, pid=20, ptid=10, flags=THREAD, **facts | {"vtid": 22})
    captured("clone", 22, res=30, tid=22, pid=20, ptid=10, flags=0, **facts | {"vtid": 22})
    captured("PPME_PROCEXIT_1_E", 22, status=0)

    assert captured.thread(30).ptid == 20


def test_an_unread_start_of_the_namespace_is_unknown(captured):
    """A child in a pid namespace whose init's start could not be read has none."""
    captured.execve(10)
    flags = FLAGS["CLONE_CHILD_IN_PIDNS"]
    captured("clone", 11, res=0, tid=11, pid=11, ptid=10, vtid=2, vpid=2, flags=flags, exe=b"x",
             args=[], comm=b"x", pidns_init_start_ts=None)  # fmt: skip

    assert captured.thread(11).pidns_init_start_ts_ns == 0
