"""Composition of a replay: a recording, the state, the rules, and what comes out, in one thread.

Nothing is queued between the parts, so no alert can be lost and all lines come in order.
"""

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import BinaryIO, Protocol, cast

import msgspec

from exporter.alerts.alert import Alert
from exporter.alerts.maker import AlertMaker
from exporter.app.pipeline import ActiveRules, AlertCounts, Pipeline
from exporter.app.replay.interrupts import Interrupts
from exporter.app.replay.lines import LineWriter
from exporter.app.replay.options import Console, ReplayEnd, ReplayOptions
from exporter.app.replay.pace import Pace
from exporter.app.replay.sources import Recording, ReplaySource, make_source
from exporter.app.replay.summary import Summary, losses_text, summary_json, summary_text
from exporter.app.replay.view import EventFilter, clean_value, event_lines
from exporter.app.rule_files import LoadedRules, load_active, rule_options
from exporter.app.settings import alert_options, line_options
from exporter.config.schema import Config
from exporter.errors import LannerError
from exporter.events.event import Event
from exporter.events.facts import Fact
from exporter.events.host import Host
from exporter.rules.dns import RESOLVER
from exporter.rules.facts import facts_in, facts_of
from exporter.rules.format import compile_format
from exporter.rules.ruleset import Rule, Ruleset
from exporter.state.state import State

_POLL_NS = 100_000_000
_SHOW_NS = 100_000_000
_MAX_PROBLEMS = 10
_NS_A_SECOND = 1e9


class MetricsPage(AbstractContextManager[object], Protocol):
    """The HTTP server of a replay: it serves while it is entered."""

    @property
    def address(self) -> str:
        """HOST:PORT."""

    @property
    def counters(self) -> AlertCounts:
        """Who counts alerts for the metrics."""

    def connect(
        self, pipeline: Pipeline, state: State, source: ReplaySource, rules: LoadedRules | None
    ) -> None:
        """Serve the numbers of these parts."""


class _ServerModule(Protocol):
    """What this module calls of `server.py`, which imports the web server."""

    def make_page(self, listen: str, config: Config) -> MetricsPage:
        """Bind the address."""


class _NoCounts:
    """Counts no alerts: nobody serves metrics."""

    def count(self, alert: Alert) -> None:
        """Nothing to count."""

    def housekeep(self, now: float) -> None:
        """Nothing to expire."""


