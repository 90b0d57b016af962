"""What stands beside the operator of a check -> AST: fields, transformer calls, values and lists.

The lower half of the grammar (rule-language.md section 1); parser.py has the upper one.
"""

from bisect import bisect_right

from exporter.errors import RuleError, Span
from exporter.rules.ast import (
    FieldRef,
    Position,
    Transformer,
    TransformerList,
    Value,
    ValueList,
)
from exporter.rules.lexer import (
    ARGUMENT,
    BARE,
    BLANK,
    BLANKS,
    FIELD_NAME,
    IDENTIFIER,
    NUMBER,
    PLAIN_LIST,
    TRANSFORMER,
    TRANSFORMERS,
    as_text,
    closing_quote,
    unescape,
)

_BLANK_OR_END = frozenset(("", *BLANKS))
_TRANSFORMER_NAMES = ", ".join(f"'{name}'" for name in ("val", *TRANSFORMERS))

VALUE_FRAMES = 3
"""Productions below a check until its value, counted as the reference engine counts them."""


class ConditionSyntaxError(RuleError):
    """A condition that the grammar does not allow; `position` is where the parser stopped."""

    def __init__(self, message: str, position: Position, hint: str | None = None) -> None:
        super().__init__(
            message,
            code="LOAD_ERR_COMPILE_CONDITION",
            span=Span("condition", position.line, position.column),
            hint=hint,
        )
        self.position = position


