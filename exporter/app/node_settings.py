"""What the configuration says about metrics, servers and lost events, in the words of their rooms.

Apart from `settings.py`, because a replay without an HTTP server has no use for prometheus_client.
"""

from pathlib import Path

from exporter.alerts.counters import CounterOptions
from exporter.alerts.event_drops import DropAction, DropOptions
from exporter.alerts.maker import own_hostname
from exporter.config.schema import Config
from exporter.metrics import families
from exporter.metrics.registry import FamilyOptions, Registry
from exporter.server.address import parse_address
from exporter.server.grpc_tls import GrpcTls


def drop_options(config: Config) -> DropOptions:
    """What is done about lost events."""
    section = config.syscall_event_drops
    return DropOptions(
        threshold=section.threshold,
        actions=frozenset(DropAction(name) for name in section.actions),
        rate=section.rate,
        max_burst=section.max_burst,
        is_simulated=section.simulate_drops,
    )


def registry_of(config: Config) -> Registry:
    """An empty registry with the families as the configuration wants them."""
    declared = {family.name: family for family in families.FAMILIES}
    options = {}
    for name, section in config.metrics.families.items():
        labels = None
        if section.labels is not None:
            family = declared[name]
            wanted = set(section.labels)
            labels = tuple(
                label for label in family.labels if label in wanted or label not in family.optional
            )
        options[name] = FamilyOptions(labels=labels, max_series=section.max_series)
    return Registry(options, has_created=config.metrics.created_timestamps)


def counter_options(config: Config) -> CounterOptions:
    """Settings of the alert families."""
    section = config.metrics
    return CounterOptions(
        hostname=own_hostname(),
        programs=frozenset(section.compat),
        static_fields=config.static_fields,
        allow=section.namespaces.allow,
        deny=section.namespaces.deny,
        gone_seconds=section.gone_grace,
        idle_seconds=section.idle_expiry,
    )


def grpc_tls_of(config: Config) -> GrpcTls | None:
    """Where gRPC listens on TCP, and with which certificates; None without. Raises ServerError."""
    section = config.grpc
    if not section.listen:
        return None
    return GrpcTls(
        address=parse_address(section.listen),
        private_key=Path(section.private_key),
        cert_chain=Path(section.cert_chain),
        root_certs=Path(section.root_certs),
    )
