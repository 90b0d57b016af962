"""What the configuration says, in the words of the rooms; shared by `run` and `replay`."""

from exporter.alerts.forms import JsonOptions
from exporter.alerts.maker import AlertOptions, own_hostname
from exporter.config.schema import Config
from exporter.outputs.lines import LineOptions


def alert_options(config: Config) -> AlertOptions:
    """How alerts are made. The hostname is this machine's, in a replay too, as Falco does."""
    return AlertOptions(
        hostname=own_hostname(),
        is_iso_time=config.time_format_iso_8601,
        static_fields=tuple(config.static_fields.items()),
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
