"""Event records: from the bytes of an event block to header, route and parameters.

Source: spec/scap-format.md section 9.
"""

import struct

from msgspec import Struct

from exporter.events.params import ByteOrder
from exporter.events.table import event_type, load_event_table
from exporter.sources.capture import blocks
from exporter.sources.capture.upgrade import Route, Shape, bad_lengths

MAX_BLOCK_BYTES = 65_536 + blocks.HEADER_BYTES
"""Longest block of an event that is not large."""

MAX_LARGE_BLOCK_BYTES = 32 << 20
"""Longest block of a large event; the longest known writers cut at a few mebibytes."""

STATE_ONLY = 1
"""Bit of the dump flags: the event updates the state and is hidden from rules."""

V2_HEADER_BYTES = 26
V1_HEADER_BYTES = 22
_V1_EXTRA_BYTES = 3
"""What two old event types claim too much."""

_V1_LONG = frozenset({
    event_type("PPME_NOTIFICATION_E").code, event_type("PPME_INFRASTRUCTURE_EVENT_E").code,
})  # fmt: skip
_LARGE = frozenset({blocks.EVENT_V2_LARGE, blocks.EVENT_V2_LARGE_FLAGS})
_WITH_FLAGS = frozenset({
    blocks.EVENT_V1_FLAGS, blocks.EVENT_V2_FLAGS, blocks.EVENT_V2_LARGE_FLAGS,
})  # fmt: skip
_V1 = frozenset({blocks.EVENT_V1, blocks.EVENT_V1_FLAGS, blocks.EVENT_V1_PRERELEASE})


class Frame(Struct, gc=False):
    """One event block taken apart. lengths_at: where the array of parameter lengths begins.

    size: bytes from the event header's first to the last parameter's last. nparams: as the record
    says; -1 in V1 blocks, which do not say it.
    """

    flags: int
    cpu: int
    ts_ns: int
    tid: int
    size: int
    code: int
    nparams: int
    start: int
    lengths_at: int
    width: int
    """Bytes of each length; 0: the event's type decides."""


class Layouts:
    """The unpackers of one byte order: block header and event header in one go."""

    def __init__(self, order: ByteOrder) -> None:
        mark = "<" if order == "little" else ">"
        self.v2 = struct.Struct(mark + "IIHQqIHI")
        """Block type and length, CPU, time, tid, event length, type, number of parameters."""
        self._v2_flags = struct.Struct(mark + "IIHIQqIHI")
        self._v1 = struct.Struct(mark + "IIHQqIH")
        self._v1_flags = struct.Struct(mark + "IIHIQqIH")
        self._mark = mark

    def frame(self, buffer: bytes, position: int) -> Frame:
        """Take a whole event block apart. Raises ValueError: what is wrong with its lengths."""
        kind, total = struct.unpack_from(self._mark + "II", buffer, position)
        check_block(kind, total)
        flags = 0
        nparams = -1
        is_old = kind in _V1
        layout = self._layout(kind, is_old=is_old)
        if total < layout.size + blocks.TRAILER_BYTES:
            raise ValueError(f"event block of {total} bytes is shorter than its headers")
        fields = layout.unpack_from(buffer, position)
        if kind in _WITH_FLAGS:
            _, _, cpu, flags, ts_ns, tid, size, code, *rest = fields
        else:
            _, _, cpu, ts_ns, tid, size, code, *rest = fields
        if not is_old:
            nparams = rest[0]
        lengths_at = position + layout.size
        if is_old and code in _V1_LONG:
            size -= _V1_EXTRA_BYTES
        start = lengths_at - (V1_HEADER_BYTES if is_old else V2_HEADER_BYTES)
        available = position + total - blocks.TRAILER_BYTES - start
        if size > available:
            raise ValueError(f"event of {size} bytes in a block with room for {available}")
        if size < lengths_at - start:
            raise ValueError(f"event of {size} bytes is shorter than its header")
        width = 2 if is_old else 0
        return Frame(flags, cpu, ts_ns, tid, size, code, nparams, start, lengths_at, width)

    def _layout(self, kind: int, *, is_old: bool) -> struct.Struct:
        if kind in _WITH_FLAGS:
            return self._v1_flags if is_old else self._v2_flags
        return self._v1 if is_old else self.v2

    def count_params(self, frame: Frame, buffer: bytes) -> None:
        """Fill in the number of parameters of a V1 record, which follows from its lengths alone.

        A type of a newer schema has no number to try first and is left with none. Raises
        ValueError when no number fits.
        """
        events = load_event_table().events
        if frame.code >= len(events):
            frame.nparams = 0
            return
        event_id, most = events[frame.code].id, len(events[frame.code].params)
        room = frame.size - V1_HEADER_BYTES
        for count in range(min(most, max(room, 0) // 2), -1, -1):
            lengths = struct.unpack_from(f"{self._mark}{count}H", buffer, frame.lengths_at)
            total = 2 * count + sum(lengths)
            if total == room:
                frame.nparams = count
                return
            if total < room:
                break
        raise ValueError(f"no number of parameters fits an event {event_id} of {frame.size} bytes")

    def shape(self, route: Route, lengths: bytes, width: int) -> Shape:
        """How the parameters of a record with these lengths lie.

        lengths: the array as recorded. Numbers of the wrong width are noted for events that need no
        conversion.
        """
        count = len(lengths) // width
        sizes = struct.unpack(f"{self._mark}{count}{'I' if width == 4 else 'H'}", lengths)
        total = sum(sizes)
        if total > MAX_LARGE_BLOCK_BYTES:
            return Shape(total, _no_params)
        taken = sizes[: route.params]
        bad = () if route.steps else bad_lengths(route, taken)
        return Shape(total, struct.Struct("".join(f"{n}s" for n in taken)).unpack_from, bad)


def _no_params(_buffer: bytes, _offset: int) -> tuple[bytes, ...]:
    return ()


def check_block(kind: int, total: int) -> None:
    """Refuse lengths that no event block has. Raises ValueError."""
    most = MAX_LARGE_BLOCK_BYTES if kind in _LARGE else MAX_BLOCK_BYTES
    if total > most:
        raise ValueError(f"event block of {total} bytes, at most {most} are valid")
