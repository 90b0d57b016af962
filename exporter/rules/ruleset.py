"""Ruleset: what the loader gives and the compiler, engine, metrics and tools read. Plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from exporter.rules.ast import Node
from exporter.rules.priority import Priority


@dataclass(frozen=True, slots=True)
class ExtraField:
    """One `append_output.extra_fields` entry: a plain field (template None) or key: template."""

    key: str
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One loaded rule.

    index: place in definition order, which is match order. condition: text after appends, before
    exceptions and lists. ast: macro-expanded, lists and exceptions substituted. output: final
    template without the leading `*`. event_types: codes of event types the rule can match,
    ASYNCEVENT included.
    """

    index: int
    name: str
    desc: str
    condition: str
    ast: Node
    output: str
    priority: Priority
    source: str = "syscall"
    tags: tuple[str, ...] = ()
    is_enabled: bool = True
    event_types: frozenset[int] = frozenset()
    extra_fields: tuple[ExtraField, ...] = ()
    capture: bool = False
    capture_duration_ms: int = 0
    exception_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All loaded rules in definition order (disabled ones included)."""

    rules: Sequence[Rule] = ()
    match_all: bool = False
    sha256: dict[str, str] = field(default_factory=dict)
    """Rules file name -> hex digest, for metrics."""
