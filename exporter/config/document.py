"""YAML text to plain values that remember where they stood.

Takes the text of a configuration file and overrides of the command line, gives values and the place
of each. `${NAME}` in a scalar becomes the environment variable (empty when unset), `$${NAME}` stays
`${NAME}`. Source: spec/rule-language.md section 21.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from exporter.errors import ConfigError, Span
from exporter.server.yaml_depth import check_depth

Path = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$?\$\{([^}]*)\}")
_OPTION_PART = re.compile(r"[^.\[\]]+|\[\d*\]")
_OPTION_KEY = re.compile(r"[^.\[\]]+(\[\d{0,4}\])*(\.[^.\[\]]+(\[\d{0,4}\])*)*")
_MAX_DEPTH = 32
_RESOLVER: Any = yaml.resolver.Resolver()


@dataclass(slots=True)
class Document:
    """Plain values, and for the path of each value and key its place or the option it is from."""

    values: dict[str, Any] = field(default_factory=dict)
    spans: dict[Path, Span] = field(default_factory=dict)
    key_spans: dict[Path, Span] = field(default_factory=dict)
    options: dict[Path, str] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)


def read_document(text: str, file: str, environ: Mapping[str, str] = os.environ) -> Document:
    """Parse a configuration file; problems found on the way are in `errors`."""
    document = Document()
    loader = yaml.CSafeLoader(text)
    try:
        check_depth(text)
        node = loader.get_single_node()
        if node is None:
            return document
        reader = _Reader(document, loader, file, environ)
        values = reader.value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = Span(file, mark.line + 1, mark.column + 1) if mark else None
        problem = error.problem or "is no YAML"
        document.errors.append(ConfigError(f"not YAML: {problem}", code="C001", span=span))
        return document
    except yaml.YAMLError as error:
        document.errors.append(
            ConfigError(f"not YAML: {' '.join(str(error).split())}", code="C001")
        )
        return document
    finally:
        loader.dispose()
    if isinstance(values, dict):
        document.values = values
    else:
        document.errors.append(
            ConfigError(
                "expected keys and values at the top", code="C002", span=document.spans.get(())
            )
        )
    return document


class _Reader:
    """Walks the node tree of one file."""

    def __init__(
        self, document: Document, loader: yaml.CSafeLoader, file: str, environ: Mapping[str, str]
    ) -> None:
        self._document = document
        self._loader = loader
        self._file = file
        self._environ = environ

    def value(self, node: yaml.Node, path: Path) -> Any:
        """The plain value of a node; notes its place."""
        span = self._span(node)
        self._document.spans[path] = span
        if len(path) > _MAX_DEPTH:
            self._fail("nested too deeply", span)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            span = self._span(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._fail("expected a name as key", span)
                continue
            key = str(key_node.value)
            if key in result:
                self._fail(f'the key "{key}" is there twice', span)
                continue
            self._document.key_spans[(*path, key)] = span
            result[key] = self.value(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        text = expand(node.value, self._environ)
        if text != node.value:
            # A plain ${PORT} is a number when the variable holds one; a quoted one stays text.
            is_plain = getattr(node, "style", None) is None
            tag = _RESOLVER.resolve(yaml.ScalarNode, text, (is_plain, not is_plain))
            node = yaml.ScalarNode(tag, text, node.start_mark, node.end_mark)
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            problem = getattr(error, "problem", None) or error
            self._fail(f"not a valid value: {problem}", self._span(node))
            return None

    def _span(self, node: yaml.Node) -> Span:
        return Span(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _fail(self, message: str, span: Span) -> None:
        self._document.errors.append(ConfigError(message, code="C002", span=span))


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with `${NAME}` replaced and `$${NAME}` unescaped."""

    def replace(match: re.Match[str]) -> str:
        whole = match[0]
        return whole[1:] if whole.startswith("$$") else environ.get(match[1].strip(), "")

    return _VARIABLE.sub(replace, text)


def apply_option(document: Document, option: str) -> None:
    """Apply one `KEY=VALUE` of the command line: `a.b=1`, `list[0]=x`, `list[]=x` to append.

    The value is YAML, so `key={a: 1}` sets a mapping.
    """
    key, equals, text = option.partition("=")
    if _is_no_text(option):
        shown = os.fsencode(option).decode(errors="backslashreplace")
        document.errors.append(ConfigError(f'the option "{shown}" is no UTF-8 text', code="C003"))
        return
    if not equals or not _OPTION_KEY.fullmatch(key):
        document.errors.append(
            ConfigError(
                f'the option "{option}" is no KEY=VALUE',
                code="C003",
                hint="write -o json_output=true, -o grpc.history=100 or -o rules_files[]=my.yaml",
            )
        )
        return
    try:
        check_depth(text)
        value = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", None) or error
        document.errors.append(
            ConfigError(f'the value of the option "{option}" is no YAML: {problem}', code="C003")
        )
        return
    set_option(
        document, _option_path(document.values, _OPTION_PART.findall(key)), value, f"-o {option}"
    )


def _is_no_text(option: str) -> bool:
    """Whether an argument of the command line holds bytes that are no UTF-8."""
    try:
        option.encode()
    except UnicodeEncodeError:
        return True
    return False


def set_option(document: Document, path: Path, value: Any, option: str) -> None:
    """Set one value, making the mappings and lists above it; `option` is how the user said it."""
    target: Any = document.values
    for index, part in enumerate(path[:-1]):
        empty: Any = [] if isinstance(path[index + 1], int) else {}
        target = _child(target, part, empty)
    _child(target, path[-1], None)
    target[path[-1]] = value
    document.options[path] = option


def _option_path(values: dict[str, Any], parts: list[str]) -> Path:
    """Names and indexes of an option's key; `[]` is the index after the last."""
    path: list[str | int] = []
    target: Any = values
    for part in parts:
        if part == "[]":
            step: str | int = len(target) if isinstance(target, list) else 0
        else:
            step = int(part[1:-1]) if part.startswith("[") else part
        path.append(step)
        try:
            target = target[step]
        except (KeyError, IndexError, TypeError):
            target = None
    return tuple(path)


def _child(target: Any, part: str | int, empty: Any) -> Any:
    """The container at `part`, made (or replacing what is no container of that sort)."""
    if isinstance(part, int):
        while len(target) <= part:
            target.append(None)
    elif part not in target:
        target[part] = None
    if not isinstance(target[part], type(empty)):
        target[part] = empty
    return target[part]
