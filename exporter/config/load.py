"""Loads the configuration: file, then -o options, then flags; all errors in one exception.

Takes a path and what the command line says, gives a `Config`.
"""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeVar

import pydantic
import yaml
from pydantic_core import ErrorDetails

from exporter.config.document import Document, Path, apply_option, read_document, set_option
from exporter.config.foreign import FOREIGN_KEYS
from exporter.config.schema import Config
from exporter.errors import ConfigError

_EXPECTED = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "dict_type": "expected keys and values",
    "float_parsing": "expected a number",
    "finite_number": "expected a number",
    "float_type": "expected a number",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a smaller number",
    "int_type": "expected a whole number",
    "missing": "is missing",
    "model_type": "expected keys and values",
    "string_type": "expected text",
    "tuple_type": "expected a list",
}
_QUOTES = "write numbers that are text in quotes"
_SHOWN = 40
_T = TypeVar("_T")


class InvalidConfigError(ConfigError):
    """Everything that is wrong with the configuration; `str()` has one error a line."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("the configuration is wrong")
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def load_config(
    file: FilePath | None,
    options: Iterable[str] = (),
    flags: Mapping[str, tuple[Path, Any]] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """The configuration. Raises InvalidConfigError.

    options: `KEY=VALUE` texts of -o. flags: spelling of a command-line flag -> path and value it
    sets; flags win over options, options over the file.
    """
    document = Document()
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise InvalidConfigError(
                [ConfigError(f"cannot read the configuration {file}: {problem}", code="C000")]
            ) from error
        document = read_document(text, str(file), environ)
    for option in options:
        apply_option(document, option)
    for flag, (path, value) in (flags or {}).items():
        set_option(document, path, value, flag)
    errors = list(document.errors)
    try:
        config = Config.model_validate(document.values)
    except pydantic.ValidationError as invalid:
        errors += _unique(_config_error(document, detail) for detail in invalid.errors())
    else:
        if not errors:
            return config
    raise InvalidConfigError(sorted(errors, key=_place))


def _place(error: ConfigError) -> tuple[int, int]:
    """Line and column; what has none comes last."""
    return (error.span.line, error.span.column) if error.span else (1 << 31, 0)


def _unique(errors: Iterable[ConfigError]) -> list[ConfigError]:
    """A union in the schema reports each of its branches; the first speaks for the place."""
    by_place: dict[object, ConfigError] = {}
    for error in errors:
        by_place.setdefault(error.span or error.message, error)
    return list(by_place.values())


def _config_error(document: Document, detail: ErrorDetails) -> ConfigError:
    path: Path = detail["loc"]
    if detail["type"] == "extra_forbidden":
        message, hint = _unknown_key(path, _dotted(path))
        code, spans = "C010", document.key_spans
    else:
        # Branches of a union have names of their own at the end of a path; users know them not.
        while path not in document.spans and not _option_for(document, path) and path:
            path = path[:-1]
        message, hint = f"{_dotted(path)}: {_problem(detail)}", None
        code, spans = "C011", document.spans
    option = _option_for(document, path)
    if _is_secret(path):
        # The word of somebody who forgot the quotes must not stand in a log.
        message, hint = f"{_dotted(path)}: expected text; what was found is not shown", _QUOTES
        option = None if option is None else option.partition("=")[0]
    if option is not None:
        return ConfigError(f"{option}: {message}", code=code, hint=hint)
    return ConfigError(message, code=code, span=_nearest(spans, path), hint=hint)


def _option_for(document: Document, path: Path) -> str | None:
    """The option or flag that set the value at the path, something above it or below it."""
    above = _nearest(document.options, path)
    if above is not None:
        return above
    below = (text for place, text in document.options.items() if place[: len(path)] == path)
    return next(below, None) if path and path not in document.spans else None


def _problem(detail: ErrorDetails) -> str:
    """What was expected and what was found."""
    kind = detail["type"]
    if kind == "missing":
        return _EXPECTED[kind]
    context = detail.get("ctx", {})
    if kind == "value_error":
        expected = str(context["error"])
    elif kind == "literal_error":
        expected = f"expected {context['expected'].replace(chr(39), '')}"
    elif kind in ("greater_than_equal", "greater_than"):
        bound = context.get("ge", context.get("gt"))
        expected = f"expected {'at least' if 'ge' in context else 'more than'} {bound}"
    elif kind == "less_than_equal":
        expected = f"expected at most {context['le']}"
    else:
        expected = _EXPECTED.get(kind, detail["msg"])
    return f"{expected}; found {_shown(detail['input'])}"


def _shown(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    text = text.removesuffix("\n").removesuffix("\n...")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _unknown_key(path: Path, name: str) -> tuple[str, str | None]:
    key = str(path[-1])
    known = _keys_at(path[:-1])
    foreign = FOREIGN_KEYS.get(name)
    near = difflib.get_close_matches(key, known, n=1)
    message = f'unknown key "{name}"'
    if foreign is not None:
        return message, f"this key of falco.yaml has no use here: {foreign}"
    if near:
        return f'{message}; did you mean "{_dotted((*path[:-1], near[0]))}"?', None
    return message, f"known here: {', '.join(sorted(known))}" if len(path) > 1 and known else None


def _keys_at(path: Path) -> list[str]:
    """Keys of the section at a path; empty where the schema has none."""
    section = _section_at(path)
    return [] if section is None else list(section.model_fields)


def _is_secret(path: Path) -> bool:
    section = _section_at(path[:-1])
    field = section.model_fields.get(str(path[-1])) if path and section is not None else None
    return field is not None and field.annotation is pydantic.SecretStr


def _section_at(path: Path) -> type[pydantic.BaseModel] | None:
    section: type[pydantic.BaseModel] = Config
    for part in path:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part)
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        models = [m for m in inner if isinstance(m, type) and issubclass(m, pydantic.BaseModel)]
        if not models:
            return None
        section = models[0]
    return section


def _nearest(places: Mapping[Path, _T], path: Path) -> _T | None:
    """What is known of the path, or of the nearest thing above it."""
    for length in range(len(path), -1, -1):
        found = places.get(path[:length])
        if found is not None:
            return found
    return None


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
