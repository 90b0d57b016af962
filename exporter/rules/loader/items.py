"""What rules files hold, as the collector keeps it: lists, macros, rules, exceptions, versions.

`index` is the place of the first definition and decides order; `visibility` is the place of the
latest definition, append or override and decides what an item sees (rule-language.md section 14).
"""

import re
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from exporter.rules.loader.results import Context
from exporter.rules.priority import Priority

Entry = str | list["Entry"]
"""A scalar or (nested) sequence of an exception; "" and [] stand for "not given"."""

_VERSION = re.compile(r"\s*\+?(\d{1,9})\.\s*\+?(\d{1,9})\.\s*\+?(\d{1,9})")


class Version(NamedTuple):
    """X.Y.Z of an engine or plugin; what follows Z is not looked at."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """The version a text begins with; None when it does not begin with X.Y.Z."""
        match = _VERSION.match(text)
        return cls(*map(int, match.groups())) if match else None

    def satisfies(self, required: "Version") -> bool:
        """Whether this version can stand in for the required one: same major, not older."""
        return self.major == required.major and self[1:] >= required[1:]

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class PluginRequirement(NamedTuple):
    """A plugin by name and the oldest version that will do."""

    name: str
    version: str


@dataclass(slots=True)
class ListItem:
    """`list:`; items as written."""

    name: str
    items: list[str]
    context: Context
    index: int = 0
    visibility: int = 0


@dataclass(slots=True)
class MacroItem:
    """`macro:`; condition as written, appends joined."""

    name: str
    condition: str
    context: Context
    condition_context: Context
    index: int = 0
    visibility: int = 0


@dataclass(slots=True)
class ExceptionItem:
    """One entry of `exceptions:`; comps "" until the default is filled in."""

    name: str
    fields: Entry
    comps: Entry
    values: list[Entry]
    context: Context

    def copy(self) -> "ExceptionItem":
        """A copy whose values can grow on their own."""
        return replace(self, values=list(self.values))


@dataclass(slots=True)
class RuleItem:
    """`rule:`, with appends and overrides applied."""

    name: str
    condition: str
    output: str
    desc: str
    priority: Priority
    context: Context
    condition_context: Context
    output_context: Context
    source: str = "syscall"
    is_enabled: bool = True
    warn_evttypes: bool = True
    skip_if_unknown_filter: bool = False
    capture: bool = False
    capture_duration_ms: int = 0
    tags: set[str] = field(default_factory=set)
    exceptions: list[ExceptionItem] = field(default_factory=list)
    has_explicit_source: bool = False
    has_unknown_source: bool = False
    index: int = 0
    visibility: int = 0


@dataclass(slots=True)
class RuleUpdate:
    """What an append or override changes; None where it says nothing."""

    name: str
    context: Context
    source: str | None = None
    condition: str | None = None
    output: str | None = None
    desc: str | None = None
    tags: set[str] | None = None
    exceptions: list[ExceptionItem] | None = None
    priority: Priority | None = None
    is_enabled: bool | None = None
    warn_evttypes: bool | None = None
    skip_if_unknown_filter: bool | None = None
    capture: bool | None = None
    capture_duration_ms: int | None = None

    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return all(
            value is None
            for value in (
                self.condition,
                self.output,
                self.desc,
                self.tags,
                self.exceptions,
                self.priority,
                self.is_enabled,
                self.warn_evttypes,
                self.skip_if_unknown_filter,
                self.capture,
                self.capture_duration_ms,
            )
        )
