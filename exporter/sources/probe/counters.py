"""What the probe counted in the kernel: events by code, and what it could not report by reason."""

import struct
from collections.abc import Iterable, Mapping

from msgspec import Struct

from exporter.sources.probe.maps import (
    BEAT_FULL,
    EVENT_COUNTERS,
    FILTER_MEMORY_BYTES,
    REASONS,
    Maps,
    possible_cpus,
)
from exporter.sources.probe.source_text import EVENT_CODES

_NO_EVENTS = frozenset({"ia32", "unknown_call", "no_descriptor"})
"""Reasons of calls that are no events of ours, and of events that lack something."""


class EventCount(Struct, frozen=True):
    """What became of the events of one code since the start.

    truncated and state_only ones are among the submitted ones. state_only: no rule can match them,
    but the state needs them. filtered: left out because no rule can match them.
    """

    submitted: int
    dropped: int
    truncated: int
    state_only: int = 0
    filtered: int = 0


class ProbeCounters(Struct, frozen=True):
    """Counted in the kernel: by event code, and what could not be reported by reason.

    The reason ring_full is the sum of the events' `dropped`.
    """

    events: Mapping[int, EventCount]
    reasons: Mapping[str, int]

    @property
    def dropped(self) -> int:
        """Events lost because the ring was full."""
        return sum(count.dropped for count in self.events.values())


def read_events(maps: Maps, codes: Iterable[int]) -> dict[int, EventCount]:
    """Event code -> its counts, over all CPUs. Raises ProbeError."""
    cpus = possible_cpus()
    filtered = _read_filtered(maps, cpus)
    events = {}
    for code in codes:
        data = maps.read("counters", code, EVENT_COUNTERS.size * cpus)
        each = zip(*EVENT_COUNTERS.iter_unpack(data), strict=True)
        submitted, dropped, truncated, state_only = (sum(column) for column in each)
        events[code] = EventCount(submitted, dropped, truncated, state_only, filtered[code])
    return events


def _read_filtered(maps: Maps, cpus: int) -> list[int]:
    """Events left out by filters, by event code."""
    counts = struct.Struct(f"<{EVENT_CODES}Q")
    each = [
        counts.unpack_from(maps.read("filter_memory", cpu, FILTER_MEMORY_BYTES))
        for cpu in range(cpus)
    ]
    return [sum(column) for column in zip(*each, strict=True)]


def read_reason(maps: Maps, name: str) -> int:
    """How often something was not reported for one reason, over all CPUs. Raises ProbeError."""
    cpus = possible_cpus()
    data = maps.read("reasons", (*REASONS, BEAT_FULL).index(name), 8 * cpus)
    return sum(struct.unpack(f"<{cpus}Q", data))


def read_lost(maps: Maps) -> int:
    """Events lost in the kernel so far, whatever they were and why; quick to read.

    Foreign calls are no events that the probe could have told, and a close whose descriptor is not
    known is told. Raises ProbeError.
    """
    return sum(read_reason(maps, name) for name in REASONS if name not in _NO_EVENTS)


def read_pressed(maps: Maps) -> int:
    """How often the ring had no room, for an event or for an answer to the self-test.

    Raises ProbeError.
    """
    return read_reason(maps, "ring_full") + read_reason(maps, BEAT_FULL)
