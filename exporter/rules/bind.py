"""Binding: from the words of a check to typed operands, with every rule about types applied.

Takes AST checks, gives `Test` objects: what is read, the operator, the parsed constants. Raises
ConditionError with the place in the condition. Source: rule-language.md sections 3 to 9.
"""

from dataclasses import dataclass
from typing import Any

from exporter.rules.ast import (
    Check,
    Exists,
    FieldRef,
    Position,
    Transformer,
    TransformerList,
    Value,
    ValueList,
)
from exporter.rules.conditions import ConditionError, ValueTextError
from exporter.rules.fields.catalogue import (
    UnknownArgumentError,
    event_names,
    find_field,
    nearest_fields,
)
from exporter.rules.fields.field import (
    NO_RHS,
    NO_TRANSFORMER,
    PRINT_ONLY,
    Compare,
    FieldUse,
)
from exporter.rules.fields.field import ValueType as T
from exporter.rules.glob import compile_glob
from exporter.rules.regex import compile_regex
from exporter.rules.transformers import ACCEPTED, JOINABLE_NUMBERS, MULTIPLE, UNARY
from exporter.rules.values import (
    ADDRESSES,
    NETWORKS,
    NUMBERS,
    TEXTS,
    as_bytes,
    parse_hex,
    parse_value,
)


@dataclass(frozen=True, slots=True)
class Read:
    """An operand that is a field."""

    use: FieldUse

    @property
    def key(self) -> str:
        """Text that is equal exactly for equal operands."""
        return self.use.text

    @property
    def type(self) -> T:
        """Type of the value."""
        return self.use.type

    @property
    def is_list(self) -> bool:
        """Whether the value is a tuple."""
        return self.use.is_list


@dataclass(frozen=True, slots=True)
class Const:
    """An operand that is a constant: an argument of a transformer, or a value that was read."""

    value: Any
    type: T = T.CHARBUF
    is_list: bool = False

    @property
    def key(self) -> str:
        """Text that is equal exactly for equal operands."""
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Items:
    """An operand that is a list written out: `(proc.name, "x")`."""

    items: tuple["Operand", ...]
    type: T = T.CHARBUF
    is_list: bool = True

    @property
    def key(self) -> str:
        """Text that is equal exactly for equal operands."""
        return f"({','.join(item.key for item in self.items)})"


@dataclass(frozen=True, slots=True)
class Call:
    """An operand that is a transformer call."""

    name: str
    args: tuple["Operand", ...]
    type: T
    is_list: bool
    selector: str | None
    key: str


Operand = Read | Const | Items | Call


@dataclass(frozen=True, slots=True)
class Test:
    """One check, ready to be evaluated.

    op: the operator with `==` as `=`. values: parsed constants; `right` instead when the other side
    is a field or transformer. key: text that is equal exactly for equal tests.
    """

    left: Operand
    op: str
    modifier: str | None
    values: tuple[Any, ...]
    right: Operand | None
    key: str
    compare: Compare = Compare.PLAIN


_LIST_ELEMENTS = frozenset({
    T.CHARBUF, T.UINT64, T.RELTIME, T.ABSTIME, T.BOOL, T.IPADDR, T.IPNET,
})  # fmt: skip
_EQUALITY = frozenset({"=", "!=", "in", "intersects", "exists"})
_NUMERIC = _EQUALITY | {"<", "<=", ">", ">="}
_BUFFER = _EQUALITY | {"contains", "startswith", "endswith", "bcontains", "bstartswith"}
_LIST = frozenset({"in", "intersects", "exists"})
_HEX_OPERATORS = frozenset({"bcontains", "bstartswith"})
_MEMBERSHIP = frozenset({"in", "intersects", "pmatch"})
_NAMED_TYPES = frozenset({
    T.UID, T.GID, T.SOCKADDR, T.SOCKTUPLE, T.FDLIST, T.SIGSET, T.DYN, T.CHARBUFARRAY,
    T.CHARBUF_PAIR_ARRAY,
})  # fmt: skip


