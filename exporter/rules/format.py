"""Output formats: a template with `%field` tokens, compiled once, rendered for an event.

Gives the text of alerts and the typed values of their JSON form.
Source: rule-language.md section 18.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from exporter.events.event import Event
from exporter.rules.bind import Operand, Read
from exporter.rules.fields.field import FieldUse, Reader
from exporter.rules.printing import (
    RAW_ARGUMENT,
    Renderer,
    json_form,
    settled_operand,
    text_form,
    text_reader,
    uses_of,
)
from exporter.rules.template import split_template

MISSING = b"<NA>"
_VALUE_BYTES = 200


class Shown(Struct, frozen=True):
    """A piece of a template that shows one plain field.

    place: of the field among those of the format. text: prints a present value. width: exact number
    of characters, None for as many as there are.
    """

    place: int
    text: Callable[[Any], bytes]
    width: int | None


Piece = bytes | Shown | Renderer
"""Literal text, a plain field, or a reader of anything else that a token can name."""


class OutputFormat:
    """A compiled template.

    template: as written. uses, field_names: the plain fields it reads, each once, in order; those
    inside transformers included. prints_missing: whether missing values print as `<NA>` instead of
    suppressing the whole text. late: pieces that ask the container's runtime -> what is left of
    them once an event has been read. held_bytes: rough size of the values in a settled template.
    """

    def __init__(
        self,
        template: str,
        pieces: list[Piece],
        uses: list[FieldUse],
        *,
        prints_missing: bool,
        late: Mapping[Renderer, Callable[[Event], Renderer]] = MappingProxyType({}),
    ) -> None:
        self.template = template
        self.uses = tuple(uses)
        self.field_names = tuple(use.text for use in uses)
        self.prints_missing = prints_missing
        self._pieces = pieces
        self._reads = [use.read for use in uses]
        self._json = [(use.text, *json_form(use)) for use in uses]
        shown = {piece.place for piece in pieces if isinstance(piece, Shown)}
        self._shown = [(place, use.read) for place, use in enumerate(uses) if place in shown]
        self._late = late
        self.held_bytes = 0

    def settled(self, event: Event) -> "OutputFormat":
        """This template with everything read but what the container's runtime tells later.

        The result is rendered once, with a copy of the event, when the runtime has answered.
        """
        late = self._late
        values = [None if use.field.is_late else use.read(event) for use in self.uses]
        reads = [
            use.read if use.field.is_late else _constant(value)
            for use, value in zip(self.uses, values, strict=True)
        ]
        settled = copy(self)
        vars(settled).update(
            held_bytes=sum(map(_size, values)),
            _reads=reads,
            _shown=[(place, reads[place]) for place, _ in self._shown],
            _json=[
                (name, convert, None if read is None else _constant(read(event)))
                for name, convert, read in self._json
            ],
            _pieces=[
                piece
                if isinstance(piece, bytes | Shown)
                else late[piece](event)
                if piece in late
                else _constant(piece(event))
                for piece in self._pieces
            ],
        )
        return settled

    def render(self, event: Event) -> str | None:
        """The text for one event; None when a value is missing and the template has no `*`."""
        data = self.render_bytes(event)
        return None if data is None else data.decode("utf-8", "replace")

    def render_bytes(self, event: Event) -> bytes | None:
        """Like `render`, with bytes that are no UTF-8 as they came from the kernel."""
        values: list[Any] = [None] * len(self._reads)
        for place, read in self._shown:
            values[place] = read(event)
        return self._text(event, values)

    def fields(self, event: Event) -> dict[str, Any]:
        """Field text -> value as JSON shows it: number, bool, str, list, or None when missing."""
        return self._fields(event, [read(event) for read in self._reads])

    def render_with_fields(self, event: Event) -> tuple[str | None, dict[str, Any]]:
        """What `render` and `fields` give, with each field read once."""
        values = [read(event) for read in self._reads]
        data = self._text(event, values)
        text = None if data is None else data.decode("utf-8", "replace")
        return text, self._fields(event, values)

    def _text(self, event: Event, values: Sequence[Any]) -> bytes | None:
        out: list[bytes] = []
        for piece in self._pieces:
            if isinstance(piece, bytes):
                out.append(piece)
                continue
            if isinstance(piece, Shown):
                value = values[piece.place]
                text = None if value is None else piece.text(value)
                width = piece.width
            else:
                text, width = piece(event), None
            if text is None:
                if not self.prints_missing:
                    return None
                text = MISSING
            out.append(text if width is None else text[:width].ljust(width))
        return b"".join(out)

    def _fields(self, event: Event, values: Sequence[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for (name, convert, read), value in zip(self._json, values, strict=True):
            if read is not None:
                found[name] = read(event)
            else:
                found[name] = None if value is None else convert(value)
        return found


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
    pieces: list[Piece] = []
    uses: dict[str, FieldUse] = {}
    late: dict[Renderer, Callable[[Event], Renderer]] = {}
    for part in split_template(template, source):
        if isinstance(part, str):
            pieces.append(part.encode("utf-8", "surrogateescape"))
            continue
        operand = part.operand if rebind is None else rebind(part.operand)
        for use in uses_of(operand):
            uses.setdefault(use.text, use)
        if isinstance(operand, Read) and operand.use.field.name != RAW_ARGUMENT:
            text = text_form(operand, is_base64=is_base64)
            if clean is not None:
                text = _cleaned_text(text, clean)
            pieces.append(Shown(list(uses).index(operand.use.text), text, part.width))
            continue
        finish = partial(
            _text_piece,
            is_base64=is_base64,
            clean=clean,
            width=part.width,
            prints_missing=prints_missing,
        )
        renderer = finish(operand)
        pieces.append(renderer)
        if any(use.field.is_late for use in uses_of(operand)):
            late[renderer] = _Settling(operand, finish)
    return OutputFormat(
        template,
        pieces,
        list(uses.values()),
        prints_missing=prints_missing,
        late=late,
    )


def _constant(value: Any) -> Reader:
    """A reader of something that was read before."""
    return lambda _event: value


def _size(value: Any) -> int:
    """Rough size of a value that is kept as it was read, as text and as JSON shows it."""
    if isinstance(value, tuple):
        return sum(map(_size, value))
    return _VALUE_BYTES + (3 * len(value) if isinstance(value, bytes) else 0)


class _Settling(Struct, frozen=True):
    """Makes the renderer of an operand that asks nothing more of an event that is over."""

    operand: Operand
    finish: Callable[[Operand], Renderer]

    def __call__(self, event: Event) -> Renderer:
        return self.finish(settled_operand(self.operand, event))


def _text_piece(
    operand: Operand,
    *,
    is_base64: bool,
    clean: Callable[[bytes], bytes] | None,
    width: int | None,
    prints_missing: bool,
) -> Renderer:
    renderer = text_reader(operand, is_base64=is_base64)
    if clean is not None:
        renderer = _cleaned(renderer, clean)
    return _finished(renderer, width, prints_missing=prints_missing)


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


def _cleaned_text(
    text: Callable[[Any], bytes], clean: Callable[[bytes], bytes]
) -> Callable[[Any], bytes]:
    return lambda value: clean(text(value))


def _cleaned(renderer: Renderer, clean: Callable[[bytes], bytes]) -> Renderer:
    def render(event: Event) -> bytes | None:
        text = renderer(event)
        return None if text is None else clean(text)

    return render
