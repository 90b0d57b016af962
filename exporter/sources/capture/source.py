"""CaptureSource: a capture file as a source of events for the hot thread.

The blocks in front of the events fill the host; every event then comes as the live probe's do, in
file order and with the numbers that the reference engine gives. Nothing outside the file is asked.
Source: spec/scap-format.md sections 9, 12, 13 and 14.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import BinaryIO

from exporter.errors import CaptureError
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.sources.capture import blocks
from exporter.sources.capture.counts import CaptureCounts
from exporter.sources.capture.event_scan import EventScan
from exporter.sources.capture.input import Input
from exporter.sources.capture.lists import UserList
from exporter.sources.capture.section import Section, read_section

_NS_PER_MS = 1_000_000


class _Phase(Enum):
    METADATA = 0
    EVENTS = 1
    NEXT_SECTION = 2
    ENDED = 3


class CaptureSource:
    """Events of one capture (or of several written one behind the other).

    stream: opened by the caller, who closes it. host: filled by `open`. name: how errors call the
    capture. on_imported: called once a section, when its lists are complete and before its first
    event that is not of the initial state (State.imported). on_reset: called when another section
    begins; everything known so far, `host` included, must be cleared (State.reset). needed: codes
    of current event types that state or rules look at; events of other types are numbered and left
    out unless leaving them out would show. None: every event is given.
    """

    def __init__(
        self,
        stream: BinaryIO,
        host: Host,
        *,
        name: str,
        on_imported: Callable[[], None],
        on_reset: Callable[[], None],
        needed: frozenset[int] | None = None,
    ) -> None:
        self.name = name
        self.error: CaptureError | None = None
        """What ended the capture early; everything before it was given."""
        self._input = Input(stream)
        self._host = host
        self._on_imported = on_imported
        self._on_reset = on_reset
        self._phase = _Phase.METADATA
        self._section = Section(blocks.LITTLE, UserList(), 0)
        self._left_out = 0
        self._scan = EventScan(
            self._input, host, name=name, needed=needed, on_settled=self._finish_import
        )

    # The source

    def open(self) -> None:
        """Read the blocks before the first event into the host. Raises CaptureError."""
        self._begin_section()

    def poll(self, deadline_ns: int) -> Iterator[Event]:
        """The events of the next window of the file, in order.

        Each must have gone through the state before the next is asked for: which events can be left
        out, and when the lists are complete, depends on it. Waits only for a pipe, at most until
        time.monotonic_ns() == deadline_ns. Leave the iterator at its end or drop it; what it had
        not given comes with the next call. Ends with `is_ended`, and `error` if it ended early.
        """
        if self._phase is _Phase.NEXT_SECTION:
            self._restart()
        if self._phase is _Phase.EVENTS:
            yield from self._window(deadline_ns)

    def drain(self) -> Iterator[Event]:
        """Nothing: a capture that is stopped is not read to its end."""
        return iter(())

    def close(self) -> None:
        """Read nothing more; may be called twice."""
        self._phase = _Phase.ENDED
        self._input.close()

    @property
    def is_ended(self) -> bool:
        """Whether no event will come any more."""
        return self._phase is _Phase.ENDED

    @property
    def bytes_read(self) -> int:
        """Bytes of the given stream (packed, if it is packed) that were read, for progress."""
        return self._input.bytes_read

    @property
    def offset(self) -> int:
        """Offset of the next block in the unpacked stream."""
        return self._input.offset

    @property
    def num(self) -> int:
        """Number of the last event (evt.num)."""
        return self._scan.num

    @property
    def counts(self) -> CaptureCounts:
        """What became of the events so far; exact between two calls of `poll`."""
        counts = self._scan.counts
        counts.list_entries = self._left_out
        return counts

    @property
    def first_bad(self) -> str:
        """The first event that was left out for a bad parameter, for one line of log."""
        return self._scan.first_bad

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events and facts lost so far, by ("", reason); reasons as in `CaptureCounts`."""
        return self.counts.losses()

    def seen(self) -> Mapping[int, int]:
        """Events of this section by code of their current type (undelivered ones by their own)."""
        return self._scan.seen()

    # Sections

    def _begin_section(self) -> None:
        """Read what stands before the events of a section. Raises CaptureError."""
        self._section = read_section(self._input, self.name, self._host)
        self._left_out += self._section.left_out
        self._scan.begin(self._section.packing)
        self._phase = _Phase.EVENTS

    def _restart(self) -> None:
        """Another capture follows in the same file: forget everything and begin anew."""
        source = self._input
        try:
            if source.available(4) >= 4:
                kind = self._section.packing.u32.unpack_from(source.buffer, source.position)[0]
                if kind != blocks.SECTION_HEADER:
                    problem = f"block type 0x{kind:x} between events, where only another capture's "
                    raise self._bad(source.position, problem + "section header may be")
            self._on_reset()
            self._begin_section()
        except CaptureError as error:
            self._fail(error)

    def _finish_import(self) -> None:
        """The initial state is complete: take over the users, let the state settle its tables."""
        self._section.import_users(self._host)
        self._on_imported()

    def _end(self) -> None:
        self._scan.settle()
        self.close()

    def _fail(self, error: CaptureError) -> None:
        self.error = error
        self.close()

    # Events

    def _window(self, deadline_ns: int) -> Iterator[Event]:
        """Events of what is in the window; the window moves on when no whole block is left."""
        try:
            yield from self._scan.events()
        except CaptureError as error:
            self._scan.settle()
            self._fail(error)
        if self._scan.is_over:
            self._phase = _Phase.NEXT_SECTION
        if self._phase is _Phase.EVENTS:
            self._move_on(deadline_ns)

    def _move_on(self, deadline_ns: int) -> None:
        """Read on, or end at the end of the stream."""
        source = self._input
        wait_ms = max(0, deadline_ns - time.monotonic_ns()) // _NS_PER_MS
        if source.grow(wait_ms):
            return
        left = len(source.buffer) - source.position
        if left == 0 and not source.damage:
            self._end()
            return
        total, wanted, offset = 0, blocks.HEADER_BYTES, source.offset
        if left >= wanted:
            kind, total = self._section.packing.header.unpack_from(source.buffer, source.position)
            if kind not in blocks.EVENT_BLOCKS:
                self._scan.settle()
                self._phase = _Phase.NEXT_SECTION
                return
            wanted, left = total - wanted, left - wanted
        self._scan.settle()
        if wanted <= left:
            problem = f"event block of {total} bytes is shorter than its headers"
            self._fail(self._bad(source.position, problem))
            return
        message = f"expecting {wanted} bytes, read {left}"
        if source.damage:
            message += f": {source.damage}"
        self._fail(blocks.error_at(self.name, offset, message))

    def _bad(self, position: int, problem: str) -> CaptureError:
        return blocks.error_at(self.name, self._input.base + position, problem)
