"""What a replay shows beside alerts: events that pass a condition, printed by a format.

Takes the texts of `--filter` and `--fields`, gives functions of an event. A condition restricts
everything: what it refuses is neither printed nor seen by rules.
"""

import re
from collections.abc import Callable

import msgspec

from exporter.errors import RuleError, Span
from exporter.events.event import Event
from exporter.rules.ast import Check, Exists, MacroRef, Node, walk
from exporter.rules.bind import bind_check
from exporter.rules.conditions import ConditionError
from exporter.rules.engine import Engine
from exporter.rules.event_index import EventIndexError, event_types
from exporter.rules.format import OutputFormat, compile_format
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import RULE_MAX_DEPTH, parse_condition
from exporter.rules.priority import Priority
from exporter.rules.ruleset import Rule, Ruleset
from exporter.rules.template import FormatError

_ENCODER = msgspec.json.Encoder()
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class TextError(RuleError):
    """A condition or format of the command line is wrong; `str()` shows the place."""

    def __init__(self, option: str, text: str, error: RuleError, index: int) -> None:
        before = text[:index]
        line, column = before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1
        super().__init__(
            error.message, code=error.code, span=Span(option, line, column), hint=error.hint
        )
        shown = (text.split("\n")[line - 1]).replace("\t", " ")
        self._snippet = f"\n  {shown}\n  {' ' * (column - 1)}^"

    def __str__(self) -> str:
        return f"{super().__str__()}{self._snippet}"


class EventFilter:
    """A condition on events. codes: the event types that can pass."""

    def __init__(self, text: str, source: str) -> None:
        """Compile. Raises TextError."""
        try:
            node = _checked(text, source)
            self.codes = event_types(node, source)
        except (ConditionSyntaxError, ConditionError) as error:
            # Positions count bytes.
            raw = text.encode("utf-8", "surrogateescape")[: error.position.idx]
            index = len(raw.decode("utf-8", "surrogateescape"))
            raise TextError("--filter", text, error, index) from None
        except EventIndexError as error:
            raise TextError("--filter", text, error, max(0, text.find("evt.type"))) from None
        rule = Rule(
            index=0,
            name="--filter",
            desc="",
            condition=text,
            ast=node,
            output="",
            priority=Priority.DEBUG,
            source=source,
            event_types=self.codes,
        )
        self._engine = Engine(Ruleset(rules=(rule,)))

    def passes(self, event: Event) -> bool:
        """Whether the condition is true of the event, which the state has taken in."""
        return bool(self._engine.match(event))


def _checked(text: str, source: str) -> Node:
    """The condition, every check of it bound. Raises ConditionSyntaxError, ConditionError."""
    node = parse_condition(text, RULE_MAX_DEPTH)
    for inner in walk(node):
        if isinstance(inner, MacroRef):
            raise ConditionError(
                f'there is no field or macro "{inner.name}" here',
                inner.position,
                "macros and lists of rules files are not known here; write them out",
            )
        if isinstance(inner, Check | Exists):
            bind_check(inner, source)
    return node


def event_lines(
    template: str, source: str, *, is_json: bool, is_base64: bool
) -> Callable[[Event], bytes | None]:
    """A function from an event to its line, newline included; None when it has none.

    That is so when a value is missing and the template has no leading `*`. Control characters in
    values are escaped, so that an event is one line. Raises TextError.
    """
    try:
        form = compile_format(template, source, is_base64=is_base64, clean=clean_value)
    except FormatError as error:
        raise TextError("--fields", template, error, error.offset) from None
    return _json_line(form) if is_json else _text_line(form)


def _text_line(form: OutputFormat) -> Callable[[Event], bytes | None]:
    render = form.render_bytes

    def line(event: Event) -> bytes | None:
        data = render(event)
        return None if data is None else data + b"\n"

    return line


def _json_line(form: OutputFormat) -> Callable[[Event], bytes | None]:
    """Field text -> typed value, as in the output_fields of alerts."""
    values = form.fields
    prints_missing = form.prints_missing

    def line(event: Event) -> bytes | None:
        found = values(event)
        if not prints_missing and None in found.values():
            return None
        return _ENCODER.encode(found) + b"\n"

    return line


def clean_value(value: bytes) -> bytes:
    """The value as valid UTF-8 with control characters written as in JSON."""
    text = value.decode("utf-8", "replace")
    return (text if text.isprintable() else _CONTROL.sub(_escaped, text)).encode()


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    return short or f"\\u{ord(character):04x}"
