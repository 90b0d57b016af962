"""AST -> text: the canonical form of conditions, and the AST as JSON for tools.

`parse(print(ast))` gives the same AST again unless a value needs quotes that the canonical form
does not write: it quotes for blanks, `=`, quotes and backslashes, not for commas, parentheses or
emptiness, and never for the sake of a transformer's argument.
Source: rule-language.md section 2.
"""

from typing import Any

from exporter.rules.ast import (
    And,
    Check,
    Exists,
    FieldRef,
    MacroRef,
    Node,
    Not,
    Or,
    Transformer,
    TransformerList,
    Value,
    ValueList,
)
from exporter.rules.lexer import escape

Operand = FieldRef | Transformer | TransformerList | Value | ValueList


def print_condition(node: Node) -> str:
    """Canonical text: `(a and b)` with one pair of parentheses a node, `not x`, `lhs op rhs`."""
    match node:
        case And(children):
            return f"({' and '.join(map(print_condition, children))})"
        case Or(children):
            return f"({' or '.join(map(print_condition, children))})"
        case Not(child):
            return f"not {print_condition(child)}"
        case MacroRef(name):
            return name
        case Exists(left):
            return f"{print_operand(left)} exists"
        case Check(left, op, right, modifier):
            operator = op if modifier is None else f"{op} {modifier}"
            return f"{print_operand(left)} {operator} {print_operand(right)}"


def print_operand(operand: Operand) -> str:
    """Canonical text of one side of a check."""
    match operand:
        case FieldRef():
            return print_field(operand)
        case Value(text):
            return escape(text)
        case ValueList(values):
            return f"({', '.join(map(escape, values))})"
        case TransformerList(items):
            return f"({','.join(map(print_operand, items))})"
        case Transformer(name, args, selector):
            suffix = "" if selector is None else f"[{escape(selector) or _EMPTY}]"
            return f"{name}({','.join(map(print_operand, args))}){suffix}"


def print_field(field: FieldRef) -> str:
    """A field with its argument: `proc.aname[2]`, `evt.arg[""]`."""
    return field.name if field.arg is None else f"{field.name}[{escape(field.arg) or _EMPTY}]"


_EMPTY = '""'


def to_json(node: Node) -> dict[str, Any]:
    """The AST as plain JSON values: `type`, then what the node holds, `position` where it began."""
    body: dict[str, Any]
    match node:
        case And(children):
            body = {"type": "and", "children": [to_json(child) for child in children]}
        case Or(children):
            body = {"type": "or", "children": [to_json(child) for child in children]}
        case Not(child):
            body = {"type": "not", "child": to_json(child)}
        case MacroRef(name):
            body = {"type": "identifier", "name": name}
        case Exists(left):
            body = {"type": "unary_check", "left": operand_to_json(left), "operator": "exists"}
        case Check(left, op, right, modifier):
            body = {
                "type": "binary_check",
                "left": operand_to_json(left),
                "operator": op if modifier is None else f"{op} {modifier}",
                "right": operand_to_json(right),
            }
    position = node.position
    body["position"] = {"idx": position.idx, "line": position.line, "column": position.column}
    return body


def operand_to_json(operand: Operand) -> dict[str, Any]:
    """One side of a check as plain JSON values."""
    match operand:
        case FieldRef(name, arg):
            return {"type": "field", "name": name, "arg": arg}
        case Value(text):
            return {"type": "value", "value": text}
        case ValueList(values):
            return {"type": "list", "values": list(values)}
        case TransformerList(items):
            return {"type": "transformer_list", "items": [operand_to_json(item) for item in items]}
        case Transformer(name, args, selector):
            body: dict[str, Any] = {
                "type": "transformer",
                "name": name,
                "args": [operand_to_json(arg) for arg in args],
            }
            if selector is not None:
                body["selector"] = selector
            return body
