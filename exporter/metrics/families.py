"""Every metric family of Lanner: name, kind, unit, labels, buckets, ceiling of series and help.

This module is the source of truth for the exporter, the reference docs, the dashboards and the
alerting rules. A family that is not declared here cannot be exported: the registry refuses it.

Labels come in two sorts. Bounded ones have values that the rules or Lanner itself fix (rule,
priority, reason). Unbounded ones (`unbounded`) carry names made up by users of the cluster; past
`max_series` children their values become "other", and the overflow is counted.
The last part holds the names that other programs gave to the same facts (spec/peers.md 1b, 2, 3c);
they are exported where `metrics.compat` asks for them.
"""

from exporter.metrics.family import OVERFLOW_VALUE, Family, Kind

__all__ = ["FAMILIES", "OVERFLOW_VALUE", "Family", "Kind"]

LATENCY_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip
"""100 us to 10 s."""

WORKLOAD_LABELS = ("k8s_ns_name", "k8s_pod_name", "container")
"""Labels of the workload an alert is about; empty for the host."""

_ALERT_LABELS = ("rule", "priority", "source", *WORKLOAD_LABELS, "hostname")
_OPTIONAL_ALERT_LABELS = frozenset({*WORKLOAD_LABELS, "hostname"})
_MAX_ALERT_SERIES = 2000

