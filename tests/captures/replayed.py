"""Reading what tests wrote."""

from dataclasses import dataclass, field
from io import BytesIO

import pytest

from exporter.errors import CaptureError
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.sources.capture.source import CaptureSource
from exporter.state.state import State
from tests.captures.writer import Capture


@dataclass
class Replayed:
    """A capture after its last event."""

    host: Host
    source: CaptureSource
    events: list[Event] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    fd_names: list[bytes] = field(default_factory=list)

    @property
    def visible(self) -> list[Event]:
        """What rules see."""
        return [event for event in self.events if not event.is_hidden]


def captured(
    data: bytes, needed: frozenset[int] | None = None, *, name: str = "test.scap"
) -> tuple[State, CaptureSource]:
    """A capture, not opened yet, and the state that it fills."""
    state = State(Host(), keep_fds=True)
    source = CaptureSource(
        BytesIO(data),
        state.host,
        name=name,
        on_imported=state.imported,
        on_reset=state.reset,
        needed=needed,
    )
    return state, source


def replay(
    capture: Capture | bytes, *, packed: bool = False, needed: frozenset[int] | None = None
) -> Replayed:
    """Read a capture through the state to its end. Raises CaptureError if it cannot be opened."""
    data = capture if isinstance(capture, bytes) else capture.data(packed=packed)
    state, source = captured(data, needed)
    source.open()
    done = Replayed(state.host, source)
    while not source.is_ended:
        for event in source.poll(0):
            state.before(event)
            done.events.append(event)
            done.names.append(event.type.id)
            done.fd_names.append(b"" if event.fd is None else event.fd.name)
            state.after(event)
    return done


def failure(capture: Capture | bytes, *, packed: bool = False) -> CaptureError:
    """The error that a damaged capture ends with, wherever it shows."""
    try:
        done = replay(capture, packed=packed)
    except CaptureError as error:
        return error
    if done.source.error is None:
        pytest.fail("the capture was read without an error")
    return done.source.error
