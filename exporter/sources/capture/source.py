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
from exporter.sources.capture import blocks, records
from exporter.sources.capture.counts import CaptureCounts
from exporter.sources.capture.input import Input
from exporter.sources.capture.lists import UserList
from exporter.sources.capture.records import Frame, Layouts
from exporter.sources.capture.routes import ROUTE_SHIFT, Routes
from exporter.sources.capture.section import Section, read_section
from exporter.sources.capture.upgrade import (
    EnterStore,
    Fate,
    Raw,
    Route,
    Shape,
    bad_lengths,
    convert,
)

_MAX_TID = 1 << 32
_NS_PER_MS = 1_000_000

_SOURCES = {0: "syscall", 1: "k8s_audit"}
"""Plugin id -> source of its events, as far as this program knows sources."""

_SMALLEST_EVENT_BLOCK = 36


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
        self.first_bad: str = ""
        """The first event that was left out for a bad parameter, for one line of log."""
        self._input = Input(stream)
        self._host = host
        self._on_imported = on_imported
        self._on_reset = on_reset
        self._needed = needed
        self._phase = _Phase.METADATA
        self._counts = CaptureCounts()
        self._store = EnterStore()
        self._section = Section(blocks.LITTLE, UserList(), 0)
        self._layouts = Layouts("little")
        self._routes = Routes(self._layouts, "little", needed)
        self._past_events = 0
        """Events of the sections before."""
        self._num = 0
        self._is_initial = True
        self._waiting: set[int] = set()
        """Threads with a hidden enter event that the state remembers."""

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
        return self._num

    @property
    def counts(self) -> CaptureCounts:
        """What became of the events so far; exact between two calls of `poll`."""
        counts = self._counts
        counts.enters_evicted = self._store.evicted
        counts.events = self._past_events + counts.unknown_type
        counts.events += sum(route.count for route in self._routes.known.values())
        counts.unneeded = counts.events - (
            counts.delivered + counts.upgraded + counts.unknown_type + counts.bad_parameter
        )
        return counts

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events and facts lost so far, by ("", reason); reasons as in `CaptureCounts`."""
        return self.counts.losses()

    def seen(self) -> Mapping[int, int]:
        """Events of this section by code of their current type (undelivered ones by their own)."""
        found: dict[int, int] = {}
        for route in self._routes.known.values():
            found[route.type.code] = found.get(route.type.code, 0) + route.count
        return found

    # Sections

    def _begin_section(self) -> None:
        """Read what stands before the events of a section. Raises CaptureError."""
        for route in self._routes.known.values():
            self._past_events += route.count
        section = self._section = read_section(self._input, self.name, self._host)
        order = section.packing.order
        self._layouts = Layouts(order)
        self._routes = Routes(self._layouts, order, self._needed)
        self._store.clear()
        self._waiting.clear()
        self._num = 0
        self._is_initial = True
        self._counts.list_entries += section.left_out
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
        if not self._is_initial:
            return
        self._is_initial = False
        self._section.import_users(self._host)
        self._on_imported()

    def _end(self) -> None:
        self._finish_import()
        self.close()

    def _fail(self, error: CaptureError) -> None:
        self.error = error
        self.close()

    # Events

    def _window(self, deadline_ns: int) -> Iterator[Event]:
        """Events of what is in the window; the window moves on when no whole block is left."""
        try:
            yield from self._scan()
        except CaptureError as error:
            self._finish_import()
            self._fail(error)
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
                self._finish_import()
                self._phase = _Phase.NEXT_SECTION
                return
            wanted, left = total - wanted, left - wanted
        self._finish_import()
        if wanted <= left:
            problem = f"event block of {total} bytes is shorter than its headers"
            self._fail(self._bad(source.position, problem))
            return
        message = f"expecting {wanted} bytes, read {left}"
        if source.damage:
            message += f": {source.damage}"
        self._fail(blocks.error_at(self.name, offset, message))

    def _scan(self) -> Iterator[Event]:
        """Events of the whole blocks in the window. Raises CaptureError at what cannot be read."""
        source, layouts, counts = self._input, self._layouts, self._counts
        buffer, position, end = source.buffer, source.position, len(source.buffer)
        unpack, event_v2, most = layouts.v2.unpack_from, blocks.EVENT_V2, records.MAX_BLOCK_BYTES
        host, routes, waiting = self._host, self._routes.known, self._waiting
        threads = host.threads
        deliver, skip = Fate.DELIVER, Fate.SKIP
        num = self._num
        try:
            while position + _SMALLEST_EVENT_BLOCK <= end:
                kind, total, cpu, ts_ns, tid, size, code, nparams = unpack(buffer, position)
                following = position + total
                flags = width = 0
                # One straight read for the block that nearly all events are in.
                if kind == event_v2 and 40 <= total <= most and 26 <= size <= total - 14:
                    if following > end:
                        break
                    limit = position + 10 + size
                    lengths_at = position + 36
                elif kind in blocks.EVENT_BLOCKS:
                    frame = self._frame(position, following)
                    if frame is None:
                        break
                    flags, cpu, ts_ns, tid, code = (
                        frame.flags, frame.cpu, frame.ts_ns, frame.tid, frame.code,
                    )  # fmt: skip
                    nparams, width, lengths_at = frame.nparams, frame.width, frame.lengths_at
                    limit = frame.start + frame.size
                else:
                    self._finish_import()
                    self._phase = _Phase.NEXT_SECTION
                    return
                route = routes.get(nparams << ROUTE_SHIFT | code)
                if route is None:
                    route = self._routes.find(code, nparams)
                    if route is None:
                        counts.unknown_type += 1
                        position = following
                        continue
                width = width or route.width
                body = lengths_at + nparams * width
                if body > limit:
                    raise self._bad(position, f"{nparams} parameters do not fit the event's length")
                lengths = buffer[lengths_at:body]
                shape = route.shapes.get(lengths)
                if shape is None:
                    shape = self._routes.shape(route, lengths, width)
                if body + shape.size > limit:
                    problem = f"parameters of {shape.size} bytes where {limit - body} are left"
                    raise self._bad(position, problem)
                if self._is_initial and not route.is_initial:
                    self._finish_import()
                fate = route.fate
                if fate is skip:
                    route.count += 1
                    position = following
                    num += 1
                    # What the state must see of any type: State.needed_codes.
                    if (
                        (tid in threads or not 0 <= tid < _MAX_TID)
                        and tid not in waiting
                        and host.first_ts_ns
                    ):
                        continue
                elif fate is deliver:
                    route.count += 1
                    position = following
                    num += 1
                else:
                    self._take_undelivered(route, shape, body, tid, position)
                    route.count += 1
                    position = following
                    continue
                raw: Raw = shape.unpack(buffer, body)
                if shape.bad or not route.is_simple:
                    raw = self._upgrade(route, shape, raw, tid, following - total)
                if route.texts and not _has_ends(raw, route.texts):
                    self._note_bad(route, following - total)
                    continue
                is_hidden = route.is_hidden or self._is_initial or flags & records.STATE_ONLY != 0
                if route.is_hidden:
                    waiting.add(tid)
                elif waiting and not route.keeps_enter:
                    waiting.discard(tid)
                event = Event(
                    num=num,
                    ts_ns=ts_ns,
                    cpu=cpu,
                    tid=tid,
                    type=route.type,
                    raw=raw,
                    decoders=route.decoders,
                    host=host,
                    is_hidden=is_hidden,
                )
                if route.is_from_plugin:
                    event.source = _source_of(event)
                counts.delivered += 1
                counts.hidden += is_hidden
                yield event
        finally:
            source.position = position
            self._num = num

    def _frame(self, position: int, following: int) -> Frame | None:
        """Any event block, taken apart; None while it is not whole. Raises CaptureError."""
        buffer = self._input.buffer
        kind, total = self._section.packing.header.unpack_from(buffer, position)
        try:
            records.check_block(kind, total)
            if following > len(buffer):
                return None
            frame = self._layouts.frame(buffer, position)
            if frame.nparams < 0:
                self._layouts.count_params(frame, buffer)
        except ValueError as error:
            raise self._bad(position, str(error)) from None
        return frame

    def _take_undelivered(
        self, route: Route, shape: Shape, body: int, tid: int, position: int
    ) -> None:
        """Store or drop an event, or end at one that cannot be converted."""
        if route.fate is Fate.FAIL:
            raise self._bad(position, route.message)
        self._counts.upgraded += 1
        if route.fate is not Fate.STORE:
            return
        if not route.is_wanted:
            # Still the thread's last enter event: an older one must not be found any more.
            self._store.put(tid, route.type.code, ())
            return
        raw: Raw | None = shape.unpack(self._input.buffer, body)
        assert raw is not None
        if route.steps:
            raw = convert(route.steps, raw, tid, self._store, self._section.packing.order)
        if raw is None:
            raise self._bad(position, _TOO_LONG)
        self._store.put(tid, route.type.code, raw)

    def _upgrade(self, route: Route, shape: Shape, raw: Raw, tid: int, position: int) -> Raw:
        """Parameters as the current type has them, with numbers of a wrong width emptied."""
        bad = shape.bad
        if route.steps:
            converted = convert(route.steps, raw, tid, self._store, self._section.packing.order)
            if converted is None:
                raise self._bad(position, _TOO_LONG)
            raw = converted
            bad = bad_lengths(route, tuple(map(len, raw)))
        if bad:
            self._counts.bad_number += 1
            raw = [b"" if index in bad else data for index, data in enumerate(raw)]
        if route.also_stores:
            self._store.put(tid, route.type.code, raw)
        return raw

    def _note_bad(self, route: Route, position: int) -> None:
        self._counts.bad_parameter += 1
        if not self.first_bad:
            self.first_bad = (
                f"{self.name}: byte {self._input.base + position}: event {route.type.id} left out: "
                "a text parameter does not end with its only NUL byte"
            )

    def _bad(self, position: int, problem: str) -> CaptureError:
        return blocks.error_at(self.name, self._input.base + position, problem)


def _has_ends(raw: Raw, texts: tuple[int, ...]) -> bool:
    """Whether every text that is not empty has exactly one NUL, at its end."""
    for index in texts:
        text = raw[index]
        if text and text.find(0) != len(text) - 1:
            return False
    return True


_TOO_LONG = "the event is longer than an event may be after its conversion"


def _source_of(event: Event) -> str:
    plugin = event.param(0) or 0
    return _SOURCES.get(plugin, f"plugin {plugin}")