def bind_check(check: Check | Exists, source: str) -> Test:
    """The test that a check of the AST means. Raises ConditionError."""
    left = bind_operand(check.left, source)
    compare = _compare(left)
    if isinstance(check, Exists):
        return Test(left, "exists", None, (), None, f"{left.key} exists", compare)
    op = "=" if check.op == "==" else check.op
    _check_operator(left, op, check.left.position)
    if isinstance(check.right, Transformer):
        right = _bind_right(left, op, check.right, source)
        key = f"{left.key} {op} val({right.key})"
        return Test(left, op, check.modifier, (), right, key, compare)
    values = _bind_values(left, op, check.right, source)
    if _is_number_argument(left) and op in _MEMBERSHIP:
        # The reference engine compares lengths it never set here: such a set has no member.
        values = ()
    word = op if check.modifier is None else f"{op} {check.modifier}"
    key = f"{left.key} {word} {values!r}"
    return Test(left, op, check.modifier, values, None, key, compare)


def _is_number_argument(left: Operand) -> bool:
    return isinstance(left, Read) and left.use.field.name == "evt.rawarg" and left.type in NUMBERS


def _compare(left: Operand) -> Compare:
    return left.use.compare if isinstance(left, Read) else Compare.PLAIN


def bind_operand(node: FieldRef | Transformer | Value | TransformerList, source: str) -> Operand:
    """The operand that a field, transformer or transformer argument means."""
    match node:
        case FieldRef():
            return Read(_find(node, source))
        case Value(text):
            return Const(as_bytes(text))
        case TransformerList(items):
            return Items(tuple(bind_operand(item, source) for item in items))
        case Transformer():
            return _bind_call(node, source)


def _find(node: FieldRef, source: str) -> FieldUse:
    try:
        use = find_field(node.name, node.arg, source)
    except UnknownArgumentError as error:
        raise ConditionError(str(error), node.position) from None
    if use is None or PRINT_ONLY in use.field.flags:
        near = nearest_fields(node.name, source)
        hint = f"did you mean {', '.join(repr(name) for name in near)}?" if near else None
        raise ConditionError(
            f"filter_check called with nonexistent field {node}", node.position, hint
        )
    return use


def _bind_call(node: Transformer, source: str) -> Operand:
    name = node.name
    if name == "val":
        if len(node.args) != 1 or node.selector is not None:
            raise ConditionError("val() takes one field and no argument", node.position)
        return bind_operand(node.args[0], source)
    if node.selector is not None and name != "getopt":
        raise ConditionError(
            f"transformer '{name}' does not support field arguments", node.position
        )
    args = tuple(bind_operand(arg, source) for arg in node.args)
    for arg in args:
        _check_transformable(arg, node.position)
    if len(args) > 1 and name in UNARY:
        raise ConditionError(f"unknown multivalue transformer: {name}", node.position)
    if len(args) < 2 and name in MULTIPLE:
        raise ConditionError(f"unknown field transfomer: {name}", node.position)
    kind, is_list = _result_type(node, args)
    suffix = "" if node.selector is None else f"[{node.selector}]"
    key = f"{name}({','.join(arg.key for arg in args)}){suffix}"
    return Call(name, args, kind, is_list, node.selector, key)


def _check_transformable(arg: Operand, position: Position) -> None:
    if isinstance(arg, Items):
        for item in arg.items:
            _check_transformable(item, position)
    elif isinstance(arg, Read) and NO_TRANSFORMER in arg.use.field.flags:
        raise ConditionError(f"field '{arg.key}' does not support transformers", position)


def _result_type(node: Transformer, args: tuple[Operand, ...]) -> tuple[T, bool]:
    name = node.name
    if name in UNARY:
        arg = args[0]
        if arg.type not in ACCEPTED[name] and not (name == "len" and arg.is_list):
            kind = "list field" if arg.is_list else "field"
            raise ConditionError(
                f"can't add field transformer: type '{arg.type}' is not supported by '{name}' "
                f"transformer applied on {kind} '{arg.key}'",
                node.position,
            )
        return (T.UINT64, False) if name == "len" else (arg.type, arg.is_list)
    if name == "join":
        _check_join(node, args)
        return T.CHARBUF, False
    if name == "concat":
        for arg in args:
            if arg.is_list or arg.type not in TEXTS:
                raise ConditionError("concat() arguments must be strings", node.position)
        return T.CHARBUF, False
    return _check_getopt(node, args)


def _check_join(node: Transformer, args: tuple[Operand, ...]) -> None:
    if len(args) != 2:
        raise ConditionError("join() takes a separator and a list", node.position)
    separator, items = args
    if separator.is_list or separator.type not in TEXTS:
        raise ConditionError("join() first argument must be a string", node.position)
    if not items.is_list:
        raise ConditionError("join() second argument must be a list", node.position)
    _check_elements("join", node, items, TEXTS | JOINABLE_NUMBERS)


