"""`lanner condition`: a small door for scripts and editors to the condition language."""

import json
import sys
from typing import Any, BinaryIO

import click

from exporter.cli.options import InputFile, read_text, source_option
from exporter.rules.ast import And, Check, Exists, Node, Not, Or, Position, walk
from exporter.rules.bind import bind_check
from exporter.rules.conditions import ConditionError
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import RULE_MAX_DEPTH, parse_condition
from exporter.rules.printer import print_condition, to_json

_EPILOG = """\b
Examples:
  echo 'evt.type=open  and not(proc.name in (a,b))' | lanner condition parse -
  lanner condition parse --json --source syscall - < condition.txt
\b
Exit status: 0 when the condition is right, 1 when not.
"""
_ERROR_WIDTH = 60


@click.group()
def condition() -> None:
    """Read single conditions."""


@condition.command(epilog=_EPILOG)
@source_option("Also check fields, operators and values as for rules of this source.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object: canonical form and AST.")
@click.argument("file", type=InputFile(), default="-")
def parse(*, source: str | None, is_json: bool, file: BinaryIO) -> None:
    """Print the canonical form and the AST of a condition, or where it is wrong.

    FILE holds the condition; `-` is standard input. Names of macros stay as they are.
    """
    text = read_text(file)
    try:
        node = parse_condition(text, RULE_MAX_DEPTH)
        if source is not None:
            for check in walk(node):
                if isinstance(check, Check | Exists):
                    bind_check(check, source)
    except (ConditionSyntaxError, ConditionError) as error:
        if is_json:
            click.echo(json.dumps(_failure(error.message, error.position, error.hint)))
        else:
            click.echo(_shown(text, error), err=True)
        sys.exit(1)
    canonical = print_condition(node)
    if is_json:
        body = {"successful": True, "canonical": canonical, "ast": to_json(node)}
        click.echo(json.dumps(body))
    else:
        click.echo(_bytes(canonical))
        click.echo(_bytes("\n".join(_tree(node, 0))))


def _failure(message: str, position: Position, hint: str | None) -> dict[str, Any]:
    error: dict[str, Any] = {"message": message, "position": position._asdict()}
    if hint is not None:
        error["hint"] = hint
    return {"successful": False, "error": error}


def _shown(text: str, error: ConditionSyntaxError | ConditionError) -> str:
    """The error, the line it is in and a caret under the place."""
    raw = text.encode("utf-8", "surrogateescape")
    place = min(error.position.idx, len(raw))
    start = max(raw.rfind(b"\n", 0, place) + 1, place - _ERROR_WIDTH)
    end = raw.find(b"\n", place)
    end = min(len(raw) if end < 0 else end, place + _ERROR_WIDTH)
    line = raw[start:end].decode("utf-8", "replace").replace("\t", " ")
    caret = " " * len(raw[start:place].decode("utf-8", "replace")) + "^"
    return f"{error}\n  {line}\n  {caret}"


def _tree(node: Node, depth: int) -> list[str]:
    """One line a node, children below their parent and further in."""
    indent = "  " * depth
    match node:
        case And(children) | Or(children):
            below, name = children, "and" if isinstance(node, And) else "or"
        case Not(child):
            below, name = (child,), "not"
        case _:
            return [f"{indent}{print_condition(node)}"]
    return [f"{indent}{name}", *(line for child in below for line in _tree(child, depth + 1))]


def _bytes(text: str) -> bytes:
    """The text as bytes; `\\xff` in a condition means that byte."""
    return text.encode("utf-8", "surrogateescape")
