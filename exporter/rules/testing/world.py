"""World: the machine of one scenario. Steps happen in it and become events of the real state.

Everything is made up deterministically: process ids count from 1000, container ids are hashes of
their names, events are a millisecond apart. Descriptors are kept as for captures.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.events.container import Group, User
from exporter.events.event import Event
from exporter.events.host import Host, Interface
from exporter.events.params import capture_decoders, encode_param
from exporter.events.table import EventType, event_type
from exporter.events.thread import Thread
from exporter.rules.testing.given import EVENT_TIME_NS
from exporter.rules.testing.items import Item, TestFileError
from exporter.state.state import State

_NS = 1_000_000_000
BOOT_NS = EVENT_TIME_NS - 3600 * _NS
"""The machine has been up for an hour."""
INSTALLED_NS = BOOT_NS - 30 * 24 * 3600 * _NS
"""Programs were installed a month before."""
STEP_NS = 1_000_000


@dataclass(slots=True)
class Box:
    """A container of the scenario.

    has_host_pids: it shares the machine's pid namespace. processes: how many it has had.
    """

    id: str
    cgroup: str
    start_ns: int
    has_host_pids: bool = False
    processes: int = 0


@dataclass(slots=True)
class World:
    """What the steps of one scenario have brought about so far.

    current: alias of the process that acts when a step names none. fds: alias -> number.
    """

    state: State = field(default_factory=lambda: State(_host(), keep_fds=True))
    processes: dict[str, int] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    box_of: dict[int, Box] = field(default_factory=dict)
    fds: dict[str, int] = field(default_factory=dict)
    next_fd: dict[int, int] = field(default_factory=dict)
    current: str = "init"
    now_ns: int = EVENT_TIME_NS
    number: int = 0
    _next_pid: int = 1000

    def __post_init__(self) -> None:
        init = Thread(
            tid=1,
            pid=1,
            ptid=0,
            vtid=1,
            vpid=1,
            sid=1,
            pgid=1,
            vpgid=1,
            comm=b"systemd",
            exe=b"/usr/lib/systemd/systemd",
            exepath=b"/usr/lib/systemd/systemd",
            uid=0,
            gid=0,
            cwd=b"/",
            clone_ts_ns=BOOT_NS,
            lastexec_ts_ns=BOOT_NS,
            pidns_init_start_ts_ns=BOOT_NS,
        )
        self.state.tables.threads.add(init)
        self.processes["init"] = 1

    def new_pid(self) -> int:
        """The next free process id."""
        self._next_pid += 1
        return self._next_pid - 1

    def thread(self, alias: Item | None) -> Thread:
        """The process of an alias, or the one that acted last. Raises TestFileError."""
        name = self.current if alias is None else alias.text("the name of a process")
        tid = self.processes.get(name)
        if tid is None:
            known = ", ".join(self.processes)
            raise TestFileError(
                f'there is no process "{name}"',
                None if alias is None else alias.span,
                f"known: {known}",
            )
        thread = self.state.host.threads.get(tid)
        if thread is None:
            raise TestFileError(
                f'the process "{name}" has exited', None if alias is None else alias.span
            )
        self.current = name
        return thread

    def take_fd(self, thread: Thread) -> int:
        """The number that the process's next descriptor gets."""
        number = self.next_fd.get(thread.pid, 3)
        self.next_fd[thread.pid] = number + 1
        return number

    def event(self, event_id: str, tid: int, params: Mapping[str, object]) -> Event:
        """The next event. params: values by name as `encode_param` takes them."""
        kind = event_type(event_id)
        raw = [
            encode_param(param.type, params.get(param.name), table=param.table)
            for param in kind.params
        ]
        return self.raw_event(kind, tid, raw)

    def raw_event(self, kind: EventType, tid: int, raw: Sequence[bytes]) -> Event:
        """The next event, of encoded parameters."""
        self.number += 1
        self.now_ns += STEP_NS
        return Event(
            num=self.number,
            ts_ns=self.now_ns,
            cpu=0,
            tid=tid,
            type=kind,
            raw=tuple(raw),
            decoders=capture_decoders(kind),
            host=self.state.host,
        )


def _host() -> Host:
    return Host(
        hostname=b"test-host",
        num_cpus=1,
        boot_ts_ns=BOOT_NS,
        users={(b"", 0): User(uid=0, name=b"root", home=b"/root")},
        groups={(b"", 0): Group(gid=0, name=b"root")},
        interfaces=[
            Interface(name=b"lo", address=bytes([127, 0, 0, 1]), netmask=bytes([255, 0, 0, 0])),
            Interface(name=b"eth0", address=bytes([10, 0, 0, 5]), netmask=bytes([255] * 3 + [0])),
        ],
    )


def hex_id(name: str, length: int = 64) -> str:
    """Hex digits that belong to a name for good."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:length]
