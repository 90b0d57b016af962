"""Compile-time checks of a condition: everything that can be said before an event comes.

Errors are those of binding (unknown field, operator, type, value); warnings name values that look
like mistakes. Source: rule-language.md sections 3 to 9.
"""

import re
from dataclasses import dataclass

from exporter.rules.ast import Check, Exists, Node, Position, Value, ValueList, walk
from exporter.rules.bind import bind_check
from exporter.rules.conditions import ConditionError
from exporter.rules.fields.catalogue import is_field
from exporter.rules.regex import needs_no_regex
from exporter.rules.transformers import MULTIPLE, UNARY

__all__ = ["CheckWarning", "ConditionError", "check_condition"]

_CALL = re.compile(rf"(?:{'|'.join((*UNARY, *MULTIPLE, 'val'))})\(.*\)", re.DOTALL)
_BLANKS = str.maketrans("", "", " \t\n\v\f\r")


@dataclass(frozen=True, slots=True)
class CheckWarning:
    """Something in a condition that is allowed but probably not meant."""

    message: str
    position: Position
    code: str = "LOAD_COMPILE_CONDITION"


def check_condition(node: Node, source: str) -> list[CheckWarning]:
    """Check a macro-expanded condition. Raises ConditionError for the first error."""
    warnings: list[CheckWarning] = []
    for inner in walk(node):
        if isinstance(inner, Check | Exists):
            bind_check(inner, source)
            if isinstance(inner, Check):
                warnings.extend(_value_warnings(inner, source))
    return warnings


def _value_warnings(check: Check, source: str) -> list[CheckWarning]:
    right = check.right
    if isinstance(right, Value):
        texts: tuple[str, ...] = (right.text,)
    elif isinstance(right, ValueList):
        texts = right.values
    else:
        return []
    found = []
    for text in texts:
        if check.op == "regex" and needs_no_regex(text):
            found.append(
                f"regex check with '{text}' may be optimized with simpler operators such as '=', "
                "'contains', 'startswith', 'endswith'"
            )
        bare = text.translate(_BLANKS)
        if is_field(bare, source):
            found.append(f"'{text}' may be a valid field misused as a const string value")
        elif _CALL.fullmatch(bare):
            found.append(
                f"'{text}' may be a valid field transformer misused as a const string value"
            )
    return [CheckWarning(message, right.position) for message in found]
