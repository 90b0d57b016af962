"""Conditions as text -> AST: recursive descent, one method a production.

The grammar stands in the docstrings (EBNF, rule-language.md section 1); read from `_or` down.
`and` and `or` are n-ary and keep the order of the text; an even number of `not` cancels out.
"""

from bisect import bisect_right

from exporter.errors import RuleError, Span
from exporter.rules.ast import (
    And,
    Check,
    Exists,
    FieldRef,
    MacroRef,
    Node,
    Not,
    Or,
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
    LIST_OPERATORS,
    MODIFIER,
    NOT,
    NUMBER,
    NUMERIC_OPERATORS,
    OPERATOR,
    PLAIN_LIST,
    STRING_OPERATORS,
    TRANSFORMER,
    TRANSFORMERS,
    as_bytes_text,
    as_text,
    closing_quote,
    unescape,
)

DEFAULT_MAX_DEPTH = 100
"""Depth limit for a condition that stands alone."""

RULE_MAX_DEPTH = 1000
"""Depth limit for conditions of rules and macros."""

_BLANK_OR_END = frozenset(("", *BLANKS))
_LIST_OPERATORS = frozenset(LIST_OPERATORS)
_NUMERIC_OPERATORS = frozenset(NUMERIC_OPERATORS)
_OPERATOR_NAMES = ", ".join(
    f"'{op}'" for op in ("exists", *NUMERIC_OPERATORS, *STRING_OPERATORS, *LIST_OPERATORS)
)
_TRANSFORMER_NAMES = ", ".join(f"'{name}'" for name in ("val", *TRANSFORMERS))

# Productions below a check until its value, counted as the reference engine counts them.
_VALUE_FRAMES = 3


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


def parse_condition(text: str, max_depth: int = DEFAULT_MAX_DEPTH) -> Node:
    """Parse a whole condition.

    max_depth: limit of nested productions; one pair of parentheses costs five of them, so about
        18 nested pairs are allowed by default and 198 in rules files.
    Raises ConditionSyntaxError.
    """
    parser = _Parser(as_bytes_text(text), max_depth)
    try:
        return parser.condition()
    except RecursionError:
        raise parser.error(f"exceeded max depth limit of {max_depth}") from None


class _Parser:
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

    def condition(self) -> Node:
        """condition = or_expr , end-of-input."""
        if not self._text:
            raise self.error("filter input string is empty")
        node = self._or(0)
        if self._pos != len(self._text):
            last = as_text(self._last)
            raise self.error(f"unexpected token after '{last}', expecting 'or', 'and'")
        return node

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

    def _or(self, depth: int) -> Node:
        """or_expr = and_expr , { "or" , ( BLANK , and_expr | "(" , or_expr , ")" ) }."""
        start = self._pos
        children = [self._and(depth + 1)]
        while self._text.startswith("or", self._pos):
            self._pos += 2
            self._last = "or"
            before = self._pos
            if self._skip_blank() != before:
                children.append(self._and(depth + 1))
            elif self._text.startswith("(", before):
                children.append(self._group(depth + 2))
            else:
                raise self.error("expected blank or '(' after 'or'")
        return children[0] if len(children) == 1 else Or(tuple(children), self._position(start))

    def _and(self, depth: int) -> Node:
        """and_expr = not_expr , { "and" , ( BLANK , not_expr | "(" , or_expr , ")" ) }."""
        start = self._skip_blank()
        children = [self._not(depth + 1)]
        while self._text.startswith("and", self._pos):
            self._pos += 3
            self._last = "and"
            before = self._pos
            if self._skip_blank() != before:
                children.append(self._not(depth + 1))
            elif self._text.startswith("(", before):
                children.append(self._group(depth + 2))
            else:
                raise self.error("expected blank or '(' after 'and'")
        return children[0] if len(children) == 1 else And(tuple(children), self._position(start))

    def _not(self, depth: int) -> Node:
        """not_expr = { "not" , BLANK } , ( "not(" , or_expr , ")" | check )."""
        text = self._text
        start = self._pos
        negated = False
        if depth + 2 >= self._max_depth:
            raise self._too_deep()
        if text.startswith("not", start):
            while match := NOT.match(text, self._pos):
                self._pos = match.end()
                negated = not negated
        if text.startswith("not(", self._pos):
            self._pos += 3
            negated = not negated
            node = self._group(depth + 2)
        elif text.startswith("(", self._pos):
            node = self._group(depth + 3)
        else:
            node = self._check(depth + 2)
        return Not(node, self._position(start)) if negated else node

    def _group(self, depth: int) -> Node:
        """ "(" , or_expr , ")"; the cursor is at the parenthesis. Eats the blanks behind it."""
        self._pos += 1
        self._last = "("
        self._skip_blank()
        node = self._or(depth)
        if not self._text.startswith(")", self._pos):
            raise self.error("expected a ')' token")
        self._pos += 1
        self._last = ")"
        self._skip_blank()
        return node

    def _check(self, depth: int) -> Node:
        """check = field , test | transformer_call , test | IDENTIFIER. Eats blanks behind it."""
        text = self._text
        start = self._pos
        if depth >= self._max_depth:
            raise self._too_deep()
        if match := FIELD_NAME.match(text, start):
            self._pos = match.end()
            node = self._test(self._field(match.group(), start), start, depth)
        elif match := TRANSFORMER.match(text, start):
            self._pos = match.end()
            node = self._test(self._transformer(match[1], start, depth + 1), start, depth)
        elif match := IDENTIFIER.match(text, start):
            self._pos = match.end()
            self._last = match.group()
            node = MacroRef(self._last, self._position(start))
        else:
            raise self.error("expected a '(' token, a field check, or an identifier")
        self._skip_blank()
        return node

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

    def _test(self, left: FieldRef | Transformer, start: int, depth: int) -> Node:
        """test = "exists" | NUM_OP , right | STR_OP , right | STR_OP , MODIFIER , list | LIST_OP.

        Recognised in this order; the first literal prefix wins.
        """
        self._skip_blank()
        match = OPERATOR.match(self._text, self._pos)
        if match is None:
            raise self.error(f"expected a valid check operator: one of {_OPERATOR_NAMES}")
        op = match[1]
        if depth + _VALUE_FRAMES >= self._max_depth:
            raise self._too_deep()
        if op == "exists":
            self._pos = match.end(1)
            self._last = op
            return Exists(left, self._position(start))
        self._pos = match.end()
        self._last = op
        where = self._position(start)
        if op in _LIST_OPERATORS:
            return Check(left, op, self._list_value(depth), None, where)
        if op in _NUMERIC_OPERATORS:
            return Check(left, op, self._number_value(depth), None, where)
        if match[2] and (modifier := MODIFIER.match(self._text, self._pos)):
            self._pos = modifier.end()
            return Check(left, op, self._list(), modifier[1], where)
        return Check(left, op, self._string_value(depth), None, where)

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
            return self._transformer(match[1], start, depth + _VALUE_FRAMES)
        return None
