"""Templates of outputs, taken apart: literal text and `%field` tokens.

Source: rule-language.md section 18.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from exporter.errors import RuleError
from exporter.rules.ast import Exists, Transformer
from exporter.rules.bind import Operand, Read, bind_operand
from exporter.rules.conditions import ConditionError
from exporter.rules.fields.catalogue import UnknownArgumentError, find_field
from exporter.rules.fields.field import FieldUse
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import parse_condition

_MAX_WIDTH = 1 << 16
_WIDTH = re.compile(r"[0-9]+")
_NAME = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*(?:\.[a-zA-Z]+[a-zA-Z0-9_]*)+")
_ARG = re.compile(r"""\[(?:"([^"]*)"|'([^']*)'|([^\]\["'\s]+))\]""")
_CALL = re.compile(r"[a-z0-9]+\(")
_CLOSING = re.compile(r"[)\]]")
_MAX_BRACKETS = 64
"""Brackets that are tried as the end of a transformer call."""


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
