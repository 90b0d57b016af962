"""Compiler: rules to Python functions, one for all rules of an event type.

Takes a `Ruleset`, gives a `CompiledRuleset`: per event source and event code a function from an
event to the rules that match it. The generated text is deterministic and can be printed
(`EventFunction.text`); it is registered with linecache, so that tracebacks show it.
"""

import linecache
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from exporter.events.event import Event
from exporter.events.table import EventType, load_event_table
from exporter.rules.emit import FunctionEmitter, Namespace
from exporter.rules.plan import FALSE, Plan
from exporter.rules.ruleset import Rule, Ruleset
from exporter.rules.runtime import NAMESPACE

Matches = Sequence[Rule]
MatchFunction = Callable[[Event], Matches]

_numbers = count()


@dataclass(slots=True)
class EventFunction:
    """The function of one or more event types.

    event_names: types it serves. rules: those it can match, in match order. text: its source.
    one: for the careful path: a function from an event to whether one rule matches. plan, nodes:
    what it was made of, a node a rule.
    """

    event_names: tuple[str, ...]
    rules: tuple[Rule, ...]
    text: str
    call: MatchFunction
    one: Callable[[int], Callable[[Event], bool]]
    plan: Plan
    nodes: tuple[int, ...]


@dataclass(slots=True)
class CompiledRuleset:
    """Everything that matching needs.

    functions: event source -> event code -> function.
    """

    ruleset: Ruleset
    functions: dict[str, dict[int, EventFunction]] = field(default_factory=dict)


def compile_ruleset(ruleset: Ruleset) -> CompiledRuleset:
    """Compile all enabled rules. Raises ConditionError for a condition that cannot be bound."""
    compiled = CompiledRuleset(ruleset)
    by_source: dict[str, list[Rule]] = {}
    for rule in ruleset.rules:
        if rule.is_enabled:
            by_source.setdefault(rule.source, []).append(rule)
    for source, rules in by_source.items():
        compiled.functions[source] = _SourceCompiler(
            source, rules, match_all=ruleset.match_all
        ).compile()
    return compiled


class _SourceCompiler:
    """Compiles the rules of one event source; equal functions of different types are one."""

    def __init__(self, source: str, rules: Sequence[Rule], *, match_all: bool) -> None:
        self.source = source
        self.rules = rules
        self.match_all = match_all
        self.plan = Plan()
        self.space = Namespace(values=dict(NAMESPACE))
        self.roots = [self.plan.add_condition(rule.ast, source) for rule in rules]

    def compile(self) -> dict[int, EventFunction]:
        """Event code -> function; codes that no rule can match have none.

        Event types that decide the same tests in the same way share all further work.
        """
        types = {event.code: event for event in load_event_table().events}
        folders = self.plan.folders()
        # Apart, because a key of the one may look like a key of the other.
        by_decision: dict[object, EventFunction | None] = {}
        by_parts: dict[object, EventFunction | None] = {}
        functions: dict[int, EventFunction] = {}
        for code in sorted({code for rule in self.rules for code in rule.event_types}):
            event_type = types.get(code)
            if event_type is None:
                continue
            places = tuple(
                place for place, rule in enumerate(self.rules) if code in rule.event_types
            )
            folded = tuple([fold(event_type) for _, fold in folders])
            key = (places, folded)
            if key not in by_decision:
                nodes = {number: to for (number, _), to in zip(folders, folded, strict=True)}
                parts = self._parts(places, nodes)
                if parts not in by_parts:
                    by_parts[parts] = self._function(event_type, parts) if parts else None
                by_decision[key] = by_parts[parts]
            found = by_decision[key]
            if found is not None:
                functions[code] = found
                if event_type.name not in found.event_names:
                    found.event_names += (event_type.name,)
        return functions

    def _parts(
        self, places: Sequence[int], folded: Mapping[int, int]
    ) -> tuple[tuple[int, int], ...]:
        """(place of the rule, node) of the rules that some events can match."""
        nodes = self.plan.specialise_all([self.roots[place] for place in places], folded)
        return tuple(
            (place, node) for place, node in zip(places, nodes, strict=True) if node != FALSE
        )

    def _function(self, event_type: EventType, parts: tuple[tuple[int, int], ...]) -> EventFunction:
        rules = tuple(self.rules[place] for place, _ in parts)
        name = f"match_{event_type.name}_{event_type.code}"
        text = emit_function(self.plan, self.space, name, parts, rules, match_all=self.match_all)
        singles: dict[int, Callable[[Event], bool]] = {}

        def one(index: int) -> Callable[[Event], bool]:
            found = singles.get(index)
            if found is None:
                node = parts[index][1]
                source = emit_predicate(self.plan, self.space, "matches", node)
                found = singles[index] = _load(source, "matches", self.space.values)
            return found

        call = _load(text, name, self.space.values)
        nodes = tuple(node for _, node in parts)
        return EventFunction((event_type.name,), rules, text, call, one, self.plan, nodes)


