"""The schema of lanner.yaml: every key with its type, default and meaning.

Keys of falco.yaml are accepted where they mean the same (source: spec/rule-language.md section 21,
spec/peers.md 1d); `foreign.py` says for the others what to write instead.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)

from exporter.config.containers import ContainersSection
from exporter.config.section import Section
from exporter.config.units import Duration, Size
from exporter.metrics.families import FAMILIES
from exporter.rules.priority import Priority


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_priority(value: Any) -> Any:
    if isinstance(value, Priority):
        return value
    try:
        return Priority.parse(str(value))
    except ValueError:
        names = ", ".join(priority.name.lower() for priority in Priority)
        raise ValueError(f"expected a priority: {names}") from None


def _as_url_path(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str) and value and not re.fullmatch(r"(/[\w.~-]+)+", value, re.ASCII):
        raise ValueError("expected a path such as /k8s-audit, or nothing")
    return value


class RuleChoice(Section):
    """Which rules a selection is about; rule and tag act independently."""

    rule: str | None = Field(default=None, description="Rule name; * matches any text.")
    tag: str | None = Field(default=None, description="Tag, exactly.")

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if not self.rule and not self.tag:
            raise ValueError("expected rule or tag, or both")
        return self


class Selection(Section):
    """One step of `rules`: switch rules on or off."""

    enable: RuleChoice | None = Field(default=None, description="Rules to enable.")
    disable: RuleChoice | None = Field(default=None, description="Rules to disable.")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.enable is None and self.disable is None:
            raise ValueError("expected enable or disable")
        return self


class AppendMatch(Section):
    """Which rules an `append_output` entry is for; everything given must hold."""

    source: str | None = Field(default=None, description="Event source.")
    rule: str | None = Field(default=None, description="Rule name, exactly.")
    tags: tuple[str, ...] = Field(default=(), description="Tags that must all be present.")


class AppendOutput(Section):
    """Text and fields added to the output of rules."""

    match: AppendMatch = Field(default=AppendMatch(), description="Which rules; all when empty.")
    extra_output: str | None = Field(
        default=None, description="Text added after the rule's output."
    )
    extra_fields: tuple[str | dict[str, str], ...] = Field(
        default=(), description="Fields added to output_fields: a field name, or key: template."
    )
    suggested_output: bool = Field(
        default=False, description="Add the container and pod fields that the catalogue suggests."
    )


class OutputsQueue(Section):
    """The queue between detection and the outputs."""

    capacity: int = Field(default=8192, ge=1, le=1_000_000, description="Alerts it holds at most.")


class StdoutSection(Section):
    """Alerts on standard output."""

    enabled: bool = Field(default=True, description="Write alerts to standard output.")
    queue_capacity: int = Field(
        default=8192, ge=1, le=1_000_000, description="Alerts waiting at most."
    )


class HttpSection(Section):
    """Metrics, health and reload over HTTP."""

    listen: str = Field(
        default=":9376", description="HOST:PORT to listen on; no host means all of IPv4."
    )
    web_config_file: str = Field(
        default="",
        description="Prometheus' web configuration: TLS, users, headers; as --web.config.file.",
    )
    bearer_token: SecretStr = Field(
        default=SecretStr(""), description="Token that authenticates; better in a file."
    )
    bearer_token_file: str = Field(
        default="", description="File with the token; read again when it changes."
    )
    public_paths: tuple[str, ...] = Field(
        default=("/healthz", "/readyz"),
        description="Paths that need no authentication; /-/reload always does.",
    )
    max_connections: int = Field(
        default=256, ge=1, le=10_000, description="Connections at a time; more are refused."
    )


class FamilySection(Section):
    """What is changed of one metric family."""

    labels: tuple[str, ...] | None = Field(
        default=None,
        description="Which of the family's optional labels it has; the default ones without it.",
    )
    max_series: int = Field(
        default=0, ge=0, le=1_000_000, description="Ceiling of series; 0: the family's own."
    )


class NamespacesSection(Section):
    """Which namespaces have series of their own; alerts of the others count as "other"."""

    allow: tuple[str, ...] = Field(
        default=(), description="Patterns such as team-*; all namespaces when empty."
    )
    deny: tuple[str, ...] = Field(default=(), description="Patterns; wins over allow.")


def _known_families(value: Any) -> Any:
    for name, section in value.items() if isinstance(value, dict) else ():
        family = _CONFIGURABLE.get(name)
        if family is None:
            raise ValueError(f"expected families among {', '.join(_CONFIGURABLE)}")
        labels = section.get("labels") if isinstance(section, dict) else None
        named = labels if isinstance(labels, list | tuple) else ()
        if any(isinstance(label, str) and label not in family.optional for label in named):
            choice = ", ".join(label for label in family.labels if label in family.optional)
            raise ValueError(f"expected labels of {name} among: {choice or 'none'}")
    return value


_CONFIGURABLE = {family.name: family for family in FAMILIES if family.optional or family.max_series}


class MetricsSection(Section):
    """What /metrics shows."""

    compat: tuple[Literal["falco-exporter", "falcosidekick", "falco"], ...] = Field(
        default=(), description="Programs under whose metric names Lanner's facts appear as well."
    )
    families: Annotated[dict[str, FamilySection], BeforeValidator(_known_families)] = Field(
        default={}, description="Changes of single families, by name."
    )
    namespaces: NamespacesSection = Field(
        default=NamespacesSection(), description="Which namespaces are shown."
    )
    gone_grace: Duration = Field(
        default=300.0, gt=0, description="How long series of a workload outlive it."
    )
    idle_expiry: Duration = Field(
        default=3600.0, gt=0, description="How long series of a workload stay when nothing happens."
    )
    created_timestamps: bool = Field(
        default=True, description="Tell in OpenMetrics when each counter began."
    )
    rule_sampling: int = Field(
        default=1009,
        ge=0,
        le=10_000_000,
        description="Time all rules on one in so many events; 0: never.",
    )


class GrpcSection(Section):
    """The alert stream over gRPC."""

    socket: str = Field(
        default="unix:///run/lanner/lanner.sock",
        description="Unix socket to listen on; empty for none.",
    )
    history: int = Field(
        default=1024, ge=0, le=100_000, description="Alerts kept for the get call."
    )
    subscriber_queue: int = Field(
        default=8192,
        ge=1,
        le=1_000_000,
        description="Alerts waiting for one slow subscriber at most.",
    )
    max_subscribers: int = Field(
        default=1024, ge=1, le=100_000, description="Clients that follow at a time."
    )
    listen: str = Field(
        default="",
        description="HOST:PORT for the stream over TCP, always with mutual TLS; empty for none.",
    )
    private_key: str = Field(
        default="/etc/lanner/certs/server.key", description="PEM file of our key for TCP."
    )
    cert_chain: str = Field(
        default="/etc/lanner/certs/server.crt", description="PEM file of our certificates."
    )
    root_certs: str = Field(
        default="/etc/lanner/certs/ca.crt",
        description="PEM file of the authorities whose clients may follow.",
    )


class ProbeSection(Section):
    """The kernel probe."""

    enabled: bool = Field(default=True, description="Watch this machine's kernel.")
    ring_size: Size = Field(
        default=8 * 2**20,
        ge=4096,
        le=2**31,
        description="Ring buffer; rounded up to a power of two.",
    )
    pushdown: bool = Field(
        default=True,
        description="Leave events that no loaded rule can match out in the kernel.",
    )
    scope_cgroup: str = Field(
        default="", description="Only this cgroup directory and those below it."
    )
    scope_pid: int = Field(
        default=0, ge=0, description="Only this process and its descendants; 0: all."
    )
    self_test: Duration = Field(
        default=10,
        ge=0,
        le=3600,
        description="How often the probe is tested with calls of Lanner's own; 0: never.",
    )


class FalcoLibsSection(Section):
    """What falco.yaml says of its library, as far as it means something here."""

    snaplen: int = Field(
        default=80,
        ge=0,
        le=4095,
        description="Bytes that events show of what is read, written, sent or received.",
    )


class DropSection(Section):
    """What is done when the kernel loses events; always counted in lanner_events_dropped_total."""

    threshold: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of one second's events that may be lost without a word.",
    )
    actions: Annotated[
        tuple[Literal["ignore", "log", "alert", "exit"], ...], BeforeValidator(_as_list)
    ] = Field(default=("log", "alert"), description="What is done then: ignore, log, alert, exit.")
    rate: float = Field(default=0.03333, gt=0, description="Notices a second in the long run.")
    max_burst: float = Field(default=1, ge=1, description="Notices at once after a quiet time.")
    simulate_drops: bool = Field(
        default=False, description="Act as if every event were lost: to try out receivers."
    )

    @model_validator(mode="after")
    def _ignoring_stands_alone(self) -> Self:
        if "ignore" in self.actions and len(set(self.actions)) > 1:
            raise ValueError("ignore cannot stand beside other actions")
        return self


class K8sAuditSection(Section):
    """Kubernetes audit events, from the API server's web hook or a log file."""

    enabled: bool = Field(default=False, description="Take Kubernetes audit events.")
    path: Annotated[str, BeforeValidator(_as_url_path)] = Field(
        default="/k8s-audit",
        description="Path of the web hook at http.listen; empty for none.",
    )
    token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token that clients of the web hook must send."
    )
    token_file: str = Field(
        default="", description="File with that token; it is read again when it changes."
    )
    follow: str = Field(
        default="", description="Audit log whose new lines are read; starts at its end."
    )
    max_batch_size: Size = Field(
        default=12 * 2**20, ge=1024, le=2**30, description="Largest request or line."
    )
    max_event_size: Size = Field(
        default=262_144, ge=1024, le=2**30, description="Largest event; larger ones are dropped."
    )
    queue_size: Size = Field(
        default=32 * 2**20, ge=2**16, le=2**34, description="Batches waiting at most."
    )


