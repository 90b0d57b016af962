"""CaptureSource: a capture file as a source of events for the hot thread.

The blocks in front of the events fill the host; every event then comes as the live probe's do, in
file order and with the numbers that the reference engine gives. Nothing outside the file is asked.
Source: spec/scap-format.md sections 9, 12, 13 and 14.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import BinaryIO

from msgspec import Struct

from exporter.errors import CaptureError
from exporter.events.container import User
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.params import capture_decoders
from exporter.events.table import load_event_table
from exporter.sources.capture import blocks, records
from exporter.sources.capture.blocks import Block
from exporter.sources.capture.input import Input
from exporter.sources.capture.lists import UserList, read_interfaces, read_machine, read_users
from exporter.sources.capture.processes import ProcessLists
from exporter.sources.capture.records import Frame, Layouts
from exporter.sources.capture.upgrade import (
    EnterStore,
    Fate,
    Raw,
    Route,
    Shape,
    bad_lengths,
    convert,
    route_of,
)

_LIST_BUDGET_BYTES = 64 << 20
_MAX_SHAPES = 4096
_MAX_TID = 1 << 32
_ROUTE_SHIFT = 16
_MAX_ROUTE_PARAMS = 64
_NS_PER_MS = 1_000_000

_SOURCES = {0: "syscall", 1: "k8s_audit"}
"""Plugin id -> source of its events, as far as this program knows sources."""

_SMALLEST_EVENT_BLOCK = 36


class _Phase(Enum):
    METADATA = 0
    EVENTS = 1
    NEXT_SECTION = 2
    ENDED = 3


class CaptureCounts(Struct):
    """Events of a capture by what became of them.

    events: all records. delivered: given to the caller, `hidden` of them not for rules. unneeded:
    numbered but not given, because neither rules nor state look at their type. upgraded: dropped by
    the conversion of old versions (their exit events carry what they told). unknown_type: of a
    newer schema. bad_parameter: not given, because a text of theirs has no valid end. bad_number:
    given, but with a number of the wrong width, or a too long socket address, taken as empty.
    enters_evicted: stored enter events given up because too many waited. list_entries: threads and
    descriptors of the metadata left out for their size.
    """

    events: int = 0
    delivered: int = 0
    hidden: int = 0
    unneeded: int = 0
    upgraded: int = 0
    unknown_type: int = 0
    bad_parameter: int = 0
    bad_number: int = 0
    enters_evicted: int = 0
    list_entries: int = 0


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
        self._routes: dict[int, Route] = {}
        self._shapes = 0
        self._store = EnterStore()
        self._users = UserList()
        self._packing = blocks.LITTLE
        self._layouts = Layouts("little")
        self._num = 0
        self._is_initial = True
        self._waiting: set[int] = set()
        """Threads with a hidden enter event that the state remembers."""
        self._last_code = max(event.code for event in load_event_table().events)

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
        routes = self._routes.values()
        counts.enters_evicted = self._store.evicted
        counts.events = sum(route.count for route in routes) + counts.unknown_type
        counts.unneeded = counts.events - (
            counts.delivered + counts.upgraded + counts.unknown_type + counts.bad_parameter
        )
        return counts

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events and facts lost so far, by ("", reason); reasons as in `CaptureCounts`."""
        counts = self.counts
        return {
            ("", "unknown_type"): counts.unknown_type,
            ("", "bad_parameter"): counts.bad_parameter,
            ("", "bad_number"): counts.bad_number,
            ("", "enters_evicted"): counts.enters_evicted,
            ("", "list_entries"): counts.list_entries,
        }

    def seen(self) -> Mapping[int, int]:
        """Events by code of their current type (stored and dropped ones by their own), so far."""
        found: dict[int, int] = {}
        for route in self._routes.values():
            found[route.type.code] = found.get(route.type.code, 0) + route.count
        return found

    # Sections

    def _begin_section(self) -> None:
        """Read a section header and the metadata up to the first event. Raises CaptureError."""
        self._packing = blocks.read_section_header(self._input, self.name)
        self._layouts = Layouts(self._packing.order)
        self._routes.clear()
        self._shapes = 0
        self._store.clear()
        self._waiting.clear()
        self._users = UserList()
        self._num = 0
        self._is_initial = True
        lists = ProcessLists(self._host.threads, _LIST_BUDGET_BYTES)
        source = self._input
        while True:
            found = source.available(blocks.HEADER_BYTES)
            if found == 0 and not source.damage:
                raise blocks.error_at(self.name, source.offset, "no events in file")
            if found >= 4:
                kind = self._packing.u32.unpack_from(source.buffer, source.position)[0]
                if kind in blocks.EVENT_BLOCKS:
                    break
            block = Block(source, self.name, self._packing)
            self._read_metadata(block, lists)
            block.finish()
        self._counts.list_entries += lists.dropped
        self._phase = _Phase.EVENTS

    def _read_metadata(self, block: Block, lists: ProcessLists) -> None:
        host = self._host
        kind = block.type
        if kind in blocks.MACHINE_INFO:
            read_machine(block, host)
        elif kind in blocks.PROCESS_LIST_VERSIONS:
            lists.read_processes(block, blocks.PROCESS_LIST_VERSIONS[kind])
        elif kind in blocks.FD_LIST_VERSIONS:
            lists.read_fds(block, blocks.FD_LIST_VERSIONS[kind])
        elif kind in blocks.INTERFACE_LIST_VERSIONS:
            host.interfaces = read_interfaces(block, blocks.INTERFACE_LIST_VERSIONS[kind])
        elif kind in blocks.USER_LIST_VERSIONS:
            self._users = read_users(block, blocks.USER_LIST_VERSIONS[kind])

    def _restart(self) -> None:
        """Another capture follows in the same file: forget everything and begin anew."""
        source = self._input
        try:
            if source.available(4) >= 4:
                kind = self._packing.u32.unpack_from(source.buffer, source.position)[0]
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
        host = self._host
        host.users.update({(b"", user.uid): user for user in self._users.users.values()})
        host.groups.update({(b"", group.gid): group for group in self._users.groups.values()})
        host.users.setdefault((b"", 0), User(uid=0, gid=0, name=b"root", home=b"/root"))
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
            kind, total = self._packing.header.unpack_from(source.buffer, source.position)
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

    def _route(self, code: int, nparams: int) -> Route | None:
        """The route of an event type; None for a type of a newer schema."""
        if code > self._last_code:
            return None
        key = nparams << _ROUTE_SHIFT | code
        route = self._routes.get(key)
        if route is None:
            route = route_of(code, nparams)
            route.decoders = capture_decoders(route.type, self._packing.order)
            if self._needed is not None:
                self._leave_out(route, self._needed)
            if nparams <= _MAX_ROUTE_PARAMS:
                self._routes[key] = route
        return route

    def _leave_out(self, route: Route, needed: frozenset[int]) -> None:
        """Mark what neither state nor rules need."""
        if route.fate is Fate.STORE:
            exit_code = route.type.code + 1
            most = len(load_event_table().events[exit_code].params)
            exits = {route_of(exit_code, count).type.code for count in range(most + 1)}
            route.is_wanted = not needed.isdisjoint(exits)
        elif (
            route.fate is Fate.DELIVER
            and not (route.is_initial or route.is_hidden)
            and route.type.code not in needed
        ):
            route.fate = Fate.SKIP

    def _shape(self, route: Route, lengths: bytes, width: int) -> Shape:
        if self._shapes >= _MAX_SHAPES:
            for known in self._routes.values():
                known.shapes.clear()
            self._shapes = 0
        shape = self._layouts.shape(route, lengths, width)
        route.shapes[lengths] = shape
        self._shapes += 1
        return shape

    def _scan(self) -> Iterator[Event]:
        """Events of the whole blocks in the window. Raises CaptureError at what cannot be read."""
        source, layouts, counts = self._input, self._layouts, self._counts
        buffer, position, end = source.buffer, source.position, len(source.buffer)
        unpack, event_v2, most = layouts.v2.unpack_from, blocks.EVENT_V2, records.MAX_BLOCK_BYTES
        host, routes, waiting = self._host, self._routes, self._waiting
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
                route = routes.get(nparams << _ROUTE_SHIFT | code)
                if route is None:
                    route = self._route(code, nparams)
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
                    shape = self._shape(route, lengths, width)
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
