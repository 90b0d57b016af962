"""The seam to the compile-time checks, so that loading can be tested without a field catalogue.

The real checks are `exporter.rules.check` and `exporter.rules.format`; see `catalogue_checks.py`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from exporter.errors import RuleError
from exporter.rules.ast import Node, Position


class CheckError(RuleError):
    """A condition that parses but does not compile."""

    def __init__(self, message: str, position: Position, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.position = position


class Checks(Protocol):
    """What the loader asks of the field catalogue."""

    def condition(self, node: Node, source: str) -> Sequence[tuple[str, Position]]:
        """Warnings of a condition, each with its place. Raises CheckError."""

    def output(self, template: str, source: str) -> None:
        """Check an output template. Raises RuleError."""

    def output_fields(self, template: str, source: str) -> Sequence[str]:
        """The fields an output template prints, with their arguments. Raises RuleError."""

    def is_field(self, name: str, arg: str | None, source: str) -> bool:
        """Whether conditions of this source may name the field."""

    def suggested_fields(self, source: str) -> Sequence[str]:
        """The fields that `suggested_output` appends, in order."""


class NoChecks:
    """Accepts every field, type and template."""

    def condition(self, node: Node, source: str) -> Sequence[tuple[str, Position]]:
        """No warnings."""
        del node, source
        return ()

    def output(self, template: str, source: str) -> None:
        """Every template is fine."""

    def output_fields(self, template: str, source: str) -> Sequence[str]:
        """Whatever looks like a field after a percent sign."""
        del source
        return _TOKEN.findall(template)

    def is_field(self, name: str, arg: str | None, source: str) -> bool:
        """Every name is a field."""
        del name, arg, source
        return True

    def suggested_fields(self, source: str) -> Sequence[str]:
        """The suggested fields of the container plugin."""
        return SUGGESTED_FIELDS.get(source, ())


_TOKEN = re.compile(r"%[0-9]*([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+(?:\[[^\]]*\])?)")
SUGGESTED_FIELDS: Mapping[str, Sequence[str]] = {
    "syscall": (
        "container.id",
        "container.name",
        "container.image.repository",
        "container.image.tag",
        "k8s.pod.name",
        "k8s.ns.name",
    )
}
"""Event source -> the fields marked as worth printing with every alert (rule-language.md 18.2)."""
