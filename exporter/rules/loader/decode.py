"""Values of items: scalars, booleans, sequences, checked for shape (rule-language.md 11)."""

from exporter.rules.loader.document import Mapping, Node, Scalar, Sequence, is_null
from exporter.rules.loader.items import Entry
from exporter.rules.loader.results import Context, ErrorCode, ItemType, LoadError
from exporter.rules.priority import Priority


def shape_error(message: str, context: Context) -> LoadError:
    """The error of a file whose YAML is valid but has the wrong shape."""
    return LoadError(ErrorCode.YAML_VALIDATE, message, context)


def require(item: Mapping, key: str, context: Context) -> Node:
    """The value of a key that must be there."""
    value = item.find(key)
    if value is None:
        raise shape_error(f"Item has no mapping for key '{key}'", context)
    return value


def scalar(item: Mapping, key: str, context: Context) -> tuple[Scalar, Context]:
    """A scalar that must be there and not be empty, with its context."""
    value = require(item, key, context)
    if is_null(value):
        raise shape_error(f"Mapping for key '{key}' is empty", context)
    inner = context.inside(ItemType.VALUE_FOR, value.mark, key)
    if not isinstance(value, Scalar):
        raise shape_error("Value is not a scalar value", inner)
    if not value.text:
        raise shape_error("Value must be non-empty", inner)
    return value, inner


def text(item: Mapping, key: str, context: Context) -> str:
    """A string that must be there."""
    return scalar(item, key, context)[0].text


def boolean(item: Mapping, key: str, context: Context) -> bool:
    """A boolean that must be there."""
    value, inner = scalar(item, key, context)
    decoded = value.as_bool()
    if decoded is None:
        raise shape_error("Can't decode YAML scalar value", inner)
    return decoded


def optional_boolean(item: Mapping, key: str, context: Context, default: bool) -> bool:  # noqa: FBT001
    """A boolean, or the default when the key is missing."""
    return default if item.find(key) is None else boolean(item, key, context)


def unsigned(item: Mapping, key: str, context: Context) -> int:
    """An unsigned 32-bit number that must be there."""
    value, inner = scalar(item, key, context)
    decoded = value.as_uint()
    if decoded is None:
        raise shape_error("Can't decode YAML scalar value", inner)
    return decoded


def priority(item: Mapping, context: Context) -> Priority:
    """The priority of a rule."""
    value, _ = scalar(item, "priority", context)
    try:
        return Priority.parse(value.text)
    except ValueError:
        inner = context.inside(ItemType.RULE_PRIORITY, value.mark)
        raise LoadError(
            ErrorCode.YAML_VALIDATE,
            "Invalid priority",
            inner,
            hint="one of " + ", ".join(map(str, Priority)),
        ) from None


def strings(item: Mapping, key: str, context: Context) -> list[str]:
    """A sequence of scalars that must be there."""
    value = require(item, key, context)
    inner = context.inside(ItemType.VALUE_FOR, value.mark, key)
    if not isinstance(value, Sequence):
        raise shape_error("Value is not a sequence", inner)
    found = []
    for element in value.items:
        if not isinstance(element, Scalar):
            where = inner.inside(ItemType.LIST_ITEM, element.mark)
            raise shape_error("sequence value is not scalar", where)
        found.append(element.text)
    return found


def entry(value: Node, key: str, context: Context) -> Entry:
    """A scalar or sequence of an exception, nested as it may be; "" for anything else."""
    if isinstance(value, Scalar):
        if not value.text:
            inner = context.inside(ItemType.VALUE_FOR, value.mark, key)
            raise shape_error("Value must be non-empty", inner)
        return value.text
    if isinstance(value, Sequence):
        inner = context.inside(ItemType.VALUE_FOR, value.mark, key)
        return [
            entry(element, "", inner.inside(ItemType.EXCEPTION, element.mark))
            for element in value.items
        ]
    return ""
