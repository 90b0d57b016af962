"""The cost of rules: sampled as often as told, for every rule alone."""

from exporter.alerts.alert import Alert
from exporter.app.pipeline import ActiveRules, Pipeline
from exporter.app.rule_costs import RuleCosts
from exporter.metrics import families
from exporter.metrics.registry import Registry
from exporter.rules.engine import Engine
from exporter.rules.loader import RuleOptions, RulesSource, load_rules
from exporter.rules.ruleset import Ruleset
from tests.app.conftest import FakeSource, FakeState, make_rule
from tests.factories import make_event

RULES = b"""
- rule: opens
  desc: x
  condition: evt.type=openat and fd.name=/etc/shadow
  output: x
  priority: WARNING
- rule: opens or closes
  desc: x
  condition: evt.type in (openat, close) and proc.name=none
  output: x
  priority: WARNING
- rule: connects
  desc: x
  condition: evt.type=connect
  output: x
  priority: WARNING
"""


class NoQueue:
    """Takes nothing."""

    def count(self, _alert) -> None:
        """Nothing to count."""

    def housekeep(self, _now) -> None:
        """Nothing to expire."""

    def put(self, _alert) -> bool:
        """Nothing to take."""
        return True


def no_alert(*_args: object) -> Alert:
    """No rule of these tests matches."""
    raise AssertionError


def counts(registry: Registry) -> dict[str, int]:
    """Rule -> timed evaluations, by the page."""
    start = f'{families.RULE_EVALUATION.name}_count{{rule="'
    lines = registry.page().body.decode().splitlines()
    return {
        line.removeprefix(start).split('"')[0]: int(float(line.rsplit(" ", 1)[1]))
        for line in lines
        if line.startswith(start)
    }


def run_events(interval: int, events: int) -> Registry:
    """So many openat through a pipeline with the three rules."""
    registry = Registry()
    engine = Engine(load_rules([RulesSource("a.yaml", RULES)], RuleOptions()).ruleset)
    costs = RuleCosts(registry, interval)
    costs.keep_only(engine.ruleset.rules)
    pipeline = Pipeline(
        source=FakeSource(),
        state=FakeState(),
        rules=ActiveRules(
            ruleset=engine.ruleset, match=engine.match, make=no_alert, checks=engine.checks
        ),
        counters=NoQueue(),
        queue=NoQueue(),
        on_end=lambda _error: None,
        costs=costs,
    )
    for number in range(events):
        pipeline.handle(make_event("openat", num=number))
    return registry


def test_one_in_so_many_events_is_sampled() -> None:
    """Rules that could match the event are timed; the others are there at 0.

    One function is compiled a sample, so the second rule misses the first sample.
    """
    assert counts(run_events(interval=7, events=7 * 11)) == {
        "opens": 11,
        "opens or closes": 10,
        "connects": 0,
    }


def test_nothing_is_sampled_unless_asked_for() -> None:
    """Interval 0 leaves all at 0."""
    assert set(counts(run_events(interval=0, events=101)).values()) == {0}


def test_a_check_that_raises_is_left_to_the_engine() -> None:
    """The sample passes over it; a rule that left is forgotten."""
    registry = Registry()
    costs = RuleCosts(registry, 1)
    good, bad = make_rule("good"), make_rule("bad")
    costs.keep_only([good, bad, make_rule("old")])
    costs.keep_only(Ruleset(rules=[good, bad]).rules)
    costs.sample(
        [(bad, lambda _event: 1 / 0 > 1), (good, lambda _event: True)], make_event("openat")
    )

    assert counts(registry) == {"good": 1, "bad": 0}
