"""The reader of a real ring: woken for what rules look at, seldom for the rest."""

import time

from exporter.events.event import Event
from exporter.events.state_record import StateRecord
from exporter.sources.probe.record import RECORD_STATE_ONLY
from tests.integration.probe_rig import Rig

_NS = 1_000_000_000
TRIES = 101
CALLS = f"""
import time
def mkdir():
    try:
        os.mkdir("/proc/none")
    except OSError:
        pass
for _ in range({TRIES}):
    {{calls}}
"""


def polls(calls, counted):
    """What each poll gave, with the time when it came back, up to so many of what is counted."""
    rig = Rig(syscalls=frozenset({"mkdir"}), followed=frozenset({"chdir"}), procexit=False)
    # No rule asks for the directories; the state follows them.
    rig.source._only_state = RECORD_STATE_ONLY
    found = []
    try:
        rig.send(CALLS.format(calls=calls))
        left = TRIES
        while left:
            taken = rig.source.poll(time.monotonic_ns() + 10 * _NS)
            assert taken, "nothing within 10 s"
            found.append((time.monotonic_ns(), taken))
            left -= sum(isinstance(one, counted) for one in taken)
        rig.receive()
        return found
    finally:
        rig.close()


def test_records_for_the_state_gather():
    """Those that come every millisecond make one wake-up for many."""
    found = polls("os.chdir('/'); time.sleep(0.001)", StateRecord)

    assert len(found) < TRIES / 3


def test_an_event_behind_records_for_the_state_is_not_held_up():
    """In at least half of the tries it comes within 10 ms, though the others wait for 50 ms."""
    found = polls("os.chdir('/'); time.sleep(0.004); mkdir(); os.chdir('/')", Event)

    waits = sorted(
        now_ns - one.kernel_ts_ns
        for now_ns, taken in found
        for one in taken
        if isinstance(one, Event)
    )
    assert waits[len(waits) // 2] < 10_000_000
