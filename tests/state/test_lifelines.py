"""Births, execs and exits: the quick way by their records does what their events do."""

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.events.host import Host
from exporter.events.live import TRUNCATED_ENV
from exporter.events.state_record import BriefLives, StateRecord
from exporter.events.thread import Thread
from exporter.sources.probe.decode import Decoder
from exporter.sources.probe.record import PEEK, Attachment
from exporter.state.containers import ContainerRule
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.live_contexts import HOST_MNTNS
from tests.sources.probe.test_decode import make_record

BOOT_NS = 1_600_000_000_000_000_000
NOW_NS = 1_700_000_000_000_000_000
CONTAINER = b"memory=/kubepods/pod1/" + b"ab" * 32
UNIFIED = b"/machine.slice/libpod-" + b"cd" * 32 + b".scope"
CLONE, VFORK = "PPME_SYSCALL_CLONE_20_X", "PPME_SYSCALL_VFORK_20_X"
EXECVE, EXIT = "PPME_SYSCALL_EXECVE_19_X", "PPME_PROCEXIT_1_E"
THREAD_FLAGS = 0x10F00
"""CLONE_VM, FS, FILES, SIGHAND and THREAD of the kernel."""


def u32(value: int) -> bytes:
    """As the probe writes it."""
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    """As the probe writes it; negative ones as well."""
    return struct.pack("<Q", value & (1 << 64) - 1)


def strings(*items: bytes) -> bytes:
    """A list parameter."""
    return b"".join(item + b"\0" for item in items)


def header(given: dict[str, Any]) -> dict[str, Any]:
    """Header of a record: the given members, the others those of a host process."""
    pid = given["pid"]
    usual = {
        "ts_ns": 9_000, "tid": pid, "ptid": 1, "vtid": given.get("tid", pid), "vpid": pid, "uid": 0,
        "gid": 0, "loginuid": 0xFFFFFFFF, "sid": 7, "pgid": pid, "vpgid": pid, "tty": 0,
        "mntns": HOST_MNTNS, "flags": 0, "start_boottime_ns": 50 * pid, "cgroup_id": 77,
        "comm": b"sh", "pidns_level": 0, "ppid": 1,
    }  # fmt: skip
    return usual | {name: value for name, value in given.items() if name in usual or name == "pid"}


def process_params(result: int, given: dict[str, Any], head: dict[str, Any]) -> tuple[bytes, ...]:
    """res to cgroups: what births and execs have in common."""
    return (
        u64(result), given.get("exe", b"sh\0"), given.get("args", strings(b"-c", b"ls")),
        u64(head["tid"]), u64(head["pid"]), u64(head["ptid"]), b"\0",
        u64(given.get("fdlimit", 1024)), u64(3), u64(4), u32(5), u32(6), u32(7),
        head["comm"] + b"\0", given.get("cgroups", strings(b"cpu=/", b"memory=/init")),
    )  # fmt: skip


def birth(event_id: str = CLONE, **given: Any) -> bytes:
    """Record of a clone as the child's own."""
    head = header(given)
    is_thread = head["tid"] != head["pid"]
    params = (
        *process_params(given.get("result", 0), given, head),
        u32(given.get("clone_flags", 0) | (THREAD_FLAGS if is_thread else 0)), u32(head["uid"]),
        u32(head["gid"]), u64(head["vtid"]), u64(head["vpid"]), u64(given.get("init_start", 99)),
    )  # fmt: skip
    return make_record(event_id, params, attachments(given), **head)


def execve(**given: Any) -> bytes:
    """Record of an exec."""
    head = header(given)
    params = (
        *process_params(given.get("result", 0), given, head),
        given.get("env", strings(b"A=1", b"B=2")), u32(head["tty"]), u64(head["vpgid"]),
        u32(head["loginuid"]), u32(given.get("exe_flags", 0)), u64(1), u64(2), u64(4), u64(12345),
        u64(given.get("ctime", NOW_NS)), u64(NOW_NS - 5), u32(head["uid"]),
        given.get("exepath", b"/bin/sh\0"), u64(head["pgid"]), u32(head["gid"]), b"/bin/sh\0",
    )  # fmt: skip
    return make_record(EXECVE, params, attachments(given), **head)