class OperandParser:
    """State of one parse: the text, where we are, the last token taken (for messages)."""

    __slots__ = ("_last", "_line_starts", "_max_depth", "_pos", "_text")

    def __init__(self, text: str, max_depth: int) -> None:
        self._text = text
        self._pos = 0
        self._max_depth = max_depth
        self._last = ""
        self._line_starts: list[int] | None = None
        if "\n" in text or "\r" in text:
            self._line_starts = [i for i, char in enumerate(text, 1) if char in "\r\n"]

    def error(self, message: str) -> ConditionSyntaxError:
        """The error to raise at the place where the parser is."""
        return ConditionSyntaxError(message, self._position(self._pos))

    def _position(self, index: int) -> Position:
        starts = self._line_starts
        if starts is None:
            return Position(index, 1, index + 1)
        line = bisect_right(starts, index)
        return Position(index, line + 1, index - (starts[line - 1] if line else 0) + 1)

    def _skip_blank(self) -> int:
        """Move over blanks; gives the new position."""
        if self._text[self._pos : self._pos + 1] in _BLANK_OR_END:
            match = BLANK.match(self._text, self._pos)
            assert match is not None  # The expression matches the empty string.
            self._pos = match.end()
        return self._pos

    def _too_deep(self) -> ConditionSyntaxError:
        return self.error(f"exceeded max depth limit of {self._max_depth}")

    def _field(self, name: str, start: int) -> FieldRef:
        """field = FIELD_NAME , [ "[" , ( QUOTED | ARG_BARE ) , "]" ]; the name is taken."""
        self._last = name
        return FieldRef(name, self._argument(), self._position(start))

    def _argument(self) -> str | None:
        """[ "[" , ( QUOTED | ARG_BARE ) , "]" ], touching what is before it."""
        text = self._text
        if not text.startswith("[", self._pos):
            return None
        self._pos += 1
        argument = self._quoted()
        if argument is None:
            match = ARGUMENT.match(text, self._pos)
            if match is None:
                raise self.error(
                    "expected a valid field argument: a quoted string or a bare string"
                )
            self._pos = match.end()
            argument = match.group()
        if not text.startswith("]", self._pos):
            raise self.error("expected a ']' token")
        self._pos += 1
        self._last = "]"
        return as_text(argument)

    def _transformer(self, name: str, start: int, depth: int) -> Transformer:
        """transformer_call: the name and its "(" are taken.

        transformer_call = TRANSFORMER_NAME , "(" , t_arg , { "," , t_arg } , ")" ,
                           [ "[" , ( QUOTED | ARG_BARE ) , "]" ].
        """
        args: list[FieldRef | Transformer | Value | TransformerList] = []
        while True:
            args.append(self._transformer_argument(depth + 1))
            self._skip_blank()
            if not self._text.startswith(",", self._pos):
                break
            self._pos += 1
        if not self._text.startswith(")", self._pos):
            raise self.error("expected a ')' token closing the transformer")
        self._pos += 1
        self._last = ")"
        return Transformer(name, tuple(args), self._argument(), self._position(start))

    def _transformer_argument(self, depth: int) -> FieldRef | Transformer | Value | TransformerList:
        """t_arg = NUMBER | QUOTED | "(" , [ t_item , { "," , t_item } ] , ")"
        | transformer_call | field."""
        start = self._skip_blank()
        if not self._text.startswith("(", start):
            return self._transformer_item(depth)
        self._pos += 1
        items: list[FieldRef | Transformer | Value] = []
        if not self._text.startswith(")", self._skip_blank()):
            while True:
                items.append(self._transformer_item(depth))
                if not self._text.startswith(",", self._skip_blank()):
                    break
                self._pos += 1
                self._skip_blank()
        if not self._text.startswith(")", self._pos):
            raise self.error("expected a ')' token closing the list of the transformer")
        self._pos += 1
        return TransformerList(tuple(items), self._position(start))

    def _transformer_item(self, depth: int) -> FieldRef | Transformer | Value:
        """t_item = field | transformer_call | QUOTED | NUMBER."""
        text = self._text
        start = self._pos
        if depth >= self._max_depth:
            raise self._too_deep()
        if match := FIELD_NAME.match(text, start):
            self._pos = match.end()
            return self._field(match.group(), start)
        if match := TRANSFORMER.match(text, start):
            self._pos = match.end()
            return self._transformer(match[1], start, depth + 1)
        if match := NUMBER.match(text, start):
            self._pos = match.end()
            return Value(match.group(), self._position(start))
        quoted = self._quoted()
        if quoted is None:
            raise self.error(
                "expected a field, a transformer, a quoted string, a number or a list "
                "as argument of the transformer"
            )
        return Value(as_text(quoted), self._position(start))

    def _number_value(self, depth: int) -> Value | Transformer:
        """val_call | transformer_call | NUMBER."""
        start = self._pos
        match = NUMBER.match(self._text, start)
        if match is None:
            call = self._call(depth)
            if call is not None:
                return call
            raise self.error(
                f"expected a number or a field with a valid transformer: {_TRANSFORMER_NAMES}"
            )
        self._pos = match.end()
        self._last = match.group()
        return Value(self._last, self._position(start))

    def _string_value(self, depth: int) -> Value | Transformer:
        """val_call | transformer_call | QUOTED | BARE."""
        start = self._pos
        match = BARE.match(self._text, start)
        if match is not None and not self._text.startswith("(", match.end()):
            # No parenthesis touches the word, so it cannot be a call.
            self._pos = match.end()
            self._last = match.group()
            return Value(as_text(self._last), self._position(start))
        call = self._call(depth)
        if call is not None:
            return call
        return Value(
            self._value(f"a string or a field with a valid transformer: {_TRANSFORMER_NAMES}"),
            self._position(start),
        )

    def _list_value(self, depth: int) -> Value | ValueList | Transformer:
        """list | val_call | transformer_call."""
        call = None if self._text.startswith("(", self._pos) else self._call(depth)
        return self._list() if call is None else call

    def _list(self) -> Value | ValueList:
        """list = "(" , [ value , { "," , value } ] , ")" | IDENTIFIER."""
        text = self._text
        start = self._pos
        if match := PLAIN_LIST.match(text, start):
            self._pos = match.end()
            self._last = ")"
            values = [part.strip(" \t\r\n") for part in as_text(match.group()[1:-1]).split(",")]
            return ValueList(tuple(values), self._position(start))
        if not text.startswith("(", start):
            match = IDENTIFIER.match(text, start)
            if match is None:
                raise self.error(
                    "expected a list, an identifier, or a field with a valid transformer: "
                    f"{_TRANSFORMER_NAMES}"
                )
            self._pos = match.end()
            self._last = match.group()
            return Value(self._last, self._position(start))
        self._pos += 1
        values = []
        if not text.startswith(")", self._skip_blank()):
            while True:
                values.append(self._value("a string"))
                if not text.startswith(",", self._skip_blank()):
                    break
                self._pos += 1
                self._skip_blank()
        if not text.startswith(")", self._pos):
            raise self.error("expected a ')' token")
        self._pos += 1
        self._last = ")"
        return ValueList(tuple(values), self._position(start))

    def _value(self, expected: str) -> str:
        """value = QUOTED | BARE."""
        quoted = self._quoted()
        if quoted is not None:
            self._last = quoted
            return as_text(quoted)
        match = BARE.match(self._text, self._pos)
        if match is None:
            raise self.error(f"expected {expected}")
        self._pos = match.end()
        self._last = match.group()
        return as_text(self._last)

    def _quoted(self) -> str | None:
        """QUOTED, unescaped; None when no quote is here or it is never closed."""
        text = self._text
        start = self._pos
        if start >= len(text) or text[start] not in "\"'":
            return None
        end = closing_quote(text, start)
        if end < 0:
            return None
        self._pos = end + 1
        try:
            return unescape(text[start + 1 : end], text[start])
        except RuleError as error:
            raise self.error(error.message) from None

    def _call(self, depth: int) -> Transformer | None:
        """val_call = "val(" , field , ")"; or a transformer_call; None when neither is here."""
        text = self._text
        start = self._pos
        if text.startswith("val(", start):
            self._pos += 4
            field_start = self._skip_blank()
            match = FIELD_NAME.match(text, field_start)
            if match is None:
                raise self.error("expected a field within 'val' transformer")
            self._pos = match.end()
            field = self._field(match.group(), field_start)
            if not text.startswith(")", self._skip_blank()):
                raise self.error("expected a ')' token closing the transformer")
            self._pos += 1
            self._last = ")"
            return Transformer("val", (field,), None, self._position(start))
        if match := TRANSFORMER.match(text, start):
            self._pos = match.end()
            return self._transformer(match[1], start, depth + VALUE_FRAMES)
        return None
