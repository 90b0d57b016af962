"""Compile the collected items: lists, macros, then rules in definition order.

Gives frozen rules ready for matching, and everything that `lanner rules list` tells about them.
Source: rule-language.md sections 9, 13, 14, 15 and 18.2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from exporter.errors import RuleError
from exporter.rules.ast import Node, Position
from exporter.rules.event_index import (
    ASYNC_TYPES,
    SYSCALL,
    EventIndexError,
    event_types,
    has_too_many_types,
    matched_types,
)
from exporter.rules.loader.ast_warnings import warn_condition, warn_output
from exporter.rules.loader.checks import CheckError, Checks
from exporter.rules.loader.collector import Collector
from exporter.rules.loader.exceptions import expand, field_names
from exporter.rules.loader.items import ListItem, MacroItem, RuleItem
from exporter.rules.loader.macros import Expanded, MacroError, MacroResolver
from exporter.rules.loader.options import AppendOutput
from exporter.rules.loader.results import Context, ErrorCode, LoadError, LoadResult, WarningCode
from exporter.rules.loader.substitution import (
    ListTable,
    TooLongError,
)
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import RULE_MAX_DEPTH, parse_condition
from exporter.rules.ruleset import ExtraField, Rule

CONTAINER_INFO = "%container.info"
_UNKNOWN = (
    "nonexistent field",
    "invalid formatting token",
    "unknown event type",
    "unknown filter:",
)


@dataclass(slots=True)
class CompiledMacro:
    """A macro with its AST as parsed and as expanded."""

    item: MacroItem
    parsed: Node
    expanded: Expanded
    is_used: bool = False


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its origin. parsed: AST with exceptions and lists, macros still references."""

    item: RuleItem
    rule: Rule
    parsed: Node
    warn_evttypes: bool


@dataclass(slots=True)
class Compiled:
    """Everything one compilation gave, in definition order."""

    lists: ListTable
    macros: dict[str, CompiledMacro]
    rules: list[CompiledRule]
    list_items: dict[str, ListItem]


