"""`override:` of items: YAML -> key and operation (rule-language.md section 12)."""

from collections.abc import Collection

from exporter.rules.loader import decode
from exporter.rules.loader.document import Mapping, Node, Scalar, Sequence, is_null
from exporter.rules.loader.results import Context, ErrorCode, ItemType, LoadError


def read_override(
    item: Mapping, appendable: Collection[str], replaceable: Collection[str], context: Context
) -> dict[str, str]:
    """Key -> "append" or "replace"; empty when the item overrides nothing. Raises LoadError."""
    value = item.find("override")
    where = context.inside(ItemType.OVERRIDE, item.mark)
    if isinstance(value, Sequence) and value.items:
        raise LoadError(ErrorCode.VALIDATE, "Value of override must be a mapping of keys", where)
    if not isinstance(value, Mapping):
        return {}
    found: dict[str, str] = {}
    for key_node, word_node in value.pairs:
        key, word = _text(key_node), _text(word_node)
        if key is None or word is None:
            raise LoadError(
                ErrorCode.VALIDATE, "Keys and values of override must be scalars", where
            )
        inner = where.inside(ItemType.OVERRIDE, key_node.mark, key)
        if word == "append" and key not in appendable:
            raise decode.shape_error(
                f"Key '{key}' cannot be appended to, use 'replace' instead", inner
            )
        if word == "replace" and key not in replaceable:
            raise decode.shape_error(f"Key '{key}' cannot be replaced", inner)
        if word not in {"append", "replace"}:
            allowed = "append " * (key in appendable) + "replace " * (key in replaceable)
            raise decode.shape_error(
                f"Invalid override operation for key '{key}': '{word}'. Allowed values are: "
                f"{allowed}",
                where.inside(ItemType.VALUE_FOR, word_node.mark, key),
            )
        found[key] = word
    return found


def _text(node: Node) -> str | None:
    """The text of a scalar, "null" of a null, as the reference converts them; else None."""
    if isinstance(node, Scalar):
        return node.text
    return "null" if is_null(node) else None
