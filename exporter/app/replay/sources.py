"""Which source reads a recording: chosen by the name of the event source.

Takes the path of a recording, gives a source whose events are ready for the state.
"""

import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from exporter.app.pipeline import EventSource
from exporter.errors import CaptureError, LannerError
from exporter.events.facts import Fact
from exporter.events.host import Host
from exporter.sources.capture.source import CaptureSource
from exporter.sources.k8s_audit.events import SOURCE as K8S_AUDIT
from exporter.sources.k8s_audit.log_files import AuditLogSource
from exporter.state.state import State

STDIN = "-"
SYSCALL = "syscall"


class ReplaySource(EventSource, Protocol):
    """A source that reads a recording and ends."""

    @property
    def error(self) -> LannerError | None:
        """What ended the recording early; everything before it has been given."""

    @property
    def total_bytes(self) -> int:
        """Size of the recording as it is stored; 0 when nobody knows."""

    @property
    def bytes_read(self) -> int:
        """How many of them have been read."""

    @property
    def events_seen(self) -> int:
        """Events that have been read, those that nobody needs included."""

    def open(self) -> None:
        """Read what stands before the first event. Raises LannerError."""

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events that could not be read, by (event name or "", reason)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a source is made of.

    path: of the file; `-` for standard input. state: filled by the source as it reads. needed:
    codes of the events that somebody looks at; None for all of them. facts: what is read of the
    facts that very many events write. on_problem: told in a sentence
    about what is left out.
    """

    path: str
    state: State
    needed: frozenset[int] | None = None
    facts: frozenset[Fact] = frozenset(Fact)
    on_problem: Callable[[str], None] = lambda _sentence: None

    @property
    def host(self) -> Host:
        """The machine that was recorded."""
        return self.state.host


class CaptureFile(CaptureSource):
    """A capture in a file or on standard input, opened and closed with its source."""

    def __init__(self, recording: Recording) -> None:
        """Open the file. Raises CaptureError."""
        self._stream, self._is_ours = _open_stream(recording.path)
        self.total_bytes = _size(self._stream)
        state = recording.state
        super().__init__(
            self._stream,
            state.host,
            name="standard input" if recording.path == STDIN else recording.path,
            on_imported=state.imported,
            on_reset=state.reset,
            needed=_needed_codes(recording),
        )

    @property
    def events_seen(self) -> int:
        """Events that have been read, those that nobody needs included."""
        return self.counts.events

    def close(self) -> None:
        """End, and close the file."""
        super().close()
        if self._is_ours:
            self._stream.close()


def _open_stream(path: str) -> tuple[BinaryIO, bool]:
    """The stream, and whether it is ours to close."""
    if path == STDIN:
        if sys.stdin is None:
            raise CaptureError("standard input is closed")
        return sys.stdin.buffer, False
    try:
        return Path(path).open("rb"), True
    except OSError as error:
        raise CaptureError(
            f"cannot read the capture {path}: {error.strerror}",
            hint="give a .scap file, or - for standard input",
        ) from None


def _size(stream: BinaryIO) -> int:
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _needed_codes(recording: Recording) -> frozenset[int] | None:
    """Codes of the events that somebody looks at or that the state must see; None for all."""
    if recording.needed is None:
        return None
    return recording.needed | State.needed_codes(recording.facts)


def _audit_log(recording: Recording) -> AuditLogSource:
    return AuditLogSource([recording.path], recording.host, on_problem=recording.on_problem)


_SOURCES: Mapping[str, Callable[[Recording], ReplaySource]] = {
    SYSCALL: CaptureFile,
    K8S_AUDIT: _audit_log,
}
"""Event source -> what reads recordings of it."""


def make_source(event_source: str, recording: Recording) -> ReplaySource:
    """The source, not yet opened. Raises LannerError when there is no such file."""
    return _SOURCES[event_source](recording)
