"""`exceptions:` of rules: YAML -> items (rule-language.md section 13)."""

from typing import Literal

from exporter.rules.loader import decode
from exporter.rules.loader.document import Mapping, Node, Sequence, is_null
from exporter.rules.loader.items import ExceptionItem
from exporter.rules.loader.results import Context, ItemType, LoadResult, WarningCode

Verb = Literal["define", "append", "replace"]


def read_exceptions(
    item: Mapping, context: Context, result: LoadResult, verb: Verb
) -> list[ExceptionItem]:
    """The exceptions of a rule item.

    verb: what the item does with them. The key `fields` may be absent when appending only; what
    stands under it is for the collector to judge. Raises LoadError; warnings go to the result.
    """
    value = item.find("exceptions")
    if value is None or is_null(value):
        return []
    where = context.inside(ItemType.EXCEPTIONS, value.mark)
    if not isinstance(value, Sequence):
        raise decode.shape_error("Rule exceptions must be a sequence", where)
    found: list[ExceptionItem] = []
    names: set[str] = set()
    for node in value.items:
        exception = _read_exception(node, context, where, result, verb)
        if exception.name in names:
            result.add_warning(
                WarningCode.EXCEPTION_NAME_NOT_UNIQUE,
                f"Multiple definitions of exception '{exception.name}' in the same rule",
                exception.context,
            )
        names.add(exception.name)
        found.append(exception)
    return found


def _read_exception(
    node: Node, context: Context, exceptions: Context, result: LoadResult, verb: Verb
) -> ExceptionItem:
    where = exceptions.inside(ItemType.EXCEPTION, node.mark)
    if not isinstance(node, Mapping):
        raise decode.shape_error("Rule exception must be a mapping", where)
    name = decode.text(node, "name", where)
    where = context.inside(ItemType.EXCEPTION, node.mark, name)
    fields = node.find("fields") if verb == "append" else decode.require(node, "fields", where)
    comps = node.find("comps")
    exception = ExceptionItem(
        name,
        "" if fields is None else decode.entry(fields, "fields", where),
        "" if comps is None else decode.entry(comps, "comps", where),
        [],
        where,
    )
    values = node.find("values")
    if values is not None:
        inner = where.inside(ItemType.EXCEPTION_VALUES, values.mark)
        if not isinstance(values, Sequence):
            raise decode.shape_error("Rule exception values must be a sequence", inner)
        exception.values = [
            decode.entry(value, "", inner.inside(ItemType.EXCEPTION_VALUE, value.mark))
            for value in values.items
        ]
    elif verb == "append":
        result.add_warning(
            WarningCode.APPEND_NO_VALUES, "Overriding/appending exception with no values", where
        )
    return exception
