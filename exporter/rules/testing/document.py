"""Test files: YAML text -> cases. Everything unknown is an error with its place.

The format is described in docs/rule-tests.md.
"""

import os.path
from dataclasses import dataclass
from pathlib import PurePath

from exporter.errors import Span
from exporter.rules.loader.document import DocumentError, read_documents
from exporter.rules.loader.options import SOURCES
from exporter.rules.priority import Priority
from exporter.rules.testing.items import Item, TestFileError, item_of

_FILE_KEYS = ("rules", "setup", "tests")
_RECORDINGS = {"capture": "syscall", "audit_log": "k8s_audit"}
"""Key of a recording -> event source of its events."""
_INPUTS = ("event", "events", "scenario", *_RECORDINGS)
_EXPECTATIONS = ("expect", "expect_counts", "expect_none")
_CASE_KEYS = ("name", "source", *_INPUTS, *_EXPECTATIONS, "others")
_EXPECT_KEYS = ("rule", "event", "priority", "output", "output_contains", "fields")


@dataclass(frozen=True, slots=True)
class Expected:
    """One alert that must come. Empty texts and tuples: not looked at.

    fields: name -> printed value, None for a missing one.
    """

    rule: str
    span: Span
    event: str = ""
    priority: Priority | None = None
    output: str = ""
    output_contains: tuple[str, ...] = ()
    fields: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectedCount:
    """How many alerts of a rule must come in all."""

    rule: str
    count: int
    span: Span


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a scenario: what happens, with its arguments."""

    name: str
    item: Item
    span: Span


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    The input is one of: events, field values of events; steps, those of a scenario; recording, the
    path of a recorded file, "" for none. expected: alerts in order, all of them unless there are
    counts. counts: alerts by rule; None when nothing is said of them. forbidden: rules that must
    not match; None when the others say it all. has_others: alerts of rules that are not named are
    fine.
    """

    name: str
    span: Span
    source: str = "syscall"
    events: tuple[Item, ...] = ()
    steps: tuple[Step, ...] = ()
    recording: str = ""
    expected: tuple[Expected, ...] = ()
    counts: tuple[ExpectedCount, ...] | None = None
    forbidden: tuple[tuple[str, Span], ...] | None = None
    has_others: bool = False

    @property
    def named(self) -> frozenset[str]:
        """The rules whose alerts are expected, or counted."""
        counted = (entry.rule for entry in self.counts or ())
        return frozenset((*(entry.rule for entry in self.expected), *counted))


@dataclass(frozen=True, slots=True)
class RuleTestFile:
    """One test file. rules: paths as written, with their places."""

    path: str
    rules: tuple[tuple[str, Span], ...]
    cases: tuple[Case, ...]


def read_test_file(text: str, path: str) -> RuleTestFile:
    """The cases of a file. Raises TestFileError for the first thing that is wrong."""
    whole = Span(path, 1, 1)
    try:
        documents = read_documents(text)
    except DocumentError as error:
        mark = error.mark
        span = whole if mark is None else Span(path, mark.line + 1, mark.column + 1)
        raise TestFileError(error.message, span) from None
    if len(documents) != 1:
        raise TestFileError(f"expected one YAML document, found {len(documents)}", whole)
    top = item_of(documents[0], path).mapping(_FILE_KEYS, "a mapping with rules and tests")
    rules = tuple(
        (item.text("a path"), item.span)
        for item in (top["rules"].items("a list of paths") if "rules" in top else ())
    )
    if "tests" not in top:
        raise TestFileError("there are no tests", whole, 'expected a list under the key "tests"')
    setup = _steps(top["setup"]) if "setup" in top else ()
    cases = tuple(_case(item, setup) for item in top["tests"].items("a list of tests"))
    seen: dict[str, Span] = {}
    for case in cases:
        if case.name in seen:
            raise TestFileError(
                f'the name "{case.name}" is taken by the test in line {seen[case.name].line}',
                case.span,
            )
        seen[case.name] = case.span
    return RuleTestFile(path, rules, cases)


