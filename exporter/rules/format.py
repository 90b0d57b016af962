"""Output formats: a template with `%field` tokens, compiled once, rendered for an event.

Gives the text of alerts and the typed values of their JSON form.
Source: rule-language.md section 18.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from exporter.errors import RuleError
from exporter.events.event import Event
from exporter.events.text import dots
from exporter.rules.ast import Exists, Transformer
from exporter.rules.bind import Call, Const, Items, Operand, Read, bind_operand
from exporter.rules.conditions import ConditionError
from exporter.rules.fields.catalogue import UnknownArgumentError, find_field
from exporter.rules.fields.field import FieldUse, PrintFormat, Reader
from exporter.rules.fields.field import ValueType as T
from exporter.rules.net import address_text
from exporter.rules.parser import ConditionSyntaxError, parse_condition
from exporter.rules.transformers import function_of
from exporter.rules.values import ADDRESSES, NETWORKS

MISSING = b"<NA>"
_MAX_TEXT = 1023
_MAX_WIDTH = 1 << 16
_NANOSECOND_FIELDS = frozenset({
    "evt.time", "evt.time.s", "evt.time.iso8601", "evt.datetime", "evt.datetime.s",
})  # fmt: skip
_INTEGER_PREFIXES = ("evt.rawtime", "evt.reltime", "evt.deltatime")
_TEXT_FORMATS = frozenset({PrintFormat.HEX, PrintFormat.OCT, PrintFormat.PADDED})

_FORMATS = {form.value: form for form in PrintFormat}

_WIDTH = re.compile(r"[0-9]+")
_NAME = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*(?:\.[a-zA-Z]+[a-zA-Z0-9_]*)+")
_ARG = re.compile(r"""\[(?:"([^"]*)"|'([^']*)'|([^\]\["'\s]+))\]""")
_CALL = re.compile(r"[a-z0-9]+\(")
_CLOSING = re.compile(r"[)\]]")
_MAX_BRACKETS = 64
"""Brackets that are tried as the end of a transformer call."""

Renderer = Callable[[Event], bytes | None]


class FormatError(RuleError):
    """An output template names something that is no field.

    offset: place in the template of the percent sign that is wrong, in characters from 0.
    """

    def __init__(self, message: str, hint: str | None = None, offset: int = 0) -> None:
        super().__init__(message, code="LOAD_ERR_COMPILE_OUTPUT", hint=hint)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Token:
    """One `%field` of a template.

    text: what is read, as written. start, end: place in the template, percent sign included.
    """

    text: str
    operand: Operand
    width: int | None
    start: int
    end: int


class OutputFormat:
    """A compiled template.

    template: as written. uses, field_names: the plain fields it reads, each once, in order; those
    inside transformers included.
    """

    def __init__(
        self,
        template: str,
        pieces: list[bytes | Renderer],
        uses: list[FieldUse],
        *,
        prints_missing: bool,
    ) -> None:
        self.template = template
        self.uses = tuple(uses)
        self.field_names = tuple(use.text for use in uses)
        self._pieces = pieces
        self._values = [(use.text, _json_reader(use)) for use in uses]
        self._prints_missing = prints_missing

    def render(self, event: Event) -> str | None:
        """The text for one event; None when a value is missing and the template has no `*`."""
        data = self.render_bytes(event)
        return None if data is None else data.decode("utf-8", "replace")

    def render_bytes(self, event: Event) -> bytes | None:
        """Like `render`, with bytes that are no UTF-8 as they came from the kernel."""
        out: list[bytes] = []
        for piece in self._pieces:
            if isinstance(piece, bytes):
                out.append(piece)
                continue
            text = piece(event)
            if text is None:
                return None
            out.append(text)
        return b"".join(out)

    def fields(self, event: Event) -> dict[str, Any]:
        """Field text -> value as JSON shows it: number, bool, str, list, or None when missing."""
        return {name: read(event) for name, read in self._values}

    @property
    def prints_missing(self) -> bool:
        """Whether missing values print as `<NA>` instead of suppressing the whole text."""
        return self._prints_missing


