"""ProbeSource: the probe as a `Source` of events for the hot thread."""

import struct
import time
from collections.abc import Mapping

from exporter.errors import DecodeError
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.state_record import Incoming, StateRecord
from exporter.events.table import load_event_table
from exporter.sources.probe.brief_lives import BriefLivesFilter
from exporter.sources.probe.clock import Clock
from exporter.sources.probe.decode import Decoder
from exporter.sources.probe.options import ProbeOptions
from exporter.sources.probe.probe import Probe
from exporter.sources.probe.record import PEEK, RECORD_STATE_ONLY
from exporter.sources.probe.self_test import SelfTest

_NS_PER_MS = 1_000_000


class ProbeSource:
    """Live events of this kernel. decode_errors: records that had no valid shape and were skipped.

    has_state_records: what no rule can match comes as `StateRecord` or within `BriefLives`, for who
    can take those.
    The records come in the order in which the CPUs submitted them; events of different CPUs may
    be some microseconds out of order.
    """

    def __init__(
        self,
        host: Host,
        options: ProbeOptions | None = None,
        *,
        has_state_records: bool = False,
    ) -> None:
        self.probe = Probe(options)
        self.decode_errors = 0
        self.self_test = SelfTest(
            self.probe,
            round(self.probe.options.self_test_seconds * 1e9),
            lambda: self.delivered,
        )
        self._decoder = Decoder(host)
        self._only_state = RECORD_STATE_ONLY if has_state_records else 0
        self._clock = Clock()
        self._brief_lives = BriefLivesFilter(self._clock.offset_ns)
        self._state_records = 0
        """Records that came in another form than an event's."""
        self._is_patient = False
        """Whether the last records were all for the state, which can wait."""
        self._names = {event.code: event.name for event in load_event_table().events}

    def open(self) -> None:
        """Load and attach. Raises ProbeError."""
        self.probe.open()

    def report(self, calls: frozenset[str], followed: frozenset[str] = frozenset()) -> None:
        """What `Probe.report` does, as long as the source has not ended."""
        if self.probe.is_attached:
            self.probe.report(calls, followed)

    @property
    def is_ended(self) -> bool:
        """Never by itself: only `close` ends it."""
        return not self.probe.is_attached

    def poll(self, deadline_ns: int) -> list[Incoming]:
        """Events that are there, or the first to come before time.monotonic_ns() == deadline_ns."""
        wait_ms = max(0, (deadline_ns - time.monotonic_ns()) // _NS_PER_MS)
        sift = self._brief_lives.sift if self._only_state else None
        return self._decode(self.probe.poll(wait_ms, is_patient=self._is_patient, sift=sift))

    def wake_with(self, fd: int) -> None:
        """Let `poll` return, maybe empty, as soon as this descriptor is readable too."""
        self.probe.wake_with(fd)

    def drain(self) -> list[Incoming]:
        """Detach, then everything that was in the ring: for a clean stop."""
        self.probe.detach()
        return self._decode(self.probe.drain())

    def _decode(self, records: list[bytes]) -> list[Incoming]:
        """What the records are, with the brief lives that were found among them."""
        found: list[Incoming] = []
        brief = self._brief_lives
        before, at = self._state_records, 0
        self._state_records += brief.left_out
        for place, lives in brief.found:
            self._add(found, records[at:place])
            found.append(lives)
            at = place
        self._add(found, records[at:] if at else records)
        quiet = self._state_records - before
        self._is_patient = quiet == brief.left_out + len(records) > 0
        brief.clear()
        return found

    def _add(self, found: list[Incoming], records: list[bytes]) -> None:
        offset_ns = self._clock.offset_ns()
        decode, peek, only_state = self._decoder.decode, PEEK.unpack_from, self._only_state
        late = self._decode_late
        for data in records:
            try:
                ts_ns, code, flags = peek(data)
                if flags & only_state:
                    found.append(StateRecord(code, ts_ns + offset_ns, data, late))
                    self._state_records += 1
                else:
                    found.append(decode(data, offset_ns))
            except (DecodeError, struct.error):
                if not self.self_test.hears(data):
                    self.decode_errors += 1

    def _decode_late(self, record: StateRecord) -> Event | None:
        """The event of a record that the state did not take."""
        self._state_records -= 1
        try:
            return self._decoder.decode(
                record.data, record.ts_ns - PEEK.unpack_from(record.data)[0]
            )
        except DecodeError:
            self.decode_errors += 1
            return None

    def close(self) -> None:
        """Detach and release everything; may be called twice."""
        self.probe.close()

    @property
    def delivered(self) -> int:
        """Events given so far."""
        return self._decoder.count + self._state_records

    def look_after(self, now_ns: int) -> list[str]:
        """Test the probe now and then; the parts that were repaired. Called often.

        Raises ProbeError when the kernel no longer sends events and that cannot be helped.
        """
        return self.self_test.tick(now_ns)

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events lost so far, by (event name, reason); reasons that know no event have "".

        ring_full: the reader was too slow. ia32, unknown_call: foreign calls that are not decoded.
        no_descriptor: closes that are told without what they closed.
        scratch_busy, no_step, scope_full: see bpf/maps.h. recursion: runs that the kernel skipped.
        decode: `decode_errors`.
        """
        counters = self.probe.counters()
        losses: dict[tuple[str, str], int] = {("", "decode"): self.decode_errors}
        for code, count in counters.events.items():
            key = (self._names[code], "ring_full")
            losses[key] = losses.get(key, 0) + count.dropped
        for reason, number in counters.reasons.items():
            if reason != "ring_full":
                losses["", reason] = number
        return losses

    def lost(self) -> int:
        """Events lost so far, whatever they were and why; quick to read."""
        return self.decode_errors + self.probe.lost()
