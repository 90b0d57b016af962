"""Fixtures of the app's tests: a node on fake source, state and rules, but real servers."""

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.alerts.maker import AlertMaker, AlertOptions
from exporter.app.logs import start_log
from exporter.app.node import Node
from exporter.app.node_options import NodeOptions
from exporter.app.pipeline import ActiveRules
from exporter.events.event import Event
from exporter.events.state_record import BriefLives, StateRecord
from exporter.outputs.lines import LineOptions
from exporter.outputs.stdout import StdoutOutput
from exporter.rules.ast import Exists, FieldRef
from exporter.rules.priority import Priority
from exporter.rules.ruleset import Rule, Ruleset
from exporter.server.address import Address
from exporter.server.stream import StreamOptions


class FakeSource:
    """A source that gives the events a test pushes."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._is_there = threading.Condition()
        self.is_ended = True
        self.is_closed = False
        self.broken: BaseException | None = None

    def push(self, *events: Event) -> None:
        """Let the node see these events."""
        with self._is_there:
            self._events.extend(events)
            self._is_there.notify()

    def fail(self, error: BaseException) -> None:
        """Let the next poll raise."""
        with self._is_there:
            self.broken = error
            self._is_there.notify()

    def open(self) -> None:
        """Attach."""
        self.is_ended = False

    def poll(self, deadline_ns: int) -> Iterable[Event]:
        """The pushed events."""
        seconds = (deadline_ns - time.monotonic_ns()) / 1e9
        with self._is_there:
            self._is_there.wait_for(lambda: self._events or self.broken, seconds)
            if self.broken:
                raise self.broken
            events, self._events = self._events, deque()
        return events

    def drain(self) -> Iterable[Event]:
        """Stop; the rest."""
        self.is_ended = True
        events, self._events = self._events, deque()
        return events

    def close(self) -> None:
        """Release."""
        self.is_closed = True


class FakeState:
    """A state that knows everything already."""

    def __init__(self) -> None:
        self.scanned_while_attached: bool | None = None
        self.source: FakeSource | None = None

    def scan(self) -> int:
        """Note whether the source was attached first."""
        self.scanned_while_attached = self.source is not None and not self.source.is_ended
        return 0

    def take(self, record: StateRecord) -> bool:
        """There is nothing to take."""
        return record is not None

    def pass_over(self, lives: BriefLives) -> None:
        """Nothing to do."""

    def before(self, event: Event) -> None:
        """Nothing to do."""

    def after(self, event: Event) -> None:
        """Nothing to do."""

    def take_arrivals(self) -> None:
        """Nobody tells anything."""


class FakeFormat:
    """A template that prints itself."""

    def __init__(self, template: str) -> None:
        self._template = template

    def render(self, _event: Event) -> str:
        """The template without its star."""
        return self._template.removeprefix("*")

    def render_with_fields(self, event: Event) -> tuple[str, dict[str, object]]:
        """Both."""
        return self.render(event), self.fields(event)

    def fields(self, event: Event) -> dict[str, object]:
        """Two fields of the event."""
        return {"evt.type": event.type.name, "evt.num": event.num}

    held_bytes = 0

    def settled(self, _event: Event) -> "FakeFormat":
        """Nothing depends on metadata."""
        return self


def make_rule(name: str, index: int = 0, **fields: Any) -> Rule:
    """A rule with plausible defaults."""
    values: dict[str, Any] = {
        "index": index,
        "name": name,
        "desc": "",
        "condition": "evt.type exists",
        "ast": Exists(FieldRef("evt.type")),
        "output": f"{name} happened",
        "priority": Priority.WARNING,
    }
    return Rule(**(values | fields))


def make_active(*rules: Rule, match: Callable[[Event], Sequence[Rule]] | None = None):
    """Rules that all match every event, unless told otherwise."""
    maker = AlertMaker(
        rules, lambda template, _source: FakeFormat(template), AlertOptions(hostname="node1")
    )
    return ActiveRules(
        ruleset=Ruleset(rules=rules, sha256={"a.yaml": "00ff"}),
        match=match or (lambda _event: rules),
        make=maker.make,
    )


class Running:
    """A node that runs in a thread of its own, as the tests see it from outside."""

    def __init__(self, tmp_path: Path, stdout_fd: int, **options: Any) -> None:
        self.source = FakeSource()
        self.state = FakeState()
        self.state.source = self.source
        self.load_rules: Callable[[], ActiveRules] = lambda: make_active(make_rule("first"))
        self.socket = tmp_path / "run" / "lanner.sock"
        self.status: int | None = None
        self._stdout_fd = stdout_fd
        self._options = options
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.node: Node | None = None

    def start(self) -> "Running":
        """Start, and wait for "ready"."""
        self._thread.start()
        assert self._started.wait(60)
        wait_for(lambda: self.node is not None and self.node.is_ready)
        return self

    def _run(self) -> None:
        async def main() -> int:
            self.node = Node(
                NodeOptions(
                    load_rules=self._load,
                    open_source=self.source.open,
                    source=self.source,
                    state=self.state,
                    outputs=[(StdoutOutput(LineOptions(), self._stdout_fd), 100)],
                    listen=Address("127.0.0.1", 0),
                    grpc_socket=self.socket,
                    stream=StreamOptions(),
                    queue_capacity=1000,
                    shutdown_seconds=5,
                    **self._options,
                ),
                start_log("error", "json"),
            )
            self._started.set()
            return await self.node.run()

        self.status = asyncio.run(main())

    def _load(self) -> ActiveRules:
        """What `load_rules` gives now; a test may replace it while the node runs."""
        return self.load_rules()

    @property
    def url(self) -> str:
        """Where HTTP listens."""
        assert self.node is not None
        return f"http://{self.node.http_address}"

    def stop(self) -> int | None:
        """Stop as SIGTERM does; the exit status."""
        if self.node is not None and self._thread.is_alive():
            self.node.request_stop()
        return self.join()

    def join(self) -> int | None:
        """Wait for the end; the exit status."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.status


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until the condition holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


@pytest.fixture
def make_running(tmp_path):
    """Makes a node that is not yet started, with further options; stdout goes to `out.txt`."""
    with contextlib.ExitStack() as ends:

        def make(**options: Any) -> Running:
            fd = os.open(tmp_path / "out.txt", os.O_CREAT | os.O_WRONLY)
            ends.callback(os.close, fd)
            node = Running(tmp_path, fd, **options)
            ends.callback(node.stop)
            return node

        yield make


@pytest.fixture
def running(make_running):
    """A node with nothing special, not yet started."""
    return make_running()
