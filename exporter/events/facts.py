"""Facts: parts of the state that very many events write and hardly any field reads.

A replay leaves events out that only write facts nobody asks for.
"""

from enum import StrEnum


class Fact(StrEnum):
    """One such part."""

    CONNECTED = "connected"
    """Whether an ip socket was seen to be connected: any read or write shows it."""
    MEMORY = "memory"
    """Memory and page faults of a thread."""
