"""What the user may say about loading rules: versions, selection, priority, extra output.

Source: rule-language.md sections 11, 17, 18.2 and 21.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.rules.priority import Priority
from exporter.rules.ruleset import ExtraField
from exporter.rules.selection import Selection

ENGINE_VERSION = "0.63.0"
"""Version of the rules engine whose files we take."""

PLUGINS: Mapping[str, str] = {"container": "0.7.1", "k8saudit": "0.17.0", "json": "0.7.4"}
"""Plugins whose fields are built in, with the version we are like."""

SOURCES = ("syscall", "k8s_audit")
"""Event sources that rules may name."""


@dataclass(frozen=True, slots=True)
class AppendOutput:
    """One `append_output:` entry; source and rule "" match every rule, tags must all be there."""

    source: str = ""
    rule: str = ""
    tags: frozenset[str] = frozenset()
    extra_output: str = ""
    extra_fields: tuple[ExtraField, ...] = ()
    suggested_output: bool = False

    def matches(self, rule: str, source: str, tags: Collection[str]) -> bool:
        """Whether this entry is about the rule."""
        return self.source in {"", source} and self.rule in {"", rule} and self.tags.issubset(tags)


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """Everything that is not in the rules files.

    plugins: name -> version of what counts as loaded. priority: rules less severe are left out.
    selections: applied in order after `enabled:` of the files. match_all: `rule_matching: all`.
    """

    engine_version: str = ENGINE_VERSION
    plugins: Mapping[str, str] = field(default_factory=lambda: dict(PLUGINS))
    sources: Collection[str] = SOURCES
    priority: Priority = Priority.DEBUG
    selections: Sequence[Selection] = ()
    match_all: bool = False
    append_output: Sequence[AppendOutput] = (AppendOutput(suggested_output=True),)
