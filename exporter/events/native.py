"""Native kernel flag words -> PPM values (those of the event table), for live events.

Live records have the layout of captures, but their flag parameters hold what the kernel was given.
The decoders built here translate by name: each name of a value table that this architecture's
kernel knows. A native word may be stored wider than the parameter's type says.

execve_flags and creat_flags are computed by the probe and hold PPM bits already; open modes are
zeroed by the probe where the kernel ignores them.
Source: spec/state-tracking.md 11.1; include/uapi of Linux 6.18.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache

from exporter.events.event import ParamDecoder
from exporter.events.native_values import (
    BITS,
    CLONE_FLAGS,
    ENUM_DEFAULTS,
    ENUMS,
    QUOTA_OPERATIONS,
    SAME_BITS,
    SAME_ENUMS,
    SOCKOPT_RENUMBERED,
    open_flag_bits,
)
from exporter.events.params import PollFd, decoder_for
from exporter.events.table import EventType, Param, load_event_table

Translator = Callable[[int], int]

_MOUNT_MAGIC = 0xC0ED0000
_MAX_MEMO = 4096
"""Flag words come from any process: the memory of translated ones is bounded."""


def _ppm(table: str) -> dict[str, int]:
    return dict(load_event_table().value_tables[table])


def _bit_translator(pairs: Sequence[tuple[int, int]]) -> Translator:
    @lru_cache(maxsize=_MAX_MEMO)
    def translate(native: int) -> int:
        value = 0
        for mask, bit in pairs:
            if native & mask:
                value |= bit
        return value

    return translate


def _bits_by_name(table: str, native: Mapping[str, int]) -> Translator:
    ppm = _ppm(table)
    return _bit_translator([(mask, ppm[name]) for name, mask in native.items()])


def enum_numbers(table: str) -> frozenset[int] | None:
    """Native numbers that have a name of their own; every other one becomes the unknown entry.

    None for tables that are no enumeration.
    """
    if table in ENUMS:
        return frozenset(ENUMS[table].values())
    if table in SAME_ENUMS:
        return frozenset(_ppm(table).values()) | SOCKOPT_RENUMBERED.keys()
    return None


def _enum_by_name(table: str, native: Mapping[str, int]) -> Translator:
    ppm = _ppm(table)
    numbers = {number: ppm[name] for name, number in native.items()}
    unknown = ppm.get(ENUM_DEFAULTS.get(table, ""), _unknown_entry(ppm))
    return lambda value: numbers.get(value, unknown)


def _unknown_entry(ppm: Mapping[str, int]) -> int:
    return next((value for name, value in ppm.items() if name.endswith("UNKNOWN")), 0)


def _same_enum(table: str) -> Translator:
    ppm = _ppm(table)
    known = frozenset(ppm.values())
    unknown = _unknown_entry(ppm)
    if table == "sockopt_options":
        return lambda value: (
            renumbered if (renumbered := SOCKOPT_RENUMBERED.get(value, value)) in known else unknown
        )
    return lambda value: value if value in known else unknown


@cache
def _open_translator(machine: str, *, has_access_mode: bool) -> Translator:
    bits = _bits_by_name("file_flags", open_flag_bits(machine))
    if not has_access_mode:
        return bits
    ppm = _ppm("file_flags")
    access = (ppm["O_RDONLY"], ppm["O_WRONLY"], ppm["O_RDWR"], ppm["O_RDONLY"])

    @lru_cache(maxsize=_MAX_MEMO)
    def translate(native: int) -> int:
        return access[native & 3] | bits(native)

    return translate


_NAMESPACE_EVENTS = frozenset({"setns", "unshare"})
_OPEN_EVENTS = frozenset({"open", "openat", "openat2", "open_by_handle_at"})
_PERMISSION_BITS = 0o7777
_TYPE_BITS = 0o170000
_S_IFREG = 0o100000


def _mknod_mode(native: int) -> int:
    return (native & _PERMISSION_BITS) | (native & _TYPE_BITS or _S_IFREG)


def _quota_command(native: int) -> int:
    return _ppm("quotactl_cmds").get(QUOTA_OPERATIONS.get(native >> 8, ""), 0)


def _mount_flags(native: int) -> int:
    native &= 0xFFFFFFFF
    return native & 0xFFFF if native & 0xFFFF0000 == _MOUNT_MAGIC else native


@cache
def translator(event_name: str, param: Param, machine: str = "") -> Translator | None:
    """The function native value -> PPM value of one parameter; None when the two are equal.

    event_name: name of the event type (open flags of `open` and of `dup3` differ). machine: as told
    by uname; empty for this machine.
    """
    table = param.table
    if event_name == "accept4" and param.name == "flags":
        table = "file_flags"
    if table == "file_flags":
        if event_name == "userfaultfd":
            return None
        return _open_translator(machine, has_access_mode=event_name in _OPEN_EVENTS)
    if table == "clone_flags" and event_name in _NAMESPACE_EVENTS:
        # Bit 0 is the probe's own word about a new task; here it comes from the caller.
        return _bits_by_name(table, {n: bit for n, bit in CLONE_FLAGS.items() if bit > 1})
    if table in BITS:
        return _bits_by_name(table, BITS[table])
    if table in SAME_BITS:
        return _bits_by_name(table, _ppm(table))
    if table in ENUMS:
        return _enum_by_name(table, ENUMS[table])
    if table in SAME_ENUMS:
        return _same_enum(table)
    special: dict[str, Translator] = {
        "chmod_mode": lambda native: native & _PERMISSION_BITS,
        "mknod_mode": _mknod_mode,
        "mount_flags": _mount_flags,
        "quotactl_cmds": _quota_command,
        "quotactl_dqi_flags": lambda native: 2 if native & 1 else 1,
    }
    return special.get(table)


def _translated(decode: ParamDecoder, translate: Translator, width: int) -> ParamDecoder:
    mask = (1 << 8 * width) - 1

    # The mask keeps what a record of a capture could hold (SHUT_UNKNOWN is wider than its type).
    # Few flag words are in use at any time: remembering them by their bytes is one call instead
    # of four.
    @lru_cache(maxsize=_MAX_MEMO)
    def decode_translated(data: bytes) -> int:
        return translate(int(decode(data))) & mask

    return decode_translated


_WIDTHS = {"8": 1, "16": 2}


@cache
def live_decoders(event: EventType, machine: str = "") -> Sequence[ParamDecoder]:
    """One decoder a parameter for live events: as for captures, flags translated to PPM values."""
    decoders: list[ParamDecoder] = []
    for param in event.params:
        decode = decoder_for(param.type, table=param.table, is_live=True)
        translate = translator(event.name, param, machine)
        if translate is not None:
            width = next((n for end, n in _WIDTHS.items() if param.type.endswith(end)), 4)
            decode = _translated(decoder_for("UINT64"), translate, width)
        elif param.type == "FDLIST":
            decode = _live_fdlist(decode)
        decoders.append(decode)
    return tuple(decoders)


def _live_fdlist(decode: ParamDecoder) -> ParamDecoder:
    translate = _bits_by_name("poll_flags", BITS["poll_flags"])
    return lambda data: tuple(PollFd(item.fd, translate(item.flags)) for item in decode(data))