def procexit(**given: Any) -> bytes:
    """Record of the end of a thread."""
    params = (u64(0), u64(0), b"\0", b"\0", u64(given.get("reaper", 0)))
    return make_record(EXIT, params, **header(given))


def attachments(given: dict[str, Any]) -> tuple[tuple[int, bytes], ...]:
    """The working directory, unless it could not be read, and the cgroup where it is told."""
    told = (Attachment.CWD, given.get("cwd")), (Attachment.CGROUP, given.get("cgroup_path"))
    return tuple((kind, path) for kind, path in told if path)


MAKERS = {"birth": birth, "exec": execve, "exit": procexit}


def state_in(directory, *, is_quick: bool = True) -> State:
    """A state in which pid 1 and a shell run, on a machine whose /proc tells nothing more."""
    state = State(
        Host(boot_ts_ns=BOOT_NS), keep_fds=False, procfs=Procfs(directory), etc=directory / "etc"
    )
    state.tables.rule = ContainerRule(HOST_MNTNS)
    if not is_quick:
        assert state._live is not None
        state._live.quick = {}
    for pid in (1, 10):
        state.tables.threads.add(
            Thread(
                tid=pid, pid=pid, ptid=pid // 10, vtid=pid, vpid=pid, uid=0, gid=0,
                exepath=b"/bin/sh", exe=b"sh", cwd=b"/srv/", env=(b"A=1", b"B=2"),
                start_boottime_ns=50 * pid, mntns=HOST_MNTNS, cgroup_id=77,
                cgroups=((b"cpu", b"/"), (b"memory", b"/init")),
            )
        )  # fmt: skip
    return state


def thorough(state: State, data: bytes) -> None:
    """The record as an event, which the state reads the quick way too unless it cannot."""
    event = Decoder(state.host).decode(data, NOW_NS)
    state.before(event)
    state.after(event)


def quick(state: State, data: bytes) -> bool:
    """The record without an event, where that can be."""
    ts_ns, code, _ = PEEK.unpack_from(data)
    is_taken = state.take(StateRecord(code, ts_ns + NOW_NS, data, lambda _record: None))
    if not is_taken:
        thorough(state, data)
    return is_taken


def known(state: State) -> dict[str, Any]:
    """All that rules and metrics could read of a state, and what later events build on."""
    assert state._live is not None
    return {
        "threads": {
            tid: msgspec.structs.asdict(thread) for tid, thread in state.host.threads.items()
        },
        "parents": {
            tid: None if (above := state.host.parent(thread)) is None else above.tid
            for tid, thread in state.host.threads.items()
        },
        "groups": {pid: list(group.members) for pid, group in state.tables.threads.groups.items()},
        "counters": msgspec.structs.asdict(state.counters),
        "cgroups": dict(state._live.cgroups),
        "exits": dict(state.tables._exits),
        "unified": dict(state.tables._unified_paths),
        "first": state.host.first_ts_ns,
    }


@pytest.mark.parametrize(
    "record",
    [
        birth(pid=11, ptid=10, cwd=b"/srv"),
        birth(VFORK, pid=11, ptid=10, cwd=b"/", clone_flags=0x4100),
        birth(pid=10, tid=11),
        birth(pid=11, ptid=10, exe=b"", args=b"", cgroups=b""),
        birth(pid=11, ptid=10, vtid=2, vpid=2, clone_flags=1, fdlimit=-1),
        execve(pid=10, cwd=b"/srv"),
        birth(pid=11, ptid=10, mntns=5, cgroup_id=78, cwd=b"/", cgroup_path=UNIFIED),
        birth(pid=11, ptid=10, cwd=b"/srv", cgroup_path=b"/a"),
        execve(pid=10, cwd=b"/srv", cgroup_path=b"/a/b"),
        execve(pid=10, exe=b"\0", args=b"", env=b"", cgroups=b"", fdlimit=-1, exe_flags=0xF),
        execve(pid=10, args=strings(b"", b"a b", b"\xff\x01"), comm=b"0123456789abcde"),
        procexit(pid=10),
    ],
)
def test_usual_records_are_taken_the_quick_way(tmp_path, record):
    """They lead to the same state, field by field, as do their events."""
    one, other, third = state_in(tmp_path), state_in(tmp_path, is_quick=False), state_in(tmp_path)

    assert quick(one, record)
    thorough(other, record)
    thorough(third, record)

    assert known(one) == known(other) == known(third)


