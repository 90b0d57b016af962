"""A probe that falls silent is mended, or Lanner ends: on the real kernel."""

import ctypes
import mmap
import os
import signal
import struct
import time
from pathlib import Path

import pytest

from exporter.sources.probe import kernel
from exporter.sources.probe.self_test import BEAT_CALL, HOOKS
from tests.integration.live import wait_until
from tests.integration.probe_rig import Rig, of

_MAP_GET_FD_BY_ID = 14
TESTS = "lanner_probe_self_tests_total"
CONFIG = "probe: {self_test: 200ms}\n"


@pytest.fixture
def rig():
    rig = Rig(syscalls=frozenset({"mkdir"}), self_test_seconds=0.05)
    yield rig
    rig.close()


def look_after(rig, seconds=8.0):
    """What the hot thread does, until something was repaired or the time is up; events, parts."""
    events = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        events += rig.source.poll(time.monotonic_ns() + 20_000_000)
        repaired = rig.source.look_after(time.monotonic_ns())
        if repaired:
            return events, repaired
    return events, []


def passed(rig):
    """Tests that every hook passed."""
    return min(rig.source.self_test.results[hook, "passed"] for hook in HOOKS)


def test_answers_come_through_the_ring(rig):
    """Both hooks answer, only to their own process, and their answers are no events."""
    events, repaired = look_after(rig, 0.7)

    assert repaired == []
    assert passed(rig) >= 3
    assert events == []
    assert rig.source.decode_errors == 0
    before = passed(rig)
    code = f"import ctypes; ctypes.CDLL(None).syscall(ctypes.c_long({BEAT_CALL}))"
    _, _, events = rig.run(code)
    assert {event.type.name for event in events} == {"procexit"}
    assert passed(rig) == before


@pytest.mark.parametrize("hook", HOOKS)
def test_a_detached_hook_is_attached_anew(rig, hook):
    """The kernel let go of it: noticed, mended, and events come as before."""
    (link,) = (link for link, name in rig.source.probe._links.items() if name == hook)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, link)
    os.close(null)

    assert look_after(rig)[1] == [hook]
    pid, _, events = rig.run("os.path.exists('/')")
    assert of(events, "procexit", pid)
    count = passed(rig)
    look_after(rig, 0.5)
    assert passed(rig) > count


def test_a_silent_hook_is_attached_anew(rig, monkeypatch):
    """It is held, as far as the kernel tells, but not run."""
    monkeypatch.setattr(kernel, "is_attached", lambda _link, _program: True)
    (link,) = (link for link, name in rig.source.probe._links.items() if name == "hook_sys_exit")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, link)
    os.close(null)

    assert look_after(rig)[1] == ["hook_sys_exit"]
    pid, _, events = rig.run("os.makedirs('/tmp/.', exist_ok=True)")
    assert of(events, "mkdir", pid)


def map_of(pid: int, name: str) -> int:
    """Descriptor of a BPF map that a process holds."""
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        lines = (line.partition(":") for line in entry.read_text().splitlines())
        facts = {key: value.strip() for key, _, value in lines}
        if "map_id" in facts:
            identity = struct.pack("<IxxxxI", int(facts["map_id"]), 0)
            fd = kernel._bpf(_MAP_GET_FD_BY_ID, identity)
            info = kernel._object_info(fd, 40)
            if info is not None and info[24:40].rstrip(b"\0").decode() == name:
                return fd
            os.close(fd)
    raise AssertionError(f"process {pid} holds no map {name}")


def test_a_reader_that_lost_its_place_goes_on(stage, start_lanner):
    """Somebody wrote into the reader's position: mended, said, and alerts come again."""
    lanner = start_lanner("--json", config=CONFIG)
    lanner.wait_ready()
    ring = map_of(lanner.process.pid, "lanner_events")
    with mmap.mmap(ring, mmap.PAGESIZE) as page:
        ctypes.c_uint64.from_buffer(page).value = 1 << 60
    os.close(ring)

    wait_until(
        lambda: lanner.total(TESTS, part="ring", result="repaired", default=0), 10, "the repair"
    )
    stage.run("cat", "/etc/shadow")
    lanner.wait_alert(lambda _alert: True)
    assert any("has been repaired" in line and "ring" in line for line in lanner.log)
    assert lanner.stop(signal.SIGTERM) == 0


def test_lanner_ends_when_the_kernel_stays_silent(start_lanner):
    """Attaching anew does not help: one sentence, and status 1."""
    lanner = start_lanner(config=CONFIG)
    lanner.wait_ready()
    wait_until(lambda: lanner.total(TESTS, result="passed", default=0) >= 4, 10, "a first test")
    calls = map_of(lanner.process.pid, "lanner_syscalls")
    kernel.update_map(calls, struct.pack("<I", BEAT_CALL), bytes(24))
    os.close(calls)

    assert lanner.process.wait(15) == 1
    assert any("does not run hook_sys_exit" in line for line in lanner.log)
    assert not any("Traceback" in line for line in lanner.log)
