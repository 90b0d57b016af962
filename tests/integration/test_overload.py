"""Far more events than can be read, while rules change: each call is counted once, by each Lanner.

What is known beforehand is how often the script makes each call; the kernel's counters must add up
to that, whatever was left out by a filter, submitted, or had no room.
"""

import signal
import threading
import time

from exporter.sources.probe.source_text import architecture
from exporter.sources.probe.syscalls import native_numbers
from tests.integration.live import wait_until

EVENTS = "lanner_events_total"
CALLS = ("open", "mkdir", "unlink", "chmod", "symlink", "rename")
"""Calls that the interpreter never makes itself."""
ROUNDS, PROCESSES = 12_007, 53
RULES = """
- rule: Wanted
  desc: some of the calls, by what the kernel can test
  condition: evt.type in (open, mkdir, unlink, chmod, symlink, rename) and {test}
  output: "%evt.type"
  priority: INFO
- rule: Never
  desc: all of the calls are looked at
  condition: evt.type in (open, mkdir, unlink, chmod, symlink, rename) and proc.name = nobody
  output: "%evt.type"
  priority: INFO
"""
TESTS = ("evt.res = EEXIST", "proc.name startswith python and evt.rawres = -20")
SCRIPT = """
import ctypes, os
call = ctypes.CDLL(None).syscall
for turn in range({rounds}):
    for number in {numbers}:
        call(number, b"/etc/hostname/x", b"/dev/null/y", 0)
    if turn % {every} == 0:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
"""


def test_every_call_is_counted_once_whatever_happens(stage, start_lanner, tmp_path):
    """Two instances with small rings, rules that change all the time, calls at full speed.

    Events of processes are dropped last: there is room for them when there is none for others.
    """
    rules = tmp_path / "rules.yaml"
    texts = [RULES.format(test=test) for test in TESTS]
    rules.write_text(texts[0])
    config = "probe: {ring_size: 64KiB}\n"
    both = [
        start_lanner("-r", str(rules), *flags, config=config) for flags in ((), ("--no-pushdown",))
    ]
    for lanner in both:
        lanner.wait_ready()
    script = tmp_path / "calls.py"
    native = native_numbers(architecture())
    numbers = tuple(native[name] for name in CALLS)
    script.write_text(SCRIPT.format(rounds=ROUNDS, numbers=numbers, every=ROUNDS // PROCESSES + 1))
    done = threading.Event()

    def change_rules():
        turn = 0
        while not done.wait(0.2):
            turn += 1
            (tmp_path / "next").write_text(texts[turn % 2])
            (tmp_path / "next").rename(rules)
            for lanner in both:
                lanner.process.send_signal(signal.SIGHUP)

    thread = threading.Thread(target=change_rules)
    thread.start()
    answer = stage.run("python3", "-I", "-S", str(script))
    done.set()
    thread.join()

    assert answer["returncode"] == 0, answer["output"]
    for lanner in both:
        wait_until(lambda lanner=lanner: _is_quiet(lanner), 60, "the ring to be read")
        samples = lanner.samples()
        assert {name: _sum(samples, name) for name in CALLS} == dict.fromkeys(CALLS, ROUNDS)
        assert samples['lanner_reloads_total{result="success"}'] >= 1
        for name in ("clone", "procexit"):
            assert _dropped(samples, name) == 0
    # Or there was no overload.
    assert sum(_dropped(both[1].samples(), name) for name in CALLS) > ROUNDS


def _is_quiet(lanner):
    """Whether everything that the kernel submitted has been looked at."""
    submitted = lanner.total(EVENTS, stage="submitted")
    time.sleep(0.05)
    return lanner.total(EVENTS, stage="delivered") >= submitted - _hidden(lanner)


def _hidden(lanner):
    """Events that no rule looks at are submitted and not delivered."""
    return sum(
        lanner.total(EVENTS, default=0, stage="submitted", type=name)
        for name in ("clone", "execve", "procexit", "chdir", "prctl")
    )


def _dropped(samples, name):
    return _value(samples, "lanner_events_dropped_total", name, "reason", "ring_full")


def _sum(samples, name):
    stages = ("filtered", "submitted")
    counted = sum(_value(samples, EVENTS, name, "stage", stage) for stage in stages)
    return counted + _dropped(samples, name)


def _value(samples, metric, name, label, value):
    return sum(
        count
        for series, count in samples.items()
        if series.startswith(metric + "{")
        and f'type="{name}"' in series
        and f'{label}="{value}"' in series
    )
