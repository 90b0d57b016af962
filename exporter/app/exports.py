"""Connects counters that live in the rooms to the families of `/metrics`, read at scrape time."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from exporter.alerts.queue import AlertQueue
from exporter.app.pipeline import ActiveRules, Pipeline
from exporter.events.table import load_event_table
from exporter.metrics import families
from exporter.metrics.instruments import LabelValues, Reading
from exporter.metrics.registry import Registry
from exporter.outputs.delivery import Delivery
from exporter.server.stream import AlertStream
from exporter.state.state import State

_ALERT_QUEUE = "alerts"
_GRPC_QUEUE = "grpc"


def export_pipeline(
    registry: Registry, pipeline: Pipeline, kernel_events: Callable[[], Reading]
) -> None:
    """Events by stage; kernel_events gives (type, stage) -> count for the stages in the kernel."""
    names = {event.code: event.name for event in load_event_table().events}

    def events() -> Reading:
        reading: dict[LabelValues, float] = dict(kernel_events())
        # At 0 from the start, so that rate() sees the first event of a type.
        reading.update({(name, "delivered"): 0 for name, _ in tuple(reading)})
        for code, count in enumerate(pipeline.delivered):
            if count:
                key = (names[code], "delivered")
                reading[key] = reading.get(key, 0) + count
        return reading

    registry.read(families.EVENTS, events)
    registry.read(
        families.EVENT_ERRORS, lambda: {(stage,): n for stage, n in pipeline.errors.items()}
    )


def export_rules(registry: Registry, active: Callable[[], ActiveRules]) -> None:
    """The running ruleset: one info series a rule and a file, and how many rules run."""

    def rule_info() -> Reading:
        return {
            (
                rule.name,
                str(rule.priority),
                str(int(rule.priority)),
                rule.source,
                ",".join(sorted(set(rule.tags))),
            ): 1
            for rule in active().enabled
        }

    registry.read(families.RULE_INFO, rule_info)
    registry.read(families.RULES_LOADED, lambda: {(): len(active().enabled)})
    registry.read(
        families.RULES_FILE_INFO,
        lambda: dict.fromkeys(active().ruleset.sha256.items(), 1),
    )


def export_state(registry: Registry, state: State) -> None:
    """How much the state holds, and what has happened to it."""
    host = state.host
    registry.read(
        families.STATE_ENTRIES,
        lambda: {
            ("threads",): len(host.threads),
            ("users",): len(host.users),
            ("groups",): len(host.groups),
            ("containers",): len(host.containers),
        },
    )
    registry.read(
        families.STATE_CHANGES,
        lambda: {(kind,): n for kind, n in msgspec.structs.asdict(state.counters).items()},
    )


def export_queues(
    registry: Registry, queue: AlertQueue, deliveries: Sequence[Delivery], stream: AlertStream
) -> None:
    """Every queue an alert can wait in, what the outputs made of it, and the gRPC stream."""
    queues: Mapping[str, Delivery] = {f"output_{d.output.name}": d for d in deliveries}

    def all_queues(main: float, grpc: float, read: Callable[[Delivery], float]) -> Reading:
        reading: dict[LabelValues, float] = {(_ALERT_QUEUE,): main, (_GRPC_QUEUE,): grpc}
        return reading | {(name,): read(d) for name, d in queues.items()}

    registry.read(
        families.QUEUE_DEPTH, lambda: all_queues(len(queue), stream.waiting, lambda d: d.depth)
    )
    registry.read(
        families.QUEUE_CAPACITY,
        lambda: all_queues(
            queue.capacity,
            stream.subscriber_count * stream.options.subscriber_queue,
            lambda d: d.capacity,
        ),
    )
    registry.read(
        families.QUEUE_ACCEPTED,
        lambda: all_queues(queue.accepted, stream.accepted, lambda d: d.accepted),
    )
    registry.read(
        families.QUEUE_DROPPED,
        lambda: all_queues(queue.dropped, stream.dropped, lambda d: d.dropped),
    )
    registry.read(
        families.OUTPUT_ALERTS,
        lambda: {
            (d.output.name, result): count
            for d in deliveries
            for result, count in (("delivered", d.delivered), ("failed", d.failed))
        },
    )
    registry.read(families.GRPC_SUBSCRIBERS, lambda: {(): stream.subscriber_count})
    registry.read(families.GRPC_SENT, lambda: {(m,): n for m, n in stream.sent.items()})
    registry.read(
        families.GRPC_DROPPED,
        lambda: {("queue_full",): stream.dropped, ("history",): stream.lost_history},
    )
    registry.read(
        families.GRPC_REJECTED, lambda: {(reason,): n for reason, n in stream.rejected.items()}
    )
