"""Conditions as text -> AST: recursive descent, one method a production.

The grammar stands in the docstrings (EBNF, rule-language.md section 1); read from `_or` down.
`and` and `or` are n-ary and keep the order of the text; an even number of `not` cancels out.
"""

from exporter.rules.ast import (
    And,
    Check,
    Exists,
    FieldRef,
    MacroRef,
    Node,
    Not,
    Or,
    Transformer,
)
from exporter.rules.lexer import (
    FIELD_NAME,
    IDENTIFIER,
    LIST_OPERATORS,
    MODIFIER,
    NOT,
    NUMERIC_OPERATORS,
    OPERATOR,
    STRING_OPERATORS,
    TRANSFORMER,
    as_bytes_text,
    as_text,
)
from exporter.rules.operand_parser import VALUE_FRAMES, OperandParser

DEFAULT_MAX_DEPTH = 100
"""Depth limit for a condition that stands alone."""

RULE_MAX_DEPTH = 1000
"""Depth limit for conditions of rules and macros."""

_LIST_OPERATORS = frozenset(LIST_OPERATORS)
_NUMERIC_OPERATORS = frozenset(NUMERIC_OPERATORS)
_OPERATOR_NAMES = ", ".join(
    f"'{op}'" for op in ("exists", *NUMERIC_OPERATORS, *STRING_OPERATORS, *LIST_OPERATORS)
)


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


class _Parser(OperandParser):
    """The upper half: from a whole condition down to a check."""

    __slots__ = ()

    def condition(self) -> Node:
        """condition = or_expr , end-of-input."""
        if not self._text:
            raise self.error("filter input string is empty")
        node = self._or(0)
        if self._pos != len(self._text):
            last = as_text(self._last)
            raise self.error(f"unexpected token after '{last}', expecting 'or', 'and'")
        return node

    def _or(self, depth: int) -> Node:
        """or_expr = and_expr , { "or" , ( BLANK , and_expr | "(" , or_expr , ")" ) }."""
        start = self._pos
        children = [self._and(depth + 1)]
        while self._text.startswith("or", self._pos):
            is_group = self._take_word("or")
            children.append(self._group(depth + 2) if is_group else self._and(depth + 1))
        return children[0] if len(children) == 1 else Or(tuple(children), self._position(start))

    def _and(self, depth: int) -> Node:
        """and_expr = not_expr , { "and" , ( BLANK , not_expr | "(" , or_expr , ")" ) }."""
        start = self._skip_blank()
        children = [self._not(depth + 1)]
        while self._text.startswith("and", self._pos):
            is_group = self._take_word("and")
            children.append(self._group(depth + 2) if is_group else self._not(depth + 1))
        return children[0] if len(children) == 1 else And(tuple(children), self._position(start))

    def _take_word(self, word: str) -> bool:
        """Move over `and` or `or` and the blanks behind it; whether a parenthesis touches it."""
        self._pos += len(word)
        self._last = word
        before = self._pos
        if self._skip_blank() != before:
            return False
        if not self._text.startswith("(", before):
            raise self.error(f"expected blank or '(' after '{word}'")
        return True

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

    def _test(self, left: FieldRef | Transformer, start: int, depth: int) -> Node:
        """test = "exists" | NUM_OP , right | STR_OP , right | STR_OP , MODIFIER , list | LIST_OP.

        Recognised in this order; the first literal prefix wins.
        """
        self._skip_blank()
        match = OPERATOR.match(self._text, self._pos)
        if match is None:
            raise self.error(f"expected a valid check operator: one of {_OPERATOR_NAMES}")
        op = match[1]
        if depth + VALUE_FRAMES >= self._max_depth:
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
