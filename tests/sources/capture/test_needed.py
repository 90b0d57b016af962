"""Leaving out what nobody needs shows nowhere."""

import random
from typing import Any

import pytest

from exporter.errors import CaptureError
from exporter.events.facts import Fact
from exporter.events.fd import Fd, FdType
from exporter.events.table import event_type, load_event_table
from exporter.rules.dns import RESOLVER
from exporter.rules.facts import facts_in, fields_with_facts
from exporter.rules.fields.catalogue import fields_of
from exporter.rules.format import compile_format
from exporter.state.state import State
from tests.bench.replay_load import Load
from tests.captures.everything import everything
from tests.captures.mutations import mutate
from tests.captures.replayed import captured, replay
from tests.captures.samples import sample_captures
from tests.captures.writer import Capture, Process
from tests.factories import make_event, make_thread

BUSY = ("PPME_SYSCALL_READ_X", "PPME_SYSCALL_MMAP_X", "PPME_SYSCALL_FUTEX_X", "PPME_PROCINFO_E")
NAMES = [
    name
    for name, field in fields_of("syscall").items()
    if not field.is_arg_required and "deltatime" not in name and name != "util.cnt"
]
"""Fields without those that remember when they were last read."""


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RESOLVER, "is_online", False)


def shown(
    data: bytes, codes: frozenset[int], names: list[str], needed: frozenset[int] | None
) -> tuple[list[tuple[int, str]], str, int, int]:
    """Every field of every visible event of these types, the error, the last number, events."""
    output = compile_format("*" + " | ".join(f"%{name}" for name in names), "syscall")
    state, source = captured(data, needed)
    try:
        source.open()
    except CaptureError as error:
        return [], str(error), 0, 0
    found = []
    while not source.is_ended:
        for event in source.poll(0):
            state.before(event)
            if event.type.code in codes and not event.is_hidden:
                found.append((event.num, output.render(event) or ""))
            state.after(event)
    return found, str(source.error), source.num, source.counts.events


def check(data: bytes, chance: random.Random) -> None:
    """The same with and without leaving out, for some event types and some facts."""
    facts = frozenset(fact for fact in Fact if chance.random() < 0.5)
    names = [name for name in NAMES if fields_of("syscall")[name].facts <= facts]
    every = [event.code for event in load_event_table().events]
    codes = frozenset(chance.sample(every, chance.choice((1, 5, 60))))
    codes |= {event_type("PPME_SYSCALL_EXECVE_19_X").code}
    needed = codes | State.needed_codes(facts)
    assert shown(data, codes, names, needed) == shown(data, codes, names, None)


@pytest.mark.parametrize("exit_only", [True, False])
def test_busy_captures(*, exit_only: bool) -> None:
    """A load of several hundred processes, with and without enter events."""
    load = Load(exit_only=exit_only)
    load.round(600)
    check(load.capture.data(), random.Random(1))


@pytest.mark.parametrize("seed", range(25))
def test_odd_captures(seed: int) -> None:
    """Unknown threads, lost exits, ends and reuse of numbers, in any order."""
    chance = random.Random(seed)
    capture = Capture(version=chance.choice((1, 2))).machine().processes(Process(1), Process(5))
    for _ in range(150):
        tid = chance.choice((1, 5, 6, 7, 8, -1, 1 << 33))
        name = chance.choice((*BUSY, *_STEPS))
        params = dict(_STEPS.get(name, {}))
        if name == "PPME_SYSCALL_CLONE_20_X":
            params |= {"res": chance.choice((0, 6, 7)), "pid": tid, "ptid": 5, "tid": tid}
        flags = chance.choice((None, None, None, 0, 1))
        capture.event(name, tid, dump_flags=flags, **params)
    check(capture.data(), chance)


_STEPS: dict[str, dict[str, Any]] = {
    "PPME_SYSCALL_CLONE_20_X": {"exe": "/bin/x", "comm": "x", "flags": 0, "vtid": 6, "vpid": 6},
    "PPME_SYSCALL_EXECVE_19_E": {"filename": "/bin/cat"},
    "PPME_SYSCALL_EXECVE_19_X": {"res": 0, "exe": "/bin/cat", "comm": "cat", "pid": 5},
    "PPME_SYSCALL_OPEN_E": {"name": "/etc/a", "flags": 1, "mode": 0},
    "PPME_SYSCALL_OPEN_X": {"fd": 3, "name": "/etc/b", "flags": 1, "mode": 0},
    "PPME_SYSCALL_READ_E": {"fd": 3, "size": 5},
    "PPME_SYSCALL_CLOSE_E": {"fd": 3},
    "PPME_SYSCALL_CLOSE_X": {"res": 0, "fd": 3},
    "PPME_SYSCALL_CHDIR_X": {"res": 0, "path": "x"},
    "PPME_PROCEXIT_1_E": {"status": 0, "reaper_tid": 1},
    "PPME_USER_ADDED_E": {"uid": 5, "name": "eve"},
}


@pytest.mark.parametrize("seed", range(20))
def test_damaged_captures(seed: int) -> None:
    """The same events and the same error come out of a damaged capture."""
    chance = random.Random(seed)
    load = Load()
    load.round(300)
    data = chance.choice((load.capture.data(), everything().data()))
    start = 40_000 if len(data) > 60_000 else 3_000
    check(data[:start] + mutate(data[start:], chance), chance)


def test_samples() -> None:
    """Captures that other programs wrote."""
    if not sample_captures():
        pytest.skip("the sample captures are not here; set LANNER_CAPTURES to their directory")
    for path in sample_captures():
        check(path.read_bytes(), random.Random(3))


def test_most_events_of_a_busy_capture_are_left_out() -> None:
    """What rules on files, programs and connections need is the smaller part."""
    load = Load()
    load.round(5_000)
    codes = {event_type(f"PPME_{name}").code for name in ("SYSCALL_OPENAT_2_X", "SOCKET_CONNECT_X")}
    source = replay(load.capture, needed=State.needed_codes(frozenset()) | codes).source
    assert source.counts.unneeded > 0.6 * source.counts.events
    assert sum(source.seen().values()) == source.counts.events


@pytest.mark.parametrize("name", NAMES)
def test_fields_name_the_facts_they_read(name: str) -> None:
    """A field that does not say that it reads a fact is the same whatever the fact is."""
    output = compile_format(f"*%{name}", "syscall")
    texts = []
    for value in (0, 7):
        thread = make_thread(
            "cat", vmsize_kb=value, vmrss_kb=value, vmswap_kb=value, pfmajor=value, pfminor=value
        )
        fd = Fd(
            type=FdType.IPV4, sip=b"\1\2\3\4", dip=b"\4\3\2\1", name=b"x", is_connected=value > 0
        )
        events = [
            make_event(kind, proc=thread, fd=fd, params={"fd": 3})
            for kind in ("read", "connect", "close")
        ]
        texts.append([output.render(event) for event in events])
    if name in fields_with_facts():
        assert texts[0] != texts[1]
    else:
        assert texts[0] == texts[1]


def test_facts_are_found_in_texts() -> None:
    """Any mention of a field counts."""
    assert facts_in(["evt.type = read and fd.connected = true"]) == {Fact.CONNECTED}
    assert facts_in(["%proc.name %thread.vmsize.b"]) == {Fact.MEMORY}
    assert facts_in(["proc.name = vmsize"]) == frozenset()
