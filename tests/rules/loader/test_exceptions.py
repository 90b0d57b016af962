"""Exceptions: defaults, checks, expansion, appending."""

import pytest

from exporter.rules.loader import NoChecks

VALIDATE = "LOAD_ERR_VALIDATE"


def rule(exceptions):
    """A rule with exceptions in flow style."""
    return f"""
- rule: r
  desc: d
  condition: evt.type=open or x.y=z
  output: o
  priority: INFO
  exceptions: [{exceptions}]
"""


HEAD = "(evt.type = open or x.y = z)"
EXPANDED = [
    ("", HEAD),
    ("{name: a, fields: p.q}", HEAD),
    ("{name: a, fields: [p.q, r.s]}", HEAD),
    ("{name: a, fields: p.q, values: [u, v w]}", f'({HEAD} and not p.q in (u, "v w"))'),
    ("{name: a, fields: p.q, comps: pmatch, values: [/u]}", f"({HEAD} and not p.q pmatch (/u))"),
    (
        "{name: a, fields: p.q, comps: startswith anyof, values: [/u, /v]}",
        f"({HEAD} and not p.q startswith anyof (/u, /v))",
    ),
    (
        "{name: a, fields: [p.q, r.s], values: [[u, v], [w, x y]]}",
        f'({HEAD} and not ((p.q = u and r.s = v) or (p.q = w and r.s = "x y")))',
    ),
    (
        "{name: a, fields: [p.q, r.s], comps: [=, in], values: [[u, [v, w x]], [y, z]]}",
        f'({HEAD} and not ((p.q = u and r.s in (v, "w x")) or (p.q = y and r.s in (z))))',
    ),
    (
        "{name: a, fields: [p.q], comps: [in], values: [['(u, v)']]}",
        f"({HEAD} and not p.q in (u, v))",
    ),
    (
        "{name: a, fields: [p.q], comps: [contains oneof], values: [[[u, v]]]}",
        f"({HEAD} and not p.q contains oneof (u, v))",
    ),
    (
        "{name: a, fields: ['tolower(p.q)'], comps: [startswith], values: [[u]]}",
        f"({HEAD} and not tolower(p.q) startswith u)",
    ),
    ("{name: a, fields: p.q, values: [\"'u v'\"]}", f'({HEAD} and not p.q in ("u v"))'),
    (
        "{name: a, fields: p.q, values: [u]}, {name: b, fields: r.s, values: [v]}",
        f"({HEAD} and not p.q in (u) and not r.s in (v))",
    ),
]


@pytest.mark.parametrize(("exceptions", "condition"), EXPANDED)
def test_exceptions_are_taken_out_of_the_condition(compiled, exceptions, condition):
    """Every form of fields, comps and values expands as the reference expands it."""
    assert {"r": condition} == compiled(rule(exceptions))


REFUSED = [
    (
        "{name: a, fields: []}",
        "Rule exception item must have fields property with a list of fields",
    ),
    ("{name: a, fields: }", "Rule exception item must have fields property"),
    ("{name: a, fields: [p.q], comps: [=, =]}", "Fields and comps lists must have equal length"),
    ("{name: a, fields: [p.q], comps: '='}", "Fields and comps lists must have equal length"),
    ("{name: a, fields: [p.q], comps: [like]}", "'like' is not a supported comparison operator"),
    ("{name: a, fields: [p.q], comps: [in oneof]}", "'in oneof' is not a supported comparison"),
    ("{name: a, fields: p.q, comps: [in]}", "Fields and comps must both be strings"),
    ("{name: a, fields: p.q, comps: '='}", "When fields is a single value, comps must be one of"),
    ("{name: a, fields: p.q, values: [[u]]}", "Expected values array to contain a list of strings"),
    ("{name: a, fields: [p.q, r.s], values: [[u]]}", "Fields and values lists must have equal"),
    ("{name: a, fields: [p.q], values: [u]}", "Fields and values lists must have equal length"),
    ("{name: a, fields: un.known}", "'un.known' is not a supported filter field"),
    ("{name: a, fields: [p.q, 'tolower(un.known)']}", "'tolower(un.known)' is not a supported"),
    ("{name: a, fields: no field}", "'no field' is not a supported filter field"),
]


class KnownFields(NoChecks):
    """Knows the fields of this file."""

    def is_field(self, name, arg, source):
        """Whether it is one of them."""
        return (name, arg, source) in {
            ("p.q", None, "syscall"),
            ("r.s", None, "syscall"),
        }


