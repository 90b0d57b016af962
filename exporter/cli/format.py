"""`lanner format`: a small door for scripts and editors to output formats."""

import json
import sys
from typing import Any, BinaryIO

import click

from exporter.cli.options import InputFile, read_text, source_option
from exporter.rules.ast import Exists, FieldRef, Transformer
from exporter.rules.bind import Read
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import parse_condition
from exporter.rules.printer import print_operand
from exporter.rules.printing import uses_of
from exporter.rules.template import FormatError, Token, split_template

_EPILOG = """\b
Examples:
  echo '%proc.name opened %fd.name' | lanner format check -
  lanner format check --json --source k8s_audit - < output.txt
\b
Exit status: 0 when the format is right, 1 when not.
"""


@click.group("format")
def format_group() -> None:
    """Read single output formats."""


@format_group.command(epilog=_EPILOG)
@source_option("Fields are those of this source; syscall without it.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object: canonical form and tokens.")
@click.argument("file", type=InputFile(), default="-")
def check(*, source: str | None, is_json: bool, file: BinaryIO) -> None:
    """Print the tokens of an output format, or where it is wrong.

    FILE holds the format; `-` is standard input. One newline at the end is not part of it.
    """
    text = read_text(file).removesuffix("\n")
    try:
        parts = list(split_template(text, source or "syscall"))
    except FormatError as error:
        if is_json:
            click.echo(json.dumps(_failure(text, error)))
        else:
            click.echo(_shown(text, error), err=True)
        sys.exit(1)
    star = "*" if text.startswith("*") else ""
    canonical = star + "".join(p if isinstance(p, str) else _canonical(p) for p in parts)
    tokens = [part for part in parts if isinstance(part, Token)]
    if is_json:
        body = {
            "successful": True,
            "canonical": canonical,
            "prints_missing": bool(star),
            "tokens": [_token_json(part) for part in parts],
            "fields": list(dict.fromkeys(use.text for t in tokens for use in uses_of(t.operand))),
        }
        click.echo(json.dumps(body))
        return
    click.echo(canonical)
    for token in tokens:
        width = "" if token.width is None else f", {token.width} characters"
        kind = f"{token.operand.type}{' list' if token.operand.is_list else ''}"
        click.echo(f"  {_name(token)} ({kind}{width})")


def _name(token: Token) -> str:
    """What the token reads, in canonical form; as written where that form would not read back."""
    node = _operand(token.text)
    assert node is not None
    printed = print_operand(node)
    return printed if _operand(printed) == node else token.text


def _operand(text: str) -> FieldRef | Transformer | None:
    try:
        node = parse_condition(f"{text} exists")
    except ConditionSyntaxError:
        return None
    return node.left if isinstance(node, Exists) else None


def _canonical(token: Token) -> str:
    return f"%{'' if token.width is None else token.width}{_name(token)}"


def _token_json(part: str | Token) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {
        "type": "field" if isinstance(part.operand, Read) else "transformer",
        "text": _name(part),
        "value_type": str(part.operand.type),
        "is_list": part.operand.is_list,
        "width": part.width,
        "start": part.start,
        "end": part.end,
    }


def _place(text: str, error: FormatError) -> tuple[int, int]:
    """Line and column from 1."""
    before = text[: error.offset]
    return before.count("\n") + 1, error.offset - (before.rfind("\n") + 1) + 1


def _failure(text: str, error: FormatError) -> dict[str, Any]:
    line, column = _place(text, error)
    position = {"idx": error.offset, "line": line, "column": column}
    body: dict[str, Any] = {"message": error.message, "position": position}
    if error.hint is not None:
        body["hint"] = error.hint
    return {"successful": False, "error": body}


def _shown(text: str, error: FormatError) -> str:
    line, column = _place(text, error)
    shown = text.splitlines()[line - 1] if text else ""
    return f"format:{line}:{column}: {error}\n  {shown}\n  {' ' * (column - 1)}^"
