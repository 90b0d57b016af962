"""The shared sample captures, read to their end."""

from collections import Counter
from pathlib import Path

import pytest

from exporter.events.host import Host
from exporter.sources.capture.source import CaptureSource
from exporter.state.state import State
from tests.captures.samples import sample_capture


def read(path: Path, needed: frozenset[int] | None = None):
    """All events with what the state made of them, and the source."""
    host = Host()
    state = State(host, keep_fds=True)
    found = []
    with path.open("rb") as stream:
        source = CaptureSource(
            stream,
            host,
            name=path.name,
            on_imported=state.imported,
            on_reset=state.reset,
            needed=needed,
        )
        source.open()
        while not source.is_ended:
            for event in source.poll(0):
                state.before(event)
                found.append((event.num, event.type.id, event.is_hidden))
                state.after(event)
    return found, source


@pytest.mark.parametrize(
    ("name", "records", "last", "hidden"),
    [("curl_google.scap", 1536, 991, 52), ("single_ipv6_conn.scap", 1728, 1717, 3)],
)
def test_samples_are_read_to_their_end(name: str, records: int, last: int, hidden: int) -> None:
    """Every record is accounted for, numbers run without a gap, enter events are hidden."""
    found, source = read(sample_capture(name))
    assert source.error is None
    assert source.counts.events == records
    assert [num for num, _, _ in found] == list(range(1, last + 1))
    assert Counter(is_hidden for _, _, is_hidden in found)[True] == hidden
    assert not any(source.losses().values())
