"""The hot thread: events in, alerts out, nothing else.

Takes events of a source, brings the state up to date, asks the rules, makes alerts and puts them
into the queue to the event loop. Synchronous, one thread, no locks; an event that breaks a stage is
counted under that stage and goes on without it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from exporter.alerts.alert import Alert
from exporter.alerts.hold import AlertHold, Possible
from exporter.alerts.maker import Draft, kept_event
from exporter.events.event import Event
from exporter.events.state_record import BriefLives, Incoming, StateRecord
from exporter.events.table import load_event_table
from exporter.rules.ruleset import Rule, Ruleset
from exporter.rules.undecided import Candidate

_POLL_NS = 250_000_000
"""Longest wait for an event: so long a stop may take, and four times a second the thread wakes."""
_NS_A_SECOND = 1e9
_HOLDING_POLL_NS = 5_000_000
"""Longest sleep while alerts are held: how long one may lie here after its answer came."""


class IncomingSource(Protocol):
    """Where events come from; used by the hot thread alone once it runs."""

    @property
    def is_ended(self) -> bool:
        """Whether no event will come any more, as at the end of a capture."""

    def poll(self, deadline_ns: int) -> Iterable[Incoming]:
        """The events that are there, or the first before time.monotonic_ns() == deadline_ns."""

    def drain(self) -> Iterable[Incoming]:
        """Stop new events; those that were recorded before."""

    def close(self) -> None:
        """Release everything."""


class EventSource(IncomingSource, Protocol):
    """A source of which each event is made, such as a capture."""

    def poll(self, deadline_ns: int) -> Iterable[Event]:
        """The events that are there, or the first before time.monotonic_ns() == deadline_ns."""

    def drain(self) -> Iterable[Event]:
        """Stop new events; those that were recorded before."""


class StateRoom(Protocol):
    """The state, as the hot thread drives it."""

    def take(self, record: StateRecord) -> bool:
        """Take in what no rule looks at; False, with nothing done, where an event must be made."""

    def pass_over(self, lives: BriefLives) -> None:
        """Note that these processes have come and gone."""

    def before(self, event: Event) -> None:
        """Bring thread, fd and host of the event up to date before the rules look."""

    def after(self, event: Event) -> None:
        """Let what the event ended go, after the rules looked."""

    def take_arrivals(self) -> None:
        """Take in what others found out about containers, while no event comes."""


class AlertCounts(Protocol):
    """Who counts alerts where they are made."""

    def count(self, alert: Alert) -> None:
        """Count one alert."""

    def housekeep(self, now: float) -> None:
        """Called often by the thread; now: monotonic seconds."""


class AlertTaker(Protocol):
    """Where alerts go: the queue to the event loop, or the lines of a replay."""

    def put(self, alert: Alert) -> bool:
        """Take one alert; False when it is lost, which the taker counts."""


class Drafting(Struct, frozen=True):
    """What to do with events whose container nobody has told of yet.

    weigh: the rules that match, and those whose answer hangs on what will be told. draft: an alert
    to be finished when it is; takes the event and its copy.
    """

    weigh: Callable[[Event], Sequence[Candidate]]
    draft: Callable[[Rule, Event, Event], Draft]


def no_checks(_event: Event) -> Sequence[tuple[Rule, Callable[[Event], bool]]]:
    """For rules that cannot be measured one by one."""
    return ()


class RuleCosts(Protocol):
    """Who measures what rules cost, now and then."""

    @property
    def interval(self) -> int:
        """Every how many events one is measured; 0 for none."""

    def sample(self, checks: Sequence[tuple[Rule, Callable[[Event], bool]]], event: Event) -> None:
        """Measure what each of these rules takes on this event."""


class Watchdog(Protocol):
    """What looks after Lanner itself between two batches of events."""

    def tick(self, now_ns: int, seq: int) -> Alert | None:
        """An alert about Lanner itself, if one is due, with this number; raises to end."""


class ActiveRules(Struct, frozen=True):
    """A loaded ruleset, ready to match. Swapped as a whole between two events.

    checks: rules that could match an event, each as a function of its own.
    """

    ruleset: Ruleset
    match: Callable[[Event], Sequence[Rule]]
    make: Callable[[Rule, Event, int], Alert]
    checks: Callable[[Event], Sequence[tuple[Rule, Callable[[Event], bool]]]] = no_checks
    drafting: Drafting | None = None
    """For alerts that wait for metadata; None where none ever does."""

    @property
    def enabled(self) -> list[Rule]:
        """The rules that can raise alerts."""
        return [rule for rule in self.ruleset.rules if rule.is_enabled]


class Pipeline:
    """Runs the hot thread. `rules` may be replaced by another thread at any time.

    on_end: called in the hot thread when it ends, with the error that ended it or None. watchdog:
    asked after every batch, in the hot thread.
    """

    def __init__(
        self,
        *,
        source: IncomingSource,
        state: StateRoom,
        rules: ActiveRules,
        counters: AlertCounts,
        queue: AlertTaker,
        on_end: Callable[[BaseException | None], None],
        costs: RuleCosts | None = None,
        watchdog: Watchdog | None = None,
        hold: AlertHold | None = None,
    ) -> None:
        self.rules = rules
        self.delivered = [0] * (max(event.code for event in load_event_table().events) + 1)
        """Events by event code that the rules have looked at."""
        self.errors = {"state": 0, "rules": 0, "alert": 0}
        self.last_error: tuple[str, BaseException] | None = None
        self._source = source
        self._state = state
        self._counters = counters
        self._queue = queue
        self._on_end = on_end
        self._costs = costs
        # Counts down to 0; from below it never gets there.
        self._until_sample = (costs.interval if costs is not None else 0) or -1
        self._watchdog = watchdog
        self._hold = hold
        self._seq = 0
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to take the events that are there, close the source and end."""
        self._is_stopping = True

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the end of the thread; whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            source, handle, now_ns = self._source, self.handle, time.monotonic_ns
            housekeep = self._counters.housekeep
            while not self._is_stopping and not source.is_ended:
                housekeep(now_ns() / _NS_A_SECOND)
                wait_ns = _HOLDING_POLL_NS if self._hold else _POLL_NS
                for event in source.poll(now_ns() + wait_ns):
                    handle(event)
                if self._hold:
                    self._release(self._hold)
                self._look_after_self(now_ns())
            for event in source.drain():
                handle(event)
            if self._hold:
                self._finish(self._hold.rest())
            source.close()
        except BaseException as caught:  # noqa: BLE001  the end of this thread ends the process
            error = caught
        self._on_end(error)

    def _look_after_self(self, now_ns: int) -> None:
        if self._watchdog is None:
            return
        alert = self._watchdog.tick(now_ns, self._seq + 1)
        if alert is not None:
            self._send(alert)

    def handle(self, incoming: Incoming) -> None:
        """Take one event all the way, or what the state alone needs as far as that."""
        if self._hold is not None and self._hold.has_news:
            # Before the event: it may be the one that ends the container and its metadata.
            self._release(self._hold)
        if isinstance(incoming, StateRecord):
            if not self._is_taken(incoming):
                event = incoming.decode(incoming)
                if event is not None:
                    self._take(event)
        elif isinstance(incoming, BriefLives):
            self._pass_over(incoming)
        else:
            self._take(incoming)

    def _pass_over(self, lives: BriefLives) -> None:
        try:
            self._state.pass_over(lives)
        except Exception as error:  # noqa: BLE001  as below
            self._note("state", error)

    def _is_taken(self, record: StateRecord) -> bool:
        try:
            return self._state.take(record)
        except Exception as error:  # noqa: BLE001  as below
            self._note("state", error)
            return True

    def _take(self, event: Event) -> None:
        state = self._state
        try:
            state.before(event)
        except Exception as error:  # noqa: BLE001  one bad event must not end detection
            self._note("state", error)
        if not event.is_hidden:
            self._match(event)
        try:
            state.after(event)
        except Exception as error:  # noqa: BLE001
            self._note("state", error)

    def _match(self, event: Event) -> None:
        rules, hold = self.rules, self._hold
        if hold is not None and hold.lookups.pending and hold.must_wait(event):
            self._wait(hold, rules, event)
        else:
            try:
                matched = rules.match(event)
            except Exception as error:  # noqa: BLE001
                self._note("rules", error)
                matched = ()
            for rule in matched:
                self._alert(rules, rule, event)
        self.delivered[event.type.code] += 1
        self._until_sample -= 1
        if not self._until_sample and self._costs is not None:
            self._until_sample = self._costs.interval
            self._costs.sample(rules.checks(event), event)

    def _alert(self, rules: ActiveRules, rule: Rule, event: Event) -> None:
        hold = self._hold
        if hold is not None and len(hold):
            self._finish(hold.before(event))
        self._make(partial(rules.make, rule, event))

    def _wait(self, hold: AlertHold, rules: ActiveRules, event: Event) -> None:
        """Keep what the event may become until its container is told of."""
        drafting = rules.drafting
        if drafting is None:
            return
        try:
            candidates = drafting.weigh(event)
        except Exception as error:  # noqa: BLE001
            self._note("rules", error)
            return
        if not candidates:
            return
        try:
            kept = kept_event(event)
            possible = [
                Possible(drafting.draft(one.rule, event, kept), one.question, one.size_bytes)
                for one in candidates
            ]
        except Exception as error:  # noqa: BLE001
            self._note("alert", error)
            return
        match_all = rules.ruleset.match_all
        self._finish(hold.put(kept, possible, time.monotonic_ns(), match_all=match_all))

    def _release(self, hold: AlertHold) -> None:
        """Let alerts go that need not wait any longer, whether events come or not."""
        try:
            self._state.take_arrivals()
        except Exception as error:  # noqa: BLE001
            self._note("state", error)
        self._finish(hold.due(time.monotonic_ns()))

    def _finish(self, drafts: Iterable[Draft]) -> None:
        for draft in drafts:
            self._make(draft.finish)

    def _make(self, finish: Callable[[int], Alert]) -> None:
        try:
            alert = finish(self._seq + 1)
        except Exception as error:  # noqa: BLE001
            self._note("alert", error)
            return
        self._send(alert)

    def _send(self, alert: Alert) -> None:
        self._seq = alert.seq
        self._counters.count(alert)
        self._queue.put(alert)

    def _note(self, stage: str, error: BaseException) -> None:
        self.errors[stage] += 1
        self.last_error = (stage, error)
