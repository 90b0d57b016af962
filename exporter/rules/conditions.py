"""The error that every stage after the parser raises for a wrong condition."""

from exporter.errors import RuleError, Span
from exporter.rules.ast import Position


class ConditionError(RuleError):
    """A condition parses but means nothing: unknown field, wrong operator, bad value.

    position: place in the condition text.
    """

    def __init__(self, message: str, position: Position, hint: str | None = None) -> None:
        super().__init__(
            message,
            code="LOAD_ERR_COMPILE_CONDITION",
            span=Span("condition", position.line, position.column),
            hint=hint,
        )
        self.position = position


class ValueTextError(Exception):
    """A constant does not fit the type of its field; the message is for the user."""
