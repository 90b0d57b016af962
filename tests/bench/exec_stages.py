"""What a process's life costs the hot thread, by stage: records of the kernel, taken again.

A round is a birth, an exec and an exit. Each record passes once as one that no rule can match, and
once as the event that the rules look at.
"""

import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import accumulate

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.state_record import BriefLives, Incoming, StateRecord
from exporter.rules.engine import Engine
from exporter.rules.ruleset import Ruleset
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.options import ProbeOptions
from exporter.sources.probe.record import FLAGS_AT, RECORD_STATE_ONLY
from exporter.sources.probe.syscalls import STATE_CALLS
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.bench.report import Row
from tests.integration.live import Stage

_RING_BYTES = 8 << 20
_CHUNK = 64
_TRIES = 5


def stages(stage: Stage, program: str, rounds: int, ruleset: Ruleset) -> Iterator[Row]:
    """One row a stage, in us a round; the least of some tries."""
    records, ring_ns = recorded(stage, program, rounds)
    count = f"{len(records) / rounds:.1f} records"
    yield Row("reading the ring, waking up", us(ring_ns, rounds), count)
    engine = Engine(ruleset)
    for name, bits in (("no rule can match", RECORD_STATE_ONLY), ("rules look", 0)):
        given = [flagged(data, bits) for data in records]
        first, state = least(given, None)
        yield Row(f"{name}: records to events", us(first, rounds))
        yield Row(f"{name}: state", us(state, rounds))
        if not bits:
            _, both = least(given, engine.match)
            yield Row(f"{name}: rules", us(both - state, rounds), f"{len(ruleset.rules)} rules")


def recorded(stage: Stage, program: str, rounds: int) -> tuple[list[bytes], int]:
    """Records of so many rounds by two workers, and the time that reading them took, ns."""
    options = ProbeOptions(
        scope_pid=stage.pid, syscalls=frozenset(), followed=STATE_CALLS, ring_bytes=_RING_BYTES
    )
    source = ProbeSource(Host(), options)
    source.open()
    records: list[bytes] = []
    took_ns = 0
    storm = threading.Thread(target=stage.run, args=(program, str(rounds // 2), "0", "0", "2"))
    try:
        storm.start()
        while storm.is_alive():
            start_ns = time.thread_time_ns()
            records += source.probe.poll(20)
            took_ns += time.thread_time_ns() - start_ns
        source.probe.detach()
        records += source.probe.drain()
        assert not source.probe.lost()
    finally:
        storm.join()
        source.close()
    # The probe's answers to its self-test are no events.
    return [data for data in records if len(data) > FLAGS_AT], took_ns


def flagged(data: bytes, bits: int) -> bytes:
    """A record with this word about rules."""
    (flags,) = struct.unpack_from("<H", data, FLAGS_AT)
    word = struct.pack("<H", flags & ~RECORD_STATE_ONLY | bits)
    return data[:FLAGS_AT] + word + data[FLAGS_AT + 2 :]


def least(records: list[bytes], match: Callable[[Event], object] | None) -> tuple[int, int]:
    """ns of making events (or state records), and of what follows, by the best of some tries."""
    firsts, seconds = zip(*(taken(records, match) for _ in range(_TRIES)), strict=True)
    return min(firsts), min(seconds)


def taken(records: list[bytes], match: Callable[[Event], object] | None) -> tuple[int, int]:
    """Run the records through a fresh state as the hot thread does."""
    state = State(Host(), keep_fds=False, procfs=Procfs())
    state.scan()
    source = ProbeSource(state.host, has_state_records=True)
    now_ns = time.thread_time_ns
    first_ns = second_ns = 0
    for at in range(0, len(records), _CHUNK):
        start_ns = now_ns()
        found = source._decode(sifted(source, records[at : at + _CHUNK]))
        made_ns = now_ns()
        for incoming in found:
            handle(state, incoming, match)
        first_ns += made_ns - start_ns
        second_ns += now_ns() - made_ns
    return first_ns, second_ns


def sifted(source: ProbeSource, records: list[bytes]) -> list[bytes]:
    """What the source reads of records that lie in its ring like this."""
    memory = b"".join(records)
    ends = list(accumulate(map(len, records)))
    spans = [slice(end - len(data), end) for end, data in zip(ends, records, strict=True)]
    return [memory[span] for span in source._brief_lives.sift(memory, spans)]


def handle(state: State, incoming: Incoming, match: Callable[[Event], object] | None) -> None:
    """What the pipeline does with a record or an event."""
    if isinstance(incoming, BriefLives):
        state.pass_over(incoming)
        return
    if isinstance(incoming, StateRecord):
        if state.take(incoming):
            return
        event = incoming.decode(incoming)
        assert event is not None
    else:
        event = incoming
    state.before(event)
    if match is not None:
        match(event)
    state.after(event)


def us(time_ns: int, rounds: int) -> str:
    """Microseconds a round."""
    return f"{time_ns / rounds / 1000:.1f} us"
