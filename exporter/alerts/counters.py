"""Counts alerts where they are made, so that one that is lost later still counts.

Takes alerts on the hot thread, adds to the alert families of the metrics room, under our names and
those of other programs that the configuration asks for. Series of workloads are bounded in number
(`ScalarFamily`) and in time: they go when their workload is gone, or silent for long.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from typing import Generic, TypeVar

from msgspec import Struct

from exporter.alerts.alert import Alert
from exporter.alerts.forms import INTERNAL_SOURCE
from exporter.alerts.labels import Subject, label_name, label_readers, matches_labels
from exporter.metrics import families
from exporter.metrics.families import OVERFLOW_VALUE, WORKLOAD_LABELS, Family
from exporter.metrics.instruments import LabelValues, PairsReading, ScalarFamily
from exporter.metrics.registry import Registry
from exporter.metrics.series import Child, Exemplar, Series
from exporter.rules.ruleset import Rule

_NS_A_SECOND = 1e9
_SWEEP_SECONDS = 15.0
_MAX_PODS = 4096
"""Containers whose pods are remembered until they end, and those that ended of late."""

Workload = tuple[str, str, str]
"""Namespace, pod and container; an empty container stands for the whole pod."""


class CounterOptions(Struct, frozen=True, kw_only=True):
    """Settings of the alert families.

    programs: whose names to export beside ours. static_fields: labels as falcosidekick adds them.
    allow, deny: patterns of namespaces; alerts of the others are counted with their workload as
    "other". gone_seconds: how long series outlive their workload. idle_seconds: how long they stay
    when nothing happens to them.
    """

    hostname: str = ""
    programs: frozenset[str] = frozenset()
    static_fields: Mapping[str, str] = {}
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    gone_seconds: float = 300.0
    idle_seconds: float = 3600.0


class AlertCounters:
    """Alerts by rule and workload, time of the newest, detection latency.

    `count`, `housekeep` and `forget_container` belong to the one writing thread, the hot one; the
    other methods may be called from any thread.
    """

    def __init__(self, registry: Registry, options: CounterOptions | None = None) -> None:
        self._options = options = options or CounterOptions()
        self._allow = _patterns(options.allow)
        self._deny = _patterns(options.deny)
        self._now = 0.0
        self._next_sweep = 0.0
        self._newly_gone: deque[Workload] = deque()
        self._gone: dict[Workload, float] = {}
        self._pods: dict[str, tuple[str, str]] = {}
        self._ended: dict[str, None] = {}
        self._kept: list[Subject] | None = None
        self._rules: dict[tuple[str, str, str], Subject] = {}
        self._expired = registry.counter(families.SERIES_EXPIRED)
        by_rule = registry.counter(families.RULE_ALERTS)
        self._last = _Counted(registry.gauge(families.LAST_ALERT))
        latency = registry.histogram(families.DETECTION_LATENCY)
        self._latency = _Labelled(latency.family, latency.labels, {})
        self._counted = [_Counted(by_rule), _Counted(registry.counter(families.ALERTS))]
        if families.FALCO_EXPORTER in options.programs:
            self._counted.append(_Counted(registry.untyped(families.FALCO_EVENTS)))
        if families.FALCOSIDEKICK in options.programs:
            extra = {label_name(key): value for key, value in options.static_fields.items()}
            family = families.SIDEKICK_EVENTS.widened(tuple(extra))
            self._counted.append(_Counted(registry.counter(family), extra))
        if families.FALCO in options.programs:
            registry.read_pairs(families.FALCO_MATCHES, lambda: self._falco_matches(by_rule))
        self._scalars = [self._last, *self._counted]
        for labelled in self._scalars:
            if labelled.is_by_workload:
                self._expired.labels(labelled.name)

    def begin(self, rules: Iterable[Rule]) -> None:
        """Give every rule its series at 0, so that rate() sees the first alert."""
        for rule in rules:
            subject = self._subject_of(rule)
            self._rules[subject.rule, str(subject.priority), subject.source] = subject
            for labelled in self._counted:
                labelled.child(subject)
            self._latency.child(subject)

    def keep_only(self, rules: Iterable[Rule]) -> None:
        """Drop the series of rules that are not among these; done by the next housekeeping."""
        self._kept = [self._subject_of(rule) for rule in rules]
        self._next_sweep = 0.0

    def forget_workload(self, namespace: str, pod: str, container: str = "") -> None:
        """A container is gone, or without its name the whole pod: its series end after a while."""
        self._newly_gone.append((namespace, pod, container))

    def forget_container(self, container: str) -> None:
        """A container has ended; with the last one of a pod that had alerts, the pod. Hot thread.

        A pod that goes on with a new container keeps its series as long as alerts come.
        """
        self._ended[container] = None
        if len(self._ended) > _MAX_PODS:
            del self._ended[next(iter(self._ended))]
        pod = self._pods.pop(container, None)
        if pod is None:
            return
        is_last = bool(pod[1]) and pod not in self._pods.values()
        self.forget_workload(*pod, "" if is_last else container)

    def count(self, alert: Alert) -> None:
        """Count one alert."""
        workload = (alert.k8s_ns_name, alert.k8s_pod_name, alert.container)
        if self._is_hidden(alert.k8s_ns_name):
            workload = (OVERFLOW_VALUE, OVERFLOW_VALUE, OVERFLOW_VALUE)
        elif alert.container:
            self._remember_pod(alert)
            if alert.container in self._ended:
                # The alert waited for metadata, and the container was gone before they came.
                self.forget_container(alert.container)
        subject = Subject(
            rule=alert.rule,
            priority=alert.priority,
            source=alert.source,
            tags=alert.tags,
            hostname=alert.hostname,
            k8s_ns_name=workload[0],
            k8s_pod_name=workload[1],
            container=workload[2],
        )
        ids = (("alert_seq", str(alert.seq)), ("event_num", str(alert.event_num)))
        exemplar = Exemplar(ids, 1.0, alert.made_ns / _NS_A_SECOND)
        for labelled in self._counted:
            child = labelled.child(subject)
            child.value += 1
            child.touched = self._now
            child.exemplar = exemplar
        last = self._last.child(subject)
        last.value = alert.time_ns / _NS_A_SECOND
        last.touched = self._now
        if alert.latency_ns >= 0:
            self._latency.child(subject).observe(alert.latency_ns / _NS_A_SECOND, ids)

    def housekeep(self, now: float) -> None:
        """Let series expire; cheap when called often. now: monotonic seconds."""
        self._now = now
        if now < self._next_sweep:
            return
        self._next_sweep = now + min(_SWEEP_SECONDS, self._options.gone_seconds / 2)
        options = self._options
        while self._newly_gone:
            self._gone[self._newly_gone.popleft()] = now + options.gone_seconds
        kept, self._kept = self._kept, None
        for labelled in self._scalars:
            if kept is not None:
                labelled.keep_only(kept)
            if labelled.is_by_workload:
                over = labelled.expire(self._gone, now, options)
                self._expired.labels(labelled.name).value += over
        if kept is not None:
            self._rules = {(s.rule, str(s.priority), s.source): s for s in kept}
        # Kept for as long again: an alert on its way when the workload ended may still come.
        self._gone = {
            key: end for key, end in self._gone.items() if now < end + options.gone_seconds
        }

    def _remember_pod(self, alert: Alert) -> None:
        pods = self._pods
        pods[alert.container] = (alert.k8s_ns_name, alert.k8s_pod_name)
        if len(pods) > _MAX_PODS:
            # Its end was missed, or it is silent: its series expire by that.
            del pods[next(iter(pods))]

    def _subject_of(self, rule: Rule) -> Subject:
        return Subject(
            rule=rule.name,
            priority=rule.priority,
            source=rule.source,
            tags=tuple(sorted(set(rule.tags))),
            hostname=self._options.hostname,
        )

    def _is_hidden(self, namespace: str) -> bool:
        if not namespace:
            return False
        is_allowed = self._allow is None or self._allow.match(namespace) is not None
        return not is_allowed or (self._deny is not None and bool(self._deny.match(namespace)))

    def _falco_matches(self, by_rule: ScalarFamily) -> PairsReading:
        rules = self._rules
        return {
            matches_labels(rules[key]): count
            for key, count in by_rule.reading().items()
            if key in rules
        }


_Child = TypeVar("_Child", bound=Child)


class _Labelled(Generic[_Child]):
    """An instrument with the functions that give an alert's label values."""

    def __init__(
        self, family: Family, labels: Callable[..., _Child], constants: Mapping[str, str]
    ) -> None:
        self._labels = labels
        self._readers = label_readers(family, constants)

    def child(self, subject: Subject) -> _Child:
        """The child that counts this subject."""
        return self._labels(*[read(subject) for read in self._readers])