def _case(item: Item, setup: tuple[Step, ...]) -> Case:
    body = item.mapping(_CASE_KEYS, "a test")
    if "name" not in body:
        raise TestFileError("the test has no name", item.span)
    inputs = [key for key in _INPUTS if key in body]
    if len(inputs) != 1:
        found = " and ".join(inputs) or "none of them"
        names = f"{', '.join(_INPUTS[:-1])} and {_INPUTS[-1]}"
        raise TestFileError(f"a test needs one of {names}, found {found}", item.span)
    if "expect_none" in body and ("expect" in body or "expect_counts" in body):
        raise TestFileError("expect_none stands alone", body["expect_none"].span)
    if not any(key in body for key in _EXPECTATIONS):
        raise TestFileError(f"a test needs one of {', '.join(_EXPECTATIONS)}", item.span)
    key = inputs[0]
    events: tuple[Item, ...] = ()
    if key == "event":
        events = (body["event"],)
    elif key == "events":
        events = body["events"].items("a list of events")
    expected: tuple[Expected, ...] = ()
    if "expect" in body:
        expected = tuple(_expected(entry) for entry in body["expect"].items("a list of alerts"))
        if not expected:
            raise TestFileError(
                "expect names no alert", body["expect"].span, "say expect_none: true"
            )
    return Case(
        name=body["name"].text(),
        span=item.span,
        source=_source(body, key),
        events=events,
        steps=(*setup, *_steps(body["scenario"])) if key == "scenario" else (),
        recording=_recording(body[key]) if key in _RECORDINGS else "",
        expected=expected,
        counts=_counts(body["expect_counts"]) if "expect_counts" in body else None,
        forbidden=_forbidden(body["expect_none"]) if "expect_none" in body else None,
        has_others="others" in body and _others(body["others"]),
    )


def _source(body: dict[str, Item], key: str) -> str:
    """The event source that the key of the input, or `source`, says."""
    own = _RECORDINGS.get(key)
    if "source" not in body:
        return own or "syscall"
    item = body["source"]
    source = item.text()
    if source not in SOURCES:
        raise TestFileError(
            f'there is no event source "{source}"', item.span, f"known: {', '.join(SOURCES)}"
        )
    if own is not None and source != own:
        raise TestFileError(f"the events of {key} are of source {own}", item.span)
    if key == "scenario" and source != "syscall":
        raise TestFileError("scenarios are made of system calls", item.span)
    return source


def _recording(item: Item) -> str:
    """The path, made of the test file's directory and what it says."""
    path = item.text("the path of a file")
    return os.path.normpath(PurePath(item.span.file).parent / path)


def _counts(item: Item) -> tuple[ExpectedCount, ...]:
    """Alerts by rule."""
    counts = []
    for rule, number, _ in item.pairs("rules with the number of their alerts"):
        text = number.text("a number of alerts")
        if not text.isascii() or not text.isdecimal():
            raise number.error("a number of alerts")
        counts.append(ExpectedCount(rule, int(text), number.span))
    if not counts:
        raise TestFileError("expect_counts names no rule", item.span, "say expect_none: true")
    return tuple(counts)


def _others(item: Item) -> bool:
    if item.value not in {"allowed", "refused"}:
        raise item.error("allowed or refused")
    return bool(item.value == "allowed")


def _forbidden(item: Item) -> tuple[tuple[str, Span], ...]:
    """The rules of expect_none; () for `true`, which means all."""
    if item.value == "true":
        return ()
    names = item.items("true or a list of rule names")
    if not names:
        raise item.error("true or a list of rule names")
    return tuple((name.text("the name of a rule"), name.span) for name in names)


def _expected(item: Item) -> Expected:
    if isinstance(item.value, str):
        return Expected(item.value, item.span)
    body = item.mapping(_EXPECT_KEYS, "an alert")
    if "rule" not in body:
        raise TestFileError("the expected alert names no rule", item.span)
    priority = None
    if "priority" in body:
        try:
            priority = Priority.parse(body["priority"].text())
        except ValueError:
            raise body["priority"].error(f"one of {', '.join(map(str, Priority))}") from None
    fields: list[tuple[str, str | None]] = []
    if "fields" in body:
        for name, value, _ in body["fields"].pairs("fields with their values"):
            fields.append((name, None if value.value is None else value.text("a value")))
    return Expected(
        rule=body["rule"].text(),
        span=item.span,
        event=body["event"].text() if "event" in body else "",
        priority=priority,
        output=body["output"].text().strip("\n") if "output" in body else "",
        output_contains=body["output_contains"].texts() if "output_contains" in body else (),
        fields=tuple(fields),
    )


def _steps(item: Item) -> tuple[Step, ...]:
    steps = []
    for entry in item.items("a list of steps"):
        pairs = list(entry.pairs("a step such as `open: /etc/shadow`"))
        if len(pairs) != 1:
            raise TestFileError("a step has exactly one key, what happens", entry.span)
        name, arguments, span = pairs[0]
        steps.append(Step(name, arguments, span))
    return tuple(steps)
