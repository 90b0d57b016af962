"""Label values of alerts, in our words and in those of other programs.

Takes what is counted (an alert, or a rule before its first), gives the values in the order of a
family's labels. Sources of the foreign forms: spec/peers.md 1b, 2, 3c. Mind that falco-exporter
and Falco count priorities from 0 for Emergency, falcosidekick down from 8.
"""

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from exporter.metrics import families
from exporter.metrics.families import Family
from exporter.rules.priority import Priority

_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")


class Subject(Struct, frozen=True, kw_only=True, gc=False):
    """What an alert is counted under."""

    rule: str
    priority: Priority
    source: str
    tags: tuple[str, ...]
    hostname: str
    k8s_ns_name: str = ""
    k8s_pod_name: str = ""
    container: str = ""


Reader = Callable[[Subject], str]

_OWN: dict[str, Reader] = {
    "rule": lambda s: s.rule,
    "priority": lambda s: str(s.priority),
    "source": lambda s: s.source,
    "hostname": lambda s: s.hostname,
    "k8s_ns_name": lambda s: s.k8s_ns_name,
    "k8s_pod_name": lambda s: s.k8s_pod_name,
    "container": lambda s: s.container,
}
_FOREIGN: dict[str, dict[str, Reader]] = {
    families.FALCO_EXPORTER: {
        "priority": lambda s: str(int(s.priority)),
        "tags": lambda s: joined_tags(s.tags),
    },
    families.FALCOSIDEKICK: {
        "priority": lambda s: str(8 - int(s.priority)),
        "priority_raw": lambda s: str(s.priority).lower(),
    },
}


def label_readers(family: Family, constants: Mapping[str, str]) -> tuple[Reader, ...]:
    """One function a label of the family; `constants` are labels that do not depend on alerts."""
    readers = _OWN | _FOREIGN.get(family.program, {})
    readers |= {name: _constant(value) for name, value in constants.items()}
    return tuple(readers[name] for name in family.labels)


def _constant(value: str) -> Reader:
    return lambda _subject: value


def joined_tags(tags: tuple[str, ...]) -> str:
    """`,a,b,`: commas all around, so that a pattern can name one whole tag."""
    return f",{','.join(tags)}," if tags else ""


def label_name(text: str) -> str:
    """The text as a label name: what no label may contain becomes `_`."""
    name = _NO_LABEL.sub("_", text)
    return f"_{name}" if not name or name[0].isdecimal() else name


def matches_labels(rule: Subject) -> tuple[tuple[str, str], ...]:
    """Labels of a rule in falcosecurity_falco_rules_matches_total: one a tag, besides three."""
    fixed = (
        ("rule_name", rule.rule),
        ("priority", str(int(rule.priority))),
        ("source", rule.source),
    )
    tags = dict.fromkeys(label_name(f"tag_{tag}") for tag in rule.tags)
    return fixed + tuple((name, "true") for name in tags)
