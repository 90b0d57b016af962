"""The probe tells process events with everything the state needs, on the real kernel."""

import os
import time
from pathlib import Path

import pytest

from exporter.events.live import TRUNCATED_ARGS, TRUNCATED_ENV
from exporter.events.table import load_event_table
from tests.integration.probe_rig import Rig, of, only

CLONE_FLAGS = dict(load_event_table().value_tables["clone_flags"])
EXECVE_FLAGS = dict(load_event_table().value_tables["execve_flags"])


@pytest.fixture(scope="module")
def rig():
    rig = Rig()
    yield rig
    rig.close()


def test_execve_tells_the_new_image(rig):
    """A successful exec is told once, with arguments, environment, ids and executable."""
    pid, _, events = rig.run(
        'os.chdir("/usr"); os.execve("/bin/true", ["name", "a", "", "b c"], {"K": "v", "L": "w"})'
    )

    event = only(events, "execve", pid)
    facts = Path("/bin/true").stat()
    expected = {
        "res": 0,
        "exe": b"name",
        "args": b"a\0\0b c\0",
        "env": b"K=v\0L=w\0",
        "tid": pid,
        "pid": pid,
        "ptid": rig.agent.pid,
        "comm": b"true",
        "filename": b"/bin/true",
        "trusted_exepath": os.fsencode(os.path.realpath("/bin/true")),
        "exe_ino": facts.st_ino,
        "exe_ino_ctime": facts.st_ctime_ns,
        "exe_ino_mtime": facts.st_mtime_ns,
        "uid": 0,
        "gid": 0,
        "pgid": os.getpgid(rig.agent.pid),
        "vpgid": os.getpgid(rig.agent.pid),
        "loginuid": int(Path("/proc/self/loginuid").read_text()),
        "cap_effective": _capabilities("CapEff"),
        "cap_permitted": _capabilities("CapPrm"),
    }
    assert expected == {name: event.named_param(name) for name in expected}
    assert event.named_param("flags") == EXECVE_FLAGS["EXE_WRITABLE"]
    assert event.live.cwd == b"/usr"
    assert event.live.sid == os.getsid(rig.agent.pid)
    assert event.live.mntns == Path("/proc/self/ns/mnt").stat().st_ino
    assert event.live.start_boottime_ns > 0


def _capabilities(name):
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:\t")[2].split()[0], 16)


def test_cgroups_are_those_of_proc(rig):
    """The cgroup paths are those that /proc tells, controller by controller."""
    _, out, events = rig.run(
        'out["cgroup"] = open("/proc/self/cgroup").read()\nos.posix_spawn("/bin/true", ["t"], {})'
        "\nos.wait()"
    )

    told = dict(
        item.split(b"=", 1)
        for item in of(events, "execve")[0].named_param("cgroups").rstrip(b"\0").split(b"\0")
    )
    expected = {}
    for line in out["cgroup"].splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            expected[os.fsencode({"blkio": "io"}.get(name, name))] = os.fsencode(path)
    unified = expected.get(b"", b"/")
    assert told == {name: expected.get(name, unified) for name in told}
    assert set(told) <= {b"cpuset", b"cpu", b"cpuacct", b"io", b"memory"}


def test_long_arguments_and_environment_are_cut_and_flagged(rig):
    """Arguments and environment beyond what is kept are cut at the end, and said to be."""
    pid, _, events = rig.run(
        'os.execve("/bin/true", ["name"] + ["x" * 100] * 100, {"K": "v" * 9000})'
    )

    event = only(events, "execve", pid)
    assert event.live.truncated == TRUNCATED_ARGS | TRUNCATED_ENV
    args, env = event.named_param("args"), event.named_param("env")
    assert args.startswith(b"x" * 100 + b"\0")
    assert len(b"name\0" + args) == 4096
    assert env.startswith(b"K=vvv")
    assert (args[-1:], env[-1:]) == (b"\0", b"\0")


