"""What the configuration says, in the words of the rooms; shared by `run` and `replay`."""

from exporter.alerts.counters import CounterOptions
from exporter.alerts.event_drops import DropAction, DropOptions
from exporter.alerts.forms import JsonOptions
from exporter.alerts.maker import AlertOptions, own_hostname
from exporter.config.schema import Config
from exporter.metrics import families
from exporter.metrics.registry import FamilyOptions, Registry
from exporter.outputs.lines import LineOptions


def alert_options(config: Config) -> AlertOptions:
    """How alerts are made. The hostname is this machine's, in a replay too, as Falco does."""
    return AlertOptions(
        hostname=own_hostname(),
        is_iso_time=config.time_format_iso_8601,
        static_fields=tuple(config.static_fields.items()),
    )


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


def line_options(config: Config) -> LineOptions:
    """How standard output shows alerts."""
    json = JsonOptions(
        has_output=config.json_include_output_property,
        has_message=config.json_include_message_property,
        has_output_fields=config.json_include_output_fields_property,
        has_tags=config.json_include_tags_property,
    )
    return LineOptions(json=json if config.json_output else None)


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
