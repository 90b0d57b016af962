"""Recordings as input of tests: their events as the rules see them, and what is kept of each.

Takes the path of a capture or audit log, gives every event that is not hidden, between its `before`
and `after` of the state.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from exporter.app.replay.sources import Recording, make_source
from exporter.app.rule_tests.watch import Seen
from exporter.errors import LannerError
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.rules.dns import RESOLVER
from exporter.rules.testing.document import Case
from exporter.rules.testing.items import TestFileError
from exporter.state.state import State

_POLL_NS = 1_000_000_000
_ALIKE = 20


def recorded_events(case: Case, needed: frozenset[int]) -> Iterator[tuple[str, Event]]:
    """Every event with its place: name of the file and number of the event.

    needed: codes of the events that rules look at. Raises TestFileError when the file cannot be
    read to its end.
    """
    # What a name server says today is nothing a test could rely on.
    RESOLVER.is_online = False
    state = State(Host(), keep_fds=True)
    name = PurePath(case.recording).name
    try:
        source = make_source(
            case.source, Recording(path=case.recording, state=state, needed=needed)
        )
        source.open()
    except LannerError as error:
        raise _wrong(case, error) from None
    try:
        while not source.is_ended:
            for event in source.poll(time.monotonic_ns() + _POLL_NS):
                state.before(event)
                if not event.is_hidden:
                    yield f"{name} event {event.num}", event
                state.after(event)
    finally:
        source.close()
    if source.error is not None:
        raise _wrong(case, source.error)


def _wrong(case: Case, error: LannerError) -> TestFileError:
    return TestFileError(f'the recording of "{case.name}": {error.message}', case.span, error.hint)


@dataclass(slots=True)
class SeenLog:
    """What is kept of the events of one test.

    A recording has millions of events and few kinds of them: of those that look the same to every
    rule the first ones are kept, which is all that coverage and reports need.
    """

    records: list[Seen] = field(default_factory=list)
    _alike: Counter[object] = field(default_factory=Counter)

    def add(self, record: Seen) -> None:
        """Keep the event, unless enough like it are kept."""
        key = (
            record.event,
            record.matched,
            tuple((name, tuple(look.values)) for name, look in record.looks.items()),
        )
        self._alike[key] += 1
        if self._alike[key] <= (_ALIKE if record.matched else 1):
            self.records.append(record)