def test_failed_execve_tells_what_was_tried(rig):
    """A failed exec tells error, file name and arguments; image facts are the caller's."""
    pid, _, events = rig.run(
        """
        try:
            os.execve("/nonexistent/tool", ["tool", "-x", "y"], {"A": "b"})
        except FileNotFoundError:
            pass
        """
    )

    event = only(events, "execve", pid)
    expected = {
        "res": -2,
        "exe": b"tool",
        "args": b"-x\0y\0",
        "env": b"A=b\0",
        "filename": b"/nonexistent/tool",
        "comm": b"python",
    }
    assert expected == {name: event.named_param(name) for name in expected}


def test_failed_execve_is_whole_with_sixteen_variables(rig):
    """A longer environment of a failed exec is no impairment; longer arguments are one."""
    pid, _, events = rig.run(
        """
        for count, size in ((2, 40), (40, 2)):
            try:
                os.execve("/no/tool", ["t"] * count, {f"V{n:02}": "x" for n in range(size)})
            except FileNotFoundError:
                pass
        """
    )

    first, second = of(events, "execve", pid)
    assert first.named_param("env").split(b"\0")[:-1] == [b"V%02d=x" % n for n in range(16)]
    assert (first.live.truncated, second.live.truncated) == (0, TRUNCATED_ARGS)


def test_execveat_of_a_memfd(rig):
    """Executing a memfd is flagged as such; the path is its name."""
    pid, _, events = rig.run(
        """
        import ctypes
        fd = os.memfd_create("hidden", 0)
        os.write(fd, open("/bin/true", "rb").read())
        argv = (ctypes.c_char_p * 2)(b"shown", None)
        ctypes.CDLL(None).syscall(322, fd, b"", argv, None, 0x1000)
        """
    )

    event = only(events, "execve", pid)
    assert event.named_param("exe") == b"shown"
    assert event.named_param("trusted_exepath") == b"memfd:hidden"
    assert event.named_param("flags") & EXECVE_FLAGS["EXE_FROM_MEMFD"]
    assert event.named_param("filename").startswith(b"/dev/fd/")


def test_fork_is_told_by_parent_and_child(rig):
    """Both sides of a fork are told, with the ids of the task that the event belongs to."""
    pid, out, events = rig.run(
        """
        child = os.fork()
        if not child:
            os._exit(7)
        os.waitpid(child, 0)
        out["child"] = child
        """
    )

    child = out["child"]
    caller = only(events, "clone", pid, res=child)
    assert (caller.tid, caller.named_param("ptid")) == (pid, rig.agent.pid)
    born = only(events, "clone", child, res=0)
    expected = {"tid": child, "pid": child, "ptid": pid, "vtid": child, "vpid": child, "uid": 0}
    assert expected == {name: born.named_param(name) for name in expected}
    assert born.live.ppid == pid
    end = only(events, "procexit", child)
    assert (end.named_param("status"), end.named_param("ret"), end.named_param("sig")) == (
        7 << 8,
        7,
        0,
    )


def test_threads(rig):
    """A thread has its own id, its process's pid, and the flags that made it."""
    pid, _, events = rig.run(
        """
        import threading
        thread = threading.Thread(target=lambda: os.stat("/"))
        thread.start()
        thread.join()
        """
    )

    name = "clone3" if of(events, "clone3", pid) else "clone"
    born = only(events, name, pid, res=0)
    assert born.tid != pid
    assert born.named_param("pid") == pid
    assert born.named_param("flags") & CLONE_FLAGS["CLONE_THREAD"]
    assert only([e for e in events if e.tid == born.tid], "procexit").live.pid == pid


def test_death_by_signal(rig):
    """A killed process tells the signal."""
    _, out, events = rig.run(
        """
        child = os.fork()
        if not child:
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        out["child"] = child
        """
    )

    end = only(events, "procexit", out["child"])
    assert (end.named_param("status"), end.named_param("ret"), end.named_param("sig")) == (9, 0, 9)


