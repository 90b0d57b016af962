"""The canonical form of trees that were built, not parsed."""

import pytest

from exporter.rules.ast import (
    And,
    Check,
    Exists,
    FieldRef,
    MacroRef,
    Not,
    Or,
    Transformer,
    TransformerList,
    Value,
    ValueList,
)
from exporter.rules.printer import operand_to_json, print_condition, print_field, to_json

A, B = MacroRef("a"), MacroRef("b")
TREES = [
    (And((A, B)), "(a and b)"),
    (Or((A, And((A, B)))), "(a or (a and b))"),
    (Not(A), "not a"),
    (Not(And((A, B))), "not (a and b)"),
    (Not(Not(A)), "not not a"),
    (Exists(FieldRef("p.q", "2")), "p.q[2] exists"),
    (Check(FieldRef("p.q"), "==", Value("x")), "p.q == x"),
    (Check(FieldRef("p.q", ""), "in", ValueList(())), 'p.q[""] in ()'),
    (Check(FieldRef("p.q", "a b"), "in", ValueList(("x", "y z"))), 'p.q["a b"] in (x, "y z")'),
    (Check(FieldRef("p.q"), "=", ValueList(("x",)), "oneof"), "p.q = oneof (x)"),
    (
        Check(
            Transformer("join", (Value("-"), TransformerList((FieldRef("p.q"), Value("x"))))),
            "=",
            Transformer("val", (FieldRef("r.s"),)),
        ),
        "join(-,(p.q,x)) = val(r.s)",
    ),
    (
        Exists(Transformer("getopt", (FieldRef("p.q"), Value("ab")), "a")),
        "getopt(p.q,ab)[a] exists",
    ),
]


@pytest.mark.parametrize(("tree", "text"), TREES)
def test_each_node_has_its_form(tree, text):
    """One pair of parentheses a node, one blank around words and operators."""
    assert text == print_condition(tree)


@pytest.mark.parametrize(
    ("field", "text"),
    [(FieldRef("a.b"), "a.b"), (FieldRef("a.b", "1"), "a.b[1]"), (FieldRef("a.b", ""), 'a.b[""]')],
)
def test_fields_with_arguments(field, text):
    """An empty argument is told apart from none."""
    assert text == print_field(field)


def test_json_of_every_node():
    """Each node's JSON names its type and nests its parts."""
    tree = Or((Not(Exists(Transformer("val", (FieldRef("p.q"),), "a"))), And((A, B))))
    body = to_json(tree)

    assert body["type"] == "or"
    assert body["children"][0]["child"]["left"] == {
        "type": "transformer",
        "name": "val",
        "args": [{"type": "field", "name": "p.q", "arg": None}],
        "selector": "a",
    }
    assert [child["name"] for child in body["children"][1]["children"]] == ["a", "b"]
    assert operand_to_json(TransformerList((Value("x"),))) == {
        "type": "transformer_list",
        "items": [{"type": "value", "value": "x"}],
    }
