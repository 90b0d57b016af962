"""Watches how many events are lost, and says so in an alert of its own.

Takes running totals once a second on the hot thread, gives what to do about the last second. The
keys are those of Falco's `syscall_event_drops`.
Source: spec/rule-language.md section 21; spec/peers.md 1d.
"""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct

from exporter.alerts.alert import Alert
from exporter.alerts.forms import INTERNAL_SOURCE
from exporter.alerts.maker import AlertOptions
from exporter.alerts.timestamps import clock_time, iso_time
from exporter.rules.priority import Priority

RULE = "Lanner internal: syscall event drop"
"""Name of the alert, where a rule's name stands in others."""

_SECOND_NS = 1_000_000_000


class DropAction(StrEnum):
    """What is done about lost events."""

    IGNORE = "ignore"
    LOG = "log"
    ALERT = "alert"
    EXIT = "exit"


class DropOptions(Struct, frozen=True, kw_only=True):
    """threshold: share of a second's events that may be lost without a word. rate: notices a second
    in the long run; max_burst: how many at once after a quiet time."""

    threshold: float = 0.1
    actions: frozenset[DropAction] = frozenset({DropAction.LOG, DropAction.ALERT})
    rate: float = 1 / 30
    max_burst: float = 1.0
    is_simulated: bool = False
    """Act as if every event that was delivered had been lost: to try out receivers."""


class Drops(Struct, frozen=True):
    """What was lost in one interval. events: those that were delivered in it, and the lost ones."""

    events: int
    lost: int
    interval_ns: int


class DropWatch:
    """Compares the totals of one second with those of the second before.

    read: totals of events delivered and of events lost, both only ever growing.
    """

    def __init__(
        self, options: DropOptions, read: Callable[[], tuple[int, int]], now_ns: int
    ) -> None:
        self._options = options
        self._read = read
        self._before = read()
        self._checked_ns = now_ns
        self._refilled_ns = now_ns
        self._tokens = options.max_burst

    def due(self, now_ns: int) -> Drops | None:
        """The losses to act upon, if a second is over and there are enough; bounded in rate.

        now_ns: time.monotonic_ns().
        """
        interval_ns = now_ns - self._checked_ns
        if interval_ns < _SECOND_NS:
            return None
        self._checked_ns = now_ns
        totals = self._read()
        delivered, lost = totals[0] - self._before[0], totals[1] - self._before[1]
        self._before = totals
        if self._options.is_simulated:
            lost += delivered
        if lost <= 0 or lost <= self._options.threshold * (delivered + lost):
            return None
        return Drops(delivered + lost, lost, interval_ns) if self._may_tell(now_ns) else None

    def _may_tell(self, now_ns: int) -> bool:
        options = self._options
        earned = (now_ns - self._refilled_ns) / _SECOND_NS * options.rate
        self._refilled_ns = now_ns
        self._tokens = min(options.max_burst, self._tokens + earned)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def drop_alert(drops: Drops, reasons: dict[str, int], seq: int, options: AlertOptions) -> Alert:
    """The alert about lost events. reasons: totals since the start, by reason."""
    now_ns = time.time_ns()
    message = (
        f"{RULE}. {drops.lost} of {drops.events} events were lost in the last"
        f" {drops.interval_ns} ns; rules could not look at them."
    )
    fields: dict[str, Any] = {
        "n_drops": drops.lost,
        "n_evts": drops.events,
        "interval_ns": drops.interval_ns,
        **{f"n_drops_{reason}_total": count for reason, count in reasons.items()},
    }
    fields.update(options.static_fields)
    time_text = iso_time(now_ns) if options.is_iso_time else clock_time(now_ns)
    return Alert(
        seq=seq,
        time_ns=now_ns,
        made_ns=now_ns,
        rule=RULE,
        priority=Priority.DEBUG,
        source=INTERNAL_SOURCE,
        message=message,
        output=f"{time_text}: {Priority.DEBUG} {message}",
        output_fields=dict(sorted(fields.items())),
        hostname=options.hostname,
    )
