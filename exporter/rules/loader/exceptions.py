"""Exceptions of rules: their checks, and their expansion into the condition's text.

Source: rule-language.md section 13.
"""

from collections.abc import Callable, Sequence

from exporter.rules.ast import (
    Exists,
    FieldRef,
    Node,
    Transformer,
    TransformerList,
    Value,
    ValueList,
)
from exporter.rules.lexer import LIST_OPERATORS, MODIFIERS, NUMERIC_OPERATORS, STRING_OPERATORS
from exporter.rules.loader.items import Entry, ExceptionItem
from exporter.rules.loader.results import ErrorCode, LoadError
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import parse_condition

IsField = Callable[[str, str | None], bool]
"""Whether conditions of the rule's source may name this field (name, argument)."""

_OPERATORS = frozenset(
    ("exists", *NUMERIC_OPERATORS, *STRING_OPERATORS, *LIST_OPERATORS),
)
_WITH_MODIFIER = frozenset(f"{op} {modifier}" for op in STRING_OPERATORS for modifier in MODIFIERS)
_FOR_LISTS = frozenset(LIST_OPERATORS) | _WITH_MODIFIER


def fill_comps(exception: ExceptionItem) -> None:
    """Give comps their default: `=` for each of a list of fields, `in` for a single field."""
    if not exception.comps:
        fields = exception.fields
        exception.comps = ["="] * len(fields) if isinstance(fields, list) else "in"


def check_shape(exception: ExceptionItem) -> None:
    """Check that fields and comps fit each other. Raises LoadError."""
    fields, comps = exception.fields, exception.comps
    if isinstance(fields, list):
        if not isinstance(comps, list) or len(comps) != len(fields):
            raise _error(exception, "Fields and comps lists must have equal length")
        for comp in comps:
            if _operator(comp) not in _OPERATORS | _WITH_MODIFIER:
                shown = comp if isinstance(comp, str) else ""
                raise _error(exception, f"'{shown}' is not a supported comparison operator")
        return
    if isinstance(comps, list):
        raise _error(exception, "Fields and comps must both be strings")
    if _operator(comps) not in _FOR_LISTS:
        raise _error(
            exception,
            "When fields is a single value, comps must be one of (in, pmatch, intersects) or a "
            "modifier operator such as 'startswith anyof'",
        )


def check_fields(exception: ExceptionItem, is_field: IsField) -> None:
    """Check that every field (or transformer of fields) is known. Raises LoadError."""
    for text in _flat(exception.fields):
        if not all(is_field(field.name, field.arg) for field in _fields_in(text)):
            raise _error(exception, f"'{text}' is not a supported filter field")


def expand(condition: str, exceptions: Sequence[ExceptionItem]) -> str:
    """The condition with every exception that has values taken out of it. Raises LoadError."""
    if not exceptions:
        return condition
    parts = [f"({condition})"]
    for exception in exceptions:
        text = (
            _expand_list(exception, exception.fields)
            if isinstance(exception.fields, list)
            else _expand_scalar(exception, exception.fields)
        )
        if text:
            parts.append(f" and not {text}")
    return "".join(parts)


def field_names(exceptions: Sequence[ExceptionItem]) -> list[str]:
    """The fields of exceptions that have values, as written, each once and sorted."""
    return sorted(
        {text for exception in exceptions if exception.values for text in _flat(exception.fields)}
    )


def quote_item(item: str) -> str:
    """An item as it goes into condition text: in double quotes if it holds a blank."""
    return f'"{item}"' if " " in item and item[0] not in "\"'" else item


def _error(exception: ExceptionItem, message: str) -> LoadError:
    return LoadError(ErrorCode.VALIDATE, message, exception.context)


def _operator(comp: Entry) -> str:
    """An operator with single blanks inside; "" for what is no scalar."""
    return " ".join(comp.split()) if isinstance(comp, str) else ""


def _flat(fields: Entry) -> list[str]:
    if isinstance(fields, str):
        return [fields]
    return [field if isinstance(field, str) else "" for field in fields]


def _fields_in(text: str) -> list[FieldRef]:
    """The fields a text names, alone or in transformers; an unknown one if it is no field."""
    try:
        node: Node = parse_condition(f"{text} exists")
    except ConditionSyntaxError:
        return [FieldRef(text)]
    if not isinstance(node, Exists):
        return [FieldRef(text)]
    return list(_fields_of(node.left))


def _fields_of(
    operand: FieldRef | Transformer | TransformerList | Value | ValueList,
) -> list[FieldRef]:
    match operand:
        case FieldRef():
            return [operand]
        case Transformer(_, args):
            return [field for arg in args for field in _fields_of(arg)]
        case TransformerList(items):
            return [field for item in items for field in _fields_of(item)]
        case _:
            return []


def _expand_scalar(exception: ExceptionItem, field: str) -> str:
    """`(f comp (v1, v2))`."""
    values = []
    for value in exception.values:
        if isinstance(value, list):
            raise _error(exception, "Expected values array to contain a list of strings")
        values.append(quote_item(value))
    if not values:
        return ""
    return f"({field} {_operator(exception.comps)} ({', '.join(values)}))"


def _expand_list(exception: ExceptionItem, fields: list[Entry]) -> str:
    """`(( f1 c1 V1 and  f2 c2 V2) or ( ...))`."""
    names = _flat(fields)
    comps = [_operator(comp) for comp in exception.comps]
    alternatives = []
    for values in exception.values:
        if not isinstance(values, list) or len(values) != len(names):
            raise _error(exception, "Fields and values lists must have equal length")
        checks = [
            f" {name} {comp} {_value_text(value, comp)}"
            for name, comp, value in zip(names, comps, values, strict=True)
        ]
        alternatives.append(f"({' and '.join(checks)})")
    return f"({' or '.join(alternatives)})" if alternatives else ""


def _value_text(value: Entry, comp: str) -> str:
    if isinstance(value, list):
        return f"({', '.join(quote_item(item) for item in _flat(value))})"
    if comp in _FOR_LISTS:
        return value if value.startswith("(") else f"({value})"
    return quote_item(value)
