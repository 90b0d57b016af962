"""Test files: what they may say, and the place of everything that is wrong in them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rules.priority import Priority
from exporter.rules.testing.document import Expected, read_test_file
from exporter.rules.testing.items import TestFileError

WHOLE = """\
rules: [a.yaml, ../b.yaml]
setup:
  - process: shell
tests:
  - name: one
    scenario:
      - spawn: cat
      - open: {path: /x}
    expect:
      - Plain
      - rule: Full
        event: open
        priority: warning
        output: whole
        output_contains: [part, other]
        fields: {proc.name: cat, fd.name: ~}
    others: allowed
  - name: two
    source: k8s_audit
    event: {ka.verb: get}
    expect_none: true
  - name: three
    events: [{evt.type: open}, {evt.type: close}]
    expect_none: [A, B]
"""


def test_a_whole_file():
    """Everything the format has, as the runner takes it."""
    file = read_test_file(WHOLE, "t.yaml")
    one, two, three = file.cases

    assert [path for path, _ in file.rules] == ["a.yaml", "../b.yaml"]
    assert [step.name for step in one.steps] == ["process", "spawn", "open"]
    assert one.expected[0] == Expected("Plain", one.expected[0].span)
    full = one.expected[1]
    assert (full.rule, full.event, full.priority) == ("Full", "open", Priority.WARNING)
    assert (full.output, full.output_contains) == ("whole", ("part", "other"))
    assert full.fields == (("proc.name", "cat"), ("fd.name", None))
    assert one.has_others
    assert (one.forbidden, two.forbidden) == (None, ())
    assert two.source == "k8s_audit"
    assert three.forbidden is not None
    assert [name for name, _ in three.forbidden] == ["A", "B"]
    assert str(full.span) == "t.yaml:11:9"


RECORDED = """\
tests:
  - name: one
    capture: ../data/x.scap
    expect: [A]
    expect_counts: {A: 3, B: 0}
  - name: two
    audit_log: /var/log/audit.log
    expect_counts: {A: 1}
"""


def test_recordings_and_counts():
    """Paths are relative to the test file; the key says the source; counts are numbers."""
    one, two = read_test_file(RECORDED, "some/tests/t.yaml").cases

    assert (one.recording, one.source) == ("some/data/x.scap", "syscall")
    assert (two.recording, two.source) == ("/var/log/audit.log", "k8s_audit")
    assert one.counts is not None
    assert [(entry.rule, entry.count) for entry in one.counts] == [("A", 3), ("B", 0)]
    assert one.named == {"A", "B"}
    assert two.expected == ()


def case(text):
    """A file of one test with these lines."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return f"tests:\n  - name: n\n{lines}"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("test: []", "1:1", 'unknown key "test"'),
        ("rules: []", "1:1", "there are no tests"),
        ("tests: {}", "1:8", "expected a list of tests, found a mapping"),
        ("- a", "1:1", "expected a mapping with rules and tests, found a list"),
        ("tests: [{", "2:1", "yaml: "),
        ("tests:\n  - {nme: x}", "2:6", 'unknown key "nme"'),
        ("tests:\n  - {event: {}, expect_none: true}", "2:5", "the test has no name"),
        (
            case("expect_none: true"),
            "2:5",
            "capture and audit_log, found none",
        ),
        (case("event: {}\nscenario: []\nexpect_none: true"), "2:5", "event and scenario"),
        (case("event: {}"), "2:5", "one of expect, expect_counts, expect_none"),
        (case("event: {}\nexpect: []"), "4:13", "expect names no alert"),
        (case("event: {}\nexpect: [{output: x}]"), "4:14", "names no rule"),
        (case("event: {}\nexpect: [{rule: x, outputt: y}]"), "4:24", 'unknown key "outputt"'),
        (case("event: {}\nexpect: [{rule: x, priority: loud}]"), "4:34", "expected one of"),
        (case("event: {}\nexpect_none: [[]]"), "4:19", "the name of a rule, found a list"),
        (case("event: {}\nexpect_none: false"), "4:18", "true or a list of rule names"),
        (case("event: {}\nexpect_none: true\nothers: all"), "5:13", "allowed or refused"),
        (case("event: {}\nexpect: [x]\nexpect_none: true"), "5:18", "stands alone"),
        (case("capture: []\nexpect: [x]"), "3:14", "the path of a file"),
        (case("capture: x\nexpect_counts: {}"), "4:20", "names no rule"),
        (case("capture: x\nexpect_counts: {a: -1}"), "4:24", "a number of alerts"),
        (case("capture: x\nexpect_counts: [a]"), "4:20", "rules with the number"),
        (
            case("audit_log: x\nsource: syscall\nexpect_none: true"),
            "4:13",
            "the events of audit_log are of source k8s_audit",
        ),
        (case("source: x\nevent: {}\nexpect_none: true"), "3:13", "no event source"),
        (case("scenario: [open]\nexpect_none: true"), "3:16", "a step such as"),
        (case("scenario: [{a: b, c: d}]\nexpect_none: true"), "3:16", "exactly one key"),
        (case("event: {a: b, a: c}\nexpect_none: true"), "3:19", 'the key "a" is there twice'),
        ("tests:\n  - &t {name: n, event: {}, expect_none: true}\n  - *t", "2:5", "is taken by"),
        ("", "1:1", "expected one YAML document, found 0"),
    ],
)
def test_errors_have_their_place(text, place, message):
    """File, line and column of what is wrong, and words for it."""
    with pytest.raises(TestFileError) as caught:
        read_test_file(text, "t.yaml")

    assert str(caught.value.span) == f"t.yaml:{place}"
    assert message in caught.value.message


def test_misspelt_keys_are_recognised():
    """The hint names the nearest key."""
    with pytest.raises(TestFileError) as caught:
        read_test_file("tests:\n  - {name: n, scenraio: []}", "t.yaml")

    assert caught.value.hint == 'did you mean "scenario"?'


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text(alphabet="tests: -[]{}&*a\n'\"", max_size=80))
def test_any_text_is_read_or_refused(text):
    """Nothing but TestFileError comes out of any text."""
    spans: list[object] = []
    try:
        read_test_file(text, "t.yaml")
    except TestFileError as error:
        spans.append(error.span)
    assert None not in spans
