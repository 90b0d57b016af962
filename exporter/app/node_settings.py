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
from exporter.server.auth import BearerToken
from exporter.server.connection import ConnectionLimits
from exporter.server.grpc_tls import GrpcTls
from exporter.server.http import HttpOptions
from exporter.server.web_settings import OnRead, WebSettings


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


def http_options(config: Config, on_read: OnRead = lambda _error: None) -> HttpOptions:
    """Who may ask the HTTP server, and how much. Raises ServerError.

    on_read: told when a changed web configuration was read, with the error if it is no good.
    """
    section = config.http
    path = section.web_config_file
    token_file = section.bearer_token_file
    return HttpOptions(
        web=WebSettings(Path(path) if path else None, on_read),
        token=BearerToken(
            section.bearer_token.get_secret_value(), Path(token_file) if token_file else None
        ),
        public=section.public_paths,
        limits=ConnectionLimits(max_connections=section.max_connections),
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
