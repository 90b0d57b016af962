"""The composition of a replay, on a recording whose events the test makes up."""

import io
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from exporter.app.replay import sources
from exporter.app.replay.options import ReplayOptions
from exporter.app.replay.replay import Replay
from exporter.app.replay.sources import Recording
from exporter.config.load import load_config
from exporter.errors import LannerError
from exporter.events.event import Event
from exporter.rules.dns import RESOLVER
from tests.factories import NOW_NS, make_event, make_thread

RULES = """
- rule: Shadow
  desc: d
  condition: evt.type = openat and fd.name = /etc/shadow
  output: opened (file=%fd.name by=%proc.name missing=%proc.aname[7])
  priority: WARNING
  tags: [b, a]
- rule: Read
  desc: d
  condition: evt.type = read and fd.sip.name = example.com
  output: read
  priority: INFO
"""


class FakeSource:
    """Gives events in batches, then ends, perhaps with an error."""

    def __init__(self, recording: Recording, batches: list[list[Event]]) -> None:
        self.recording = recording
        self.batches = batches
        self.error: LannerError | None = None
        self.later_error: LannerError | None = None
        self.is_ended = True
        self.is_closed = False
        self.bytes_read = 0
        self.total_bytes = 1000
        self.events_seen = 0
        self.on_poll: Callable[[int], None] = lambda _left: None

    def open(self) -> None:
        """Begin."""
        self.is_ended = False
        self.recording.state.imported()

    def poll(self, _deadline_ns: int) -> Iterable[Event]:
        """The next batch."""
        self.on_poll(len(self.batches))
        if not self.batches:
            self.is_ended = True
            self.error = self.later_error
            return
        for event in self.batches.pop(0):
            self.events_seen += 1
            self.bytes_read += 100
            yield event

    def drain(self) -> Iterable[Event]:
        """Nothing."""
        return ()

    def close(self) -> None:
        """The end."""
        self.is_closed = True
        self.is_ended = True

    def losses(self) -> Mapping[tuple[str, str], int]:
        """One lost event."""
        return {("", "unknown_type"): 1}