class _Counted(_Labelled[Series]):
    """A counter or gauge of alerts, whose series come and go with rules and workloads."""

    def __init__(
        self, instrument: ScalarFamily, constants: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(instrument.family, instrument.labels, constants or {})
        self._scalar = instrument
        self.name = instrument.family.name
        labels = instrument.family.labels
        self._rule_places = [labels.index(name) for name in ("rule", "priority", "source")]
        self._workload_places = [
            labels.index(name) if name in labels else -1 for name in WORKLOAD_LABELS
        ]
        self.is_by_workload = max(self._workload_places) >= 0

    def keep_only(self, rules: Sequence[Subject]) -> None:
        """Drop the series of other rules; what Lanner says of itself is no rule and stays."""
        places = self._rule_places
        kept = {tuple(self._readers[place](rule) for place in places) for rule in rules}
        self._scalar.forget_except(
            lambda values: (
                values[places[2]] == INTERNAL_SOURCE
                or tuple([values[place] for place in places]) in kept
            )
        )

    def expire(self, gone: Mapping[Workload, float], now: float, options: CounterOptions) -> int:
        """Drop the series of workloads that are gone or silent for long; how many."""
        ns_place, pod_place, container_place = self._workload_places

        def is_over(values: LabelValues, child: Series) -> bool:
            """Whether nobody will miss the series."""
            namespace = values[ns_place] if ns_place >= 0 else ""
            pod = values[pod_place] if pod_place >= 0 else ""
            container = values[container_place] if container_place >= 0 else ""
            if OVERFLOW_VALUE in (namespace, pod, container) or not (namespace or pod or container):
                return False
            idle = now - child.touched
            if idle >= options.idle_seconds:
                return True
            if idle < options.gone_seconds:
                return False
            end = gone.get((namespace, pod, "")) if pod else None
            if end is None and container:
                end = gone.get((namespace, pod, container))
            return end is not None and now >= end

        return self._scalar.forget_where(is_over)


def _patterns(globs: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(translate, globs))) if globs else None