def compile_format(
    template: str,
    source: str,
    *,
    is_base64: bool = False,
    rebind: Callable[[Operand], Operand] | None = None,
    clean: Callable[[bytes], bytes] | None = None,
) -> OutputFormat:
    """Compile a template for events of one source. Raises FormatError.

    A leading `*` prints missing values as `<NA>`. is_base64: buffers print as base64. rebind: gives
    each operand the readers it shall have instead of the catalogue's. clean: applied to the text of
    each value.
    """
    prints_missing = template.startswith("*")
    pieces: list[bytes | Renderer] = []
    uses: dict[str, FieldUse] = {}
    for part in split_template(template, source):
        if isinstance(part, str):
            pieces.append(part.encode("utf-8", "surrogateescape"))
            continue
        operand = part.operand if rebind is None else rebind(part.operand)
        for use in uses_of(operand):
            uses.setdefault(use.text, use)
        renderer = text_reader(operand, is_base64=is_base64)
        if clean is not None:
            renderer = _cleaned(renderer, clean)
        pieces.append(_finished(renderer, part.width, prints_missing=prints_missing))
    return OutputFormat(template, pieces, list(uses.values()), prints_missing=prints_missing)


def split_template(template: str, source: str) -> Iterator[str | Token]:
    """Literal texts and tokens of a template, without its leading `*`. Raises FormatError."""
    if not template:
        raise FormatError("empty formatting token")
    index = 1 if template.startswith("*") else 0
    while index < len(template):
        at = template.find("%", index)
        if at < 0:
            at = len(template)
        if at > index:
            yield template[index:at]
        if at == len(template):
            break
        try:
            token = _token(template, at + 1, source)
        except FormatError as error:
            error.offset = at
            raise
        yield token
        index = token.end


def escape_line(text: str) -> str:
    """A finished line as text outputs print it: escaped like a JSON string without its quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _finished(renderer: Renderer, width: int | None, *, prints_missing: bool) -> Renderer:
    """The renderer with `<NA>` for missing values and the asked width applied."""
    if width is None and not prints_missing:
        return renderer

    def render(event: Event) -> bytes | None:
        text = renderer(event)
        if text is None:
            if not prints_missing:
                return None
            text = MISSING
        return text if width is None else text[:width].ljust(width)

    return render


def _cleaned(renderer: Renderer, clean: Callable[[bytes], bytes]) -> Renderer:
    def render(event: Event) -> bytes | None:
        text = renderer(event)
        return None if text is None else clean(text)

    return render


def _token(body: str, start: int, source: str) -> Token:
    """The token after a percent sign. Raises FormatError."""
    if start == len(body):
        raise FormatError("invalid formatting syntax: formatting cannot end with a %")
    width: int | None = None
    at = start
    digits = _WIDTH.match(body, at)
    if digits is not None:
        if len(digits.group()) > 6 or int(digits.group()) > _MAX_WIDTH:
            raise FormatError(f"invalid formatting syntax: width {digits.group()} is too big")
        at = digits.end()
        if at == len(body):
            raise FormatError("invalid formatting syntax: formatting cannot end with a number")
        width = int(digits.group()) or None  # Zero asks for no width.
    found = _longest_call(body, at, source) or _longest_field(body, at, source)
    if found is None:
        words = body[at:].split(maxsplit=1)
        raise FormatError(f"unknown filter: {words[0] if words else ''}")
    operand, end = found
    return Token(body[at:end], operand, width, start - 1, end)


def _longest_field(body: str, start: int, source: str) -> tuple[Operand, int] | None:
    match = _NAME.match(body, start)
    if match is None:
        return None
    bracket = _ARG.match(body, match.end())
    if bracket is not None:
        arg = next(group for group in bracket.groups() if group is not None)
        use = _find(match.group(), arg, source)
        if use is not None:
            return Read(use), bracket.end()
    name = match.group()
    while "." in name:
        use = _find(name, None, source)
        if use is not None:
            return Read(use), start + len(name)
        name = name[:-1]
    return None


def _find(name: str, arg: str | None, source: str) -> FieldUse | None:
    try:
        return find_field(name, arg, source)
    except UnknownArgumentError:
        return None


def _longest_call(body: str, start: int, source: str) -> tuple[Operand, int] | None:
    """A transformer call: the longest text up to a bracket that is one and compiles.

    Brackets behind a call may be plain text: `%tolower(proc.name)[%proc.pid]`.
    """
    if _CALL.match(body, start) is None:
        return None
    wrong: ConditionError | None = None
    ends = [match.end() for match in islice(_CLOSING.finditer(body, start), _MAX_BRACKETS)]
    for end in reversed(ends):
        try:
            node = parse_condition(f"{body[start:end]} exists")
        except ConditionSyntaxError:
            continue
        if not isinstance(node, Exists) or not isinstance(node.left, Transformer):
            continue
        try:
            return bind_operand(node.left, source), end
        except ConditionError as error:
            wrong = wrong or error
    if wrong is not None:
        raise FormatError(f"unknown filter: {wrong.message}", wrong.hint)
    return None


def uses_of(operand: Operand) -> Iterator[FieldUse]:
    """The fields that an operand reads, those inside transformers included."""
    match operand:
        case Read(use):
            yield use
        case Items(parts):
            for part in parts:
                yield from uses_of(part)
        case Call():
            for part in operand.args:
                yield from uses_of(part)
        case Const():
            return


def value_reader(operand: Operand) -> Reader:
    """Reader of the value of an operand."""
    match operand:
        case Read(use):
            return use.read
        case Const(value):
            return lambda _: value
        case Items(parts):
            readers = [value_reader(part) for part in parts]
            return lambda event: tuple([read(event) for read in readers])
        case Call():
            function = function_of(operand.name, operand.selector)
            arguments = [value_reader(arg) for arg in operand.args]
            return lambda event: function(*[read(event) for read in arguments])


def text_reader(operand: Operand, *, is_base64: bool = False) -> Renderer:
    """Reader of the printed form of an operand; None when the value is missing."""
    if isinstance(operand, Read) and operand.use.field.name == "evt.rawarg":
        return _raw_argument_text(operand.use, is_base64=is_base64)
    read = value_reader(operand)
    form = operand.use.field.print_as if isinstance(operand, Read) else PrintFormat.NA
    kind = operand.type
    if operand.is_list:

        def render_list(event: Event) -> bytes | None:
            values = read(event)
            if values is None:
                return None
            texts = [value_text(value, kind, form, is_base64=is_base64) for value in values]
            return (b"(" + b",".join(texts) + b")")[:_MAX_TEXT]

        return render_list
    if kind in {T.CHARBUF, T.FSPATH, T.FSRELPATH}:
        return read

    def render(event: Event) -> bytes | None:
        value = read(event)
        return None if value is None else value_text(value, kind, form, is_base64=is_base64)

    return render


def _raw_argument_form(use: FieldUse, event: Event) -> tuple[T, PrintFormat]:
    """Type and print format of the event's own parameter, not those the rule was checked with."""
    param = event.type.params[event.type.param_index[str(use.arg)]]
    return T(param.type), _FORMATS.get(param.format, PrintFormat.NA)