ALERTS = Family(
    "lanner_alerts_total",
    Kind.COUNTER,
    "Alerts raised. Every loaded rule has its series with empty workload labels from the start.",
    _ALERT_LABELS,
    unbounded=frozenset(WORKLOAD_LABELS),
    max_series=_MAX_ALERT_SERIES,
    optional=_OPTIONAL_ALERT_LABELS,
    off=frozenset({"hostname"}),
)
RULE_ALERTS = Family(
    "lanner_rule_alerts_total",
    Kind.COUNTER,
    "Alerts raised by a rule in all workloads; from 0 when the rule is loaded, never expires.",
    ("rule", "priority", "source"),
)
LAST_ALERT = Family(
    "lanner_last_alert_timestamp_seconds",
    Kind.GAUGE,
    "Kernel time of the newest alert of the series, in seconds since the epoch.",
    _ALERT_LABELS,
    unit="seconds",
    unbounded=frozenset(WORKLOAD_LABELS),
    max_series=_MAX_ALERT_SERIES,
    optional=_OPTIONAL_ALERT_LABELS,
    off=frozenset({"hostname"}),
)
DETECTION_LATENCY = Family(
    "lanner_detection_latency_seconds",
    Kind.HISTOGRAM,
    "Time from the kernel's timestamp of an event to the alert made of it.",
    ("priority", "source"),
    unit="seconds",
    buckets=LATENCY_BUCKETS,
    optional=frozenset({"priority", "source"}),
    off=frozenset({"priority", "source"}),
)
EVENTS = Family(
    "lanner_events_total",
    Kind.COUNTER,
    "Events by type and stage: seen by the kernel probe, filtered out there because no rule can"
    " match them (they may go on to the state alone), submitted to the rules, delivered when the"
    " rules have looked at the event. Seen is filtered plus submitted plus dropped.",
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
PROBE_SELF_TESTS = Family(
    "lanner_probe_self_tests_total",
    Kind.COUNTER,
    "Tests of the probe with calls of Lanner's own, by the part that answers and the result:"
    " passed, repaired (it was silent or gone, and was attached anew) or unclear (the ring was"
    " full).",
    ("part", "result"),
)
RULE_EVALUATION = Family(
    "lanner_rule_evaluation_seconds",
    Kind.SUMMARY,
    "Time to evaluate the condition of a rule alone, on sampled events.",
    ("rule",),
    unit="seconds",
)
RULE_SAMPLING = Family(
    "lanner_rule_evaluation_sampling_interval",
    Kind.GAUGE,
    "One in so many events is sampled for lanner_rule_evaluation_seconds; 0 when none is.",
)
READY = Family(
    "lanner_ready",
    Kind.GAUGE,
    "1 while events are read and matched, as /readyz says it, else 0.",
)
UNWATCHED = Family(
    "lanner_unwatched_seconds",
    Kind.GAUGE,
    "Time before this start during which nobody watched: since the last sign of life of the run"
    " before, or since boot. Absent when no run before is known.",
    unit="seconds",
)
RULE_INFO = Family(
    "lanner_rule_info",
    Kind.GAUGE,
    "Always 1; what is known of each loaded rule, to join on. Tags are joined by commas;"
    " priority_num counts as syslog does, 0 for Emergency.",
    ("rule", "priority", "priority_num", "source", "tags"),
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
RULES_FILE_SUCCESSFUL = Family(
    "lanner_rules_file_last_load_successful",
    Kind.GAUGE,
    "1 when the newest attempt to load rules found nothing wrong in this file, else 0.",
    ("file",),
)
RULES_FILE_TIME = Family(
    "lanner_rules_file_load_timestamp_seconds",
    Kind.GAUGE,
    "When the running content of this rules file was loaded, in seconds since the epoch.",
    ("file",),
    unit="seconds",
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
    "Alerts waiting in a queue now; for grpc, in the queues of all subscribers.",
    ("queue",),
)
QUEUE_CAPACITY = Family(
    "lanner_queue_capacity",
    Kind.GAUGE,
    "Alerts a queue holds at most; for grpc, in the queues of all subscribers.",
    ("queue",),
)
QUEUE_ACCEPTED = Family(
    "lanner_queue_accepted_total",
    Kind.COUNTER,
    "Alerts put into a queue; for grpc, one alert counts once a subscriber.",
    ("queue",),
)
QUEUE_DROPPED = Family(
    "lanner_queue_dropped_total",
    Kind.COUNTER,
    "Alerts lost because a queue was full.",
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
    "Alerts that gRPC subscribers lost: queue_full when one was too slow, history when it resumed"
    " from an alert that is not kept any more.",
    ("reason",),
)
GRPC_REJECTED = Family(
    "lanner_grpc_calls_rejected_total",
    Kind.COUNTER,
    "gRPC calls refused, by reason: too many subscribers, or metadata that cannot be read.",
    ("reason",),
)
HTTP_REQUESTS = Family(
    "lanner_http_requests_total",
    Kind.COUNTER,
    "HTTP requests answered, by path and status; paths that do not exist are one.",
    ("path", "status"),
)
HTTP_REJECTED = Family(
    "lanner_http_rejected_total",
    Kind.COUNTER,
    "HTTP connections and requests refused or ended by a limit, by reason.",
    ("reason",),
)
WEB_CONFIG_SUCCESSFUL = Family(
    "lanner_web_config_last_reload_successful",
    Kind.GAUGE,
    "1 when the newest reading of the web configuration and its certificates worked, else 0.",
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
AUDIT_REQUESTS = Family(
    "lanner_k8s_audit_requests_total",
    Kind.COUNTER,
    "Requests to the audit web hook by the status code of the answer: 429 when the queue was full,"
    " 499 when the client left.",
    ("code",),
)
AUDIT_QUEUE = Family(
    "lanner_k8s_audit_queue_bytes",
    Kind.GAUGE,
    "Bytes of audit batches that wait to be parsed.",
    unit="bytes",
)
ALERT_HOLDS = Family(
    "lanner_alert_holds_total",
    Kind.COUNTER,
    "Alerts that waited for the metadata of their container, by step: held, then one of completed,"
    " missed (the runtime does not know it), timed_out, overflow (too many were waiting) or memory"
    " (they took too much of it).",
    ("step",),
)
MATCH_HOLDS = Family(
    "lanner_match_holds_total",
    Kind.COUNTER,
    "Decisions of rules that waited for the metadata of a container because they depend on it, by"
    " the same steps as lanner_alert_holds_total; whether the rule matched is not told here.",
    ("step",),
)
CONTAINER_METADATA_MISSING = Family(
    "lanner_container_metadata_missing_total",
    Kind.COUNTER,
    "Containers whose image, name and pod no runtime could tell, by reason.",
    ("reason",),
)
CONTAINER_RUNTIME_UP = Family(
    "lanner_container_runtime_up",
    Kind.GAUGE,
    "1 while a container runtime's socket answers, else 0.",
    ("engine", "socket"),
)
SERIES_OVERFLOW = Family(
    "lanner_metric_series_overflow_total",
    Kind.COUNTER,
    'Increments that the ceiling of a family moved to the series labelled "other".',
    ("family",),
)
SERIES_EXPIRED = Family(
    "lanner_metric_series_expired_total",
    Kind.COUNTER,
    "Series dropped because their workload is gone or was silent for long.",
    ("family",),
)
SERIES = Family(
    "lanner_metric_series",
    Kind.GAUGE,
    "Series of a family with a ceiling now.",
    ("family",),
)
SERIES_LIMIT = Family(
    "lanner_metric_series_limit",
    Kind.GAUGE,
    "Ceiling of series of a family.",
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

FALCO_EXPORTER = "falco-exporter"
FALCOSIDEKICK = "falcosidekick"
FALCO = "falco"
PROGRAMS = (FALCO_EXPORTER, FALCOSIDEKICK, FALCO)
"""Programs whose names can be exported beside ours."""

_UNLINTED = " Untyped here: the name does not fit the kind."

FALCO_EVENTS = Family(
    "falco_events",
    Kind.UNTYPED,
    "Alerts as falco-exporter counts them; priority is 0 for Emergency to 7 for Debug." + _UNLINTED,
    ("rule", "priority", "hostname", "source", "k8s_ns_name", "k8s_pod_name", "tags"),
    unbounded=frozenset({"k8s_ns_name", "k8s_pod_name"}),
    max_series=_MAX_ALERT_SERIES,
    program=FALCO_EXPORTER,
)
SIDEKICK_EVENTS = Family(
    "falcosecurity_falcosidekick_falco_events_total",
    Kind.COUNTER,
    "Alerts as falcosidekick counts them; priority is 1 for Debug to 8 for Emergency. Static fields"
    " are further labels.",
    ("hostname", "rule", "priority", "priority_raw", "source", "k8s_ns_name", "k8s_pod_name"),
    unbounded=frozenset({"k8s_ns_name", "k8s_pod_name"}),
    max_series=_MAX_ALERT_SERIES,
    program=FALCOSIDEKICK,
)
SIDEKICK_INPUTS = Family(
    "falcosecurity_falcosidekick_inputs_total",
    Kind.COUNTER,
    "Alerts handed to the outputs (accepted) and lost before them (rejected).",
    ("source", "status"),
    program=FALCOSIDEKICK,
)
SIDEKICK_OUTPUTS = Family(
    "falcosecurity_falcosidekick_outputs_total",
    Kind.COUNTER,
    "Alerts delivered by an output (ok) and not delivered (error).",
    ("destination", "status"),
    program=FALCOSIDEKICK,
)


def _falco(
    name: str, kind: Kind, text: str, *labels: str, unit: str = "", is_total: bool = False
) -> Family:
    # A gauge may not be called total; such names go out untyped, so that the page stays valid.
    kind = Kind.UNTYPED if is_total else kind
    text += _UNLINTED if is_total else ""
    return Family(f"falcosecurity_{name}", kind, text, labels, unit, program=FALCO)


FALCO_MATCHES = _falco(
    "falco_rules_matches_total",
    Kind.COUNTER,
    "Alerts of a rule; priority is 0 for Emergency to 7 for Debug. Every tag of the rule is a label"
    ' tag_NAME="true".',
    "rule_name",
    "priority",
    "source",
)
FALCO_VERSION = _falco("falco_version_info", Kind.GAUGE, "Compatible version.", "version")
FALCO_RULES_FILES = _falco(
    "falco_sha256_rules_files_info", Kind.GAUGE, "Loaded rules files.", "file_name", "sha256"
)
FALCO_KERNEL = _falco("falco_kernel_release_info", Kind.GAUGE, "Kernel.", "kernel_release")
FALCO_HOSTNAME = _falco("evt_hostname_info", Kind.GAUGE, "Name of this host.", "hostname")
FALCO_ENGINE = _falco(
    "scap_engine_name_info", Kind.GAUGE, "Where events come from.", "engine_name", "evt_source"
)
FALCO_RELOAD_TIME = _falco(
    "falco_reload_timestamp_nanoseconds", Kind.GAUGE, "When the running rules were loaded."
)
FALCO_START_TIME = _falco(
    "falco_start_timestamp_nanoseconds", Kind.GAUGE, "When this process started."
)
FALCO_BOOT_TIME = _falco(
    "falco_host_boot_timestamp_nanoseconds", Kind.GAUGE, "When this machine started."
)
FALCO_DURATION = _falco("falco_duration_seconds_total", Kind.COUNTER, "Age of this process.")
FALCO_CPUS = _falco(
    "falco_host_num_cpus_total", Kind.GAUGE, "Processors of this machine.", is_total=True
)
FALCO_QUEUE_DROPS = _falco(
    "falco_outputs_queue_num_drops_total", Kind.COUNTER, "Alerts lost by the full alert queue."
)
FALCO_CPU_USAGE = _falco(
    "falco_cpu_usage_ratio", Kind.GAUGE, "Processor time of this process over its age."
)
FALCO_RSS = _falco("falco_memory_rss_bytes", Kind.GAUGE, "Resident memory.", unit="bytes")
FALCO_VSZ = _falco("falco_memory_vsz_bytes", Kind.GAUGE, "Virtual memory.", unit="bytes")
FALCO_EVENTS_SEEN = _falco(
    "scap_n_evts_total", Kind.COUNTER, "Events that the kernel probe submitted or had to drop."
)
FALCO_DROPS = _falco("scap_n_drops_total", Kind.COUNTER, "Events lost.")
FALCO_BUFFER_DROPS = _falco(
    "scap_n_drops_buffer_total",
    Kind.COUNTER,
    "Events lost because the ring was full, by group of event types.",
    "dir",
    "drop",
)
FALCO_THREADS = _falco("scap_n_threads_total", Kind.GAUGE, "Threads in the state.", is_total=True)

FAMILIES: tuple[Family, ...] = tuple(
    family for family in tuple(globals().values()) if isinstance(family, Family)
)
"""All families in the order of declaration, which is the order on the page."""
