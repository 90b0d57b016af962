"""What loading says: errors and warnings with their codes, places and snippets.

The JSON and text forms are those of `falco -V` (rule-language.md sections 15 and 16).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from exporter.errors import RuleError
from exporter.rules.ast import Position
from exporter.rules.loader.document import Mark

SNIPPET_WIDTH = 160
"""Characters of a snippet at most, half on each side of the place."""

_CONDITION_NAME_MAX = 20


class ErrorCode(StrEnum):
    """Why a file is refused."""

    FILE_READ = "LOAD_ERR_FILE_READ"
    YAML_PARSE = "LOAD_ERR_YAML_PARSE"
    YAML_VALIDATE = "LOAD_ERR_YAML_VALIDATE"
    COMPILE_CONDITION = "LOAD_ERR_COMPILE_CONDITION"
    COMPILE_OUTPUT = "LOAD_ERR_COMPILE_OUTPUT"
    VALIDATE = "LOAD_ERR_VALIDATE"
    EXTENSION = "LOAD_ERR_EXTENSION"


class WarningCode(StrEnum):
    """What is odd in a file that loads all the same."""

    UNKNOWN_SOURCE = "LOAD_UNKNOWN_SOURCE"
    UNSAFE_NA_CHECK = "LOAD_UNSAFE_NA_CHECK"
    NO_EVTTYPE = "LOAD_NO_EVTTYPE"
    UNKNOWN_FILTER = "LOAD_UNKNOWN_FILTER"
    UNUSED_MACRO = "LOAD_UNUSED_MACRO"
    UNUSED_LIST = "LOAD_UNUSED_LIST"
    UNKNOWN_ITEM = "LOAD_UNKNOWN_ITEM"
    DEPRECATED_ITEM = "LOAD_DEPRECATED_ITEM"
    EXTENSION = "LOAD_WARNING_EXTENSION"
    APPEND_NO_VALUES = "LOAD_APPEND_NO_VALUES"
    EXCEPTION_NAME_NOT_UNIQUE = "LOAD_EXCEPTION_NAME_NOT_UNIQUE"
    INVALID_MACRO_NAME = "LOAD_INVALID_MACRO_NAME"
    INVALID_LIST_NAME = "LOAD_INVALID_LIST_NAME"
    COMPILE_CONDITION = "LOAD_COMPILE_CONDITION"
    UNKNOWN_KEY = "LOAD_UNKNOWN_KEY"


SHORT_TEXTS: Mapping[str, str] = {
    ErrorCode.FILE_READ: "File read error",
    ErrorCode.YAML_PARSE: "YAML parse error",
    ErrorCode.YAML_VALIDATE: "Error validating internal structure of YAML file",
    ErrorCode.COMPILE_CONDITION: "Error compiling condition",
    ErrorCode.COMPILE_OUTPUT: "Error compiling output",
    ErrorCode.VALIDATE: "Error validating rule/macro/list/exception objects",
    ErrorCode.EXTENSION: "Error in extension item",
    WarningCode.UNKNOWN_SOURCE: "Unknown event source",
    WarningCode.UNSAFE_NA_CHECK: "Unsafe <NA> comparison in condition",
    WarningCode.NO_EVTTYPE: "Condition has no event-type restriction",
    WarningCode.UNKNOWN_FILTER: "Unknown field or event-type in condition or output",
    WarningCode.UNUSED_MACRO: "Unused macro",
    WarningCode.UNUSED_LIST: "Unused list",
    WarningCode.UNKNOWN_ITEM: "Unknown rules file item",
    WarningCode.DEPRECATED_ITEM: "Used deprecated item",
    WarningCode.EXTENSION: "Warning in extension item",
    WarningCode.APPEND_NO_VALUES: "Overriding/appending with no values",
    WarningCode.EXCEPTION_NAME_NOT_UNIQUE: "Multiple exceptions defined with the same name",
    WarningCode.INVALID_MACRO_NAME: "Invalid macro name",
    WarningCode.INVALID_LIST_NAME: "Invalid list name",
    WarningCode.COMPILE_CONDITION: "Warning in rule condition",
    WarningCode.UNKNOWN_KEY: "Unknown key in item definition",
}
"""Code -> the words printed in parentheses behind it."""

_EXPLAINED: Mapping[WarningCode, str] = {
    WarningCode.UNKNOWN_SOURCE: (
        "No loaded source gives events of this kind, so the rule can never match and is left out."
    ),
    WarningCode.UNSAFE_NA_CHECK: (
        "A missing field never equals <NA>: to ask whether a field is there, use 'exists'."
    ),
    WarningCode.NO_EVTTYPE: (
        "The rule has to look at (nearly) every event, which costs time. Restrict it with evt.type."
    ),
    WarningCode.UNKNOWN_FILTER: (
        "The condition or output names a field or event type that this engine does not know; the "
        "rule says skip-if-unknown-filter, so it is left out."
    ),
    WarningCode.UNUSED_MACRO: "No rule and no macro refers to this macro.",
    WarningCode.UNUSED_LIST: "No rule, macro or list refers to this list.",
    WarningCode.UNKNOWN_ITEM: "Rules files hold rules, macros, lists and version requirements.",
    WarningCode.DEPRECATED_ITEM: "This still works, but a later version will refuse it.",
    WarningCode.EXTENSION: "An extension item has a warning.",
    WarningCode.APPEND_NO_VALUES: "An exception is appended or replaced but brings no values.",
    WarningCode.EXCEPTION_NAME_NOT_UNIQUE: "One rule defines two exceptions of the same name.",
    WarningCode.INVALID_MACRO_NAME: "Conditions cannot refer to a macro of this name.",
    WarningCode.INVALID_LIST_NAME: "Conditions cannot refer to a list of this name everywhere.",
    WarningCode.COMPILE_CONDITION: "The condition is valid but probably not what was meant.",
    WarningCode.UNKNOWN_KEY: "The key is ignored. It may be misspelt or belong to another item.",
}


class ItemType(StrEnum):
    """What a location of a context is."""

    VALUE_FOR = "value for"
    EXCEPTIONS = "exceptions"
    EXCEPTION = "exception"
    EXCEPTION_VALUES = "exception values"
    EXCEPTION_VALUE = "exception value"
    RULES_CONTENT = "rules content"
    RULES_CONTENT_ITEM = "rules content item"
    REQUIRED_ENGINE_VERSION = "required_engine_version"
    REQUIRED_PLUGIN_VERSIONS = "required plugin versions"
    REQUIRED_PLUGIN_VERSIONS_ENTRY = "required plugin versions entry"
    REQUIRED_PLUGIN_VERSIONS_ALTERNATIVE = "required plugin versions alternative"
    LIST = "list"
    LIST_ITEM = "list item"
    MACRO = "macro"
    MACRO_CONDITION = "macro condition"
    RULE = "rule"
    RULE_CONDITION = "rule condition"
    CONDITION_EXPRESSION = "condition expression"
    RULE_OUTPUT = "rule output"
    RULE_OUTPUT_EXPRESSION = "rule output expression"
    RULE_PRIORITY = "rule priority"
    OVERRIDE = "overrides"
    EXTENSION_ITEM = "extension item"


@dataclass(frozen=True, slots=True)
class Location:
    """One step of a context: what it is, its name, the file (or condition) and the place."""

    item_type: ItemType
    item_name: str
    file: str
    mark: Mark

    def __str__(self) -> str:
        name = f" '{self.item_name}'" if self.item_name else ""
        return f"{self.item_type}{name}: ({self.file}:{self.mark.line}:{self.mark.column})"

    def to_json(self) -> dict[str, Any]:
        """As in `context.locations`."""
        return {
            "item_type": str(self.item_type),
            "item_name": self.item_name,
            "position": {
                "name": self.file,
                "line": self.mark.line,
                "column": self.mark.column,
                "offset": self.mark.offset,
            },
        }


@dataclass(frozen=True, slots=True)
class Context:
    """Where something is: from the whole file down to the value.

    text: what the snippet is taken from instead of the file, with the place in it (characters).
    """

    locations: tuple[Location, ...]
    text: str = ""
    place: int = 0

    @classmethod
    def of_file(cls, name: str) -> "Context":
        """The whole file."""
        return cls((Location(ItemType.RULES_CONTENT, "", name, Mark()),))

    def inside(self, item_type: ItemType, mark: Mark, name: str = "") -> "Context":
        """A part of this."""
        file = self.locations[0].file
        return Context((*self.locations, Location(item_type, name, file, mark)))

    def in_condition(self, position: Position, condition: str) -> "Context":
        """A place in a condition's text, whose name is the text's beginning."""
        name = (
            f'"{condition[: _CONDITION_NAME_MAX - 3]}..."'
            if len(condition) > _CONDITION_NAME_MAX
            else f'"{condition}"'
        )
        last = self.locations[-1].mark
        mark = Mark(
            position.line + last.line, position.column + last.column, position.idx + last.offset
        )
        name = name.replace("\n", " ").replace("\r", " ")
        where = Location(ItemType.CONDITION_EXPRESSION, "", name, mark)
        return Context((*self.locations, where), condition, _character_at(condition, position.idx))

    def __str__(self) -> str:
        first, *rest = self.locations
        return "".join([f"In {first}\n", *(f"    {location}\n" for location in rest)])

    def snippet(self, contents: Mapping[str, str]) -> str:
        """The line around the place and a line with `^` under it; contents: file -> its text."""
        last = self.locations[-1]
        text = self.text or contents.get(last.file, "")
        if not text:
            return "<No context available>\n"
        place = min(self.place if self.text else last.mark.offset, len(text) - 1)
        while place > 0 and text[place] == "\n":
            place -= 1
        half = SNIPPET_WIDTH // 2
        start = place
        while start > 0 and text[start] != "\n" and place - start < half:
            start -= 1
        end = place
        while end < len(text) - 1 and text[end] != "\n" and end - place < half:
            end += 1
        if text[start] == "\n":
            start += 1
        if text[end] == "\n":
            end -= 1
        line = text[start : end + 1]
        if not line:
            return "<No context available>\n"
        if place - start >= half:
            line = "..." + line[3:]
        if end - place >= half:
            line = line[:-3] + "..."
        return f"{line}\n{' ' * (place - start)}^\n"

    def to_json(self, contents: Mapping[str, str]) -> dict[str, Any]:
        """As in `context` of errors and warnings."""
        return {
            "locations": [location.to_json() for location in self.locations],
            "snippet": self.snippet(contents),
        }


@lru_cache(maxsize=64)
def _character_at(text: str, offset: int) -> int:
    """The index of the character at a byte offset; remembered, as findings come in heaps."""
    if text.isascii():
        return offset
    return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))


class LoadError(RuleError):
    """The error that stops a file."""

    def __init__(
        self, code: ErrorCode, message: str, context: Context, hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.context = context


@dataclass(frozen=True, slots=True)
class Finding:
    """An error or warning of a file; deprecated_field only for uses of deprecated fields."""

    code: ErrorCode | WarningCode
    message: str
    context: Context
    deprecated_field: str = ""
    hint: str | None = None

    @property
    def short_text(self) -> str:
        """The code in words."""
        text = SHORT_TEXTS[self.code]
        return f"{text}: field '{self.deprecated_field}'" if self.deprecated_field else text

    def to_json(self, contents: Mapping[str, str]) -> dict[str, Any]:
        """One entry of `errors` or `warnings`."""
        described = _EXPLAINED[self.code] if isinstance(self.code, WarningCode) else self.short_text
        body = {
            "code": str(self.code),
            "codedesc": described,
            "context": self.context.to_json(contents),
            "message": self.message,
        }
        if self.deprecated_field:
            body["deprecated_field"] = self.deprecated_field
        return body

    def verbose(self, contents: Mapping[str, str]) -> str:
        """Context, snippet and message, as many lines as it takes."""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return (
            f"{self.context}------\n{self.context.snippet(contents)}------\n"
            f"{self.code} ({self.short_text}): {self.message}{hint}\n"
        )


@dataclass(slots=True)
class LoadResult:
    """What loading one file gave. schema_valid is None when nobody checked the schema."""

    name: str
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    schema_valid: bool | None = None
    schema_warnings: Sequence[str] = ()

    @property
    def successful(self) -> bool:
        """Whether the file loads."""
        return not self.errors

    def add_error(self, error: LoadError) -> None:
        """Record what stopped the file."""
        code = ErrorCode(error.code)
        self.errors.append(Finding(code, error.message, error.context, "", error.hint))

    def add_warning(
        self, code: WarningCode, message: str, context: Context, deprecated_field: str = ""
    ) -> None:
        """Record something odd."""
        self.warnings.append(Finding(code, message, context, deprecated_field))

    @property
    def headline(self) -> str:
        """`name: Ok`, `name: Ok, with warnings` or `name: Invalid`."""
        prefix = f"{self.name}: " if self.name else ""
        if not self.successful:
            return f"{prefix}Invalid"
        return f"{prefix}Ok, with warnings" if self.warnings else f"{prefix}Ok"

    def summary(self) -> str:
        """The headline and one line each of schema warnings, errors and warnings, codes only."""
        lines = [self.headline]
        if self.schema_warnings:
            joined = " ".join(self.schema_warnings)
            lines.append(f" {len(self.schema_warnings)} schema warnings: [{joined}]")
        for kind, findings in (("errors", self.errors), ("warnings", self.warnings)):
            if findings:
                codes = " ".join(f"{found.code} ({found.short_text})" for found in findings)
                lines.append(f" {len(findings)} {kind}: [{codes}]")
        return "\n".join(lines)

    def verbose(self, contents: Mapping[str, str]) -> str:
        """The headline and every finding in full; contents: file name -> text. No schema."""
        text = self.headline
        for kind, findings in (("Errors", self.errors), ("Warnings", self.warnings)):
            if findings:
                text += f"\n{len(findings)} {kind}:\n"
                text += "".join(found.verbose(contents) for found in findings)
        return text

    def to_json(self, contents: Mapping[str, str]) -> dict[str, Any]:
        """One entry of `falco_load_results`."""
        body: dict[str, Any] = {
            "name": self.name,
            "successful": self.successful,
            "errors": [found.to_json(contents) for found in self.errors],
            "warnings": [found.to_json(contents) for found in self.warnings],
        }
        if self.schema_valid is not None:
            body["schema_valid"] = self.schema_valid
            body["schema_warnings"] = list(self.schema_warnings)
        return body
