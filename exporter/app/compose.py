"""Configuration to a running node: makes the rooms' options, the rooms, and the loop.

The one place where settings meet the parts that obey them.
"""

import asyncio
import gc
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import cast

from exporter.alerts.event_drops import Drops
from exporter.alerts.maker import own_hostname
from exporter.app.audit import audit_routes, make_inbox
from exporter.app.exports import export_state
from exporter.app.logs import Logger, start_log
from exporter.app.memory import give_back_memory, trim_heap
from exporter.app.node import Node
from exporter.app.node_options import NodeOptions, Watch
from exporter.app.node_settings import (
    counter_options,
    drop_options,
    grpc_tls_of,
    http_options,
    registry_of,
)
from exporter.app.reported_calls import calls_for, unreportable
from exporter.app.rule_files import LoadedRules, idle_choices, load_active, rule_options
from exporter.app.runtimes import Runtimes, host_root
from exporter.app.self_watch import SelfWatch
from exporter.app.settings import alert_options, line_options
from exporter.app.sources import active_sources, sources_of, unmatched
from exporter.app.start import OpeningProbe
from exporter.app.watch_record import WatchRecord, record_path
from exporter.config.schema import Config
from exporter.errors import ServerError
from exporter.events.host import Host
from exporter.events.table import load_event_table
from exporter.metrics import families
from exporter.metrics.compat import export_falco, export_falcosidekick
from exporter.metrics.instruments import LabelValues, Reading
from exporter.metrics.registry import Registry
from exporter.outputs.output import Output
from exporter.outputs.stdout import StdoutOutput
from exporter.pushdown.install import Pushdown
from exporter.rules.fields.catalogue import fields_of
from exporter.rules.ruleset import Ruleset
from exporter.server.address import parse_address
from exporter.server.grpc import parse_socket
from exporter.server.stream import StreamOptions
from exporter.server.versions import COMPATIBLE_VERSION
from exporter.sources.k8s_audit.inbox import AuditInbox
from exporter.sources.probe.build import cache_directory
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.syscalls import STATE_CALLS
from exporter.state.procfs import Procfs
from exporter.state.state import State

_SWITCH_SECONDS = 0.0005
_GC_THRESHOLDS = (10_000, 10, 10)
"""What is in reference cycles waits for so many new objects; each connection to a server of asyncio
leaves one of 1 KiB. Looking through them takes a millisecond."""
_TRIM_SECONDS = 300.0
"""So long a burst of processes or alerts may keep what it took; a look takes milliseconds."""


def run_composed(
    config: Config, probe: OpeningProbe | None, is_reload_due: Callable[[], bool]
) -> int:
    """Run until stopped; the exit status. Raises LannerError when the start fails.

    is_reload_due: whether SIGHUP came before the loop took it over.
    """
    # Of what the imports have read of libraries, little is needed for the rest of the start. Now,
    # before the rules are loaded: by then the probe may have mapped its ring.
    give_back_memory()
    log = start_log(config.log_level, config.log_format)

    async def serve() -> int:
        """Compose inside the loop that will run the parts."""
        loop = asyncio.get_running_loop()
        node = Node(compose(config, probe, log), log)
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, node.stop)
        loop.add_signal_handler(signal.SIGHUP, node.reload_soon)
        if is_reload_due():
            node.reload_soon()
        return await node.run()

    return asyncio.run(serve())


