"""Metrics and health of a replay over HTTP, while it runs (`--listen`).

The replay has the main thread; the server has an event loop in a thread of its own.
"""

import asyncio
import threading
from types import TracebackType
from typing import Self, cast

from exporter.alerts.counters import AlertCounters
from exporter.app.exports import export_pipeline, export_rules, export_state
from exporter.app.node_settings import counter_options, http_options, registry_of
from exporter.app.pipeline import Pipeline
from exporter.app.replay.sources import ReplaySource
from exporter.app.rule_files import LoadedRules
from exporter.config.schema import Config
from exporter.errors import LannerError
from exporter.metrics import families
from exporter.metrics.instruments import Reading
from exporter.server.address import bind_socket, bound_address, parse_address
from exporter.server.http import HttpHooks, HttpServer, make_app
from exporter.state.state import State

_WAIT_SECONDS = 5.0


class ReplayPage:
    """The server. Enter it to serve, leave it to stop."""

    def __init__(self, listen: str, config: Config) -> None:
        """Bind the address. Raises ServerError."""
        self._options = http_options(config)
        self._socket = bind_socket(parse_address(listen))
        self.address = str(bound_address(self._socket))
        self.registry = registry_of(config)
        self.counters = AlertCounters(self.registry, counter_options(config))
        self._is_up = threading.Event()
        self._is_over = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def connect(
        self, pipeline: Pipeline, state: State, source: ReplaySource, rules: LoadedRules | None
    ) -> None:
        """Serve the numbers of these parts."""
        registry = self.registry
        self.counters.begin(pipeline.rules.enabled)
        export_pipeline(registry, pipeline, dict)
        export_rules(registry, lambda: pipeline.rules)
        export_state(registry, state)
        registry.read(families.EVENTS_DROPPED, lambda: cast("Reading", source.losses()))
        if rules is not None:
            errors = rules.engine.rule_errors
            registry.read(
                families.RULE_ERRORS,
                lambda: {(rule,): count for rule, count in list(errors.items())},
            )

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_up.wait(_WAIT_SECONDS)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(_WAIT_SECONDS)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = HttpServer(
            make_app(
                HttpHooks(metrics=self.registry.page, unready_reasons=list, reload=_refuse_reload)
            ),
            self._socket,
            self._options,
        )
        server.start()
        self._is_up.set()
        await self._is_over.wait()
        await server.stop()


async def _refuse_reload() -> str:
    """Half a recording under other rules would be no result."""
    raise LannerError("a replay keeps the rules it was started with")


def make_page(listen: str, config: Config) -> ReplayPage:
    """The server, bound to its address. Raises ServerError."""
    return ReplayPage(listen, config)
