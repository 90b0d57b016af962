"""Records of a real kernel: the state is the same with the lives that are left out and without."""

import random
from copy import copy
from itertools import accumulate

import msgspec

from exporter.events.host import Host
from exporter.events.state_record import BriefLives, StateRecord
from exporter.sources.probe.clock import Clock
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.record import HEADER, RECORD_STATE_ONLY
from exporter.sources.probe.syscalls import STATE_CALLS
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.bench.exec_stages import flagged
from tests.integration.probe_rig import Rig
from tests.integration.test_lifelines import EXECS
from tests.integration.test_probe_births import BIRTHS, scanned_state

MORE = """
import subprocess
for script in (
    "for i in 1 2 3 4 5 6; do /bin/true $i | /bin/cat; done",
    "(/bin/true; (/bin/true & /bin/true; wait)) & exec /bin/sleep 0.02",
    "cd /usr; (sleep 0.03 & cd /; exec true) ; sleep 0.05",
    "unshare -pf --mount-proc sh -c 'true; true & sleep 0.01'; true",
):
    subprocess.run(["/bin/sh", "-c", script])
pids = [os.posix_spawn("/bin/true", ["true", str(i)], {}) for i in range(8)]
[os.waitpid(pid, 0) for pid in pids]
"""
_MAX_BATCH = 200


def recorded():
    """What births, execs and exits of every kind leave in the ring."""
    rig = Rig(syscalls=frozenset(), followed=STATE_CALLS, ring_bytes=8 << 20)
    try:
        for code in (MORE, BIRTHS, EXECS, MORE):
            rig.call(code)
        rig.source.probe.detach()
        return [data for data in rig.source.probe.drain() if len(data) > HEADER.size]
    finally:
        rig.close()


class World:
    """A state and a source in front of it, which knows the processes of another state."""

    def __init__(self, scanned: State, *, is_sifted: bool) -> None:
        self.state = State(
            Host(boot_ts_ns=scanned.host.boot_ts_ns), keep_fds=False, procfs=Procfs()
        )
        self.state.tables.rule = scanned.tables.rule
        for tid, thread in scanned.host.threads.items():
            self.state.host.threads[tid] = copy(thread)
        self.state.tables.threads.link_all()
        self.source = ProbeSource(self.state.host, has_state_records=True)
        self.is_sifted = is_sifted
        self.seen: list[object] = []

    def take(self, records):
        """One batch, as the source and the pipeline take it; what rules could see is noted."""
        self.seen.clear()
        memory = b"".join(records)
        ends = list(accumulate(map(len, records)))
        spans = [slice(end - len(data), end) for end, data in zip(ends, records, strict=True)]
        if self.is_sifted:
            spans = self.source._brief_lives.sift(memory, spans)
        for incoming in self.source._decode([memory[span] for span in spans]):
            if isinstance(incoming, BriefLives):
                self.state.pass_over(incoming)
                continue
            if isinstance(incoming, StateRecord):
                if self.state.take(incoming):
                    continue
                event = incoming.decode(incoming)
                assert event is not None
            else:
                event = incoming
            self.state.before(event)
            if not event.is_hidden:
                self.seen.append((event.type.name, event.tid, self.entries()))
            self.state.after(event)
        self.seen.append(self.entries())

    def entries(self):
        """What the table holds of those who came later, and of those who have children."""
        threads, table = self.state.host.threads, self.state.tables.threads
        return {
            tid: (
                msgspec.structs.asdict(thread) | {"args": [*thread.args], "env": [*thread.env]},
                list(table.groups[thread.pid].members),
                sorted(child.tid for child in table.children_of(tid)),
            )
            for tid, thread in threads.items()
            if thread.seen_ns or thread.children
        }


def test_rules_see_the_same_with_and_without_brief_lives(monkeypatch):
    """At every event and behind every batch: all entries, groups, parents and children."""
    monkeypatch.setattr(Clock, "offset_ns", lambda _clock: 0)
    scanned = scanned_state()
    records = recorded()
    passed = []
    for seed, share in enumerate((0.0, 0.0, 0.002, 0.004, 0.01, 0.03, 0.1, 0.3)):
        chance = random.Random(seed)
        given = [
            flagged(data, 0 if chance.random() < share else RECORD_STATE_ONLY) for data in records
        ]
        one, other = (World(scanned, is_sifted=is_sifted) for is_sifted in (True, False))
        at = 0
        while at < len(given):
            size = chance.randint(1, _MAX_BATCH)
            for world in (one, other):
                world.take(given[at : at + size])
            assert one.seen == other.seen, seed
            at += size
        assert dict(one.state.tables._exits) == dict(other.state.tables._exits)
        assert one.source.delivered == other.source.delivered == len(records)
        passed.append(one.state.counters.lives_passed)
        assert other.state.counters.lives_passed == 0
    assert passed[0] > 150, passed