def _check_getopt(node: Transformer, args: tuple[Operand, ...]) -> tuple[T, bool]:
    if len(args) != 2:
        raise ConditionError("getopt() takes a list and an option string", node.position)
    items, options = args
    if not items.is_list:
        raise ConditionError("getopt() first argument must be a list", node.position)
    if options.is_list or options.type not in TEXTS:
        raise ConditionError("getopt() second argument must be a string", node.position)
    _check_elements("getopt", node, items, TEXTS | JOINABLE_NUMBERS)
    if node.selector is None:
        return T.CHARBUF, True
    if len(as_bytes(node.selector)) != 1:
        raise ConditionError(
            "getopt() field argument must be a single option character", node.position
        )
    return T.CHARBUF, False


def _check_elements(name: str, node: Transformer, items: Operand, allowed: frozenset[T]) -> None:
    elements = items.items if isinstance(items, Items) else (items,)
    for element in elements:
        nested = isinstance(items, Items) and element.is_list
        if nested or element.type not in allowed:
            raise ConditionError(
                f"{name}() list element '{element.key}' has unsupported type '{element.type}'",
                node.position,
            )


def _check_operator(left: Operand, op: str, position: Position) -> None:
    kind = left.type
    if left.is_list:
        allowed, word = (_LIST if kind in _LIST_ELEMENTS else frozenset({"exists"})), "list"
    elif kind in TEXTS:
        if op not in _HEX_OPERATORS:
            return
        allowed, word = frozenset(), "string"
    elif kind is T.BYTEBUF:
        if isinstance(left, Read) and left.use.field.name == "evt.rawarg":
            raise ConditionError("wrong parameter type 10", position)
        allowed, word = _BUFFER, "buffer"
    elif kind is T.BOOL:
        allowed, word = _EQUALITY, "boolean"
    elif kind in ADDRESSES or kind in NETWORKS:
        allowed, word = _EQUALITY, "ip address and network"
    elif kind in _NAMED_TYPES or kind not in NUMBERS:
        raise ConditionError(f"'{op}' operator not supported for type '{kind}'", position)
    else:
        allowed, word = _NUMERIC, "numeric"
    if op not in allowed:
        raise ConditionError(
            f"filter error: '{op}' operator not supported for {word} filters", position
        )


def _bind_right(left: Operand, op: str, node: Transformer, source: str) -> Operand:
    right = bind_operand(node, source)
    if op in {"pmatch", "regex"}:
        raise ConditionError(
            f"comparison operator '{op}' does not support right-hand side fields", node.position
        )
    if left.type in NETWORKS:
        raise ConditionError(
            f"field '{left.key}' of type '{left.type}' cannot be compared with another field",
            node.position,
        )
    for side in (left, right):
        if isinstance(side, Read) and NO_RHS in side.use.field.flags:
            raise ConditionError(
                f"field '{side.key}' cannot be used in a comparison with another field",
                node.position,
            )
    if left.type != right.type or left.is_list != right.is_list:
        raise ConditionError(
            f"field '{left.key}' has type '{_type_name(left)}' while the right-hand side field "
            f"'{right.key}' has incompatible type '{_type_name(right)}'",
            node.position,
        )
    return right


def _type_name(operand: Operand) -> str:
    return f"LIST({operand.type})" if operand.is_list else str(operand.type)


def _bind_values(left: Operand, op: str, right: Value | ValueList, source: str) -> tuple[Any, ...]:
    texts = right.values if isinstance(right, ValueList) else (right.text,)
    is_type = isinstance(left, Read) and left.use.text == "evt.type"
    values: list[Any] = []
    try:
        for text in texts:
            if is_type and source == "syscall":
                _check_event_name(text)
            values.append(_parse(left.type, op, text))
    except ValueTextError as error:
        raise ConditionError(str(error), right.position) from None
    if op in _MEMBERSHIP:
        return tuple(dict.fromkeys(values))
    return tuple(values)


def _check_event_name(text: str) -> None:
    if text not in event_names():
        raise ValueTextError(f"unknown event type {text}")


def _parse(kind: T, op: str, text: str) -> Any:
    if op in _HEX_OPERATORS:
        return parse_hex(text)
    value = parse_value(kind, text)
    if op == "regex":
        compile_regex(value)
    elif op in {"glob", "iglob"}:
        compile_glob(value, is_folded=op == "iglob")
    return value
