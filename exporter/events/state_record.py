"""What a source gives in place of an `Event` that no rule can match.

Most processes of a busy machine come and go without a rule that asks for them. Of their records
the state takes what it needs and no event is made, which costs more than all the rest.
"""

from collections.abc import Callable

from msgspec import Struct

from exporter.events.event import Event


class StateRecord(Struct, gc=False):
    """A record of the probe that is for the state alone.

    code: event code. ts_ns: ns since the epoch. data: the whole record
    (exporter/sources/probe/record.py). decode: makes an event of this, for what the state does not
    take in this form; None when the record is none.
    """

    code: int
    ts_ns: int
    data: bytes
    decode: "Callable[[StateRecord], Event | None]"


class BriefLives(Struct, gc=False):
    """Processes that came and went without an event of anybody in between, and left nobody behind.

    count: how many. exits: tid, ptid and time (ns since the epoch) of the end of each thread.
    """

    count: int
    exits: list[tuple[int, int, int]]


Incoming = Event | StateRecord | BriefLives
"""What a source of live events gives."""
