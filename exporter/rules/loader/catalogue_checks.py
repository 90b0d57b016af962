"""The compile-time checks of the field catalogue, in the form the loader asks for."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from exporter.errors import RuleError
from exporter.rules.ast import Node, Position
from exporter.rules.loader.checks import CheckError, NoChecks


class CatalogueChecks:
    """Delegates to `exporter.rules.check`, `exporter.rules.format` and the field catalogue."""

    def __init__(self) -> None:
        self._check: Any = import_module("exporter.rules.check")
        self._format: Any = import_module("exporter.rules.format")
        self._catalogue: Any = import_module("exporter.rules.fields.catalogue")

    def condition(self, node: Node, source: str) -> Sequence[tuple[str, Position]]:
        """Warnings of a condition, each with its place. Raises CheckError."""
        try:
            found = self._check.check_condition(node, source)
        except self._check.ConditionError as error:
            raise CheckError(error.message, error.position, error.hint) from None
        return [(warning.message, warning.position) for warning in found]

    def output(self, template: str, source: str) -> None:
        """Check an output template. Raises RuleError."""
        self._format.compile_format(template, source)

    def output_fields(self, template: str, source: str) -> Sequence[str]:
        """The fields an output template prints, with their arguments. Raises RuleError."""
        return list(self._format.compile_format(template, source).field_names)

    def is_field(self, name: str, arg: str | None, source: str) -> bool:
        """Whether conditions of this source may name the field."""
        try:
            return self._catalogue.find_field(name, arg, source) is not None
        except (RuleError, self._catalogue.UnknownArgumentError):
            return False

    def suggested_fields(self, source: str) -> Sequence[str]:
        """The fields that `suggested_output` appends, in order."""
        return NoChecks().suggested_fields(source)