@pytest.mark.parametrize(
    "record",
    [
        birth(pid=10, ptid=1),
        birth(pid=11, ptid=12),
        birth(pid=11, ptid=10, result=12),
        execve(pid=11),
        execve(pid=10, result=-2),
        execve(pid=10, uid=5),
        execve(pid=10, ptid=2),
        execve(pid=10, mntns=1),
        execve(pid=10, cgroup_id=1),
        execve(pid=10, start_boottime_ns=1),
        execve(pid=10, exepath=b""),
        procexit(pid=12),
        procexit(pid=10, start_boottime_ns=1),
        make_record("PPME_SYSCALL_CHDIR_X", (u64(0), b"/\0"), **header({"pid": 10})),
    ],
)
def test_unusual_records_are_left_alone(tmp_path, record):
    """What needs an event is not begun."""
    state, untouched = state_in(tmp_path), state_in(tmp_path)
    ts_ns, code, _ = PEEK.unpack_from(record)

    assert not state.take(StateRecord(code, ts_ns + NOW_NS, record, lambda _record: None))
    assert known(state) == known(untouched)


def test_records_that_are_cut_short_are_left_alone(tmp_path):
    """Wherever the cut is."""
    state, untouched = state_in(tmp_path), state_in(tmp_path)
    for record in (birth(pid=11, ptid=10, cwd=b"/x"), execve(pid=10), procexit(pid=10)):
        ts_ns, code, _ = PEEK.unpack_from(record)
        for size in range(PEEK.size, len(record)):
            cut = StateRecord(code, ts_ns + NOW_NS, record[:size], lambda _record: None)
            assert not state.take(cut)

    assert known(state) == known(untouched)


def test_the_cgroup_path_of_a_record_names_the_container(tmp_path):
    """That of a process that nobody can be asked about any more; its children share it."""
    for act in (quick, thorough):
        state = state_in(tmp_path)
        away: dict[str, Any] = {"mntns": 5, "cgroup_id": 78, "cwd": b"/"}
        act(state, birth(pid=11, ptid=10, cgroup_path=UNIFIED, **away))
        act(state, execve(pid=11, ptid=10, cgroup_path=UNIFIED, **away))
        act(state, birth(pid=12, ptid=11, cgroup_path=UNIFIED, **away))
        act(state, birth(pid=11, tid=13, ptid=10, **away))
        assert {state.host.threads[tid].container_id for tid in (11, 12, 13)} == {b"cd" * 6}
        assert state.host.threads[10].container_id == b""


def test_an_empty_environment_is_not_one_that_could_not_be_read(tmp_path):
    """A program that was started without any has none; a failed read leaves what was known."""
    state = state_in(tmp_path)
    quick(state, execve(pid=10, env=strings(b"A=1")))
    quick(state, execve(pid=10, env=b"", flags=TRUNCATED_ENV))
    assert tuple(state.host.threads[10].env) == (b"A=1",)

    quick(state, execve(pid=10, env=b""))
    assert tuple(state.host.threads[10].env) == ()


def test_the_same_environment_is_kept_once(tmp_path):
    """Processes that run with one environment share its bytes."""
    state = state_in(tmp_path)
    env = strings(*(b"NAME_%d=value" % number for number in range(100)))
    for pid in (11, 12):
        quick(state, execve(pid=10, env=env))
        quick(state, birth(pid=pid, ptid=10))
        quick(state, execve(pid=pid, ptid=10, env=env))

    first, *others = (state.host.threads[pid].env for pid in (10, 11, 12))
    assert len(first) == 100
    assert all(other is first for other in others)


