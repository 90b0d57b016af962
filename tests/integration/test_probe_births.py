"""New processes and threads: the quick way to their entry gives what the thorough one gives."""

import msgspec

from exporter.events.host import Host
from exporter.sources.probe.decode import Decoder
from exporter.sources.probe.syscalls import STATE_CALLS
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.integration.probe_rig import Rig

BIRTHS = """
import ctypes, threading
os.chdir("/usr")
def fork(work=lambda: None):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    os.waitpid(pid, 0)
fork()
fork(lambda: fork(lambda: os.setsid()))
def threads():
    many = [threading.Thread(target=lambda: time.sleep(0.01)) for _ in range(5)]
    [t.start() for t in many]
    [t.join() for t in many]
import time
threads()
fork(threads)
fork(lambda: (os.setuid(65534), fork()))
def names():
    ctypes.CDLL(None).unshare(0x20000000)
    fork(lambda: fork())
fork(names)
os.spawnv(os.P_WAIT, "/bin/true", ["true", "of", "births"])
fork(lambda: os.spawnv(os.P_WAIT, "/bin/true", ["true", "again"]))
"""


def scanned_state():
    """A state that knows what runs now."""
    state = State(Host(boot_ts_ns=1_600_000_000_000_000_000), keep_fds=False, procfs=Procfs())
    state.scan()
    return state


def seen_by(state, records, *, is_thorough):
    """What rules see with each record: its type, the thread's entry and its parent's number."""
    lives = state._live
    assert lives is not None
    quick = 0
    born = lives.born

    def count(event, live):
        nonlocal quick
        done = not is_thorough and born(event, live)
        quick += done
        return done

    lives.born = count
    decoder = Decoder(state.host)
    entries = []
    for record in records:
        event = decoder.decode(record, 1_000_000_000_000)
        state.before(event)
        assert event.thread is not None
        entry = msgspec.structs.asdict(event.thread)
        parent = state.host.parent(event.thread)
        entries.append((event.type.name, entry, parent.tid if parent else 0))
        state.after(event)
    return entries, quick


def test_births_are_the_same_both_ways():
    """Forks, threads, other users, other namespaces: field by field the same entries."""
    rig = Rig(syscalls=frozenset(), followed=STATE_CALLS, ring_bytes=4 << 20)
    try:
        one, other = scanned_state(), scanned_state()
        rig.call(BIRTHS)
        rig.source.probe.detach()
        records = rig.source.probe.drain()
    finally:
        rig.close()

    quick, count = seen_by(one, records, is_thorough=False)
    thorough, none = seen_by(other, records, is_thorough=True)

    assert none == 0
    assert count > 20
    assert [entry[0] for entry in quick] == [entry[0] for entry in thorough]
    for place, entry in enumerate(quick):
        assert entry == thorough[place]


def test_a_birth_is_told_once():
    """Where no rule asks for it, clone is told by the child alone; with a rule, by both sides."""
    for calls, sides in ((frozenset(), 1), (frozenset({"clone", "clone3", "fork", "vfork"}), 2)):
        rig = Rig(syscalls=calls, followed=STATE_CALLS)
        try:
            pid, _, events = rig.run("if os.fork() == 0: os._exit(0)\nos.wait()")
        finally:
            rig.close()
        births = [e for e in events if "clone" in e.type.name or "fork" in e.type.name]
        mine = [e for e in births if pid in {e.live.pid, e.live.ptid}]
        assert len([e for e in mine if e.param(0) == 0]) == 2, sides
        assert len([e for e in mine if e.param(0) > 0]) == sides - 1


def test_failures_are_told_only_where_a_rule_looks():
    """A failed exec changes no state: without a rule it is no event."""
    code = "try: os.execv('/none', ['x'])\nexcept OSError: pass"
    for calls, count in ((frozenset(), 0), (frozenset({"execve"}), 1)):
        rig = Rig(syscalls=calls, followed=STATE_CALLS)
        try:
            pid, _, events = rig.run(code)
        finally:
            rig.close()
        assert len([e for e in events if e.type.name == "execve" and e.live.pid == pid]) == count
