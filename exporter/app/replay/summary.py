"""Summary of a replay: what was read, and the alerts by rule, priority and process.

Takes alerts with their events, gives tables for people and an object for scripts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exporter.alerts.alert import Alert
from exporter.alerts.timestamps import rfc3339_time
from exporter.app.replay.view import clean_value
from exporter.events.event import Event
from exporter.rules.priority import Priority

_MAX_PROCESSES = 20
_GAP = "  "
_NOT_KNOWN = "<NA>"
_FATES = {
    "handler_errors": ("not followed", "event"),
    "list_entries": ("not kept", "fact"),
    "memory_full": ("not kept", "fact"),
    "threads_full": ("not kept", "thread"),
}
"""Reason of a loss -> what became of what; for the others an event was not read."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process in the table; an event without a known thread has name ""."""

    name: str
    path: str
    pid: int


@dataclass(slots=True)
class Summary:
    """Counts of one replay.

    capture: name of the recording. is_complete: False when it was damaged or interrupted. losses:
    (event name or "", reason) -> events and facts that were lost. first_ns, last_ns: times of the
    first and last event that raised an alert, 0 without alerts.
    """

    capture: str
    events: int = 0
    first_ns: int = 0
    last_ns: int = 0
    seconds: float = 0.0
    is_complete: bool = True
    losses: dict[tuple[str, str], int] = field(default_factory=dict)
    rules: Counter[tuple[str, Priority]] = field(default_factory=Counter)
    processes: Counter[Process] = field(default_factory=Counter)

    def count(self, alert: Alert, event: Event) -> None:
        """Count one alert with the event it is about."""
        self.first_ns = self.first_ns or alert.time_ns
        self.last_ns = alert.time_ns
        self.rules[alert.rule, alert.priority] += 1
        self.processes[_process(event)] += 1

    @property
    def alerts(self) -> int:
        """All alerts."""
        return self.rules.total()

    @property
    def priorities(self) -> dict[Priority, int]:
        """Alerts by priority, the most severe first."""
        counts: Counter[Priority] = Counter()
        for (_, priority), count in self.rules.items():
            counts[priority] += count
        return dict(sorted(counts.items()))


def _process(event: Event) -> Process:
    thread = event.thread
    if thread is None:
        return Process("", "", -1)
    name, path = (
        clean_value(value).decode("utf-8", "replace") for value in (thread.comm, thread.exepath)
    )
    return Process(name, "" if path == _NOT_KNOWN else path, thread.pid)


def summary_json(summary: Summary) -> dict[str, Any]:
    """Everything as plain values under the key `summary`."""
    return {
        "summary": {
            "capture": summary.capture,
            "complete": summary.is_complete,
            "events": summary.events,
            "seconds": round(summary.seconds, 3),
            "alerts": summary.alerts,
            "first_alert": rfc3339_time(summary.first_ns) if summary.alerts else None,
            "last_alert": rfc3339_time(summary.last_ns) if summary.alerts else None,
            "losses": [
                {"event": event, "reason": reason, "count": count}
                for (event, reason), count in sorted(summary.losses.items())
                if count
            ],
            "rules": [
                {"rule": rule, "priority": str(priority), "alerts": count}
                for (rule, priority), count in _most(summary.rules)
            ],
            "priorities": [
                {"priority": str(priority), "alerts": count}
                for priority, count in summary.priorities.items()
            ],
            "processes": [
                {"name": process.name, "path": process.path, "pid": process.pid, "alerts": count}
                for process, count in _most(summary.processes)
            ],
        }
    }


def summary_text(summary: Summary) -> str:
    """Head lines, then one table each for rules, priorities and processes that raised alerts."""
    return "\n".join(_lines(summary))


def _lines(summary: Summary) -> Iterator[str]:
    state = "" if summary.is_complete else " (not to its end)"
    yield f"{summary.capture}{state}"
    rate = f", {summary.events / summary.seconds:,.0f}/s" if summary.seconds else ""
    yield f"{_counted(summary.events, 'event')} in {summary.seconds:.2f} s{rate}"
    yield from losses_text(summary.losses)
    if not summary.alerts:
        yield "no alerts"
        return
    first, last = rfc3339_time(summary.first_ns), rfc3339_time(summary.last_ns)
    yield f"{_counted(summary.alerts, 'alert')}, from {first} to {last}"
    yield ""
    yield from _table(
        ("Alerts", "Priority", "Rule"),
        [(f"{n:,}", str(priority), rule) for (rule, priority), n in _most(summary.rules)],
    )
    yield ""
    yield from _table(
        ("Alerts", "Priority"), [(f"{n:,}", str(p)) for p, n in summary.priorities.items()]
    )
    yield ""
    most = _most(summary.processes)
    yield from _table(
        ("Alerts", "Pid", "Process"),
        [
            (f"{n:,}", str(p.pid), f"{p.name or '<unknown>'} {p.path}".rstrip())
            for p, n in most[:_MAX_PROCESSES]
        ],
    )
    if len(most) > _MAX_PROCESSES:
        yield f"and {len(most) - _MAX_PROCESSES:,} more processes"


def losses_text(losses: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """One line a reason that has lost something."""
    for (event, reason), count in sorted(losses.items()):
        if count:
            fate, noun = _FATES.get(reason, ("not read", f"{event} event".strip()))
            yield f"{fate}: {_counted(count, noun)} ({reason})"


def _most(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """The greatest count first; equal ones in the order in which they came."""
    return counts.most_common()


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their contents; the first, a number, is set to the right."""
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    for row in table:
        cells = [
            text.ljust(width) if place else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield _GAP.join(cells).rstrip()
