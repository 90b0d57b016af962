"""Rig of the kernel tests: an agent process and a probe that looks at nothing but it."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exporter.events.host import Host
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.options import ProbeOptions

_AGENT = Path(__file__).with_name("probe_agent.py")
_NS = 1_000_000_000


class Rig:
    """The agent and the probe that looks at nothing but it."""

    def __init__(self, **options: Any) -> None:
        self.agent = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_AGENT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.source = ProbeSource(Host(), ProbeOptions(scope_pid=self.agent.pid, **options))
        self.source.open()

    def close(self) -> None:
        """End both."""
        self.source.close()
        with self.agent:  # closes the pipes, which ends it
            pass

    def send(self, code: str) -> None:
        """Have code run in a fresh child of the agent."""
        assert self.agent.stdin is not None
        self.agent.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self.agent.stdin.flush()

    def receive(self) -> tuple[int, dict[str, Any]]:
        """Wait for that child's end; its pid and what it put into `out`."""
        assert self.agent.stdout is not None
        pid, _, answer = self.agent.stdout.readline().partition(" ")
        out = json.loads(answer.strip() or "{}")
        assert "error" not in out, out
        return int(pid), out

    def call(self, code: str) -> tuple[int, dict[str, Any]]:
        """Run code in a fresh child of the agent; its pid and what it put into `out`."""
        self.send(code)
        return self.receive()

    def wait(self, done: Callable[[list[Any]], bool], seconds: float = 20) -> list[Any]:
        """Poll until the events satisfy `done`."""
        deadline = time.monotonic_ns() + int(seconds * _NS)
        events: list[Any] = []
        while not done(events):
            assert time.monotonic_ns() < deadline, [event.type.name for event in events]
            events += self.source.poll(time.monotonic_ns() + _NS // 10)
        return events

    def run(self, code: str) -> tuple[int, dict[str, Any], list[Any]]:
        """Run code in a child and collect all events up to the child's end."""
        pid, out = self.call(code)
        events = self.wait(
            lambda seen: any(e.type.name == "procexit" and e.tid == pid for e in seen)
        )
        return pid, out, events


def of(events: list[Any], name: str, pid: int | None = None) -> list[Any]:
    """Events of one name, of one process if given."""
    return [
        event
        for event in events
        if event.type.name == name
        and (pid is None or (event.live is not None and event.live.pid == pid))
    ]


def only(events: list[Any], name: str, pid: int | None = None, /, **params: Any) -> Any:
    """The single event with this name and these parameters."""
    found = [
        event
        for event in of(events, name, pid)
        if all(event.named_param(key) == value for key, value in params.items())
    ]
    assert len(found) == 1, [
        {p.name: e.param(i) for i, p in enumerate(e.type.params)} for e in of(events, name, pid)
    ]
    return found[0]