class Config(Section):
    """All of lanner.yaml."""

    rules_files: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        validation_alias=AliasChoices("rules_files", "rules_file"),
        description="Rules files and directories, in order; the word default stands for our own"
        " rules, which are what an empty list means.",
    )
    rules: tuple[Selection, ...] = Field(
        default=(), description="Rules to switch on and off, in order."
    )
    priority: Annotated[Priority, BeforeValidator(_as_priority)] = Field(
        default=Priority.DEBUG, description="Least severe priority that is loaded."
    )
    rule_matching: Literal["first", "all"] = Field(
        default="first", description="Whether an event stops at its first matching rule."
    )
    append_output: tuple[AppendOutput, ...] = Field(
        default=(AppendOutput(suggested_output=True),),
        description="Additions to the output of rules.",
    )
    static_fields: dict[str, str] = Field(default={}, description="Fields added to every alert.")
    json_output: bool = Field(default=False, description="JSON instead of text lines.")
    json_include_output_property: bool = Field(default=True, description="Key output.")
    json_include_message_property: bool = Field(default=False, description="Key message.")
    json_include_output_fields_property: bool = Field(
        default=True, description="Key output_fields."
    )
    json_include_tags_property: bool = Field(default=True, description="Key tags.")
    time_format_iso_8601: bool = Field(default=False, description="UTC time in text lines.")
    buffer_format_base64: bool = Field(default=False, description="Byte buffers as base64.")
    outputs_queue: OutputsQueue = Field(
        default=OutputsQueue(), description="From detection to outputs."
    )
    stdout_output: StdoutSection = Field(default=StdoutSection(), description="Standard output.")
    http: HttpSection = Field(default=HttpSection(), description="HTTP server.")
    grpc: GrpcSection = Field(default=GrpcSection(), description="gRPC server.")
    metrics: MetricsSection = Field(default=MetricsSection(), description="Metrics.")
    probe: ProbeSection = Field(default=ProbeSection(), description="Kernel probe.")
    falco_libs: FalcoLibsSection = Field(
        default=FalcoLibsSection(), description="Data of system calls."
    )
    syscall_event_drops: DropSection = Field(
        default=DropSection(), description="Events that the kernel lost."
    )
    k8s_audit: K8sAuditSection = Field(
        default=K8sAuditSection(), description="Kubernetes audit events."
    )
    containers: ContainersSection = Field(
        default=ContainersSection(), description="Container runtimes."
    )
    drop_privileges: bool = Field(
        default=True,
        description="Keep only the capabilities that watching needs: DAC_READ_SEARCH,"
        " NET_BIND_SERVICE, SYS_PTRACE, PERFMON and BPF. Programs that Lanner starts gain none,"
        " and sockets of rootless Podman cannot be asked.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe message of Lanner's own log, on standard error."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="Form of the log; auto: console on a terminal, else JSON."
    )
    shutdown_timeout: Duration = Field(
        default=5.0, gt=0, le=600, description="Time to deliver what waits when stopping."
    )