class Compiler:
    """Compiles the collection again after each file; parsed texts are remembered in between."""

    def __init__(self, checks: Checks, append_output: Sequence[AppendOutput]) -> None:
        self._checks = checks
        self._append_output = append_output
        self._parsed: dict[str, Node | ConditionSyntaxError] = {}
        self._verdicts: dict[tuple[str, Node], _Verdict] = {}
        self._outputs_checked: set[tuple[str, str]] = set()

    def compile(self, collector: Collector, result: LoadResult) -> Compiled | None:
        """Compile everything collected; None when an error stopped it (it is in the result)."""
        try:
            lists = ListTable(collector.lists)
            macros = self._compile_macros(collector, lists)
            rules = self._compile_rules(collector, lists, macros, result)
        except LoadError as error:
            result.add_error(error)
            return None
        for macro in macros.values():
            if not macro.is_used:
                result.add_warning(
                    WarningCode.UNUSED_MACRO,
                    "Macro not referred to by any other rule/macro",
                    macro.item.context,
                )
        for name, compiled in lists.lists.items():
            if not compiled.is_used:
                result.add_warning(
                    WarningCode.UNUSED_LIST,
                    "List not referred to by any other rule/macro",
                    collector.lists[name].context,
                )
        return Compiled(lists, macros, rules, dict(collector.lists))

    def _compile_macros(self, collector: Collector, lists: ListTable) -> dict[str, CompiledMacro]:
        parsed = {
            item.name: self._parse(item.condition, lists, item.condition_context)
            for item in collector.macros.values()
        }
        compiled: dict[str, CompiledMacro] = {}
        done: dict[str, Expanded] = {}
        used: set[str] = set()
        for item in collector.macros.values():
            resolver = MacroResolver(_seen_by(item, collector.macros, parsed), done)
            node = parsed[item.name]
            done[item.name] = self._expand(
                resolver, node, item.condition, item.context, used=used, collector=collector
            )
            compiled[item.name] = CompiledMacro(item, node, done[item.name])
        for name in used:
            compiled[name].is_used = True
        return compiled

    def _compile_rules(
        self,
        collector: Collector,
        lists: ListTable,
        macros: dict[str, CompiledMacro],
        result: LoadResult,
    ) -> list[CompiledRule]:
        visible = {name: macro.parsed for name, macro in macros.items()}
        known = {name: macro.expanded for name, macro in macros.items()}
        used: set[str] = set()
        rules: list[CompiledRule] = []
        for item in collector.rules.values():
            if item.has_unknown_source:
                continue
            condition = expand(item.condition, item.exceptions)
            output, extra_fields = self._outputs(item, result)
            if not self._check_output(item, output, extra_fields, result):
                continue
            parsed = self._parse(condition, lists, item.condition_context)
            resolver = MacroResolver(visible.get, known)
            node = self._expand(
                resolver, parsed, condition, item.context, used=used, collector=collector
            ).node
            warn_condition(node, item.condition_context, result)
            verdict = self._judge(node, item.source)
            if not self._report(verdict, item, condition, result):
                continue
            rule = Rule(
                index=len(rules),
                name=item.name,
                desc=item.desc,
                condition=item.condition,
                ast=node,
                output=output,
                priority=item.priority,
                source=item.source,
                tags=tuple(sorted(item.tags)),
                is_enabled=item.is_enabled,
                event_types=verdict.event_types,
                extra_fields=extra_fields,
                capture=item.capture,
                capture_duration_ms=item.capture_duration_ms,
                exception_fields=tuple(field_names(item.exceptions)),
            )
            rules.append(CompiledRule(item, rule, parsed, item.warn_evttypes))
        for name in used:
            macros[name].is_used = True
        return rules

    def _parse(self, condition: str, lists: ListTable, context: Context) -> Node:
        """The AST of a condition with the lists put in. Raises LoadError."""
        try:
            text = lists.substitute(condition)
        except TooLongError:
            raise LoadError(
                ErrorCode.VALIDATE, "lists make the condition unreasonably long", context
            ) from None
        parsed = self._parsed.get(text)
        if parsed is None:
            try:
                parsed = parse_condition(text, RULE_MAX_DEPTH)
            except ConditionSyntaxError as error:
                parsed = error
            self._parsed[text] = parsed
        if isinstance(parsed, ConditionSyntaxError):
            where = context.in_condition(parsed.position, text)
            raise LoadError(ErrorCode.COMPILE_CONDITION, parsed.message, where, parsed.hint)
        return parsed

    @staticmethod
    def _expand(
        resolver: MacroResolver,
        node: Node,
        condition: str,
        context: Context,
        *,
        used: set[str],
        collector: Collector,
    ) -> Expanded:
        """The AST without macro references. Raises LoadError."""
        try:
            expanded = resolver.expand(node)
        except MacroError as error:
            where = context.in_condition(error.position, condition)
            hint = _hint(error.undefined, collector) if error.undefined else None
            raise LoadError(ErrorCode.VALIDATE, error.message, where, hint) from None
        except RecursionError:
            where = context.in_condition(node.position, condition)
            message = "macros refer to each other too deeply"
            raise LoadError(ErrorCode.VALIDATE, message, where) from None
        used |= resolver.used
        return expanded

    def _outputs(self, item: RuleItem, result: LoadResult) -> tuple[str, tuple[ExtraField, ...]]:
        """The rule's output with what `append_output` adds, and its extra fields."""
        output = item.output
        extra_fields: dict[str, ExtraField] = {}
        for entry in self._append_output:
            if not entry.matches(item.name, item.source, item.tags):
                continue
            if entry.extra_output:
                output += f" {entry.extra_output}"
            if entry.suggested_output:
                for name in self._checks.suggested_fields(item.source):
                    output += f" {name.replace('.', '_')}=%{name}"
            for field in entry.extra_fields:
                extra_fields[field.key] = field
        if CONTAINER_INFO in output:
            result.add_warning(
                WarningCode.DEPRECATED_ITEM,
                "%container.info is deprecated and is left out of the output; the container "
                "fields are added by 'append_output' with 'suggested_output: true'",
                item.context,
            )
            output = output.replace(CONTAINER_INFO, "")
        return output, tuple(extra_fields.values())

    def _check_output(
        self,
        item: RuleItem,
        output: str,
        extra_fields: tuple[ExtraField, ...],
        result: LoadResult,
    ) -> bool:
        """Check the templates; False when the rule is to be left out. Raises LoadError."""
        where = item.output_context
        try:
            self._check_template(output, item.source)
        except RuleError as error:
            if item.skip_if_unknown_filter and _is_unknown(error.message):
                result.add_warning(WarningCode.UNKNOWN_FILTER, error.message, where)
                return False
            raise LoadError(ErrorCode.COMPILE_OUTPUT, error.message, where, error.hint) from None
        warn_output(output, where, result)
        for field in extra_fields:
            template = f"%{field.key}" if field.template is None else field.template
            try:
                self._check_template(template, item.source)
            except RuleError as error:
                raise LoadError(
                    ErrorCode.COMPILE_OUTPUT, error.message, where, error.hint
                ) from None
            warn_output(template, where, result)
        return True

    def _check_template(self, template: str, source: str) -> None:
        if (template, source) not in self._outputs_checked:
            self._checks.output(template, source)
            self._outputs_checked.add((template, source))

    def _judge(self, node: Node, source: str) -> "_Verdict":
        """Check fields, types and values and find the event types; remembered by condition."""
        known = self._verdicts.get((source, node))
        if known is None:
            known = self._verdicts[source, node] = self._new_verdict(node, source)
        return known

    def _new_verdict(self, node: Node, source: str) -> "_Verdict":
        try:
            warnings = tuple(self._checks.condition(node, source))
            if source != SYSCALL:
                return _Verdict(warnings, event_types(node, source))
            codes = matched_types(node)
        except CheckError as error:
            return _Verdict((), error=error)
        except EventIndexError as error:
            return _Verdict((), error=CheckError(error.message, node.position))
        return _Verdict(warnings, codes | ASYNC_TYPES, has_too_many_types(codes))

    @staticmethod
    def _report(verdict: "_Verdict", item: RuleItem, condition: str, result: LoadResult) -> bool:
        """Add what was found to the result; False when the rule is to be left out."""
        context = item.condition_context
        error = verdict.error
        if error is not None:
            where = context.in_condition(error.position, condition)
            if item.skip_if_unknown_filter and _is_unknown(error.message):
                result.add_warning(WarningCode.UNKNOWN_FILTER, error.message, where)
                return False
            raise LoadError(ErrorCode.COMPILE_CONDITION, error.message, where, error.hint)
        for message, position in verdict.warnings:
            where = context.in_condition(position, condition)
            result.add_warning(WarningCode.COMPILE_CONDITION, message, where)
        if verdict.has_too_many_types and item.warn_evttypes:
            result.add_warning(
                WarningCode.NO_EVTTYPE,
                "Rule matches too many evt.type values. This has a significant performance "
                "penalty.",
                item.context,
            )
        return True


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the checks say of one condition for one source."""

    warnings: Sequence[tuple[str, Position]]
    event_types: frozenset[int] = frozenset()
    has_too_many_types: bool = False
    error: CheckError | None = None


def _seen_by(
    item: MacroItem, items: Mapping[str, MacroItem], parsed: Mapping[str, Node]
) -> Callable[[str], Node | None]:
    """The macros that a macro's body sees: those first defined before its latest definition."""

    def visible(name: str) -> Node | None:
        other = items.get(name)
        return None if other is None or other.index >= item.visibility else parsed[name]

    return visible


def _hint(name: str, collector: Collector) -> str | None:
    """What the author of a reference to an undefined macro may have meant."""
    if name in collector.macros:
        return f"macro '{name}' is defined later: macros see only those before them"
    near = get_close_matches(name, collector.macros, 1)
    return f"did you mean '{near[0]}'?" if near else None


def _is_unknown(message: str) -> bool:
    """Whether an error is one that `skip-if-unknown-filter` turns into a warning."""
    return any(part in message for part in _UNKNOWN)