class _Problems:
    """Says the first problems of a recording, and counts the others."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._count = 0

    def say(self, sentence: str) -> None:
        """One more."""
        self._count += 1
        if self._count <= _MAX_PROBLEMS:
            self._console.say(f"warning: {sentence}")

    def finish(self) -> None:
        """How many were not said."""
        if self._count > _MAX_PROBLEMS:
            self._console.say(f"warning: and {self._count - _MAX_PROBLEMS} more like these")


class Replay:
    """One replay: what is made of texts is made first, the recording is read by `run`."""

    def __init__(self, config: Config, options: ReplayOptions) -> None:
        """Load and compile. Raises LannerError for wrong rules, formats, conditions, addresses."""
        # Recordings are of another machine and another time: no name server is asked for them.
        RESOLVER.is_online = False
        self._config = config
        self._options = options
        self._summary = Summary(clean_value(os.fsencode(options.path)).decode())
        self._interrupts = Interrupts()
        self._state = State(Host(), keep_fds=True)
        self._loaded: LoadedRules | None = None
        source = options.event_source
        self._filter = None if options.condition is None else EventFilter(options.condition, source)
        self._line = (
            None
            if options.fields is None
            else event_lines(
                options.fields,
                source,
                is_json=config.json_output,
                is_base64=config.buffer_format_base64,
            )
        )
        self._rules = self._load() if options.has_rules else self._no_rules()
        self._page: MetricsPage | None = None
        if options.listen is not None:
            server = cast("_ServerModule", import_module("exporter.app.replay.server"))
            self._page = server.make_page(options.listen, config)

    def _load(self) -> ActiveRules:
        def take(loaded: LoadedRules) -> None:
            self._loaded = loaded

        config = self._config
        return load_active(
            config.rules_files,
            rule_options(config),
            alert_options(config),
            is_base64=config.buffer_format_base64,
            on_loaded=take,
        )

    def _no_rules(self) -> ActiveRules:
        maker = AlertMaker([], compile_format, alert_options(self._config))
        return ActiveRules(ruleset=Ruleset(), match=lambda _event: (), make=maker.make)

    def run(self, out: BinaryIO, console: Console) -> ReplayEnd:
        """Replay the recording; lines go to `out`.

        Raises LannerError when the recording cannot be read at all or the lines cannot be written,
        BrokenPipeError when nobody reads them any more.
        """
        options, page = self._options, self._page
        writer = LineWriter(
            out,
            line_options(self._config),
            has_alerts=self._config.stdout_output.enabled,
            before_write=console.clear,
        )
        state = self._state
        problems = _Problems(console)
        source = make_source(
            options.event_source,
            Recording(
                path=options.path,
                state=state,
                needed=self._needed(),
                facts=self._facts(),
                on_problem=problems.say,
            ),
        )
        pipeline = Pipeline(
            source=source,
            state=state,
            rules=self._viewed(writer),
            counters=_NoCounts() if page is None else page.counters,
            queue=writer,
            on_end=lambda _error: None,
        )
        if page is not None:
            page.connect(pipeline, state, source, self._loaded)
            console.say(f"metrics: http://{page.address}/metrics")
        started_ns = time.monotonic_ns()
        with nullcontext() if page is None else page, self._interrupts:
            try:
                self._read(source, pipeline, writer, console)
            except KeyboardInterrupt:
                self._interrupts.is_set = True
            finally:
                source.close()
            end = ReplayEnd(source.error, self._interrupts.is_set)
            if not end.is_interrupted:
                end.error = end.error or self._nothing_read(source)
            if options.has_summary:
                seconds = (time.monotonic_ns() - started_ns) / _NS_A_SECOND
                writer.line(self._summary_line(source, end, seconds))
            writer.flush()
        console.clear()
        problems.finish()
        self._say_errors(pipeline, source, console)
        return end

    def _read(
        self, source: ReplaySource, pipeline: Pipeline, writer: LineWriter, console: Console
    ) -> None:
        """Every event of the recording, until its end or Ctrl-C."""
        interrupts, handle, now_ns = self._interrupts, pipeline.handle, time.monotonic_ns
        pace = Pace(writer.flush, interrupts.sleep) if self._options.keeps_pace else None
        show_ns = 0
        with interrupts.waiting():
            source.open()
        while not source.is_ended and not interrupts.is_set:
            with interrupts.waiting():
                events = source.poll(now_ns() + _POLL_NS)
            if pace is None and self._line is None:
                for event in events:
                    handle(event)
            else:
                for event in events:
                    if pace is not None:
                        pace.wait(event.ts_ns)
                    handle(event)
                    writer.flush_full()
            writer.flush()
            if now_ns() >= show_ns:
                console.show(source.bytes_read, source.total_bytes, source.events_seen)
                show_ns = now_ns() + _SHOW_NS

    def _nothing_read(self, source: ReplaySource) -> LannerError | None:
        """The error about a file of another kind, in which nothing at all could be read."""
        if source.events_seen or not any(source.losses().values()):
            return None
        options = self._options
        return LannerError(
            f"{options.path}: nothing in it is an event of source {options.event_source}",
            hint="--source says what the recording is of",
        )

    def _needed(self) -> frozenset[int] | None:
        """Codes of the events that somebody looks at; None for all."""
        codes: frozenset[int] | None = None
        if self._line is None:
            compiled = {} if self._loaded is None else self._loaded.engine.compiled.functions
            codes = frozenset(code for functions in compiled.values() for code in functions)
        if self._filter is None:
            return codes
        return self._filter.codes if codes is None else codes & self._filter.codes

    def _facts(self) -> frozenset[Fact]:
        """What rules, filter and format read of the facts that very many events write."""
        options = self._options
        return facts_of(self._rules.enabled) | facts_in(
            (options.condition or "", options.fields or "")
        )

    def _viewed(self, writer: LineWriter) -> ActiveRules:
        """The rules behind the filter, events printed before them, alerts counted."""
        rules, summary = self._rules, self._summary
        passes = None if self._filter is None else self._filter.passes
        line_of, take_line = self._line, writer.line

        def match(event: Event) -> Sequence[Rule]:
            if passes is not None and not passes(event):
                return ()
            if line_of is not None:
                line = line_of(event)
                if line is not None:
                    take_line(line)
            return rules.match(event)

        def make(rule: Rule, event: Event, seq: int) -> Alert:
            alert = rules.make(rule, event, seq)
            summary.count(alert, event)
            return alert

        return ActiveRules(
            ruleset=rules.ruleset,
            match=rules.match if passes is None and line_of is None else match,
            make=make if self._options.has_summary else rules.make,
        )

    def _summary_line(self, source: ReplaySource, end: ReplayEnd, seconds: float) -> bytes:
        summary = self._summary
        summary.events = source.events_seen
        summary.losses = self._losses(source)
        summary.is_complete = end.error is None and not end.is_interrupted
        summary.seconds = seconds
        if self._config.json_output:
            return msgspec.json.encode(summary_json(summary)) + b"\n"
        return summary_text(summary).encode() + b"\n"

    def _losses(self, source: ReplaySource) -> dict[tuple[str, str], int]:
        """What was not read, and what the state gave up of what was."""
        return {**source.losses(), **self._state.counters.losses()}

    def _say_errors(self, pipeline: Pipeline, source: ReplaySource, console: Console) -> None:
        """What could not be read or handled on the way; the rest went on without it."""
        for sentence in losses_text(self._losses(source)):
            console.say(f"warning: {sentence}")
        count = sum(pipeline.errors.values())
        if count and pipeline.last_error is not None:
            stage, error = pipeline.last_error
            console.say(
                f"warning: {count} events could not be handled; the newest, in stage {stage}: "
                f"{type(error).__name__}: {error}"
            )
        if self._loaded is not None:
            for rule, count in self._loaded.engine.rule_errors.items():
                console.say(f'warning: rule "{rule}" could not be decided for {count} events')
