"""Every metric family of Lanner: name, kind, unit, labels, buckets, ceiling of series and help.

This module is the source of truth for the exporter, the reference docs, the dashboards and the
alerting rules. A family that is not declared here cannot be exported: the registry refuses it.

Labels come in two sorts. Bounded ones have values that the rules or Lanner itself fix (rule,
priority, reason). Unbounded ones (`unbounded`) carry names made up by users of the cluster; past
`max_series` children their values become "other", and the overflow is counted.
"""

from dataclasses import dataclass
from enum import StrEnum

OVERFLOW_VALUE = "other"
"""Value of every unbounded label of a series past the ceiling of its family."""

LATENCY_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip
"""100 us to 10 s."""


class Kind(StrEnum):
    """Kinds of family, named as in the exposition formats."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family.

    name: full name as scraped, `_total` included. unit: last word of the name before `_total`,
    empty for plain numbers. unbounded: those of `labels` that the ceiling `max_series` guards.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    unbounded: frozenset[str] = frozenset()
    max_series: int = 0
    buckets: tuple[float, ...] = ()


WORKLOAD_LABELS = ("k8s_ns_name", "k8s_pod_name", "container")
"""Labels of the workload an alert is about; empty for the host."""

_ALERT_LABELS = ("rule", "priority", "source", *WORKLOAD_LABELS)
_MAX_ALERT_SERIES = 10_000

ALERTS = Family(
    "lanner_alerts_total",
    Kind.COUNTER,
    "Alerts raised. Every loaded rule has its series with empty workload labels from the start.",
    _ALERT_LABELS,
    unbounded=frozenset(WORKLOAD_LABELS),
    max_series=_MAX_ALERT_SERIES,
)
LAST_ALERT = Family(
    "lanner_last_alert_timestamp_seconds",
    Kind.GAUGE,
    "Kernel time of the newest alert of the series, in seconds since the epoch.",
    _ALERT_LABELS,
    unit="seconds",
    unbounded=frozenset(WORKLOAD_LABELS),
    max_series=_MAX_ALERT_SERIES,
)
DETECTION_LATENCY = Family(
    "lanner_detection_latency_seconds",
    Kind.HISTOGRAM,
    "Time from the kernel's timestamp of an event to the alert made of it.",
    unit="seconds",
    buckets=LATENCY_BUCKETS,
)
EVENTS = Family(
    "lanner_events_total",
    Kind.COUNTER,
    "Events by type and stage: submitted by the kernel probe, delivered when the rules have looked"
    " at the event.",
    ("type", "stage"),
)
EVENTS_DROPPED = Family(
    "lanner_events_dropped_total",
    Kind.COUNTER,
    "Events lost, by type and reason; counted in the kernel where the loss happened there.",
    ("type", "reason"),
)
EVENTS_IMPAIRED = Family(
    "lanner_events_impaired_total",
    Kind.COUNTER,
    "Events delivered without some part, such as an argument cut short, by type and reason.",
    ("type", "reason"),
)
EVENT_ERRORS = Family(
    "lanner_event_errors_total",
    Kind.COUNTER,
    "Events that a stage could not handle; the event goes on without that stage where it can.",
    ("stage",),
)
RULE_ERRORS = Family(
    "lanner_rule_errors_total",
    Kind.COUNTER,
    "Checks of a rule that failed on an event; the rule does not match it, the others still do.",
    ("rule",),
)
PROBE_ATTACHED = Family(
    "lanner_probe_attached",
    Kind.GAUGE,
    "1 while the kernel probe is attached, else 0.",
)
RULE_INFO = Family(
    "lanner_rule_info",
    Kind.GAUGE,
    "Always 1; what is known of each loaded rule, to join on. Tags are joined by commas.",
    ("rule", "priority", "source", "tags"),
)
RULES_LOADED = Family(
    "lanner_rules_loaded",
    Kind.GAUGE,
    "Enabled rules in the running set.",
)
RULES_FILE_INFO = Family(
    "lanner_rules_file_info",
    Kind.GAUGE,
    "Always 1; the rules files of the running set with the SHA-256 of their content.",
    ("file", "sha256"),
)
RELOADS = Family(
    "lanner_reloads_total",
    Kind.COUNTER,
    "Attempts to load rules while running, by result.",
    ("result",),
)
RELOAD_SUCCESSFUL = Family(
    "lanner_last_reload_successful",
    Kind.GAUGE,
    "1 when the newest attempt to load rules succeeded, else 0.",
)
RELOAD_TIME = Family(
    "lanner_last_reload_success_timestamp_seconds",
    Kind.GAUGE,
    "When the running rules were loaded, in seconds since the epoch.",
    unit="seconds",
)
QUEUE_DEPTH = Family(
    "lanner_queue_depth",
    Kind.GAUGE,
    "Alerts waiting in a queue now.",
    ("queue",),
)
QUEUE_CAPACITY = Family(
    "lanner_queue_capacity",
    Kind.GAUGE,
    "Alerts a queue holds at most.",
    ("queue",),
)
QUEUE_ACCEPTED = Family(
    "lanner_queue_accepted_total",
    Kind.COUNTER,
    "Alerts put into a queue.",
    ("queue",),
)
QUEUE_DROPPED = Family(
    "lanner_queue_dropped_total",
    Kind.COUNTER,
    "Alerts refused by a full queue.",
    ("queue",),
)
OUTPUT_ALERTS = Family(
    "lanner_output_alerts_total",
    Kind.COUNTER,
    "Alerts that left a queue for an output, by result: delivered or failed.",
    ("output", "result"),
)
DELIVERY_LATENCY = Family(
    "lanner_delivery_latency_seconds",
    Kind.HISTOGRAM,
    "Time from the making of an alert to its delivery by an output.",
    ("output",),
    unit="seconds",
    buckets=LATENCY_BUCKETS,
)
GRPC_SUBSCRIBERS = Family(
    "lanner_grpc_subscribers",
    Kind.GAUGE,
    "Clients that follow the gRPC alert stream now.",
)
GRPC_SENT = Family(
    "lanner_grpc_alerts_sent_total",
    Kind.COUNTER,
    "Alerts handed to gRPC clients, by method; one alert counts once a client.",
    ("method",),
)
GRPC_DROPPED = Family(
    "lanner_grpc_alerts_dropped_total",
    Kind.COUNTER,
    "Alerts that slow gRPC subscribers lost, because their queue was full.",
)
STATE_ENTRIES = Family(
    "lanner_state_entries",
    Kind.GAUGE,
    "Entries in a table of the state now, such as threads.",
    ("table",),
)
STATE_CHANGES = Family(
    "lanner_state_changes_total",
    Kind.COUNTER,
    "What happened to the state, by kind, such as repairs of unknown threads.",
    ("kind",),
)
SERIES_OVERFLOW = Family(
    "lanner_metric_series_overflow_total",
    Kind.COUNTER,
    'Increments that the ceiling of a family moved to the series labelled "other".',
    ("family",),
)
SCRAPE_SUCCESS = Family(
    "lanner_scrape_collector_success",
    Kind.GAUGE,
    "1 when a collector could be read during this scrape, else 0.",
    ("collector",),
)
BUILD_INFO = Family(
    "lanner_build_info",
    Kind.GAUGE,
    "Always 1; version of Lanner, of Python and of the kernel it runs on.",
    ("version", "python_version", "kernel_release"),
)

FAMILIES: tuple[Family, ...] = tuple(
    family for family in tuple(globals().values()) if isinstance(family, Family)
)
"""All families in the order of declaration, which is the order on the page."""