class Stage:
    """Runs replays of made-up recordings."""

    def __init__(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rules = tmp_path / "rules.yaml"
        self.rules.write_text(RULES)
        self.make: Callable[[Recording], FakeSource] = lambda recording: FakeSource(recording, [])
        self.source: FakeSource | None = None
        self.said: list[str] = []
        self.shown: list[tuple[int, int, int]] = []
        self.out = io.BytesIO()
        monkeypatch.setattr(sources, "_SOURCES", {"syscall": self._open})

    def _open(self, recording: Recording) -> FakeSource:
        self.source = self.make(recording)
        return self.source

    def opens(self, *paths: str, gap_ns: int = 0) -> None:
        """The recording: one openat a path, two in a batch."""

        def make(recording: Recording) -> FakeSource:
            thread = make_thread("cat")
            events = [
                make_event(
                    "openat",
                    proc=thread,
                    params={"fd": 3, "name": path, "dirfd": -100},
                    fd_num=-1,
                    host=recording.host,
                    num=number,
                    ts_ns=NOW_NS + number * gap_ns,
                )
                for number, path in enumerate(paths, start=1)
            ]
            return FakeSource(recording, [events[i : i + 2] for i in range(0, len(events), 2)])

        self.make = make

    def run(self, *config: str, **options: Any):
        """Replay it with the rules of the test."""
        loaded = load_config(None, [f"rules_files={self.rules}", *config])
        made = Replay(loaded, ReplayOptions(path="x.scap", **options))
        return made.run(self.out, self)

    def show(self, position: int, total: int, events: int) -> None:
        """Progress."""
        self.shown.append((position, total, events))

    def clear(self) -> None:
        """Nothing is in the way."""

    def say(self, sentence: str) -> None:
        """Something for the person."""
        self.said.append(sentence)

    @property
    def lines(self) -> list[str]:
        """What came out."""
        return self.out.getvalue().decode().splitlines()


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A stage whose alerts come from a host called host1."""
    monkeypatch.setenv("FALCO_HOSTNAME", "host1")
    online = RESOLVER.is_online
    yield Stage(tmp_path, monkeypatch)
    RESOLVER.is_online = online


def test_alerts_are_those_of_live_events(stage):
    """The keys of JSON alerts, times of the events, this machine's name."""
    stage.opens("/etc/hosts", "/etc/shadow")
    end = stage.run("json_output=true", "append_output=[]")

    assert (end.error, end.is_interrupted) == (None, False)
    (alert,) = map(json.loads, stage.lines)
    assert list(alert) == ["hostname", "output", "output_fields", "priority", "rule", "source",
                           "tags", "time"]  # fmt: skip
    assert alert["time"] == "2023-11-14T22:13:20.123456789Z"
    assert alert["hostname"] == "host1"
    assert alert["output"].endswith(": Warning opened (file=/etc/shadow by=cat missing=<NA>)")
    assert alert["output_fields"]["proc.aname[7]"] is None
    assert stage.source.is_closed


def test_hidden_events_reach_the_state_only(stage):
    """They are neither matched nor printed."""
    stage.opens("/etc/shadow", "/etc/shadow")
    make = stage.make

    def hide(recording: Recording) -> FakeSource:
        source: FakeSource = make(recording)
        source.batches[0][0].is_hidden = True
        return source

    stage.make = hide
    stage.run(fields="%evt.num")

    assert stage.lines[0] == "2"
    assert len(stage.lines) == 2


def test_lines_come_before_the_alerts_of_their_event(stage):
    """Events in order; each line stands before what the rules say of it."""
    stage.opens("/etc/shadow", "/etc/hosts", "/etc/shadow")
    stage.run("json_output=true", fields="%evt.num %fd.name")

    found = [json.loads(line) for line in stage.lines]
    assert [entry.get("evt.num", entry.get("rule")) for entry in found] == [
        1, "Shadow", 2, 3, "Shadow",
    ]  # fmt: skip


def test_without_rules_lines_stand_alone(stage):
    """`--fields` prints; alerts come back with rules only."""
    stage.opens("/etc/shadow")
    stage.run(fields="%fd.name", has_rules=False)

    assert stage.lines == ["/etc/shadow"]


def test_a_filter_restricts_rules_and_lines(stage):
    """What it refuses is neither printed nor seen by rules, but the state has it."""
    stage.opens("/etc/shadow", "/etc/hosts", "/etc/shadow")
    stage.run(fields="%evt.num", condition="evt.num > 1")

    assert [line for line in stage.lines if line.isdecimal()] == ["2", "3"]
    assert sum("opened" in line for line in stage.lines) == 1


@pytest.mark.parametrize(
    ("options", "is_all", "names"),
    [
        ({}, False, {"openat", "read", "asyncevent"}),
        ({"condition": "evt.type in (read, close)"}, False, {"read", "asyncevent"}),
        ({"fields": "%evt.num"}, True, set()),
        (
            {"fields": "%evt.num", "condition": "evt.type = close"},
            False,
            {"close", "asyncevent"},
        ),
    ],
)
def test_a_source_knows_which_events_anybody_looks_at(stage, options, is_all, names):
    """All when all are printed, else those of the filter, else those of the rules."""
    stage.run(**options)
    needed = stage.source.recording.needed

    if is_all:
        assert needed is None
    else:
        looked_at = {make_event(name).type.code for name in names if name != "asyncevent"}
        assert looked_at <= needed


def test_an_error_at_the_end_keeps_what_came_before(stage):
    """Alerts and the summary first, the error is the command's to print."""
    stage.opens("/etc/shadow")
    make = stage.make

    def damaged(recording: Recording) -> FakeSource:
        source: FakeSource = make(recording)
        source.later_error = LannerError("cut short at byte 99")
        return source

    stage.make = damaged
    end = stage.run(has_summary=True)

    assert str(end.error) == "error: cut short at byte 99"
    assert "opened" in stage.lines[0]
    assert stage.lines[1] == "x.scap (not to its end)"
    assert "not read: 1 event (unknown_type)" in stage.lines


def test_what_the_state_gave_up_is_said(stage):
    """In the summary and on standard error: rules may have missed something by it."""
    stage.opens("/etc/hosts")
    make = stage.make

    def full(recording: Recording) -> FakeSource:
        recording.state.counters.memory_full = 7
        source: FakeSource = make(recording)
        return source

    stage.make = full
    stage.run(has_summary=True)

    assert "not kept: 7 facts (memory_full)" in stage.lines
    assert "warning: not kept: 7 facts (memory_full)" in stage.said


def test_the_summary_is_the_last_line_of_json(stage):
    """One object under the key summary; alerts may be left out."""
    stage.opens("/etc/shadow", "/etc/shadow", "/etc/hosts")
    stage.run("json_output=true", "stdout_output.enabled=false", has_summary=True)

    (line,) = stage.lines
    body = json.loads(line)["summary"]
    assert (body["events"], body["alerts"]) == (3, 2)
    assert body["processes"] == [{"name": "cat", "path": "/usr/bin/cat", "pid": 1000, "alerts": 2}]


def test_ctrl_c_ends_after_the_batch(stage):
    """What was read is finished, nothing more is read, the summary says so."""
    stage.opens(*["/etc/shadow"] * 7)
    make = stage.make

    def interrupt(left: int) -> None:
        if left == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def interrupted(recording: Recording) -> FakeSource:
        source: FakeSource = make(recording)
        source.on_poll = interrupt
        return source

    stage.make = interrupted
    end = stage.run(has_summary=True)

    assert end.is_interrupted
    assert sum("opened" in line for line in stage.lines) == 6
    assert "x.scap (not to its end)" in stage.lines


def test_ctrl_c_ends_a_wait_for_a_far_event(stage):
    """In real time the next event may be an hour away."""
    stage.opens("/etc/shadow", "/etc/shadow", gap_ns=3600 * 10**9)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    end = stage.run(keeps_pace=True)
    timer.join()

    assert end.is_interrupted
    assert len(stage.lines) == 1


def test_real_time_keeps_the_gaps(stage):
    """Three events 50 ms apart take at least 100 ms."""
    stage.opens("/etc/shadow", "/etc/shadow", "/etc/shadow", gap_ns=50_000_000)
    started = time.monotonic()
    stage.run(keeps_pace=True)

    assert time.monotonic() - started >= 0.1
    assert len(stage.lines) == 3


def test_no_name_server_is_asked(stage):
    """A rule that names a host is no reason to tell the network of a replay."""
    stage.opens("/etc/hosts")
    stage.run()

    assert RESOLVER.is_online is False


def test_an_event_that_breaks_the_state_is_said(stage, monkeypatch):
    """The rest of the recording is replayed."""
    stage.opens("/etc/shadow", "/etc/shadow")
    make = stage.make

    def broken(recording: Recording) -> FakeSource:
        monkeypatch.setattr(recording.state, "before", lambda _event: 1 / 0)
        source: FakeSource = make(recording)
        return source

    stage.make = broken
    stage.run()

    assert stage.said[-1] == (
        "warning: 2 events could not be handled; the newest, in stage state: "
        "ZeroDivisionError: division by zero"
    )


def test_metrics_are_served_meanwhile(stage):
    """/metrics counts what has been seen so far; /readyz and /healthz are fine; no reload."""
    stage.opens("/etc/shadow", "/etc/shadow", "/etc/hosts")
    make = stage.make
    pages: dict[str, str] = {}

    def fetch(left: int) -> None:
        if left == 1:
            url = stage.said[0].removeprefix("metrics: ").removesuffix("/metrics")
            for path in ("metrics", "readyz", "healthz"):
                with urllib.request.urlopen(f"{url}/{path}", timeout=5) as answer:
                    pages[path] = answer.read().decode()

    def asked(recording: Recording) -> FakeSource:
        source: FakeSource = make(recording)
        source.on_poll = fetch
        return source

    stage.make = asked
    stage.run(listen="127.0.0.1:0")

    assert 'lanner_events_total{stage="delivered",type="openat"} 2.0' in pages["metrics"] or (
        'lanner_events_total{type="openat",stage="delivered"} 2.0' in pages["metrics"]
    )
    assert 'rule="Shadow"' in pages["metrics"]
    assert json.loads(pages["readyz"]) == json.loads(pages["healthz"]) == {"status": "ok"}


def test_a_busy_address_is_an_error(stage):
    """Before anything is read."""
    with pytest.raises(LannerError, match="no listening address"):
        stage.run(listen="nowhere")
    assert stage.source is None
