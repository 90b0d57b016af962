"""What rules cost: on sampled events, every rule is evaluated once more, alone and under a clock.

Runs on the hot thread, once in so many events; all rules together take about as long as some tens
of ordinary events, so the default interval costs some per cent of the time of matching.
"""

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter_ns

from exporter.events.event import Event
from exporter.metrics import families
from exporter.metrics.registry import Registry
from exporter.rules.ruleset import Rule

_NS_A_SECOND = 1e9


class RuleCosts:
    """The family of costs. interval: one in so many events is to be sampled; 0: none."""

    def __init__(self, registry: Registry, interval: int) -> None:
        self.interval = interval
        self._summary = registry.summary(families.RULE_EVALUATION)
        registry.gauge(families.RULE_SAMPLING).labels().value = interval
        self._clock_ns = min(-perf_counter_ns() + perf_counter_ns() for _ in range(101))

    def keep_only(self, rules: Iterable[Rule]) -> None:
        """The rules that run from now on; all are there at 0."""
        names = {rule.name for rule in rules}
        for name in names:
            self._summary.labels(name)
        self._summary.forget_except(lambda values: values[0] in names)

    def sample(self, checks: Sequence[tuple[Rule, Callable[[Event], bool]]], event: Event) -> None:
        """Time each check on the event. One that raises is the engine's to count, not ours."""
        for rule, check in checks:
            start = perf_counter_ns()
            try:
                check(event)
            except Exception:  # noqa: BLE001, S112
                continue
            took = perf_counter_ns() - start - self._clock_ns
            self._summary.labels(rule.name).observe(max(took, 0) / _NS_A_SECOND)