PIDS = st.sampled_from((1, 10, 11, 12, 13))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "ptid": st.sampled_from((0, 1, 10, 11, 12, 99)),
    "tid": PIDS,
    "uid": st.sampled_from((0, 0, 0, 1000)),
    "gid": st.sampled_from((0, 0, 0, 5)),
    "loginuid": st.sampled_from((0xFFFFFFFF, 1000)),
    "sid": st.integers(0, 9),
    "tty": st.sampled_from((0, 34816)),
    "mntns": st.sampled_from((HOST_MNTNS, HOST_MNTNS, HOST_MNTNS, 5, 0)),
    "cgroup_id": st.sampled_from((77, 77, 77, 78, 1)),
    "start_boottime_ns": st.sampled_from((50, 500, 550, 600, 650, 0)),
    "vtid": st.sampled_from((1, 2, 11)),
    "vpid": st.sampled_from((1, 2, 11)),
    "comm": st.sampled_from((b"sh", b"", b"0123456789abcde")),
    "result": st.sampled_from((0, 0, 0, 0, -2)),
    "exe": st.sampled_from((b"", b"\0", b"ls\0")),
    "args": st.sampled_from((b"", strings(b""), strings(b"a b", b"\xff"))),
    "flags": st.sampled_from((0, 0, TRUNCATED_ENV)),
    "env": st.sampled_from((b"", strings(b"A=1", b"B=2"), strings(b"C=3"))),
    "cgroups": st.sampled_from((b"", strings(b"memory=/init"), CONTAINER + b"\0", b"odd\0")),
    "cwd": st.sampled_from((b"", b"/", b"/srv", b"/home/ann")),
    "cgroup_path": st.sampled_from((b"", b"/init", UNIFIED)),
    "exepath": st.sampled_from((b"", b"/bin/ls\0")),
    "exe_flags": st.integers(0, 31),
    "ctime": st.sampled_from((0, BOOT_NS - 1, BOOT_NS + 1_000, NOW_NS)),
    "clone_flags": st.sampled_from((0, 1, 0x4000, 0x20000000)),
    "reaper": st.sampled_from((0, 1, 10, -1)),
    "ts_ns": st.integers(1, 5_000_000_000),
}
STORIES = st.lists(
    st.tuples(
        st.sampled_from(("birth", "birth", "exec", "exec", "exit")),
        PIDS,
        st.dictionaries(st.sampled_from(sorted(FIELDS)), st.none(), max_size=5).flatmap(
            lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
        ),
    ),
    min_size=1,
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories=STORIES)
def test_any_order_of_records_gives_the_same_state(tmp_path, stories):
    """Numbers that come again, odd parents, users, containers: the two ways agree after each."""
    one, other, third = state_in(tmp_path), state_in(tmp_path, is_quick=False), state_in(tmp_path)
    for kind, pid, fields in stories:
        record = MAKERS[kind](pid=pid, **fields)
        quick(one, record)
        thorough(other, record)
        thorough(third, record)
        assert known(one) == known(other) == known(third)


def test_lives_passed_over_leave_no_entry_of_their_number():
    """One whose end was missed goes, another that began since then stays; ends are remembered."""
    state = State(Host(boot_ts_ns=BOOT_NS), keep_fds=False, procfs=Procfs())
    table = state.tables.threads
    for tid, seen_ns in ((5, NOW_NS - 1), (6, NOW_NS + 1)):
        table.add(Thread(tid=tid, pid=tid, ptid=1, seen_ns=seen_ns))

    state.pass_over(BriefLives(2, [(5, 1, NOW_NS), (6, 1, NOW_NS), (7, 1, NOW_NS)]))

    assert set(state.host.threads) == {6}
    assert set(table.groups) == {6}
    assert all(state.tables.exited_recently(tid, 1, NOW_NS + 1) for tid in (5, 6, 7))
    assert state.counters.lives_passed == 2
