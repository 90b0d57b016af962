"""Explains one rule: what it looks at, what it costs, and the code that is made of it.

Takes a loaded rule, gives an `Explanation`, printed as text or JSON. Nothing here is guessed: event
types, fields, decided parts and source come from the stages that matching uses.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from exporter.rules.ast import Check, Exists, walk
from exporter.rules.bind import Operand, bind_check
from exporter.rules.compiler import CompiledRuleset, EventFunction, compile_ruleset
from exporter.rules.decided import always_decided, own_types
from exporter.rules.event_index import event_names
from exporter.rules.fields.field import FieldUse
from exporter.rules.format import compile_format
from exporter.rules.printer import print_condition
from exporter.rules.printing import uses_of
from exporter.rules.ruleset import Rule, Ruleset

_BOUND = re.compile(r"\b(?:f|set)_\d+\b")
_MAX_SET = 8


@dataclass(frozen=True, slots=True)
class FieldCost:
    """One field that is read. cost_ns: rough ns of a read. where: condition or output."""

    name: str
    type: str
    cost_ns: int
    where: str


@dataclass(frozen=True, slots=True)
class Function:
    """The generated function of some event types. names: what bound names in it stand for."""

    events: tuple[str, ...]
    text: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one rule. decided: canonical check -> what it always says, and why."""

    rule: Rule
    condition: str
    events: tuple[str, ...]
    fields: tuple[FieldCost, ...]
    decided: tuple[tuple[str, bool, str], ...]
    functions: tuple[Function, ...]
    warnings: tuple[str, ...]


def explain(rule: Rule, warnings: Iterable[str] = ()) -> Explanation:
    """Explain a rule that loaded; also when it is off."""
    alone = replace(rule, is_enabled=True)
    tests = [
        bind_check(node, rule.source) for node in walk(rule.ast) if isinstance(node, Check | Exists)
    ]
    operands: list[Operand] = [test.left for test in tests]
    operands += [test.right for test in tests if test.right is not None]
    in_condition = {use.text: use for operand in operands for use in uses_of(operand)}
    in_output = compile_format(rule.output, rule.source).uses
    return Explanation(
        rule=rule,
        condition=print_condition(rule.ast),
        events=tuple(event_names(own_types(rule.ast, rule.source))),
        fields=(
            *(_cost(use, "condition") for use in in_condition.values()),
            *(_cost(use, "output") for use in in_output if use.text not in in_condition),
        ),
        decided=tuple(
            (
                print_condition(part.check),
                part.verdict,
                f"no such event has {part.reason}" if part.reason else "by the event type",
            )
            for part in always_decided(rule.ast, rule.source)
        ),
        functions=tuple(
            _functions(compile_ruleset(Ruleset(rules=(alone,))), tuple(in_condition.values()))
        ),
        warnings=tuple(warnings),
    )


def _cost(use: FieldUse, where: str) -> FieldCost:
    kind = f"{use.type}{' list' if use.is_list else ''}"
    return FieldCost(use.text, kind, use.field.cost, where)


def _functions(compiled: CompiledRuleset, uses: Sequence[FieldUse]) -> Iterable[Function]:
    """Each distinct function once."""
    seen: dict[int, EventFunction] = {}
    for functions in compiled.functions.values():
        for function in functions.values():
            seen.setdefault(id(function), function)
    readers: dict[object, str] = {}
    for use in uses:
        readers[use.read] = f"reads {use.text}"
        if use.each is not None:
            readers.setdefault(use.each, f"reads what checks of {use.text} look at")
    for function in seen.values():
        space = getattr(function.call, "__globals__", {})
        names = []
        for name in dict.fromkeys(_BOUND.findall(function.text)):
            value = space.get(name)
            if isinstance(value, frozenset):
                names.append((name, _set_text(value)))
            elif value in readers:
                names.append((name, readers[value]))
        yield Function(function.event_names, function.text, tuple(names))


def _set_text(members: frozenset[Any]) -> str:
    shown = sorted(map(repr, members))
    more = f", ... ({len(shown)} in all)" if len(shown) > _MAX_SET else ""
    return f"{{{', '.join(shown[:_MAX_SET])}{more}}}"


def to_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain values."""
    rule = explanation.rule
    return {
        "rule": rule.name,
        "source": rule.source,
        "enabled": rule.is_enabled,
        "priority": str(rule.priority),
        "condition": explanation.condition,
        "events": list(explanation.events),
        "fields": [
            {"name": f.name, "type": f.type, "cost_ns": f.cost_ns, "where": f.where}
            for f in explanation.fields
        ],
        "decided": [
            {"check": check, "always": verdict, "reason": reason}
            for check, verdict, reason in explanation.decided
        ],
        "functions": [
            {"events": list(f.events), "python": f.text, "names": dict(f.names)}
            for f in explanation.functions
        ],
        "warnings": list(explanation.warnings),
    }


def to_text(explanation: Explanation) -> str:
    """The explanation for people."""
    rule = explanation.rule
    state = "" if rule.is_enabled else ", off"
    lines = [
        f"{rule.name} ({rule.source}, {rule.priority}{state})",
        "",
        f"Event types ({len(explanation.events)}): {', '.join(explanation.events)}",
        "",
        "Condition, with macros, lists and exceptions put in:",
        f"  {explanation.condition}",
        "",
        "Fields (rough cost of a read):",
    ]
    width = max((len(field.name) for field in explanation.fields), default=0)
    lines += [
        f"  {field.name:{width}}  {field.cost_ns:>6} ns  {field.type}"
        f"{'  (output only)' if field.where == 'output' else ''}"
        for field in explanation.fields
    ]
    if explanation.decided:
        lines += ["", "Always decided:"]
        lines += [
            f"  {'true ' if verdict else 'false'}  {check}  ({reason})"
            for check, verdict, reason in explanation.decided
        ]
    for function in explanation.functions:
        lines += ["", f"Generated for {', '.join(function.events)}:"]
        lines += [f"  {line}".rstrip() for line in function.text.splitlines()]
        lines += [f"  # {name} {text}" for name, text in function.names]
    if not explanation.events:
        lines += ["", "No event has the types that this rule asks for: it can never match."]
    if explanation.warnings:
        lines += ["", "Warnings:", *(f"  {warning}" for warning in explanation.warnings)]
    return "\n".join(lines)
