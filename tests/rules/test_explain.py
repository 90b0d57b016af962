"""Explanations of single rules: nothing guessed, everything from the stages that matching uses."""

from exporter.rules.explain import explain, to_json, to_text
from exporter.rules.loader import RuleOptions, RulesSource, load_rules

TEXT = """\
- list: words
  items: [{words}]
- macro: never
  condition: (evt.num = 0)
- rule: R
  desc: d
  condition: {condition}
  output: "%proc.name %fd.name"
  priority: INFO
  enabled: {enabled}
"""
WORDS = ", ".join(f"w{number:02}" for number in range(20))


def explained(condition, *, enabled="true"):
    """The explanation of one rule."""
    text = TEXT.format(words=WORDS, condition=condition, enabled=enabled)
    report = load_rules([RulesSource("r.yaml", text)], RuleOptions(append_output=()))
    assert report.successful, report.verbose()
    return explain(report.ruleset.rules[0], ["W: something"])


def test_fields_say_where_they_are_read():
    """Each field once, with a positive cost; the output's own ones are marked."""
    found = explained("evt.type = open and tolower(proc.name) = val(proc.pname) and not never")

    assert [(field.name, field.where) for field in found.fields] == [
        ("evt.type", "condition"),
        ("proc.name", "condition"),
        ("evt.num", "condition"),
        ("proc.pname", "condition"),
        ("fd.name", "output"),
    ]
    assert min(field.cost_ns for field in found.fields) > 0


def test_the_functions_shown_are_the_functions_that_run():
    """The text compiles and its bound names are explained; big sets are cut."""
    found = explained("evt.type = open and proc.pname in (words)")
    function = next(entry for entry in found.functions if "open" in entry.events)
    names = dict(function.names)

    compile(function.text, "shown", "exec")
    assert "reads proc.pname" in names.values()
    assert any("(20 in all)" in text for text in names.values())
    assert all(name in function.text for name in names)


def test_event_types_are_those_of_the_rule():
    """Asynchronous events, which every rule gets, are left out."""
    assert explained("evt.type in (open, close)").events == ("close", "open")


def test_decided_parts_have_a_reason():
    """By the event type, or because the field cannot be there."""
    found = explained("evt.type = unlink and (evt.is_open_read = false or fd.name = x)")

    assert found.decided == (
        ("evt.is_open_read = false", True, "by the event type"),
        ("fd.name = x", False, "no such event has fd.name"),
    )


def test_a_rule_that_nothing_matches():
    """It has no event types, and the text says so."""
    found = explained("evt.type = open and evt.type = close")

    assert found.events == ()
    assert "it can never match" in to_text(found)
    assert "it can never match" not in to_text(explained("evt.type = open"))


def test_rules_that_are_off_are_explained_all_the_same():
    """The text says that the rule is off."""
    found = explained("evt.type = open", enabled="false")

    assert to_text(found).startswith("R (syscall, Informational, off)\n")
    assert found.functions != ()


def test_text_and_json_hold_the_same():
    """Condition, events, fields, warnings."""
    found = explained("evt.type = open and proc.name = x")
    body, text = to_json(found), to_text(found)

    assert body["warnings"] == ["W: something"]
    assert text.endswith("Warnings:\n  W: something")
    assert f"  {body['condition']}\n" in text
    assert all(field["name"] in text for field in body["fields"])