def compose(config: Config, probe: OpeningProbe | None, log: Logger) -> NodeOptions:
    """The parts of a node as the configuration wants them. Raises LannerError."""
    hostname = os.fsencode(own_hostname())
    inbox = make_inbox(config, hostname, log)
    source, open_source = sources_of(probe, inbox)
    host = probe.host if probe is not None else Host(num_cpus=os.cpu_count() or 1)
    host.hostname = hostname
    # Without the probe no event has a thread: nothing of /proc is read.
    has_runtimes = probe is not None and config.containers.enabled
    runtimes = Runtimes(config.containers, log) if has_runtimes else None
    state = State(
        host,
        keep_fds=False,
        procfs=Procfs() if probe is not None else None,
        # In a container without the host's /etc no name is better than one of the image.
        etc=Path(host_root(config.containers)) / "etc",
        lookups=None if runtimes is None else runtimes.lookups,
    )
    live = probe.source if probe is not None else None
    engines = _Engines(log, config, active_sources(probe, inbox))
    record = None if live is None else watch_record(config, live, log)

    http = http_options(config, lambda error: _say_web_config(log, error))

    def export(registry: Registry) -> None:
        export_all(registry, config, (live, inbox), state, engines)
        if runtimes is not None:
            runtimes.export(registry)
        if record is not None:
            registry.read(
                families.UNWATCHED,
                lambda: {} if record.gap_seconds is None else {(): record.gap_seconds},
            )

    return NodeOptions(
        load_rules=lambda: load_active(
            config.rules_files,
            rule_options(config),
            alert_options(config),
            is_base64=config.buffer_format_base64,
            on_loaded=engines.take,
        ),
        open_source=open_source,
        source=source,
        has_probe=probe is not None,
        state=state,
        outputs=outputs_of(config),
        listen=parse_address(config.http.listen),
        grpc_socket=parse_socket(config.grpc.socket) if config.grpc.socket else None,
        grpc_tls=grpc_tls_of(config),
        stream=StreamOptions(
            history=config.grpc.history,
            subscriber_queue=config.grpc.subscriber_queue,
            max_subscribers=config.grpc.max_subscribers,
        ),
        queue_capacity=config.outputs_queue.capacity,
        shutdown_seconds=config.shutdown_timeout,
        fields_checksum=fields_checksum(),
        kernel_events=lambda: {} if live is None else kernel_events(live),
        export=export,
        routes=lambda registry: (
            []
            if inbox is None
            else audit_routes(config, inbox, registry, http.web.has_client_certificates)
        ),
        on_ready=lambda: _settle(live, log),
        on_reloaded=give_back_memory,
        watchdog=None
        if live is None
        else SelfWatch(
            live,
            drop_options(config),
            alert_options(config),
            _SelfTalk(log),
            time.monotonic_ns(),
        ),
        watch=_watcher(config, live, state, log),
        registry=registry_of(config),
        counters=counter_options(config),
        rule_sampling=config.metrics.rule_sampling,
        hold=None if runtimes is None else runtimes.hold,
        watch_ends=state.watch_container_ends,
        background=[
            keep_heap_trimmed,
            *(part.run for part in (runtimes, record) if part is not None),
        ],
        http=http,
    )


def _settle(source: ProbeSource | None, log: Logger) -> None:
    """Lanner is ready: what is left to do, and to tell of this kernel."""
    settle_interpreter()
    if source is not None and source.probe.plain_reason:
        log.info(
            "the kernel takes plain programs only, which cost every call a little more",
            reason=source.probe.plain_reason,
        )


def watch_record(config: Config, source: ProbeSource, log: Logger) -> WatchRecord:
    """What was not watched before this start, by those who watch the same."""
    scope = f"{config.probe.scope_cgroup} {config.probe.scope_pid}"
    return WatchRecord(
        record_path(cache_directory(), scope),
        lambda: not source.is_ended,
        lambda seconds: log.info("nobody watched before this start", seconds=round(seconds, 3)),
    )


class _SelfTalk:
    """For the hot thread, which does not log: the lines are written by the loop."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()

    def lost(self, drops: Drops) -> None:
        """Events were lost."""
        self._warn("events were lost", lost=drops.lost, of=drops.events)

    def repaired(self, parts: Sequence[str]) -> None:
        """Parts of the probe were silent."""
        self._warn("the probe was silent and has been repaired", parts=", ".join(parts))

    def _warn(self, event: str, **facts: object) -> None:
        self._loop.call_soon_threadsafe(lambda: self._log.warning(event, **facts))


def _say_web_config(log: Logger, error: ServerError | None) -> None:
    """A changed web configuration was read."""
    if error is None:
        log.info("web configuration read again")
    else:
        log.error("the web configuration before stays in force", error=str(error))


def settle_interpreter() -> None:
    """Tune the interpreter for a short wait between an event and its alert.

    A full collection over the 100,000 objects of catalogues and compiled rules stops every thread
    for 20 to 90 ms, longer than an alert may take; after the freeze it takes microseconds. Some 500
    of them are garbage, too few for a collection before that. The hot thread waits for the GIL at
    most one switch interval a holder: under scrapes back to back on a busy machine, the default of
    5 ms gave alerts on stdout a p99 of 73 ms, 0.5 ms about 25.
    """
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    give_back_memory()
    sys.setswitchinterval(_SWITCH_SECONDS)


async def keep_heap_trimmed(seconds: float = _TRIM_SECONDS) -> None:
    """Return freed memory now and then, until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(trim_heap)


class _Engines:
    """Remembers the running engine's error counts across reloads, and reports odd rules files."""

    def __init__(self, log: Logger, config: Config, sources: Collection[str]) -> None:
        self._log = log
        self._config = config
        self._sources = sources
        # Not the engine's report: what is odd in the files is said once, and takes memory.
        self._current: Mapping[str, int] = {}
        self._before: dict[LabelValues, float] = {}

    def take(self, loaded: LoadedRules) -> None:
        """A ruleset was loaded; it is about to run."""
        names = {rule.name for rule in loaded.active.ruleset.rules}
        self._before = {rule: count for rule, count in self.errors().items() if rule[0] in names}
        self._current = loaded.engine.rule_errors
        for event, rules in unreportable(loaded.active.ruleset).items():
            self._log.warning("the probe does not report this event", type=event, rules=rules)
        for sentence in unmatched(loaded.active.ruleset.rules, self._sources):
            self._log.warning("rules and sources do not fit", problem=sentence)
        for sentence in idle_choices(self._config, loaded.active.ruleset.rules):
            self._log.warning("a choice of rules changes nothing", problem=sentence)
        warnings = sum(len(result.warnings) for result in loaded.report.results)
        if warnings:
            self._log.warning(
                "rules files have warnings", count=warnings, see="lanner rules validate"
            )

    def errors(self) -> Reading:
        """(rule) -> checks that raised, of the rules that run, since the start of the process."""
        counts = dict(self._before)
        for rule, count in list(self._current.items()):
            counts[(rule,)] = counts.get((rule,), 0) + count
        return counts


