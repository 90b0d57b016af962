"""One node's Lanner: everything that runs between start and stop, on one asyncio loop.

Order of the start: bind the HTTP address (so that a second Lanner fails before it loads a probe),
answer with "not ready", load the probe, seed the state, start the hot thread, say "ready".
Order of the stop: the source, the hot thread, the queues, the outputs, the servers.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from exporter.alerts.alert import Alert
from exporter.alerts.counters import AlertCounters
from exporter.alerts.queue import AlertQueue
from exporter.app.exports import export_pipeline, export_queues, export_rules
from exporter.app.logs import Logger
from exporter.app.node_options import NodeOptions
from exporter.app.pipeline import ActiveRules, Pipeline
from exporter.app.reloads import ReloadStatus
from exporter.app.rule_costs import RuleCosts
from exporter.errors import LannerError, OutputError, ServerError
from exporter.metrics import families
from exporter.metrics.series import Series
from exporter.outputs.delivery import Delivery
from exporter.outputs.output import Output
from exporter.server.address import Address, bind_socket
from exporter.server.grpc import GrpcOptions, GrpcServer
from exporter.server.http import HTTP_REASONS, HttpHooks, HttpServer, make_app
from exporter.server.stream import AlertStream

_WATCH_SECONDS = 10.0


class Node:
    """Runs until a signal or the end of the hot thread. Use `run()` once."""

    def __init__(self, options: NodeOptions, log: Logger) -> None:
        self._options = options
        self._log = log
        self._registry = options.registry
        self._counters = AlertCounters(self._registry, options.counters)
        self._queue = AlertQueue(options.queue_capacity)
        self._stream = AlertStream(options.stream)
        self._reloads = ReloadStatus(self._registry)
        self._http_answers = self._registry.counter(families.HTTP_REQUESTS)
        self._http_rejected = self._registry.counter(families.HTTP_REJECTED)
        for reason in HTTP_REASONS:
            self._http_rejected.labels(reason)
        self._registry.read(families.WEB_CONFIG_SUCCESSFUL, lambda: {(): options.http.web.is_ok})
        self._reload_lock = asyncio.Lock()
        self._delivery_latency = self._registry.histogram(families.DELIVERY_LATENCY)
        self._deliveries = [self._delivery(out, room) for out, room in options.outputs]
        self._stopping = asyncio.Event()
        self._http: HttpServer | None = None
        self._failure: BaseException | None = None
        self._next_failure_log: dict[str, float] = {}
        self._tasks: set[asyncio.Task[str | None]] = set()
        self._costs = RuleCosts(self._registry, options.rule_sampling)
        rules = options.load_rules()
        self._pipeline = Pipeline(
            source=options.source,
            state=options.state,
            rules=rules,
            counters=self._counters,
            queue=self._queue,
            on_end=self._hot_thread_ended,
            costs=self._costs,
            watchdog=options.watchdog,
            hold=options.hold,
        )
        options.watch_ends(
            lambda container: self._counters.forget_container(container.decode("utf-8", "replace"))
        )
        self._take_rules(rules)
        export_pipeline(self._registry, self._pipeline, options.kernel_events)
        export_rules(self._registry, lambda: self._pipeline.rules)
        export_queues(self._registry, self._queue, self._deliveries, self._stream)
        self._registry.read(
            families.PROBE_ATTACHED, lambda: {(): options.has_probe and not options.source.is_ended}
        )
        self._registry.read(families.READY, lambda: {(): self.is_ready})
        options.export(self._registry)
        self._routes = options.routes(self._registry)
        self._is_running = False

    def _delivery(self, output: Output, capacity: int) -> Delivery:
        return Delivery(
            output,
            capacity,
            on_delivered=self._delivery_latency.labels(output.name).observe,
            on_failure=lambda error: self._output_failed(output.name, error),
        )

    @property
    def is_ready(self) -> bool:
        """Whether events are being read and matched, as /readyz says it."""
        return not self._unready_reasons()

    @property
    def http_address(self) -> Address:
        """Where HTTP listens; known once the node runs."""
        if self._http is None:
            raise RuntimeError("the node does not run yet")
        return self._http.address

    def stop(self) -> None:
        """Begin to stop; from the loop's thread."""
        self._stopping.set()

    def request_stop(self) -> None:
        """Begin to stop; from any thread while the node runs."""
        self._loop.call_soon_threadsafe(self.stop)

    async def run(self) -> int:
        """Start, serve, stop; the exit status. Raises LannerError when the start fails."""
        options = self._options
        self._loop = asyncio.get_running_loop()
        http = self._http = HttpServer(
            make_app(
                HttpHooks(
                    metrics=self._registry.page,
                    unready_reasons=self._unready_reasons,
                    reload=self.reload,
                ),
                self._routes,
            ),
            bind_socket(options.listen),
            options.http,
            on_rejected=lambda reason: count_one(self._http_rejected.labels(reason)),
            on_answer=lambda path, status: count_one(self._http_answers.labels(path, str(status))),
        )
        grpc = None
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(http.stop)
            http.start()
            if options.grpc_socket is not None or options.grpc_tls is not None:
                grpc = GrpcServer(
                    self._stream,
                    GrpcOptions(
                        socket_path=options.grpc_socket,
                        tls=options.grpc_tls,
                        fields_checksum=options.fields_checksum,
                        on_reload=self._certificates_read,
                    ),
                )
                await grpc.start()
                stack.push_async_callback(grpc.stop, options.shutdown_seconds)
            for delivery in self._deliveries:
                delivery.start()
                stack.push_async_callback(delivery.stop, options.shutdown_seconds)
            for work in options.background:
                task = asyncio.create_task(self._beside(work))
                stack.push_async_callback(_cancelled, task)
            try:
                await asyncio.to_thread(options.open_source)
            except LannerError:
                if self._stopping.is_set():
                    # The signal went to the whole process group and took the probe's compiler too.
                    return 0
                raise
            await asyncio.gather(
                asyncio.to_thread(options.watch.begin, self._pipeline.rules.ruleset),
                asyncio.to_thread(options.state.scan),
            )
            self._queue.connect(self._loop, self._take_alerts)
            self._pipeline.start()
            self._is_running = True
            options.on_ready()
            self._log.info(
                "ready",
                listen=str(http.address),
                grpc=str(options.grpc_socket or "off"),
                **({"grpc_port": grpc.port} if grpc is not None and grpc.port else {}),
                rules=len(self._pipeline.rules.enabled),
                start_seconds=round(seconds_since_start(), 3),
            )
            rest = asyncio.create_task(
                self._beside(partial(asyncio.to_thread, options.watch.finish))
            )
            await self._serve(grpc)
            await rest
            await self._drain()
        return 1 if self._failure is not None else 0

    async def _beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Detection goes on without what runs beside it."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  nobody awaits it before the end
            self._log.error("a background task failed", error=f"{type(error).__name__}: {error}")

    async def _serve(self, grpc: GrpcServer | None) -> None:
        """Until it is time to stop; says now and then what went wrong on the hot thread."""
        reported = 0
        while not self._stopping.is_set():
            if grpc is not None:
                await grpc.set_serving(is_serving=self.is_ready)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS):
                    await self._stopping.wait()
            reported = self._report_errors(reported)

    async def _drain(self) -> None:
        self._log.info("stopping")
        self._pipeline.stop()
        has_ended = await asyncio.to_thread(self._pipeline.join, self._options.shutdown_seconds)
        if not has_ended:
            self._log.error("the event thread did not end in time; its last events are lost")
        self._is_running = False
        self._queue.drain()

    def _take_alerts(self, alerts: Sequence[Alert]) -> None:
        self._stream.publish(alerts)
        for delivery in self._deliveries:
            delivery.offer(alerts)

    def _take_rules(self, rules: ActiveRules) -> None:
        self._counters.begin(rules.enabled)
        self._pipeline.rules = rules
        self._counters.keep_only(rules.enabled)
        self._costs.keep_only(rules.enabled)
        self._reloads.loaded(rules.ruleset, time.time())

    async def reload(self) -> str:
        """Load the rules again and swap them in. Raises LannerError; then the old ones stay."""
        async with self._reload_lock:
            try:
                rules = await asyncio.to_thread(self._options.load_rules)
            except LannerError as error:
                self._reloads.failed(error)
                self._log.error("reload failed, the old rules stay", error=str(error))
                raise
            await self._change_over(rules)
            self._reloads.succeeded()
            await asyncio.to_thread(self._options.on_reloaded)
            message = f"reloaded, {len(rules.enabled)} rules"
            self._log.info("reloaded", rules=len(rules.enabled))
            return message

    async def _change_over(self, rules: ActiveRules) -> None:
        """Both sets' events while the rules change over, so that neither misses one."""
        both = [self._pipeline.rules.ruleset, rules.ruleset]
        await asyncio.to_thread(self._options.watch.change, both)
        self._take_rules(rules)
        await asyncio.to_thread(self._options.watch.change, [rules.ruleset])

    def reload_soon(self) -> None:
        """For SIGHUP: reload in the background; the outcome is logged and counted."""

        async def attempt() -> str | None:
            """One reload; what went wrong has been logged and counted by then."""
            with contextlib.suppress(LannerError):
                return await self.reload()
            return None

        task = asyncio.create_task(attempt(), name="reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _unready_reasons(self) -> list[str]:
        reasons = []
        if self._options.source.is_ended:
            name = "probe is not attached" if self._options.has_probe else "source is not open"
            reasons.append(f"the {name}")
        if not self._pipeline.rules.enabled:
            reasons.append("no rules are loaded")
        if not self._is_running:
            reasons.append("events are not being read")
        return reasons

    def _hot_thread_ended(self, error: BaseException | None) -> None:
        """In the hot thread: its end, with an error or at the end of the source, is the node's."""
        if error is not None:
            self._failure = error
            self._loop.call_soon_threadsafe(self._say_failed, error)
        else:
            self.request_stop()

    def _say_failed(self, error: BaseException) -> None:
        self._is_running = False
        self._log.critical(
            "the event thread failed, stopping", error=f"{type(error).__name__}: {error}"
        )
        self._stopping.set()

    def _output_failed(self, name: str, error: OutputError) -> None:
        """Say it now and then: every failure is counted, but a dead reader fails each batch."""
        now = time.monotonic()
        if now >= self._next_failure_log.get(name, 0.0):
            self._next_failure_log[name] = now + _WATCH_SECONDS
            self._log.warning("output failed", output=name, error=error.message)

    def _certificates_read(self, error: ServerError | None) -> None:
        """Changed certificates of gRPC were read, by a thread of its own."""
        if error is None:
            self._log.info("gRPC uses new certificates")
        else:
            self._log.error("gRPC keeps its old certificates", error=error.message)

    def _report_errors(self, reported: int) -> int:
        count = sum(self._pipeline.errors.values())
        if count > reported and self._pipeline.last_error is not None:
            stage, error = self._pipeline.last_error
            self._log.warning(
                "some events could not be handled",
                count=count - reported,
                stage=stage,
                newest=f"{type(error).__name__}: {error}",
            )
        return count


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def count_one(series: Series) -> None:
    """Add one."""
    series.value += 1


def seconds_since_start() -> float:
    """Age of this process, the start of the interpreter included."""
    stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace")
    started_ticks = int(stat.rpartition(")")[2].split()[19])
    ticks_a_second = os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / ticks_a_second