def test_orphans_go_to_the_subreaper(rig):
    """The end of a parent tells who adopts its children."""
    pid, out, events = rig.run(
        """
        import ctypes
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        middle = os.fork()
        if not middle:
            reading, writing = os.pipe()
            if not os.fork():
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            os._exit(0)
        os.waitpid(middle, 0)
        os.wait()
        out["middle"] = middle
        """
    )

    assert only(events, "procexit", out["middle"]).named_param("reaper_tid") == pid


def test_ids_and_privileges(rig):
    """Changes of identity tell their arguments; events after them carry the new ids."""
    pid, _, events = rig.run(
        """
        os.setgroups([])
        os.setresgid(1201, 1202, 1203)
        os.setresuid(1101, 1102, 1103)
        os.setsid()
        try:
            os.setuid(0)
        except PermissionError:
            pass
        """
    )

    setresuid = only(events, "setresuid", pid)
    assert [setresuid.param(i) for i in range(4)] == [0, 1101, 1102, 1103]
    assert [only(events, "setresgid", pid).param(i) for i in range(4)] == [0, 1201, 1202, 1203]
    assert only(events, "setsid", pid).named_param("res") == pid
    setuid = only(events, "setuid", pid)
    assert (setuid.named_param("res"), setuid.named_param("uid")) == (-1, 0)
    assert (setuid.live.uid, setuid.live.gid, setuid.live.sid) == (1102, 1202, pid)


def test_controlling_terminal(rig):
    """Events of a session on a terminal carry the terminal's device number."""
    _, out, events = rig.run(
        """
        import pty
        child, fd = pty.fork()
        if not child:
            os.execv("/bin/true", ["true"])
        try:
            os.read(fd, 10)
        except OSError:
            pass
        os.waitpid(child, 0)
        out["child"] = child
        """
    )

    event = only(events, "execve", out["child"])
    assert event.named_param("tty") >> 8 & 0xFF == 136
    assert event.live.tty == event.named_param("tty")


def test_ptrace(rig):
    """ptrace tells request, target and result."""
    pid, out, events = rig.run(
        """
        import ctypes
        libc = ctypes.CDLL(None)
        child = os.fork()
        if not child:
            import signal
            signal.pause()
        out["child"] = child
        out["res"] = libc.ptrace(16, child, None, None)
        os.waitpid(child, 0)
        libc.ptrace(17, child, None, None)
        os.kill(child, 9)
        os.waitpid(child, 0)
        """
    )

    requests = dict(load_event_table().value_tables["ptrace_requests"])
    attach = only(events, "ptrace", pid, request=requests["PTRACE_ATTACH"])
    assert (attach.named_param("res"), attach.named_param("pid")) == (0, out["child"])
    only(events, "ptrace", pid, request=requests["PTRACE_DETACH"])


def test_ids_inside_a_pid_namespace(rig):
    """In a pid namespace the event tells both numbers, and that it is below the initial one."""
    _, out, events = rig.run(
        """
        import ctypes
        ctypes.CDLL(None).unshare(0x20000000)
        child = os.fork()
        if not child:
            os.execv("/bin/true", ["true"])
        os.waitpid(child, 0)
        out["child"] = child
        """
    )

    event = only(events, "execve", out["child"])
    assert (event.live.vpid, event.live.vtid, event.live.pidns_level) == (1, 1, 1)
    born = only(events, "clone", out["child"], res=0)
    assert (born.named_param("vtid"), born.named_param("vpid")) == (1, 1)
    assert born.named_param("flags") & CLONE_FLAGS["CLONE_CHILD_IN_PIDNS"]
    assert born.named_param("pidns_init_start_ts") > 0


def test_time_stamps_are_those_of_the_wall_clock(rig):
    """Events carry the time at which they happened, in order."""
    before = time.time_ns()
    _, _, events = rig.run('os.stat("/")')
    after = time.time_ns()

    stamps = [event.ts_ns for event in events]
    assert before - 5_000_000 <= stamps[-1] <= after + 5_000_000
    assert all(event.kernel_ts_ns > 0 for event in events)
