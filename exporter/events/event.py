"""Event: one kernel (or capture) event on its way through state and rules.

The parameters stay as the raw bytes of the record and are decoded when somebody asks, because most
events are looked at by few rules. The layout of parameters is that of capture files for live events
too (spec/scap-format.md sections 9 and 10), so live events and captures share every line after the
source.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from exporter.events.container import Container
from exporter.events.fd import Fd
from exporter.events.host import Host
from exporter.events.live import LiveContext
from exporter.events.table import EventType
from exporter.events.thread import Thread

ParamDecoder = Callable[[bytes], Any]


class Event(Struct, kw_only=True):
    """One event.

    num: running number from 1 (evt.num). ts_ns: ns since the epoch. raw: one bytes object a
    parameter, b"" when empty. decoders: one function a parameter (captures hold PPM values, live
    records native kernel values; the source chooses the table). thread: None only for meta events
    of unknown tid. fd / fd_num: the descriptor the event is about; -1 when there is none.
    """

    num: int
    ts_ns: int
    cpu: int
    tid: int
    type: EventType
    raw: Sequence[bytes]
    decoders: Sequence[ParamDecoder]
    host: Host
    source: str = "syscall"
    thread: Thread | None = None
    fd: Fd | None = None
    fd_num: int = -1
    fd_name_changed: bool = False
    error_code: int = 0
    kernel_ts_ns: int = 0
    """Monotonic kernel clock of a live event, for latency; 0 in captures."""
    live: LiveContext | None = None
    """What the probe read of the calling task; None in captures."""
    container: Container | None = None
    """The container that the event itself tells of; its fields describe this one."""
    is_hidden: bool = False
    """The event updates the state but rules never see it (spec/scap-format.md section 13), or need
    not, because none can match it (a live one that the probe says so of)."""

    def param(self, index: int) -> Any:
        """Value of parameter `index` (int, bytes or an address object); None when it is empty."""
        if index >= len(self.raw):
            return None
        data = self.raw[index]
        return self.decoders[index](data) if data else None

    def named_param(self, name: str) -> Any:
        """Value of the parameter called `name` in this event's type; None when absent or empty."""
        index = self.type.param_index.get(name)
        return None if index is None else self.param(index)
