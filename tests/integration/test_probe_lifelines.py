"""Who is who stays known through execs of threads, orphans and names given late."""

import pytest

from exporter.events.host import Host
from exporter.sources.probe.syscalls import STATE_CALLS
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.integration.probe_rig import Rig, of

EXEC_BY_THREAD = """
import os, threading, time
def work():
    os.execv("/bin/true", ["true", "from", "a", "thread"])
threading.Thread(target=lambda: time.sleep(5), daemon=True).start()
threading.Thread(target=work).start()
time.sleep(5)
"""


class Watched:
    """A rig whose events pass through a state that has scanned the machine."""

    def __init__(self) -> None:
        self.rig = Rig(
            syscalls=frozenset({"openat", "execve"}), followed=STATE_CALLS, ring_bytes=4 << 20
        )
        host = Host(boot_ts_ns=1_600_000_000_000_000_000)
        self.state = State(host, keep_fds=False, procfs=Procfs())
        self.state.scan()

    def run(self, code, look=lambda _event: None):
        """Run code to its end; `look` sees each event as rules do. Nothing is read in between."""
        pid, out = self.rig.call(code)
        seen = []
        events = self.rig.wait(
            lambda events: any(e.type.name == "procexit" and e.tid == pid for e in events)
        )
        for event in events:
            self.state.before(event)
            seen.append((event, look(event)))
            self.state.after(event)
        return pid, out, seen


@pytest.fixture
def watched():
    watched = Watched()
    yield watched
    watched.rig.close()


def test_exec_by_a_thread_that_is_not_the_leader(watched):
    """The process keeps its number; the thread's own entry and the other threads' are gone."""
    _, out, seen = watched.run(
        f"""
        import subprocess
        done = subprocess.run([sys.executable, "-S", "-I", "-c", {EXEC_BY_THREAD!r}])
        out["code"] = done.returncode
        """,
        lambda event: (
            dict.fromkeys(watched.state.host.threads),
            event.thread and (event.thread.pid, event.thread.args, event.thread.comm),
        ),
    )

    assert out["code"] == 0
    execs = [
        (event, look)
        for event, look in seen
        if event.type.name == "execve" and look[1][1] == (b"from", b"a", b"thread")
    ]
    ((event, (threads, (process, _, name))),) = execs
    assert event.tid == process == event.live.pid
    assert name == b"true"
    others = [
        other.tid
        for other, _ in seen
        if other.live.pid == process and other.tid != process and other.type.name != "procexit"
    ]
    assert others
    assert not threads.keys() & set(others)
    assert process not in watched.state.host.threads


def test_orphans_are_found_under_their_new_parent(watched):
    """A child that outlives its parent is known by its own image, under who inherited it."""
    pid, out, seen = watched.run(
        """
        import time
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            if os.fork() == 0:
                os.setsid()
                os.close(writing)
                os.read(reading, 1)  # ends when the middle one is gone
                os.close(os.open("/etc/hostname", os.O_RDONLY))
                os._exit(0)
            os._exit(0)
        os.close(reading)
        os.waitpid(middle, 0)
        os.close(writing)
        time.sleep(0.2)  # the orphan holds no descriptor that could be waited for
        out["middle"] = middle
        """,
        lambda event: (
            event.thread and event.thread.comm,
            event.thread and event.thread.ptid,
        ),
    )

    opens = [
        (event, look)
        for event, look in seen
        if event.type.name == "openat"
        and event.named_param("name") == b"/etc/hostname"
        and event.live.pid not in {pid, out["middle"]}
    ]
    ((event, (name, parent)),) = opens
    assert parent == event.live.ptid != out["middle"]
    assert name.startswith(b"python")
    assert b"python" in event.thread.exe


def test_processes_that_are_dead_by_the_time_they_are_looked_at(watched):
    """A chain of processes that has ended wholly before the first look has its names all the same.

    /proc is asked for nothing.
    """
    before = watched.state.counters.proc_reads
    _, _, seen = watched.run(
        """
        import subprocess
        subprocess.run(["/bin/sh", "-c", "/bin/sh -c '/bin/true deep; exit' ; exit"])
        """,
        lambda event: [
            ancestor.comm
            for ancestor in ancestors(watched.state.host, event.thread)
            if event.type.name == "execve"
        ],
    )

    (names,) = [look for event, look in seen if event.type.name == "execve"
                and event.thread.args == (b"deep",)]  # fmt: skip
    assert names[:2] == [b"sh", b"sh"]
    assert names[2].startswith(b"python")
    assert watched.state.counters.proc_reads == before
    assert all(event.thread is not None for event, _ in seen)
    assert not of([event for event, _ in seen], "clone3")


def ancestors(host, thread):
    """Parent, grandparent and on."""
    above = host.parent(thread)
    while above is not None:
        yield above
        above = host.parent(above)
