"""Laws of the engine: which rules are tried on an event, and what happens when one fails."""

import gc
import linecache
import weakref

import pytest

from exporter.rules.engine import Engine
from exporter.rules.ruleset import Rule, Ruleset
from tests.factories import find_type, make_event
from tests.rules.test_compiler import make_rule, make_ruleset

OPENAT = frozenset({find_type("openat").code})


def names(found):
    """Names of the rules found."""
    return [rule.name for rule in found]


def disabled(rule: Rule) -> Rule:
    """The rule, switched off."""
    values = {name: getattr(rule, name) for name in Rule.__dataclass_fields__}
    return Rule(**{**values, "is_enabled": False})


def test_the_first_rule_in_definition_order_wins():
    """Without match_all one rule is given, the earliest that matches."""
    engine = Engine(make_ruleset("proc.name = dog", "proc.name = cat", "proc.name exists"))

    assert names(engine.match(make_event("openat"))) == ["rule 1"]


def test_all_matching_rules_are_given_in_order():
    """With match_all every rule that matches is given."""
    rules = make_ruleset("proc.name = cat", "proc.name = dog", "proc.name exists", match_all=True)

    assert names(Engine(rules).match(make_event("openat"))) == ["rule 0", "rule 2"]


def test_no_rules_match_nothing():
    """An empty engine is a valid engine."""
    assert Engine(Ruleset()).match(make_event("openat")) == ()


def test_rules_are_tried_on_their_event_types_only():
    """A rule whose event types leave out an event never matches it."""
    engine = Engine(make_ruleset("proc.name = cat", codes=OPENAT))

    assert names(engine.match(make_event("openat"))) == ["rule 0"]
    assert names(engine.match(make_event("kill"))) == []
    assert engine.interesting_codes == OPENAT


def test_disabled_rules_are_not_tried():
    """A rule that is switched off does not match."""
    engine = Engine(Ruleset((disabled(make_rule(0, "proc.name = cat")),)))

    assert names(engine.match(make_event("openat"))) == []


def test_sources_do_not_mix():
    """Audit rules see audit events, system call rules see system calls."""
    rules = (
        make_rule(0, "evt.source exists"),
        make_rule(1, "ka.verb = get", source="k8s_audit"),
    )
    engine = Engine(Ruleset(rules))
    data = b'{"auditID":"1","verb":"get"}'
    audit = make_event("PPME_PLUGINEVENT_E", source="k8s_audit", params={"event_data": data})
    plugin = make_event("PPME_PLUGINEVENT_E", params={"event_data": data})

    assert names(engine.match(audit)) == ["rule 1"]
    assert names(engine.match(plugin)) == ["rule 0"]
    assert names(engine.match(make_event("openat"))) == ["rule 0"]


def test_a_failing_rule_is_counted_and_the_rest_goes_on():
    """A rule that raises does not match; rules before and after it still do."""
    bad = "fd.ip intersects (1.1.1.1) and proc.name = cat"
    rules = make_ruleset("proc.name = cat", bad, "proc.exe = cat", match_all=True)
    engine = Engine(rules)
    event = make_event("connect", fd=_socket())

    assert names(engine.match(event)) == ["rule 0", "rule 2"]
    assert names(engine.match(event)) == ["rule 0", "rule 2"]
    assert engine.rule_errors == {"rule 1": 2}


def _socket():
    from exporter.events.fd import Fd, FdType

    return Fd(type=FdType.IPV4, sip=b"\1\1\1\1", dip=b"\2\2\2\2")


@pytest.mark.parametrize("condition", ["evt.deltatime >= 0", "util.cnt > 1"])
def test_counting_fields_keep_their_memory_between_events(condition):
    """Fields with a memory work through the engine like any other."""
    engine = Engine(make_ruleset(condition))
    event = make_event("kill")

    results = [bool(engine.match(event)) for _ in range(3)]

    assert results[-1]


def test_a_replaced_engine_is_freed():
    """Nothing keeps the functions of an engine that a reload has replaced."""
    gc.collect()
    before = len(linecache.cache)
    engine = Engine(make_ruleset("proc.name = cat"))
    ref = weakref.ref(engine)
    assert before < len(linecache.cache)
    del engine
    gc.collect()

    assert ref() is None
    assert before == len(linecache.cache)
