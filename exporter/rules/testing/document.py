"""Test files: YAML text -> cases. Everything unknown is an error with its place.

The format is described in docs/rule-tests.md.
"""

from dataclasses import dataclass

from exporter.errors import Span
from exporter.rules.loader.document import DocumentError, read_documents
from exporter.rules.loader.options import SOURCES
from exporter.rules.priority import Priority
from exporter.rules.testing.items import Item, TestFileError, item_of

_FILE_KEYS = ("rules", "setup", "tests")
_CASE_KEYS = ("name", "source", "event", "events", "scenario", "expect", "expect_none", "others")
_INPUTS = ("event", "events", "scenario")
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
class Step:
    """One step of a scenario: what happens, with its arguments."""

    name: str
    item: Item
    span: Span


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    events: field values of events, for the one way to write input; steps: those of a scenario, for
    the other. expected: all alerts, in order. forbidden: rules that must not match; None when
    `expected` says it all. has_others: alerts of rules that `expected` does not name are fine.
    """

    name: str
    span: Span
    source: str = "syscall"
    events: tuple[Item, ...] = ()
    steps: tuple[Step, ...] = ()
    expected: tuple[Expected, ...] = ()
    forbidden: tuple[tuple[str, Span], ...] | None = None
    has_others: bool = False


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
        raise TestFileError(
            f"a test needs one of event, events and scenario, found {found}", item.span
        )
    has_expected, has_none = "expect" in body, "expect_none" in body
    if has_expected == has_none:
        raise TestFileError("a test needs either expect or expect_none", item.span)
    source = body["source"].text() if "source" in body else "syscall"
    if source not in SOURCES:
        raise TestFileError(
            f'there is no event source "{source}"',
            body["source"].span,
            f"known: {', '.join(SOURCES)}",
        )
    if source != "syscall" and "scenario" in body:
        raise TestFileError("scenarios are made of system calls", body["source"].span)
    events: tuple[Item, ...] = ()
    if "event" in body:
        events = (body["event"],)
    elif "events" in body:
        events = body["events"].items("a list of events")
    expected: tuple[Expected, ...] = ()
    forbidden: tuple[tuple[str, Span], ...] | None = None
    if has_expected:
        expected = tuple(_expected(entry) for entry in body["expect"].items("a list of alerts"))
        if not expected:
            raise TestFileError(
                "expect names no alert", body["expect"].span, "say expect_none: true"
            )
    else:
        forbidden = _forbidden(body["expect_none"])
    return Case(
        name=body["name"].text(),
        span=item.span,
        source=source,
        events=events,
        steps=(*setup, *_steps(body["scenario"])) if "scenario" in body else (),
        expected=expected,
        forbidden=forbidden,
        has_others="others" in body and _others(body["others"]),
    )


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
