"""Warnings that a condition's AST alone gives (rule-language.md section 9)."""

from collections.abc import Iterator

from exporter.rules.ast import (
    Check,
    Exists,
    FieldRef,
    Node,
    Transformer,
    TransformerList,
    Value,
    ValueList,
    walk,
)
from exporter.rules.loader.results import Context, LoadResult, WarningCode

DEPRECATED_FIELDS = (
    "evt.dir",
    "evt.latency",
    "evt.latency.s",
    "evt.latency.ns",
    "evt.latency.human",
    "evt.wait_latency",
)
"""Fields that still exist but say nothing since enter events are gone."""

_NA = "<NA>"
_COMPARISONS = frozenset(("=", "==", "!=", "in", "intersects", "pmatch"))
_Operand = FieldRef | Transformer | TransformerList | Value | ValueList


def warn_condition(node: Node, context: Context, result: LoadResult) -> None:
    """Add warnings of unsafe <NA> comparisons and deprecated fields."""
    for inner in walk(node):
        if not isinstance(inner, Check | Exists):
            continue
        operands: tuple[_Operand, ...] = (inner.left,)
        if isinstance(inner, Check):
            operands = (inner.left, inner.right)
            if _is_unsafe(inner):
                result.add_warning(
                    WarningCode.UNSAFE_NA_CHECK,
                    "comparing a field with <NA> is unsafe: use 'exists' to ask whether it is "
                    "there",
                    context,
                )
        for name in (field.name for operand in operands for field in fields_of(operand)):
            if name in DEPRECATED_FIELDS:
                _warn_deprecated(name, "condition", context, result)


def warn_output(template: str, context: Context, result: LoadResult) -> None:
    """Add warnings of deprecated fields anywhere in an output template."""
    for name in DEPRECATED_FIELDS:
        if name in template:
            _warn_deprecated(name, "output", context, result)


def fields_of(operand: _Operand) -> Iterator[FieldRef]:
    """The fields that one side of a check reads."""
    match operand:
        case FieldRef():
            yield operand
        case Transformer(_, args):
            for arg in args:
                yield from fields_of(arg)
        case TransformerList(items):
            for item in items:
                yield from fields_of(item)
        case _:
            return


def _is_unsafe(check: Check) -> bool:
    if check.op not in _COMPARISONS or not isinstance(check.left, FieldRef):
        return False
    if not check.left.name.startswith(("ka.", "jevt.")):
        return False
    right = check.right
    if isinstance(right, Value):
        return right.text == _NA
    return isinstance(right, ValueList) and _NA in right.values


def _warn_deprecated(name: str, where: str, context: Context, result: LoadResult) -> None:
    result.add_warning(
        WarningCode.DEPRECATED_ITEM,
        f"usage of deprecated field '{name}' has been detected in the rule {where}",
        context,
        name,
    )