@pytest.mark.parametrize(("exceptions", "message"), REFUSED)
def test_exceptions_that_do_not_fit_are_refused(outcome, exceptions, message):
    """Each misfit is LOAD_ERR_VALIDATE with its message."""
    found = outcome(rule(exceptions), checks=KnownFields())

    assert found is not None
    assert found[0] == VALIDATE
    assert message in found[1]


@pytest.mark.parametrize("exceptions", ["{name: a}", "{name: a, values: [u]}"])
def test_a_definition_without_the_key_fields_is_a_wrong_shape(outcome, exceptions):
    """The reader refuses the item before anybody looks at what the exception means."""
    found = outcome(rule(exceptions), checks=KnownFields())

    assert found == ("LOAD_ERR_YAML_VALIDATE", "Item has no mapping for key 'fields'")


BASE = rule("{name: a, fields: p.q, values: [u]}, {name: b, fields: [r.s]}")


def more(exceptions, verb="append"):
    """An item that changes the exceptions of the rule."""
    return f"- rule: r\n  exceptions: [{exceptions}]\n  override: {{exceptions: {verb}}}\n"


APPENDED = [
    (more("{name: a, values: [v]}"), f"({HEAD} and not p.q in (u, v))"),
    (more("{name: b, values: [[v]]}"), f"({HEAD} and not p.q in (u) and not r.s = v)"),
    (
        more("{name: c, fields: r.s, values: [v]}"),
        f"({HEAD} and not p.q in (u) and not r.s in (v))",
    ),
    (more("{name: a}"), f"({HEAD} and not p.q in (u))"),
    (more("{name: c, fields: r.s, values: [v]}", "replace"), f"({HEAD} and not r.s in (v))"),
    (
        "- rule: r\n  append: true\n  exceptions: [{name: a, values: [v]}]",
        f"({HEAD} and not p.q in (u, v))",
    ),
    ("- rule: r\n  append: true\n  exceptions:", f"({HEAD} and not p.q in (u))"),
]


@pytest.mark.parametrize(("text", "condition"), APPENDED)
def test_exceptions_can_be_appended_and_replaced(compiled, text, condition):
    """Values join an exception of the same name; a new name needs fields and values."""
    assert {"r": condition} == compiled(BASE, text)


NOT_APPENDED = [
    (more("{name: a, fields: p.q, values: [v]}"), "Can not append exception fields"),
    (more("{name: a, comps: in, values: [v]}"), "Can not append exception comps"),
    (more("{name: c, values: [v]}"), "Rule exception must have fields property"),
    (more("{name: c, fields: p.q}"), "Rule exception must have values property"),
    (more("{name: c, fields: [], values: [v]}", "replace"), "must have fields property"),
]


@pytest.mark.parametrize(("text", "message"), NOT_APPENDED)
def test_appending_has_rules(outcome, text, message):
    """Fields and comps of an exception stay; a new one must be complete."""
    found = outcome(BASE, text)

    assert found is not None
    assert found[0] == VALIDATE
    assert message in found[1]


def test_appending_no_values_is_odd(warnings_of):
    """Only an exception that is appended without values is told."""
    assert "LOAD_APPEND_NO_VALUES" in warnings_of(BASE, more("{name: a}"))
    assert "LOAD_APPEND_NO_VALUES" not in warnings_of(BASE)
    assert "LOAD_APPEND_NO_VALUES" not in warnings_of(
        BASE, more("{name: a, fields: p.q}", "replace")
    )


def test_a_replacement_names_its_fields(outcome):
    """It stands alone, so fields may not be left out as they may in an append."""
    found = outcome(BASE, more("{name: a, values: [v]}", "replace"))

    assert ("LOAD_ERR_YAML_VALIDATE", "Item has no mapping for key 'fields'") == found


def test_list_names_in_values_are_expanded(compiled):
    """Values are condition text, so list names inside them are lists."""
    text = "- list: l\n  items: [s, t]\n" + rule("{name: a, fields: p.q, values: [l, u]}")

    assert {"r": f"({HEAD} and not p.q in (s, t, u))"} == compiled(text)


def test_rules_remember_fields_of_exceptions_with_values(load):
    """Only fields that took part are remembered."""
    (found,) = load(BASE).ruleset.rules

    assert found.exception_fields == ("p.q",)