def outputs_of(config: Config) -> list[tuple[Output, int]]:
    """The enabled outputs, each with the capacity of its queue."""
    section = config.stdout_output
    return [(StdoutOutput(line_options(config)), section.queue_capacity)] if section.enabled else []


def fields_checksum() -> str:
    """SHA-256 of the names of all fields, one a line: tells clients when the catalogue changed."""
    names = "\n".join(sorted(fields_of("syscall")))
    return hashlib.sha256(names.encode()).hexdigest()


def _watcher(config: Config, source: ProbeSource | None, state: State, log: Logger) -> Watch:
    """What has the probe report the events of rulesets: filtered by the rules, or all of a type."""
    if source is None:
        return Watch()
    if not config.probe.pushdown:

        def report(rulesets: Sequence[Ruleset]) -> None:
            """Have every event sent that these rulesets can match by its type."""
            source.report(frozenset().union(*map(calls_for, rulesets)), STATE_CALLS)

        return Watch(begin=lambda ruleset: report([ruleset]), change=report)

    def say(event: str, **facts: object) -> None:
        """A line of the log."""
        log.warning(event, **facts)

    pushdown = Pushdown(source.probe, calls_for, say)
    state.users.watch_host(pushdown.take_names)
    return Watch(pushdown.begin, pushdown.finish, pushdown.watch)


def kernel_events(source: ProbeSource) -> Reading:
    """(type, stage) -> events that the kernel saw, left out, and put into the ring for the rules.

    Those that no rule can match are filtered also where the state needs them and they are sent.
    """
    reading: dict[LabelValues, float] = {}
    if source.is_ended:
        return reading
    for code, count in source.probe.counters().events.items():
        name = _EVENT_NAMES[code]
        for stage, number in (
            ("seen", count.filtered + count.submitted + count.dropped),
            ("filtered", count.filtered + count.state_only),
            ("submitted", count.submitted - count.state_only),
        ):
            reading[name, stage] = reading.get((name, stage), 0) + number
    return reading


def _by_type(source: ProbeSource, key: str, label: str) -> dict[LabelValues, float]:
    """(type, label) -> one of the kernel's counts; several event codes may share a type's name."""
    reading: dict[LabelValues, float] = {}
    if source.is_ended:
        return reading
    for code, count in source.probe.counters().events.items():
        labels = (_EVENT_NAMES[code], label)
        reading[labels] = reading.get(labels, 0) + getattr(count, key)
    return reading


def _losses(source: ProbeSource | None, inbox: AuditInbox | None) -> Reading:
    """(type, reason) -> events lost."""
    losses: dict[tuple[str, str], int] = {}
    if source is not None and not source.is_ended:
        losses.update(source.losses())
    if inbox is not None:
        losses.update(inbox.losses())
    return cast("Reading", losses)


_EVENT_NAMES = {event.code: event.name for event in load_event_table().events}


Sources = tuple[ProbeSource | None, AuditInbox | None]
"""The sources that this node has."""


def export_all(
    registry: Registry, config: Config, sources: Sources, state: State, engines: _Engines
) -> None:
    """Everything that is read at scrape time, also under the names of other programs."""
    export_rooms(registry, sources, state, engines)
    if families.FALCOSIDEKICK in config.metrics.compat:
        export_falcosidekick(registry)
    if families.FALCO in config.metrics.compat:
        export_falco(registry, hostname=own_hostname(), version=COMPATIBLE_VERSION)


def export_rooms(registry: Registry, sources: Sources, state: State, engines: _Engines) -> None:
    """Connect the counters of the sources, the state and the engine to their families."""
    probe, inbox = sources
    registry.read(families.EVENTS_DROPPED, lambda: _losses(probe, inbox))
    if probe is not None:
        registry.read(
            families.PROBE_SELF_TESTS,
            lambda: {key: float(count) for key, count in tuple(probe.self_test.results.items())},
        )
        registry.read(families.EVENTS_IMPAIRED, lambda: _by_type(probe, "truncated", "truncated"))
    export_state(registry, state)
    registry.read(families.RULE_ERRORS, engines.errors)
