"""What one node is built of."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from starlette.routing import Route

from exporter.alerts.counters import CounterOptions
from exporter.alerts.hold import AlertHold
from exporter.app.pipeline import ActiveRules, IncomingSource, StateRoom, Watchdog
from exporter.metrics.instruments import Reading
from exporter.metrics.registry import Registry
from exporter.outputs.output import Output
from exporter.rules.ruleset import Ruleset
from exporter.server.address import Address
from exporter.server.grpc_tls import GrpcTls
from exporter.server.http import HttpOptions
from exporter.server.stream import StreamOptions


class State(StateRoom, Protocol):
    """The state with its start."""

    def scan(self) -> int:
        """Read what runs already; after the source is attached, so that nothing falls between."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How the source is asked for the events of rulesets and no others; called in threads.

    begin: at the start, once the source is open. finish: what `begin` put off, once events are
    read. change: both sets' events, then the new set's, at a reload.
    """

    begin: Callable[[Ruleset], None] = lambda _ruleset: None
    finish: Callable[[], None] = lambda: None
    change: Callable[[Sequence[Ruleset]], None] = lambda _rulesets: None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What one node is built of. Filled by `compose.py` from the configuration, by tests by hand.

    load_rules: loads and compiles the rules, raises RuleError; called again at every reload, in a
    thread. open_source: returns when the source is attached, raises ProbeError; called in a thread,
    may take seconds. outputs: each with the capacity of its queue. kernel_events: (type, stage) ->
    events counted in the kernel. export: registers further readers of source and state.
    on_ready: called once, just before "ready" is said. on_reloaded: called in a thread, behind each
    reload. watchdog: looks after the source, in the hot thread. registry: where all metrics of this
    node go. counters: settings of the alert families. rule_sampling: one in so many events tells
    the cost of rules; 0: none. hold: where alerts wait for metadata, if they do. background: what
    runs on the loop beside all that, from before the source opens. watch_ends: takes a function for
    the hot thread that wants to know of every container that has ended.
    """

    load_rules: Callable[[], ActiveRules]
    open_source: Callable[[], None]
    source: IncomingSource
    state: State
    outputs: Sequence[tuple[Output, int]]
    listen: Address
    grpc_socket: Path | None
    grpc_tls: GrpcTls | None = None
    stream: StreamOptions
    queue_capacity: int
    shutdown_seconds: float
    fields_checksum: str = ""
    kernel_events: Callable[[], Reading] = dict
    export: Callable[[Registry], None] = lambda _registry: None
    on_ready: Callable[[], None] = lambda: None
    on_reloaded: Callable[[], None] = lambda: None
    has_probe: bool = True
    routes: Callable[[Registry], Sequence[Route]] = lambda _registry: ()
    watch: Watch = Watch()
    registry: Registry = field(default_factory=Registry)
    counters: CounterOptions = field(default_factory=CounterOptions)
    rule_sampling: int = 0
    http: HttpOptions = field(default_factory=HttpOptions)
    watchdog: Watchdog | None = None
    hold: AlertHold | None = None
    watch_ends: Callable[[Callable[[bytes], None]], None] = lambda _ended: None
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
