"""Rules files of the user, read, loaded and compiled, or all their errors for a person.

Takes paths of the configuration, gives `ActiveRules`. Also used by `lanner rules`.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from exporter.alerts.maker import AlertMaker, AlertOptions
from exporter.app.pipeline import ActiveRules, Drafting
from exporter.config.schema import AppendOutput as AppendOutputSection
from exporter.config.schema import Config
from exporter.errors import RuleError, Span
from exporter.rules.engine import Engine
from exporter.rules.format import compile_format
from exporter.rules.loader import (
    AppendOutput,
    Finding,
    LoadReport,
    RuleOptions,
    RulesSource,
    load_rules,
)
from exporter.rules.loader.results import ErrorCode, ItemType
from exporter.rules.ruleset import ExtraField, Rule
from exporter.rules.selection import Selection

DEFAULT_RULES = "default"
"""What stands for Lanner's own rules among rules files."""

_SUFFIXES = {".yaml", ".yml"}


class InvalidRulesError(RuleError):
    """Everything that is wrong with the rules files; `str()` has one error after the other."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        super().__init__("the rules are wrong")
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class ShownRuleError(RuleError):
    """An error of a rules file with the line it is about."""

    def __init__(self, finding: Finding, snippet: str) -> None:
        super().__init__(
            finding.message, code=finding.code, span=place_of(finding), hint=finding.hint
        )
        self._snippet = snippet

    def __str__(self) -> str:
        lines = "".join(f"\n  {line}" for line in self._snippet.splitlines())
        return f"{super().__str__()}{lines}"


@dataclass(frozen=True, slots=True)
class LoadedRules:
    """Compiled rules and what was odd in their files."""

    active: ActiveRules
    engine: Engine
    report: LoadReport


def read_rule_files(paths: Iterable[str]) -> list[RulesSource]:
    """The files in order; a directory stands for its .yaml and .yml files by name.

    What cannot be read is in the list with its error. The word "default" stands for Lanner's own
    rules, which are also what no paths mean.
    """
    found: list[RulesSource] = []
    for text in list(paths) or [DEFAULT_RULES]:
        path = Path(text)
        if text == DEFAULT_RULES and not path.exists():
            found += _own_rules()
        elif os.path.isdir(text):  # noqa: PTH112  Path.is_dir() raises below a closed directory
            found += _inside(path)
        else:
            found.append(_read(text))
    return found


def _inside(directory: Path) -> list[RulesSource]:
    try:
        entries = sorted(entry for entry in directory.iterdir() if entry.suffix in _SUFFIXES)
        names = [str(entry) for entry in entries if entry.is_file()]
    except OSError as error:
        return [RulesSource(str(directory), error)]
    return [_read(name) for name in names]


def _own_rules() -> list[RulesSource]:
    own = (place for place in files("exporter.ruleset").iterdir() if place.name.endswith(".yaml"))
    return [
        RulesSource(place.name, place.read_bytes()) for place in sorted(own, key=lambda p: p.name)
    ]


def _read(name: str) -> RulesSource:
    try:
        return RulesSource(name, Path(name).read_bytes())
    except OSError as error:
        return RulesSource(name, error)
    except ValueError as error:  # a name with a NUL
        return RulesSource(name, OSError(errno.EINVAL, str(error)))


def rule_options(config: Config) -> RuleOptions:
    """What the configuration says about rules, in the words of the rules room."""
    return RuleOptions(
        priority=config.priority,
        match_all=config.rule_matching == "all",
        append_output=tuple(_append_output(entry) for entry in config.append_output),
        selections=tuple(
            Selection(is_enabling, choice.rule or "", choice.tag or "")
            for entry in config.rules
            for is_enabling, choice in ((True, entry.enable), (False, entry.disable))
            if choice is not None
        ),
    )


def _append_output(section: AppendOutputSection) -> AppendOutput:
    extra: list[ExtraField] = []
    for field in section.extra_fields:
        if isinstance(field, str):
            extra.append(ExtraField(field))
        else:
            extra += [ExtraField(key, template) for key, template in field.items()]
    return AppendOutput(
        source=section.match.source or "",
        rule=section.match.rule or "",
        tags=frozenset(section.match.tags),
        extra_output=section.extra_output or "",
        extra_fields=tuple(extra),
        suggested_output=section.suggested_output,
    )


def load_active(
    paths: Sequence[str],
    options: RuleOptions,
    alert_options: AlertOptions,
    *,
    is_base64: bool,
    on_loaded: Callable[[LoadedRules], None] = lambda _loaded: None,
) -> ActiveRules:
    """Read, load and compile. Raises InvalidRulesError with everything that is wrong."""
    report = load_rules(read_rule_files(paths), options)
    raise_errors(report)
    engine = Engine(report.ruleset)
    maker = AlertMaker(
        [rule for rule in report.ruleset.rules if rule.is_enabled],
        partial(compile_format, is_base64=is_base64),
        alert_options,
    )
    active = ActiveRules(
        ruleset=report.ruleset,
        match=engine.match,
        make=maker.make,
        checks=engine.checks,
        drafting=Drafting(weigh=engine.weigh, draft=maker.draft),
    )
    on_loaded(LoadedRules(active, engine, report))
    return active


def raise_errors(report: LoadReport) -> None:
    """Raise InvalidRulesError when the report has errors."""
    errors: list[RuleError] = [
        _unreadable(finding)
        if finding.code == ErrorCode.FILE_READ
        else ShownRuleError(finding, finding.context.snippet(report.contents))
        for result in report.results
        for finding in result.errors
    ]
    errors += [RuleError(sentence) for sentence in report.plugin_errors]
    if errors:
        raise InvalidRulesError(errors)


def _unreadable(finding: Finding) -> RuleError:
    """There is no place in a file that cannot be read."""
    file = finding.context.locations[0].file
    return RuleError(
        f"cannot read the rules file {file}: {finding.message}",
        code=finding.code,
        hint="give files that can be read, or directories of them (-r, rules_files)",
    )


def idle_choices(config: Config, rules: Sequence[Rule]) -> Iterator[str]:
    """A sentence for each name or tag in `rules:` of the configuration that no loaded rule has."""
    for index, entry in enumerate(config.rules):
        for word, choice in (("enable", entry.enable), ("disable", entry.disable)):
            if choice is None:
                continue
            for key, value in (("rule", choice.rule), ("tag", choice.tag)):
                one = Selection(word == "enable", **{key: value or ""})
                if value and not any(one.selects(rule.name, rule.tags) for rule in rules):
                    yield f'rules[{index}].{word}.{key}: no loaded rule has "{value}"'


def place_of(finding: Finding) -> Span:
    """File, line and column (from 1) of what a finding is about.

    Places in YAML count from 0; a place in a condition is one past its offset in the condition,
    added to the condition's own place, and so counts from 1 already.
    """
    locations = finding.context.locations
    last = locations[-1]
    is_counted = last.item_type is ItemType.CONDITION_EXPRESSION
    step = 0 if is_counted else 1
    return Span(locations[0].file, last.mark.line + step, last.mark.column + step)
