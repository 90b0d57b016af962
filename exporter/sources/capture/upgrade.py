"""Upgrade: old versions of events become the current ones, which state and rules know.

What happens to an event follows from its type and its number of parameters alone; it is worked out
once for each such pair and kept as a `Route`. Source: spec/scap-format.md section 12.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from functools import cache

from msgspec import Struct, field

from exporter.events.event import ParamDecoder
from exporter.events.params import SIGNED_WIDTHS, UNSIGNED_WIDTHS, ByteOrder
from exporter.events.table import Conversion, EventType, event_type, load_event_table
from exporter.sources.capture.container_json import container_json

_MAX_ROUNDS = 50
_MAX_CONVERTED_BYTES = 65_536
_HEADER_BYTES = 26

Raw = Sequence[bytes]

HIDDEN_ENTERS = frozenset({
    "PPME_SYSCALL_OPEN_E", "PPME_SYSCALL_OPENAT_2_E", "PPME_SYSCALL_OPENAT2_E",
    "PPME_SYSCALL_CREAT_E", "PPME_SOCKET_CONNECT_E", "PPME_SYSCALL_EXECVE_19_E",
    "PPME_SYSCALL_EXECVEAT_E",
})  # fmt: skip
"""Enter events that are left after the upgrade: they update the state and are hidden from rules."""


class Fate(IntEnum):
    """What becomes of an event."""

    DELIVER = 0
    SKIP = 1
    """Valid and numbered, but neither state nor rules need it."""
    STORE = 2
    DROP = 3
    FAIL = 4


Op = tuple[str, int, bytes, int]
"""Where a parameter comes from (old, enter, given, callback), its index there, what stands in when
there is none, and the most bytes that the new type takes (0: any number)."""


class Step(Struct, frozen=True):
    """One conversion. enter_code: type of the stored enter event whose parameters it may use."""

    keeps_old: bool
    enter_code: int
    ops: tuple[Op, ...]


class Route(Struct, kw_only=True):
    """What is done with the events of one type that have one number of parameters.

    type: the type delivered (or stored). width: bytes of each parameter length in the record.
    params: how many parameters are taken. texts: indexes of texts in what is delivered. numbers:
    index and bytes of its numbers. addresses: indexes of its socket addresses. is_simple: the
    parameters need nothing but the check of texts. is_wanted: somebody may ask for the stored
    event. decoders and shapes (length array -> Shape) are filled by the reader. count: events seen.
    """

    fate: Fate
    type: EventType
    width: int
    params: int
    message: str = ""
    steps: tuple[Step, ...] = ()
    also_stores: bool = False
    is_hidden: bool = False
    is_initial: bool = False
    keeps_enter: bool = False
    texts: tuple[int, ...] = ()
    numbers: tuple[tuple[int, int], ...] = ()
    addresses: tuple[int, ...] = ()
    is_simple: bool = False
    is_from_plugin: bool = False
    is_wanted: bool = True
    decoders: Sequence[ParamDecoder] = ()
    shapes: dict[bytes, "Shape"] = field(default_factory=dict)
    count: int = 0


class Shape(Struct):
    """One array of parameter lengths.

    size: sum of all. unpack: the parameters at an offset. bad: indexes of those whose length their
    type cannot have.
    """

    size: int
    unpack: Callable[[bytes, int], tuple[bytes, ...]]
    bad: tuple[int, ...] = ()


def bad_lengths(route: Route, lengths: Sequence[int]) -> tuple[int, ...]:
    """Indexes of numbers of the wrong width and of socket addresses that are too long."""
    return tuple(
        i for i, width in route.numbers if i < len(lengths) and lengths[i] not in {0, width}
    ) + tuple(i for i in route.addresses if i < len(lengths) and lengths[i] > MAX_ADDRESS_BYTES)


_INITIAL = frozenset({
    "PPME_CONTAINER_JSON_2_E", "PPME_USER_ADDED_E", "PPME_USER_DELETED_E", "PPME_GROUP_ADDED_E",
    "PPME_GROUP_DELETED_E", "PPME_ASYNCEVENT_E",
})  # fmt: skip
_WIDTHS: Mapping[str, int] = {
    **SIGNED_WIDTHS, **UNSIGNED_WIDTHS, "DOUBLE": 8, "IPV4ADDR": 4, "IPV6ADDR": 16,
}  # fmt: skip
_SOCKETS = frozenset({"SOCKADDR", "SOCKTUPLE"})
MAX_ADDRESS_BYTES = 512
"""Longest socket address; that of a unix socket has a path of at most 108 bytes."""

_NONE_IDS = frozenset({"UID", "GID"})
_FROM_PLUGINS = frozenset({"PPME_PLUGINEVENT_E", "PPME_ASYNCEVENT_E"})
_TEXTS = frozenset({"CHARBUF", "FSPATH", "FSRELPATH"})


@cache
def _conversions() -> dict[tuple[int, int], Conversion]:
    return {(entry.code, entry.nparams): entry for entry in load_event_table().conversions}


@cache
def _types() -> dict[int, EventType]:
    return {event.code: event for event in load_event_table().events}


def route_of(code: int, nparams: int) -> Route:
    """What becomes of an event of this type with so many parameters.

    nparams: as the record says; more than the table has are ignored where the spec allows it.
    The code must be one of the table. Never SKIP: that is the reader's choice.
    """
    kind = _types()[code]
    width = 4 if "EF_LARGE_PAYLOAD" in kind.flags else 2
    params = min(nparams, len(kind.params))
    fate, last, steps, also_stores, message = _walk(kind, nparams)
    count = len(last.params) if steps else params
    return Route(
        fate=fate,
        type=last,
        width=width,
        params=params,
        message=message,
        steps=tuple(steps),
        also_stores=also_stores,
        is_hidden=last.id in HIDDEN_ENTERS or "EC_ITER" in last.categories,
        is_initial=kind.id in _INITIAL,
        keeps_enter="EF_SKIPPARSERESET" in last.flags,
        is_simple=not steps and not also_stores,
        is_from_plugin=last.id in _FROM_PLUGINS,
        texts=tuple(i for i, param in enumerate(last.params[:count]) if param.type in _TEXTS),
        numbers=tuple(
            (i, _WIDTHS[param.type])
            for i, param in enumerate(last.params[:count])
            if param.type in _WIDTHS
        ),
        addresses=tuple(i for i, param in enumerate(last.params[:count]) if param.type in _SOCKETS),
    )


def _walk(kind: EventType, count: int) -> tuple[Fate, EventType, list[Step], bool, str]:
    """Follow the conversions: fate, last type, steps, whether it is stored too, and what failed."""
    steps: list[Step] = []
    for _ in range(_MAX_ROUNDS):
        flags = kind.flags
        if "EF_UNUSED" in flags:
            return Fate.DROP, kind, steps, False, ""
        is_old = "EF_OLD_VERSION" in flags
        if "EF_CONVERTER_MANAGED" not in flags:
            return (Fate.DROP if is_old else Fate.DELIVER), kind, steps, False, ""
        size = len(kind.params)
        if not kind.is_enter:
            if count > size:
                why = f"{kind.id} has {count} parameters, its type has {size}"
                return Fate.FAIL, kind, steps, False, why
            if not is_old and count == size:
                return Fate.DELIVER, kind, steps, False, ""
        entry = _conversions().get((kind.code, count))
        if entry is None:
            why = f"no conversion is known for {kind.id} with {count} parameters"
            return Fate.FAIL, kind, steps, False, why
        match entry.action:
            case "PASS":
                return Fate.DELIVER, kind, steps, False, ""
            case "STORE":
                return Fate.STORE, kind, steps, False, ""
            case "STORE_AND_PASS":
                return Fate.DELIVER, kind, steps, True, ""
        step, kind, count = _step(entry, kind, count)
        steps.append(step)
    return Fate.FAIL, kind, steps, False, f"conversion of {kind.id} does not end"


def _step(entry: Conversion, kind: EventType, count: int) -> tuple[Step, EventType, int]:
    """One conversion with the type and number of parameters that it gives."""
    keeps_old = entry.action == "ADD_PARAMS"
    new = kind if keeps_old else event_type(entry.to)
    first = count if keeps_old else 0
    ops = tuple(
        _op(new.params[first + at].type, source, index, fallback)
        for at, (source, index, fallback) in enumerate(entry.instr)
    )
    return Step(keeps_old, kind.code - 1, ops), new, first + len(ops)


def _op(kind: str, source: str, index: int, fallback: str) -> Op:
    default = _default(kind)
    match source:
        case "empty":
            return "given", 0, b"", 0
        case "default":
            return "given", 0, default, 0
        case _:
            return source, index, b"" if fallback == "e" else default, _WIDTHS.get(kind, 0)


def _default(kind: str) -> bytes:
    if kind in _NONE_IDS:
        return b"\xff\xff\xff\xff"
    return bytes(_WIDTHS.get(kind, 0))


class EnterStore:
    """The last stored enter event of each thread, within bounds.

    evicted: events given up because too many threads (or too many bytes) wait for their exit.
    """

    def __init__(self, max_entries: int = 65_536, max_bytes: int = 16 << 20) -> None:
        self.evicted = 0
        self.entries: dict[int, tuple[int, Raw]] = {}
        """Thread -> event code and parameters; no parameters for an event nobody will ask for."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0

    def put(self, tid: int, code: int, raw: Raw) -> None:
        """Remember an enter event in place of the thread's earlier one."""
        old = self.entries.pop(tid, None)
        if old is not None:
            self._bytes -= sum(map(len, old[1]))
        self.entries[tid] = (code, raw)
        self._bytes += sum(map(len, raw))
        while len(self.entries) > self._max_entries or self._bytes > self._max_bytes:
            oldest = next(iter(self.entries))
            self._bytes -= sum(map(len, self.entries.pop(oldest)[1]))
            self.evicted += 1

    def find(self, tid: int, code: int) -> Raw | None:
        """Parameters of the thread's stored event, if it is of this type."""
        entry = self.entries.get(tid)
        return entry[1] if entry is not None and entry[0] == code else None

    def discard(self, tid: int) -> None:
        """Forget the thread's stored event."""
        old = self.entries.pop(tid, None)
        if old is not None:
            self._bytes -= sum(map(len, old[1]))

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self._bytes = 0


def convert(
    steps: tuple[Step, ...], raw: Raw, tid: int, store: EnterStore, order: ByteOrder
) -> Raw | None:
    """The parameters after all steps; None when the event would be longer than an event may be."""
    for step in steps:
        entered = store.find(tid, step.enter_code)
        out = list(raw) if step.keeps_old else []
        is_used = False
        for source, index, fallback, limit in step.ops:
            data = fallback
            if source == "old":
                if index < len(raw):
                    data = _cut(raw[index], limit, order)
            elif source == "enter":
                if entered is not None and index < len(entered):
                    data = _cut(entered[index], limit, order)
                    is_used = True
            elif source == "callback":
                data = container_json(raw, order) or fallback
            out.append(data)
        if is_used:
            store.discard(tid)
        raw = out
        if _HEADER_BYTES + sum(map(len, raw)) + 2 * len(raw) > _MAX_CONVERTED_BYTES:
            return None
    return raw


def _cut(data: bytes, limit: int, order: ByteOrder) -> bytes:
    """Keep the low bytes of a number that is wider than its new type."""
    if not limit or len(data) <= limit:
        return data
    return data[:limit] if order == "little" else data[-limit:]
