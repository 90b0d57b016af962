"""Where filters keep things: the memory of one CPU, their stack, and the numbers of maps.

The maps' numbers are those of bpf/maps.h; `kernel.place` puts descriptors there.
"""

from enum import IntEnum

from exporter.pushdown.ir import PATH_BYTES, Text
from exporter.sources.probe.source_text import EVENT_CODES, FILTER_TEXTS_BYTES

MAP_FILTERS = 8
"""Program array: system call number -> filter; RECORD -> what writes the record."""
MAP_MEMORY = 9
"""Array: CPU -> the memory below."""
MAP_PORTS = 10
"""Array: port -> how many accepts on it were let through."""

_SLACK = 32
"""Beyond a path's end whole words are read and zeros written."""

FILTERED = 0
"""Counters: one u64 an event code."""
LAST_MASK = FILTERED + 8 * EVENT_CODES
LAST_BASE = LAST_MASK + 8
LENGTH_AT = {
    Text.COMM: LAST_BASE + 8,
    Text.PATH: LAST_BASE + 16,
    Text.PATH2: LAST_BASE + 24,
}
"""Lengths, without NUL. On the stack the verifier would follow their values."""
LAST_AT = {Text.PATH: LAST_BASE + 32, Text.PATH2: LAST_BASE + 40}
"""Places of the last slash."""
_COMM = LAST_BASE + 48
_PATH = _COMM + 64
_PATH2 = _PATH + PATH_BYTES + _SLACK
assert _PATH2 + PATH_BYTES + _SLACK <= FILTERED + 8 * EVENT_CODES + FILTER_TEXTS_BYTES

TEXT_AT = {Text.COMM: _COMM, Text.PATH: _PATH, Text.PATH2: _PATH2}
"""Where the texts are."""


class Slot(IntEnum):
    """Offsets from the frame pointer."""

    KEY = -8
    READ = -16
    SPILL = -24
    SPILL2 = -32
    FAMILY = -40
    LOCAL_ADDRESS = -48
    LOCAL_PORT = -56
    REMOTE_ADDRESS = -64
    REMOTE_PORT = -72
    DESCRIPTOR = -80
    POINTER = -88
    REGISTERS = -368
