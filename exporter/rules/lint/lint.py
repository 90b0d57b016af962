"""All of lint over what loading gave: findings with their places, in the order of the files."""

from collections.abc import Iterator

from exporter.errors import Span
from exporter.rules.lint.conditions import (
    decided_remarks,
    event_type_remarks,
    structure_remarks,
)
from exporter.rules.lint.findings import LintFinding, Remark
from exporter.rules.lint.shadowing import Shadows
from exporter.rules.lint.values import missing_remarks, output_remarks, value_remarks
from exporter.rules.loader.compile import CompiledRule
from exporter.rules.loader.load import LoadReport
from exporter.rules.loader.results import Context, Finding, ItemType, WarningCode

_OWN_CODES = {
    WarningCode.UNUSED_MACRO: "L010",
    WarningCode.UNUSED_LIST: "L011",
    WarningCode.APPEND_NO_VALUES: "L009",
}
_SAID_OTHERWISE = frozenset({WarningCode.NO_EVTTYPE})


def lint_rules(report: LoadReport) -> list[LintFinding]:
    """What is suspicious in rules that loaded.

    Rules that selections or the priority leave out are looked at too, but nothing is said of their
    order.
    """
    found: list[LintFinding] = []
    entries = () if report.compiled is None else report.compiled.rules
    loaded = {rule.name: rule for rule in report.ruleset.rules}
    shadows = None if report.ruleset.match_all else Shadows(report.ruleset.rules)
    for entry in entries:
        span = place_of(entry.item.context)
        remarks = [*_remarks(entry)]
        rule = loaded.get(entry.rule.name)
        shadow = None if shadows is None or rule is None else shadows.shadow_of(rule)
        if shadow is not None:
            remarks.append(
                Remark(
                    "L008",
                    f'"{shadow.name}" matches whenever this rule does, and comes first',
                    "put the narrower rule first, or set rule_matching: all",
                )
            )
        found += [
            LintFinding(remark.code, "rule", entry.rule.name, remark.message, span, remark.hint)
            for remark in remarks
        ]
    for result in report.results:
        found += [
            _of_warning(warning)
            for warning in result.warnings
            if warning.code not in _SAID_OTHERWISE
        ]
    files = {result.name: number for number, result in enumerate(report.results)}
    unique = dict.fromkeys(found)
    return sorted(
        unique, key=lambda f: (files.get(f.span.file, 0), f.span.line, f.span.column, f.code)
    )


def _remarks(entry: CompiledRule) -> Iterator[Remark]:
    rule = entry.rule
    types = list(event_type_remarks(rule)) if entry.warn_evttypes else []
    yield from types
    yield from decided_remarks(rule)
    yield from structure_remarks(rule)
    for exception in entry.item.exceptions:
        if not exception.values:
            yield Remark("L009", f'the exception "{exception.name}" excepts nothing')
    yield from missing_remarks(rule)
    yield from output_remarks(rule, entry.item.output)
    yield from value_remarks(rule)


def _of_warning(warning: Finding) -> LintFinding:
    """A warning of the loader as a finding."""
    code = WarningCode(warning.code)
    item = next((p for p in reversed(warning.context.locations) if p.item_name), None)
    kind = "rule" if item is None or item.item_type is ItemType.RULES_CONTENT else ""
    if item is not None and not kind:
        kind = str(item.item_type).partition(" ")[0]
    message = warning.message if code in _OWN_CODES else f"{code}: {warning.message}"
    return LintFinding(
        _OWN_CODES.get(code, "L012"),
        kind,
        "" if item is None else item.item_name,
        message,
        place_of(warning.context),
        warning.hint or "",
    )


def place_of(context: Context) -> Span:
    """File, line and column (from 1) of an item; of its condition's first line for checks."""
    places = [p for p in context.locations if p.item_type is not ItemType.CONDITION_EXPRESSION]
    last = places[-1]
    return Span(context.locations[0].file, last.mark.line + 1, last.mark.column + 1)
