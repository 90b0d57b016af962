"""Where filters keep things: the memory of one CPU, their stack, and the numbers of maps.

The maps' numbers are those of bpf/maps.h; `kernel.place` puts descriptors there.
"""

from enum import IntEnum

from exporter.pushdown.facts import Kind, Text
from exporter.pushdown.paths import PATH_BYTES
from exporter.sources.probe.source_text import EVENT_CODES, FILTER_TEXTS_BYTES

MAP_SCRATCH = 2
"""Array: CPU -> struct scratch, of which the filter of close looks at what was closed."""
MAP_FILTERS = 8
"""Program array: system call number -> filter; RECORD -> what writes the record."""
MAP_MEMORY = 9
"""Array: CPU -> the memory below."""
MAP_PORTS = 10
"""Array: port -> how many accepts on it were let through."""

_ROOM = PATH_BYTES + 64
"""Beyond a path's end whole words are read and written."""
MAX_LEVELS = 40
"""Names and mounts between a directory and the root of all: fewer than so many."""

FILTERED = 0
"""Counters: one u64 an event code."""
_FACTS = FILTERED + 8 * EVENT_CODES
"""What follows are numbers of 8 bytes. On the stack the verifier would follow their values."""
LENGTH_AT = {Text.COMM: _FACTS, Text.PATH: _FACTS + 8, Text.PATH2: _FACTS + 16}
"""Lengths, without NUL."""
LAST_AT = {Text.PATH: _FACTS + 24, Text.PATH2: _FACTS + 32}
"""Places of the last slash."""
TASK_AT = {
    Kind.UID: _FACTS + 40,
    Kind.GID: _FACTS + 48,
    Kind.LOGINUID: _FACTS + 56,
    Kind.HOST: _FACTS + 64,
    Kind.VPID: _FACTS + 72,
    Kind.TTY: _FACTS + 80,
}
"""What was read of the task."""
PATHS_KNOWN_AT = _FACTS + 88
"""0 when what the call is about turned out to be odd."""
HOW_AT = _FACTS + 96
HOW_BYTES = 24
"""A struct open_how."""
COMM_SETS_AT = HOW_AT + HOW_BYTES
COMM_SETS_WORDS = 8
"""Which sets of names the task's is in, by bit."""

RESUME = COMM_SETS_AT + 8 * COMM_SETS_WORDS
"""What a filter does when it is entered: START, or go on with a path that was made absolute."""
IS_RELATIVE = RESUME + 8
"""Whether the first path was relative."""
START, GO_ON, GO_ON2, GIVE_UP = range(4)

ASK_TEXT, ASK_BASE, ASK_LENGTH = IS_RELATIVE + 8, IS_RELATIVE + 16, IS_RELATIVE + 24
"""The question to the resolver: which text, where it starts from, and its length; the answer's."""
CUT, CLIMB, NAMES, TOTAL, ROOT, SAVED = (ASK_LENGTH + 8 * place for place in range(1, 7))
"""Of the resolver: bytes and levels that dots take away, names found and their length, root of the
mount, words that are put back."""
SAVED_WORDS = 3

CLOSED_KIND_AT = SAVED + 8 * SAVED_WORDS
"""What a close closed."""

_COMM = CLOSED_KIND_AT + 8
_PATH = _COMM + 64
TEXT2 = 1024
"""Distance between the two paths, a power of two."""
NAMES_AT = _PATH + TEXT2 + _ROOM
"""Of the resolver: address and length of each name, deepest first."""
assert _ROOM <= TEXT2
NAMES_MASK = 63
assert NAMES_AT + 16 * (NAMES_MASK + 1) <= FILTERED + 8 * EVENT_CODES + FILTER_TEXTS_BYTES

TEXT_AT = {Text.COMM: _COMM, Text.PATH: _PATH, Text.PATH2: _PATH + TEXT2}
"""Where the texts are."""


HEAD_BYTES = 240
"""Of a path on the stack."""


class Slot(IntEnum):
    """Offsets from the frame pointer."""

    KEY = -8
    READ = -16
    FAMILY = -40
    LOCAL_ADDRESS = -48
    LOCAL_PORT = -56
    REMOTE_ADDRESS = -64
    REMOTE_PORT = -72
    DESCRIPTOR = -80
    POINTER = -88
    REGISTERS = -368
    # A path, where the registers need no copy.
    HEAD = -368
    # The resolver keeps no registers.
    TURN = -96
    PARENT = -104
    NAME = -112
    LENGTH = -120
    PROTOCOL = -376
    BOUND = -384
    LOCAL_ADDRESS6 = -400
    REMOTE_ADDRESS6 = -416
