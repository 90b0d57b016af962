"""The compile-time checks of the field catalogue, in the form the loader asks for."""

from collections.abc import Sequence

from exporter.rules.ast import Node, Position
from exporter.rules.check import ConditionError, check_condition
from exporter.rules.fields.catalogue import UnknownArgumentError, find_field
from exporter.rules.format import compile_format
from exporter.rules.loader.checks import SUGGESTED_FIELDS, CheckError


class CatalogueChecks:
    """Knows every field of every source."""

    def condition(self, node: Node, source: str) -> Sequence[tuple[str, Position]]:
        """Warnings of a condition, each with its place. Raises CheckError."""
        try:
            found = check_condition(node, source)
        except ConditionError as error:
            raise CheckError(error.message, error.position, error.hint) from None
        return [(warning.message, warning.position) for warning in found]

    def output(self, template: str, source: str) -> None:
        """Check an output template. Raises FormatError."""
        compile_format(template, source)

    def output_fields(self, template: str, source: str) -> Sequence[str]:
        """The fields an output template prints, with their arguments. Raises FormatError."""
        return compile_format(template, source).field_names

    def is_field(self, name: str, arg: str | None, source: str) -> bool:
        """Whether conditions of this source may name the field."""
        try:
            return find_field(name, arg, source) is not None
        except UnknownArgumentError:
            return False

    def suggested_fields(self, source: str) -> Sequence[str]:
        """The fields that `suggested_output` appends, in order."""
        return SUGGESTED_FIELDS.get(source, ())
