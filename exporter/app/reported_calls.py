"""Which system calls the probe must report for a ruleset; the others cost nothing.

Takes a ruleset, gives names of calls. A call is needed when a rule can match its event; calls
without an event of their own share one, so they are told apart by number.
"""

from functools import cache

from exporter.events.table import event_type, load_event_table, load_syscall_table
from exporter.rules.event_index import has_too_many_types, syscalls_of
from exporter.rules.ruleset import Rule, Ruleset
from exporter.sources.probe.syscalls import CALLS, PROCEXIT, Step


@cache
def _codes() -> dict[str, int]:
    """Call -> code of its event."""
    return {name: event_type(call.event).code for name, call in CALLS.items()}


def calls_for(ruleset: Ruleset) -> frozenset[str]:
    """Calls whose events the enabled rules can match."""
    rules = _live_rules(ruleset)
    codes = {code for rule in rules for code in rule.event_types}
    numbers = syscalls_of(rule.ast for rule in rules)
    named = {call.name for call in load_syscall_table().syscalls if call.sc in numbers}
    return frozenset(
        name
        for name, code in _codes().items()
        if (name in named if CALLS[name].step == Step.NUMBER else code in codes)
    )


def unreportable(ruleset: Ruleset) -> dict[str, list[str]]:
    """Events that rules wait for in vain while the probe is the source -> names of those rules.

    Rules that match almost any event are left out: they do not wait for one.
    """
    reportable = {event_type(call.event).name for call in CALLS.values()}
    reportable.add(event_type(PROCEXIT).name)
    missing = {
        event.code: event.name
        for event in load_event_table().events
        if event.sc and event.name not in reportable and "EF_UNUSED" not in event.flags
    }
    found: dict[str, list[str]] = {}
    for rule in _live_rules(ruleset):
        if not has_too_many_types(rule.event_types):
            for name in sorted({missing[code] for code in rule.event_types & missing.keys()}):
                found.setdefault(name, []).append(rule.name)
    return found


def _live_rules(ruleset: Ruleset) -> list[Rule]:
    return [rule for rule in ruleset.rules if rule.is_enabled and rule.source == "syscall"]
