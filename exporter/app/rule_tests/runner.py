"""Runs test files: events through the engine, alerts through the alert maker, then compares.

Takes files and loaded rules, gives an `Outcome`. Events of scenarios and of recordings go through
the real state and the compiled rules; events of field values through the same conditions read from
those values.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from exporter.alerts.alert import Alert
from exporter.alerts.maker import AlertMaker, AlertOptions
from exporter.app.rule_tests.compare import Got, compare
from exporter.app.rule_tests.coverage import cover
from exporter.app.rule_tests.outcome import CaseOutcome, Fired, Outcome
from exporter.app.rule_tests.recorded import SeenLog, recorded_events
from exporter.app.rule_tests.watch import Seen, Watcher
from exporter.events.event import Event
from exporter.rules.engine import Engine
from exporter.rules.fields.evt_facts import event_name
from exporter.rules.format import compile_format
from exporter.rules.ruleset import Rule, Ruleset
from exporter.rules.template import FormatError
from exporter.rules.testing.document import Case, RuleTestFile
from exporter.rules.testing.given import GivenEvent, make_given_event, reads_given
from exporter.rules.testing.items import TestFileError
from exporter.rules.testing.scenario import run_steps

_MAX_KEPT = 10_000
"""Alerts of one test that are kept; the others of a recording are counted only."""


@dataclass(slots=True)
class _Way:
    """One way to read fields: of real events or of given values."""

    watcher: Watcher
    maker: AlertMaker
    is_given: bool

    def printed(self, field: str, source: str, event: Event) -> str | None:
        """The printed value of a field; None when it is missing. Raises FormatError."""
        rebind = reads_given if self.is_given else None
        return compile_format(f"%{field}", source, rebind=rebind).render(event)


class RuleTests:
    """Tests of one ruleset.

    is_covering: also watch every check, which costs time. left_out: names of rules that are not in
    the ruleset although their files have them (their priority is too low).
    """

    def __init__(
        self, ruleset: Ruleset, *, is_covering: bool = False, left_out: Iterable[str] = ()
    ) -> None:
        """Compile the rules. Raises RuleError."""
        self._ruleset = ruleset
        self._engine = Engine(ruleset)
        self._is_covering = is_covering
        self._enabled = [rule for rule in ruleset.rules if rule.is_enabled]
        self._names = {rule.name for rule in ruleset.rules}.union(left_out)
        self._ways: dict[bool, _Way] = {}
        self._seen: list[tuple[Case, list[Seen]]] = []

    def run(self, files: Sequence[RuleTestFile]) -> Outcome:
        """Run every test. Raises TestFileError when a test itself is wrong."""
        started = time.perf_counter()
        outcome = Outcome()
        for file in files:
            for case in file.cases:
                outcome.cases.append(self.run_case(file.path, case))
        if self._is_covering:
            watcher = self._way(is_given=False).watcher
            outcome.coverage = cover(
                self._enabled, watcher, self._seen, match_all=self._ruleset.match_all
            )
        outcome.seconds = time.perf_counter() - started
        return outcome

    def run_case(self, path: str, case: Case) -> CaseOutcome:
        """Run one test. Raises TestFileError when the test itself is wrong."""
        started = time.perf_counter()
        self._check_names(case)
        got: list[Got] = []
        counts: Counter[str] = Counter()
        seen = SeenLog()
        wanted = case.named
        way = self._way(is_given=bool(case.events))
        for place, event in self._events(case):
            rules = self._match(event, way)
            record = Seen(
                event=_name(event),
                code=event.type.code,
                step=place,
                matched=tuple(rule.name for rule in rules),
            )
            for rule in way.watcher.looking(event):
                if self._is_covering or rule.name in wanted or rule in rules:
                    record.looks[rule.name] = way.watcher.look(rule, event)
            if isinstance(event, GivenEvent):
                record.missing = tuple(event.missing)
            if case.recording:
                seen.add(record)
            else:
                seen.records.append(record)
            for rule in rules:
                counts[rule.name] += 1
                if len(got) < _MAX_KEPT:
                    got.append(self._got(case, way, rule, event, place))
        problems = compare(case, got, counts, seen.records, way.watcher)
        self._seen.append((case, seen.records))
        return CaseOutcome(
            path, case, [item.fired for item in got], problems, time.perf_counter() - started
        )

    def _events(self, case: Case) -> Iterator[tuple[str, Event]]:
        """Every event with the place it is written at."""
        if case.steps:
            for step, event in run_steps(case.steps):
                yield str(step.span), event
            return
        if case.recording:
            yield from recorded_events(case, self._engine.interesting_codes)
            return
        for number, item in enumerate(case.events, start=1):
            yield str(item.span), make_given_event(item, case.source, number)

    def _match(self, event: Event, way: _Way) -> Sequence[Rule]:
        if way.is_given:
            return way.watcher.match(event, match_all=self._ruleset.match_all)
        return self._engine.match(event)

    def _got(self, case: Case, way: _Way, rule: Rule, event: Event, place: str) -> Got:
        """The alert of a match, and the printed fields that a test may ask for."""
        alert: Alert = way.maker.make(rule, event, 1)
        fired = Fired(rule.name, _name(event), str(rule.priority), alert.message, place)
        fields: dict[str, str | None] = {}
        for expected in case.expected:
            if expected.rule != rule.name:
                continue
            for name, _ in expected.fields:
                try:
                    fields[name] = way.printed(name, rule.source, event)
                except FormatError:
                    raise TestFileError(f"there is no field {name}", expected.span) from None
        return Got(fired, rule.priority, fields)

    def _way(self, *, is_given: bool) -> _Way:
        found = self._ways.get(is_given)
        if found is None:
            rebind = reads_given if is_given else None
            found = self._ways[is_given] = _Way(
                Watcher(self._ruleset.rules, rebind),
                AlertMaker(
                    self._enabled,
                    partial(compile_format, rebind=rebind),
                    AlertOptions(hostname="test-host"),
                ),
                is_given,
            )
        return found

    def _check_names(self, case: Case) -> None:
        named = [(entry.rule, entry.span) for entry in case.expected]
        named += [(entry.rule, entry.span) for entry in case.counts or ()]
        for name, span in (*named, *(case.forbidden or ())):
            if name not in self._names:
                near = get_close_matches(name, self._names, n=1)
                raise TestFileError(
                    f'there is no rule "{name}"',
                    span,
                    f'did you mean "{near[0]}"?' if near else None,
                )


def _name(event: Event) -> str:
    if isinstance(event, GivenEvent):
        name = event.given.get("evt.type", event.type.name.encode())
    else:
        name = event_name(event) or event.type.name.encode()
    return str(name.decode("utf-8", "replace"))