def emit_predicate(plan: Plan, space: Namespace, name: str, node: int) -> str:
    """Source of a function from an event to whether one node is true."""
    emitter = FunctionEmitter(plan, space, [node])
    emitted = emitter.expression(node, frozenset())
    body = [f"    return {emitted.code}"]
    return "\n".join(_whole(plan, space, name, emitter, body, is_helper=False))


def emit_function(
    plan: Plan,
    space: Namespace,
    name: str,
    parts: Sequence[tuple[int, int]],
    rules: Sequence[Rule],
    *,
    match_all: bool,
) -> str:
    """Source of the function that tries rules in order."""
    roots = [node for _, node in parts]
    emitter = FunctionEmitter(plan, space, roots)
    body, known = emitter.hoist(roots)
    if match_all:
        body.append("    found = []")
    for (place, node), rule in zip(parts, rules, strict=True):
        emitted = emitter.expression(node, known)
        body.append(f"    # {rule.name!a}")
        body.append(f"    if {_lines(emitted.code)}:")
        if match_all:
            body.append(f"        found.append({space.bind('rule', place, rule)})")
            known = emitted.if_true & emitted.if_false
        else:
            body.append(f"        return {space.bind('rules', place, (rule,))}")
            known = emitted.if_false
    body.append("    return found" if match_all else "    return ()")
    return "\n".join(_whole(plan, space, name, emitter, body, is_helper=False))


def _lines(code: str) -> str:
    """Long conditions get a line of their own inside parentheses."""
    return code if len(code) < 88 else f"(\n        {code}\n    )"


def _whole(
    plan: Plan,
    space: Namespace,
    name: str,
    emitter: FunctionEmitter,
    body: list[str],
    *,
    is_helper: bool,
) -> list[str]:
    """The function with its locals and, before it, the functions of its deep parts."""
    head = [f"def {name}(e):"]
    if emitter.uses_thread:
        head.append("    t = e.thread")
    unset = sorted(emitter.unset, key=lambda local: (local[0], int(local[2:])))
    if unset:
        head.append(f"    {' = '.join(unset)} = ...")
    lines: list[str] = []
    if not is_helper:
        lines.extend(_helpers(plan, space, emitter))
    return [*lines, *head, *body, ""]


def _helpers(plan: Plan, space: Namespace, emitter: FunctionEmitter) -> list[str]:
    """Functions of deep parts, which may need functions of still deeper parts."""
    lines: list[str] = []
    done: set[int] = set()
    pending = list(emitter.helpers)
    while pending:
        number = pending.pop()
        if number in done:
            continue
        done.add(number)
        inner = FunctionEmitter(plan, space, [number])
        # A part that is itself the shared root must not be looked up in its own local.
        inner.references[number] = 1
        emitted = inner.expression(number, frozenset())
        body = [f"    return {emitted.code}"]
        lines.extend(
            _whole(
                plan,
                space,
                emitter.helpers.get(number, f"part_{number}"),
                inner,
                body,
                is_helper=True,
            )
        )
        pending.extend(inner.helpers)
    return lines


def _load(text: str, name: str, values: dict[str, Any]) -> Any:
    """Execute generated source in the namespace of its names and give one of its functions."""
    filename = f"<lanner rules {next(_numbers)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), values)
    # In its own namespace the function would keep itself alive, and the whole ruleset with it,
    # until the next full garbage collection, which a settled interpreter hardly ever does.
    function = values.pop(name)
    # Reloads would fill the cache for ever otherwise.
    weakref.finalize(function, linecache.cache.pop, filename, None)
    return function
