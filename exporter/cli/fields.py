"""`lanner fields`: the catalogue of fields that conditions and outputs may use."""

import re
import textwrap
from collections.abc import Iterator

import click
import msgspec

from exporter.errors import LannerError
from exporter.rules.fields.catalogue import classes_of
from exporter.rules.fields.field import TABLE_ONLY, ArgKind, Field, FieldClass
from exporter.rules.loader.options import SOURCES

_NAME_WIDTH = 30
_TEXT_WIDTH = 100


@click.command()
@click.option(
    "--source",
    metavar="NAME",
    help=f"Only fields that rules of this source may use: {', '.join(SOURCES)}.",
)
@click.option("--json", "is_json", is_flag=True, help="As JSON, in the form of falco --list.")
@click.option("--markdown", "is_markdown", is_flag=True, help="As Markdown tables.")
def fields(*, source: str | None, is_json: bool, is_markdown: bool) -> None:
    """List the fields that rules can use."""
    if source is not None and source not in SOURCES:
        raise LannerError(
            f'there is no event source "{source}"', hint=f"known: {', '.join(SOURCES)}"
        )
    classes = list(_visible(source))
    if is_json:
        listing = {"fieldclasses": [_class_json(cls, shown) for cls, shown in classes]}
        click.echo(msgspec.json.encode(listing).decode())
    elif is_markdown:
        click.echo("\n".join(line for cls, shown in classes for line in _markdown(cls, shown)))
    else:
        click.echo("\n".join(line for cls, shown in classes for line in _text(cls, shown)))


def _visible(source: str | None) -> Iterator[tuple[FieldClass, list[Field]]]:
    """Each class once, with the fields a rule author should see."""
    seen: list[FieldClass] = []
    for name in (source,) if source else SOURCES:
        for cls in classes_of(name):
            shown = [f for f in cls.fields if not f.is_deprecated and TABLE_ONLY not in f.flags]
            if shown and not any(cls is other for other in seen):
                seen.append(cls)
                yield cls, shown


def _class_json(cls: FieldClass, shown: list[Field]) -> dict[str, object]:
    return {
        "name": cls.name,
        "desc": cls.desc,
        "event_sources": list(cls.sources),
        "fields": [
            {
                "name": field.name,
                "type": str(field.type),
                "desc": field.desc,
                "is_list": field.is_list,
                "argument": _argument_json(field),
            }
            for field in shown
        ],
    }


def _argument_json(field: Field) -> dict[str, object] | None:
    if field.arg is ArgKind.NONE:
        return None
    kinds = [kind for kind in ("INDEX", "KEY") if kind.lower() in field.arg]
    if field.arg in (ArgKind.SUFFIX, ArgKind.SUFFIX_OR_INDEX) and "KEY" not in kinds:
        kinds.append("KEY")
    return {"required": field.is_arg_required, "type": kinds}


def _usage(field: Field) -> str:
    """The name with its argument as one writes it."""
    if field.arg is ArgKind.NONE:
        return field.name
    if field.arg in (ArgKind.SUFFIX, ArgKind.SUFFIX_OR_INDEX):
        return f"{field.name}.NAME"
    inner = f"[{'KEY' if field.arg is ArgKind.KEY else 'N'}]"
    return f"{field.name}{inner}"


def _text(cls: FieldClass, shown: list[Field]) -> Iterator[str]:
    sources = f" ({', '.join(cls.sources)})" if cls.sources else ""
    yield f"{cls.name}{sources}: {_one_line(cls.desc)}"
    indent = " " * (_NAME_WIDTH + 2)
    for field in shown:
        kind = f"{field.type}{' list' if field.is_list else ''}"
        body = textwrap.wrap(
            f"{kind}. {_one_line(field.desc)}",
            _TEXT_WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
        )
        name = f"  {_usage(field)}"
        if len(name) < len(indent):
            body[0] = name.ljust(len(indent)) + body[0].lstrip()
        else:
            yield name
        yield from body
    yield ""


def _markdown(cls: FieldClass, shown: list[Field]) -> Iterator[str]:
    yield f"## {cls.name}\n\n{_one_line(cls.desc)}\n\n| Field | Type | Meaning |\n|---|---|---|"
    for field in shown:
        kind = f"{field.type}{' list' if field.is_list else ''}"
        meaning = re.sub(r"([|<>])", r"\\\1", _one_line(field.desc))
        yield f"| `{_usage(field)}` | {kind} | {meaning} |"
    yield ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
