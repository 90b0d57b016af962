"""Describe loaded rules, macros and lists: the JSON and text of `falco -L` and `falco -l`.

Source: rule-language.md section 16.
"""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from exporter.rules.ast import Check, Exists, MacroRef, Node, walk
from exporter.rules.event_index import SYSCALL, EventIndexError, event_names, event_types
from exporter.rules.loader.ast_warnings import fields_of
from exporter.rules.loader.catalogue_checks import CatalogueChecks
from exporter.rules.loader.checks import Checks
from exporter.rules.loader.compile import Compiled, CompiledMacro, CompiledRule
from exporter.rules.loader.load import LoadReport
from exporter.rules.loader.substitution import CompiledList
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import RULE_MAX_DEPTH, parse_condition
from exporter.rules.printer import print_condition, print_field

_NAME_WIDTH = 50
_LINE_WIDTH = 110
_PLUGIN_OF = {
    "container": "container",
    "k8s": "container",
    "ka": "k8saudit",
    "jevt": "json",
    "json": "json",
}
_PLUGIN_OF_SOURCE = {"k8s_audit": "k8saudit"}


def describe(
    report: LoadReport, rule: str | None = None, checks: Checks | None = None
) -> dict[str, Any]:
    """Everything about all items, or `rules` with one rule only.

    report: of a successful load. checks: what tells the fields of outputs; None for the field
    catalogue's. Raises KeyError when there is no rule of that name.
    """
    checks = CatalogueChecks() if checks is None else checks
    compiled = report.compiled
    if rule is not None:
        found = [entry for entry in _rules_of(compiled) if entry.item.name == rule]
        if compiled is None or not found:
            raise KeyError(rule)
        return {"rules": [_describe_rule(found[0], compiled, checks)]}
    body: dict[str, Any] = {
        "required_engine_version": report.required_engine_version or "0.0.0",
        "required_plugin_versions": [
            {
                "name": first.name,
                "version": first.version,
                "alternatives": [other._asdict() for other in others],
            }
            for first, *others in report.required_plugins
        ],
        "rules": [],
        "macros": [],
        "lists": [],
    }
    if compiled is not None:
        body["rules"] = [_describe_rule(entry, compiled, checks) for entry in compiled.rules]
        body["macros"] = [_describe_macro(macro, compiled) for macro in compiled.macros.values()]
        body["lists"] = [_describe_list(item, compiled) for item in compiled.lists.lists.values()]
    return body


def describe_text(report: LoadReport, rule: str | None = None) -> str:
    """Two columns: the name and the description of all rules, or of one."""
    rows = [("Rule", "Description"), ("----", "-----------")]
    rows += [
        (entry.item.name, entry.item.desc)
        for entry in _rules_of(report.compiled)
        if rule in {None, entry.item.name}
    ]
    return "\n".join(_row(name, text) for name, text in rows)


def _rules_of(compiled: Compiled | None) -> Sequence[CompiledRule]:
    return () if compiled is None else compiled.rules


def _row(name: str, text: str) -> str:
    indent = " " * (_NAME_WIDTH + 1)
    first, *rest = textwrap.wrap(text, _LINE_WIDTH - len(indent)) or [""]
    return "\n".join([f"{name:<{_NAME_WIDTH}} {first}", *(indent + line for line in rest)])


def _describe_rule(entry: CompiledRule, compiled: Compiled, checks: Checks) -> dict[str, Any]:
    item, rule = entry.item, entry.rule
    operators, fields = _used(rule.ast)
    names = _direct_macros(item.condition, compiled)
    output_fields = _unique(checks.output_fields(rule.output, rule.source))
    formatted = {
        field.key: field.template for field in rule.extra_fields if field.template is not None
    }
    details: dict[str, Any] = {
        "macros": names,
        "lists": compiled.lists.named_in(item.condition),
        "condition_operators": operators,
        "condition_fields": fields,
        "output_fields": output_fields,
        "exception_fields": list(rule.exception_fields),
        "exception_names": _unique(exception.name for exception in item.exceptions),
        "exception_operators": _unique(
            comp
            for exception in item.exceptions
            for comp in (
                exception.comps if isinstance(exception.comps, list) else [exception.comps]
            )
            if isinstance(comp, str)
        ),
        "events": event_names(rule.event_types),
        "condition_compiled": print_condition(rule.ast),
        "output_compiled": rule.output,
        "plugins": _plugins([*fields, *output_fields], rule.source),
    }
    if formatted:
        details["extra_output_formatted_fields"] = formatted
    return {
        "info": {
            "name": item.name,
            "condition": item.condition,
            "priority": str(item.priority),
            "output": item.output,
            "description": item.desc,
            "enabled": item.is_enabled,
            "source": item.source,
            "capture": item.capture,
            "capture_duration": item.capture_duration_ms,
            "tags": sorted(item.tags),
        },
        "details": details,
    }


def _describe_macro(macro: CompiledMacro, compiled: Compiled) -> dict[str, Any]:
    node = macro.expanded.node
    operators, fields = _used(node)
    return {
        "info": {"name": macro.item.name, "condition": macro.item.condition},
        "details": {
            "used": macro.is_used,
            "macros": _direct_macros(macro.item.condition, compiled),
            "lists": compiled.lists.named_in(macro.item.condition),
            "condition_operators": operators,
            "condition_fields": fields,
            "events": _macro_events(node),
            "condition_compiled": print_condition(node),
            "plugins": [],
        },
    }


def _macro_events(node: Node) -> list[str]:
    try:
        return event_names(event_types(node, SYSCALL))
    except EventIndexError:
        return []  # Nobody uses the macro, else the rule that does would not have loaded.


def _describe_list(item: CompiledList, compiled: Compiled) -> dict[str, Any]:
    own = compiled.list_items[item.name].items
    return {
        "info": {
            "name": item.name,
            "items": [value for value in own if value not in item.references],
        },
        "details": {
            "used": item.is_used,
            "lists": list(item.references),
            "items_compiled": list(item.items),
            "plugins": [],
        },
    }


def _direct_macros(condition: str, compiled: Compiled) -> list[str]:
    """The macros a condition names itself, not those that come with other macros."""
    try:
        node = parse_condition(compiled.lists.substitute(condition), RULE_MAX_DEPTH)
    except ConditionSyntaxError:
        return []  # The text makes sense only inside the parentheses that exceptions put around it.
    return _unique(inner.name for inner in walk(node) if isinstance(inner, MacroRef))


def _used(node: Node) -> tuple[list[str], list[str]]:
    """Operators and fields (with their arguments) of a condition, each once."""
    operators: list[str] = []
    fields: list[str] = []
    for inner in walk(node):
        if isinstance(inner, Exists):
            operators.append("exists")
            fields += map(print_field, fields_of(inner.left))
        elif isinstance(inner, Check):
            operators.append(inner.op if inner.modifier is None else f"{inner.op} {inner.modifier}")
            fields += map(print_field, fields_of(inner.left))
            fields += map(print_field, fields_of(inner.right))
    return _unique(operators), _unique(fields)


def _plugins(fields: Iterable[str], source: str) -> list[str]:
    """Names of the plugins that would give the source and the fields."""
    names = {_PLUGIN_OF.get(field.partition(".")[0], "") for field in fields}
    names.add(_PLUGIN_OF_SOURCE.get(source, ""))
    return sorted(names - {""})


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
