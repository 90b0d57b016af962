"""Makes alerts of matches, on the hot thread.

Takes a `Rule` that matched and the `Event` while its state is current, gives an `Alert` that needs
neither any more. The formats of all rules are compiled when the rules are loaded.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Protocol

from msgspec import Struct, structs

from exporter.alerts.alert import Alert, FieldValue
from exporter.alerts.timestamps import clock_time, iso_time
from exporter.events.event import Event
from exporter.rules.ruleset import Rule


class Format(Protocol):
    """A compiled output template, as the rules room makes it."""

    def render(self, event: Event) -> str | None:
        """The text; None when a value is missing and the template does not allow that."""

    def fields(self, event: Event) -> dict[str, FieldValue]:
        """Field text -> typed value of every field the template names."""

    def render_with_fields(self, event: Event) -> tuple[str | None, dict[str, FieldValue]]:
        """Both, for the price of reading each field once."""

    def settled(self, event: Event) -> "Format":
        """The template with everything read that the event and its state tell by now."""

    @property
    def held_bytes(self) -> int:
        """Rough size of what a settled template keeps."""


class Draft(Struct, frozen=True):
    """An alert that waits for its container's metadata.

    finish: running number -> the finished alert. size_bytes: rough size of what it keeps.
    """

    finish: Callable[[int], Alert]
    size_bytes: int = 0


_DRAFT_BYTES = 1000
"""Of a draft without the values that it keeps."""


def kept_event(event: Event) -> Event:
    """A copy that nobody changes, of what says which container an event comes from.

    Without the parameters: what they tell has been read when an alert waits.
    """
    return structs.replace(event, thread=copy(event.thread), raw=())


CompileFormat = Callable[[str, str], Format]
"""Template and source -> its compiled form. Raises RuleError."""


class AlertOptions(Struct, frozen=True, kw_only=True):
    """Settings of all alerts. hostname: shown as the alert's host."""

    hostname: str
    is_iso_time: bool = False
    static_fields: tuple[tuple[str, str], ...] = ()


class RuleFormats(Struct, frozen=True):
    """Compiled templates of one rule; `extra` are key -> template pairs of append_output.

    plain: a template of all extra fields that are shown by their typed values, if there are any.
    tags: in alphabetical order, each once.
    """

    output: Format
    plain: Format | None
    extra: tuple[tuple[str, Format], ...]
    tags: tuple[str, ...]


def compile_formats(rule: Rule, compile_format: CompileFormat) -> RuleFormats:
    """All templates of a rule; the `*` makes missing values print instead of suppressing."""
    plain = [field.key for field in rule.extra_fields if field.template is None]
    return RuleFormats(
        output=compile_format(f"*{rule.output}", rule.source),
        plain=compile_format("*" + " ".join(f"%{key}" for key in plain), rule.source)
        if plain
        else None,
        extra=tuple(
            (field.key, compile_format(f"*{field.template}", rule.source))
            for field in rule.extra_fields
            if field.template is not None
        ),
        tags=tuple(sorted(set(rule.tags))),
    )


def _pod_of_syscall(found: Mapping[str, FieldValue]) -> tuple[str, str]:
    return found.get("k8s.ns.name") or "", found.get("k8s.pod.name") or ""


def _pod_of_audit(found: Mapping[str, FieldValue]) -> tuple[str, str]:
    """The object acted upon: its namespace, and its name if it is a pod."""
    pod = ""
    if found.get("ka.target.resource") == "pods":
        # A pod whose name is generated is only named in the answer.
        pod = found.get("ka.target.name") or found.get("ka.target.pod.name") or ""
    return found.get("ka.target.namespace") or "", pod


_WORKLOADS: Mapping[str, tuple[str, Callable[[Mapping[str, FieldValue]], tuple[str, str]]]] = {
    "syscall": ("%k8s.ns.name %k8s.pod.name", _pod_of_syscall),
    "k8s_audit": (
        "%ka.target.namespace %ka.target.name %ka.target.resource %ka.target.pod.name",
        _pod_of_audit,
    ),
}
"""Event source -> template of the fields that name the workload, and how they name it."""


class AlertMaker:
    """Makes the alerts of one ruleset."""

    def __init__(
        self, rules: Sequence[Rule], compile_format: CompileFormat, options: AlertOptions
    ) -> None:
        self._options = options
        self._formats = {rule.index: compile_formats(rule, compile_format) for rule in rules}
        self._time_key = "evt.time.iso8601" if options.is_iso_time else "evt.time"
        self._time_text = iso_time if options.is_iso_time else clock_time
        # One tiny format a source gives the namespace and pod wherever a rule does not print them.
        self._pods = {
            source: compile_format(f"*{template}", source)
            for source, (template, _) in _WORKLOADS.items()
            if any(rule.source == source for rule in rules)
        }

    def make(self, rule: Rule, event: Event, seq: int) -> Alert:
        """The alert of this match; reads the event and its state, keeps neither."""
        return self._alert(rule, event, self._formats[rule.index], seq)

    def draft(self, rule: Rule, event: Event, kept: Event) -> Draft:
        """An alert to be finished later: only what the container's runtime tells is left open.

        kept: the copy of the event by `kept_event`.
        """
        formats = self._formats[rule.index]
        settled = structs.replace(
            formats,
            output=formats.output.settled(event),
            plain=None if formats.plain is None else formats.plain.settled(event),
            extra=tuple((key, extra.settled(event)) for key, extra in formats.extra),
        )
        parts = [settled.output, settled.plain, *(extra for _, extra in settled.extra)]
        size = _DRAFT_BYTES + sum(part.held_bytes for part in parts if part is not None)
        return Draft(partial(self._alert, rule, kept, settled), size)

    def _alert(self, rule: Rule, event: Event, formats: RuleFormats, seq: int) -> Alert:
        text, fields = formats.output.render_with_fields(event)
        message = text or ""
        if formats.plain is not None:
            fields.update(formats.plain.fields(event))
        for key, extra in formats.extra:
            fields[key] = extra.render(event)
        fields.update(self._options.static_fields)
        fields[self._time_key] = event.ts_ns
        thread = event.thread
        container = thread.container_id.decode("utf-8", "replace") if thread is not None else ""
        namespace = pod = ""
        names = self._pods.get(event.source)
        if names is not None and (container or event.source != "syscall"):
            namespace, pod = _WORKLOADS[event.source][1](names.fields(event))
        return Alert(
            seq=seq,
            time_ns=event.ts_ns,
            made_ns=time.time_ns(),
            latency_ns=time.monotonic_ns() - event.kernel_ts_ns if event.kernel_ts_ns else -1,
            event_num=event.num,
            rule=rule.name,
            priority=rule.priority,
            source=rule.source,
            message=message,
            output=f"{self._time_text(event.ts_ns)}: {rule.priority} {message}",
            output_fields=dict(sorted(fields.items())),
            hostname=self._options.hostname,
            tags=formats.tags,
            k8s_ns_name=namespace,
            k8s_pod_name=pod,
            container=container,
        )


def own_hostname() -> str:
    """Name of this host for alerts: LANNER_HOSTNAME, FALCO_HOSTNAME, else the kernel's."""
    return (
        os.environ.get("LANNER_HOSTNAME")
        or os.environ.get("FALCO_HOSTNAME")
        or socket.gethostname()
    )
