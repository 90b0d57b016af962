"""Which costly facts the fields of a ruleset read, so that a replay keeps up only those.

Judged by the texts: a field whose name stands anywhere in a condition or an output counts as read.
"""

from collections.abc import Iterable
from functools import cache

from exporter.events.facts import Fact
from exporter.rules.fields.catalogue import fields_of
from exporter.rules.printer import print_condition
from exporter.rules.ruleset import Rule


@cache
def fields_with_facts() -> dict[str, frozenset[Fact]]:
    """Field name -> the facts it reads, for fields that read any."""
    return {name: field.facts for name, field in fields_of("syscall").items() if field.facts}


def facts_in(texts: Iterable[str]) -> frozenset[Fact]:
    """The facts that fields named in conditions or output formats read."""
    found: set[Fact] = set()
    fields = fields_with_facts()
    for text in texts:
        for name, facts in fields.items():
            if name in text:
                found |= facts
    return frozenset(found)


def facts_of(rules: Iterable[Rule]) -> frozenset[Fact]:
    """The facts that these rules read, in their conditions or outputs."""
    return facts_in(text for rule in rules for text in _texts(rule))


def _texts(rule: Rule) -> Iterable[str]:
    yield print_condition(rule.ast)
    yield rule.output
    for extra in rule.extra_fields:
        yield extra.key
        yield extra.template or ""
