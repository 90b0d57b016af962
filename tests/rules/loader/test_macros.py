"""Macros: visibility, loops, what is undefined, how far expansion may go."""

import itertools

import pytest

RULE = "\n- rule: r\n  desc: d\n  condition: {}\n  output: o\n  priority: INFO\n"


def macro(name, condition, override=""):
    """A macro item."""
    return f"- macro: {name}\n  condition: {condition}\n{override}"


APPEND = "  override: {condition: append}\n"
EXPANDED = [
    (macro("m", "a.b=c") + RULE.format("m"), "a.b = c"),
    (macro("m", "a.b=c or d.e=f") + RULE.format("not m"), "not (a.b = c or d.e = f)"),
    (RULE.format("m") + macro("m", "a.b=c"), "a.b = c"),
    (
        macro("m", "a.b=c") + macro("n", "m or d.e=f") + RULE.format("n and m"),
        "((a.b = c or d.e = f) and a.b = c)",
    ),
    (
        macro("n", "d.e=f") + macro("m", "a.b=c") + macro("n", "or m", APPEND) + RULE.format("n"),
        "(d.e = f or a.b = c)",
    ),
    (
        macro("n", "d.e=f") + macro("m", "a.b=c") + macro("n", "m") + RULE.format("n"),
        "a.b = c",
    ),
    (macro("m", "not a.b=c") + RULE.format("not m"), "not not a.b = c"),
]


@pytest.mark.parametrize(("text", "expected"), EXPANDED)
def test_references_are_replaced(compiled, text, expected):
    """A macro stands for its tree; rules see all macros, macros those before their last word."""
    assert {"r": expected} == compiled(text)


UNDEFINED = "Undefined macro 'm' used in filter."
REFUSED = [
    (RULE.format("m"), UNDEFINED),
    (macro("n", "m"), UNDEFINED),
    (macro("n", "m") + macro("m", "a.b=c"), UNDEFINED),
    (macro("m", "m"), UNDEFINED),
    (macro("m", "a.b=c") + macro("m", "or m", APPEND), "reference loop in macro 'm'"),
    (
        macro("m", "a.b=c") + macro("n", "m") + macro("m", "n"),
        "reference loop in macro 'n'",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_undefined_and_circular_macros_are_refused(outcome, text, message):
    """Both are LOAD_ERR_VALIDATE, whether or not a rule uses the macro."""
    assert outcome(text) == ("LOAD_ERR_VALIDATE", message)


def test_unused_macros_are_told(load):
    """A macro that only an unused macro names is used all the same."""
    report = load(macro("m", "a.b=c") + macro("n", "m") + RULE.format("a.b=c"))
    warnings = [found for found in report.results[0].warnings if "UNUSED" in found.code]

    assert [(str(found.code), found.context.locations[-1].item_name) for found in warnings] == [
        ("LOAD_UNUSED_MACRO", "n")
    ]


def test_macro_bombs_are_refused(outcome):
    """Macros that double each other are stopped by the number of checks they unfold to."""
    text = macro("m0", "a.b=c") + "".join(
        macro(f"m{number}", f"m{number - 1} and m{number - 1}") for number in range(1, 64)
    )
    found = outcome(text)

    assert found is not None
    assert "expands to more than" in found[1]


def test_deep_macro_chains_are_refused(outcome):
    """Macros that nest into each other are stopped before the passes that walk them."""
    text = macro("m0", "a.b=c") + "".join(
        macro(f"m{number}", f"x.y=z and (x.y=z or m{number - 1})") for number in range(1, 600)
    )
    found = outcome(text)

    assert found is not None
    assert "nests deeper than" in found[1]


def test_long_macro_chains_load(compiled):
    """Thousands of macros that just rename each other are fine."""
    text = macro("m0", "a.b=c") + "".join(
        macro(f"m{number}", f"m{number - 1}") for number in range(1, 3000)
    )
    assert compiled(text + RULE.format("m2999")) == {"r": "a.b = c"}


def test_redefinition_chains_do_not_overflow(outcome):
    """A chain that resolves backwards, each macro seeing the next, is an error or loads."""
    names = [f"m{number}" for number in range(3000)]
    text = "".join(macro(name, "a.b=c") for name in names)
    text += "".join(macro(name, following) for name, following in itertools.pairwise(names))
    found = outcome(text)

    assert found is None or found[0] == "LOAD_ERR_VALIDATE"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (macro("spawned", "a.b=c") + RULE.format("spawnd"), "did you mean 'spawned'?"),
        (
            macro("n", "m") + macro("m", "a.b=c"),
            "macro 'm' is defined later: macros see only those before them",
        ),
        (RULE.format("whatever"), None),
    ],
)
def test_undefined_macros_come_with_a_hint(load, text, hint):
    """The hint names what was probably meant; it is no part of the message."""
    (found,) = load(text).results[0].errors

    assert hint == found.hint
    assert found.message.endswith("used in filter.")
