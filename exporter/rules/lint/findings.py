"""What lint finds: codes that stay the same for ever, and findings with their place."""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.errors import Span

CODES: Mapping[str, str] = {
    "L001": "the rule looks at (nearly) every event",
    "L002": "the rule can never match",
    "L003": "a check is always true",
    "L004": "a check is always false",
    "L005": "checks exclude each other",
    "L006": "one of these checks is always true",
    "L007": "a check is repeated",
    "L008": "an earlier rule takes every event of this one",
    "L009": "an exception has no values",
    "L010": "a macro is not used",
    "L011": "a list is not used",
    "L012": "the loader warns",
    "L013": "a comparison with != is false when the field is missing",
    "L014": "the output names a field that these events do not have",
    "L015": "a path prefix also matches longer names",
    "L016": "a program name is longer than the kernel keeps",
    "L017": "a path is written in a form that never occurs",
    "L018": "the kernel cannot tell which events the rule is about",
}
"""Code -> what it means, in a few words."""


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One suspicious thing. name: of the rule, macro or list."""

    code: str
    kind: str
    name: str
    message: str
    span: Span
    hint: str = ""

    def __str__(self) -> str:
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f'{self.span}: {self.code} {self.kind} "{self.name}": {self.message}{hint}'


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding about one condition, before its place is known."""

    code: str
    message: str
    hint: str = ""
