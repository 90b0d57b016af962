"""EventScan: the event blocks of one section of a capture, as events.

Takes the window of the input, gives events in file order with the numbers that the reference engine
gives: old types converted, hidden and unneeded ones told apart.
Source: spec/scap-format.md sections 12, 13 and 14.
"""

from collections.abc import Callable, Iterator, Mapping

from exporter.errors import CaptureError
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.sources.capture import blocks, records
from exporter.sources.capture.blocks import Packing
from exporter.sources.capture.counts import CaptureCounts
from exporter.sources.capture.input import Input
from exporter.sources.capture.records import Frame, Layouts
from exporter.sources.capture.routes import ROUTE_SHIFT, Routes
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

_SOURCES = {0: "syscall", 1: "k8s_audit"}
"""Plugin id -> source of its events, as far as this program knows sources."""

_SMALLEST_EVENT_BLOCK = 36


class EventScan:
    """Gives the events of a section, from `begin` on until the next.

    name, needed: as for `CaptureSource`. on_settled: called once a section, before the first event
    that is not of the initial state.

    num: number of the last event (evt.num). is_over: another block than an event's follows.
    first_bad: the first event that was left out for a bad parameter, for one line of log.
    """

    def __init__(
        self,
        stream: Input,
        host: Host,
        *,
        name: str,
        needed: frozenset[int] | None,
        on_settled: Callable[[], None],
    ) -> None:
        self.num = 0
        self.is_over = False
        self.first_bad = ""
        self._input = stream
        self._host = host
        self._name = name
        self._needed = needed
        self._on_settled = on_settled
        self._counts = CaptureCounts()
        self._store = EnterStore()
        self._packing: Packing = blocks.LITTLE
        self._layouts = Layouts("little")
        self._routes = Routes(self._layouts, "little", needed)
        self._past_events = 0
        """Events of the sections before."""
        self._is_initial = True
        self._waiting: set[int] = set()
        """Threads with a hidden enter event that the state remembers."""

    def begin(self, packing: Packing) -> None:
        """A section begins; what is known of threads and types ends with the one before."""
        for route in self._routes.known.values():
            self._past_events += route.count
        self._packing = packing
        self._layouts = Layouts(packing.order)
        self._routes = Routes(self._layouts, packing.order, self._needed)
        self._store.clear()
        self._waiting.clear()
        self.num = 0
        self.is_over = False
        self._is_initial = True

    def settle(self) -> None:
        """The initial state is complete, if it was not before."""
        if self._is_initial:
            self._is_initial = False
            self._on_settled()

    @property
    def counts(self) -> CaptureCounts:
        """What became of the events so far; exact between two uses of `events`."""
        counts = self._counts
        counts.enters_evicted = self._store.evicted
        counts.events = self._past_events + counts.unknown_type
        counts.events += sum(route.count for route in self._routes.known.values())
        counts.unneeded = counts.events - (
            counts.delivered + counts.upgraded + counts.unknown_type + counts.bad_parameter
        )
        return counts

    def seen(self) -> Mapping[int, int]:
        """Events of this section by code of their current type (undelivered ones by their own)."""
        found: dict[int, int] = {}
        for route in self._routes.known.values():
            found[route.type.code] = found.get(route.type.code, 0) + route.count
        return found

    def events(self) -> Iterator[Event]:
        """Events of the whole blocks in the window. Raises CaptureError at what cannot be read."""
        source, layouts, counts = self._input, self._layouts, self._counts
        buffer, position, end = source.buffer, source.position, len(source.buffer)
        unpack, event_v2, most = layouts.v2.unpack_from, blocks.EVENT_V2, records.MAX_BLOCK_BYTES
        host, routes, waiting = self._host, self._routes.known, self._waiting
        threads = host.threads
        deliver, skip = Fate.DELIVER, Fate.SKIP
        num = self.num
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
                    self.settle()
                    self.is_over = True
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
                    self.settle()
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
            self.num = num

    def _frame(self, position: int, following: int) -> Frame | None:
        """Any event block, taken apart; None while it is not whole. Raises CaptureError."""
        buffer = self._input.buffer
        kind, total = self._packing.header.unpack_from(buffer, position)
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
            raw = convert(route.steps, raw, tid, self._store, self._packing.order)
        if raw is None:
            raise self._bad(position, _TOO_LONG)
        self._store.put(tid, route.type.code, raw)

    def _upgrade(self, route: Route, shape: Shape, raw: Raw, tid: int, position: int) -> Raw:
        """Parameters as the current type has them, with numbers of a wrong width emptied."""
        bad = shape.bad
        if route.steps:
            converted = convert(route.steps, raw, tid, self._store, self._packing.order)
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
            at = f"{self._name}: byte {self._input.base + position}"
            self.first_bad = (
                f"{at}: event {route.type.id} left out: "
                "a text parameter does not end with its only NUL byte"
            )

    def _bad(self, position: int, problem: str) -> CaptureError:
        return blocks.error_at(self._name, self._input.base + position, problem)


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