def _raw_argument_text(use: FieldUse, *, is_base64: bool) -> Renderer:
    def render(event: Event) -> bytes | None:
        value = use.read(event)
        if value is None:
            return None
        return value_text(value, *_raw_argument_form(use, event), is_base64=is_base64)

    return render


def _raw_argument_json(use: FieldUse) -> Reader:
    def read(event: Event) -> Any:
        value = use.read(event)
        return None if value is None else _json_value(value, *_raw_argument_form(use, event))

    return read


def value_text(value: Any, kind: T, form: PrintFormat, *, is_base64: bool = False) -> bytes:
    """Printed form of one present value of a type."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        if form is PrintFormat.HEX:
            return b"%X" % (value & 0xFFFFFFFFFFFFFFFF)
        if form is PrintFormat.OCT:
            return b"%o" % (value & 0xFFFFFFFFFFFFFFFF)
        return b"%09d" % value if form is PrintFormat.PADDED else b"%d" % value
    if isinstance(value, float):
        return b"%.1f" % value
    if kind is T.BYTEBUF:
        return (base64.b64encode(value) if is_base64 else dots(value))[:_MAX_TEXT]
    if kind in ADDRESSES:
        return address_text(value).encode()
    if kind in NETWORKS:
        return b"<IPNET>"
    assert isinstance(value, bytes)
    return value


def _json_reader(use: FieldUse) -> Reader:
    """Reader of the value of a field as JSON shows it."""
    name = use.field.name
    if name in _NANOSECOND_FIELDS:
        return lambda event: event.ts_ns
    if name == "evt.rawarg":
        return _raw_argument_json(use)
    form = use.field.print_as
    if name.startswith(_INTEGER_PREFIXES):
        form = PrintFormat.DEC
    kind = use.type
    if use.is_list:

        def read_list(event: Event) -> list[Any] | None:
            values = use.read(event)
            return None if values is None else [_json_value(item, kind, form) for item in values]

        return read_list

    def read(event: Event) -> Any:
        value = use.read(event)
        return None if value is None else _json_value(value, kind, form)

    return read


def _json_value(value: Any, kind: T, form: PrintFormat) -> Any:
    if isinstance(value, bool | float) or (isinstance(value, int) and form not in _TEXT_FORMATS):
        return value
    return value_text(value, kind, form).decode("utf-8", "replace")
