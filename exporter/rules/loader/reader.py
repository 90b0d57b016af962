"""One rules file: YAML documents -> items -> collector (rule-language.md sections 11 to 13).

The first error stops the file, across documents too.
"""

from exporter.rules.lexer import BARE, IDENTIFIER
from exporter.rules.loader import decode
from exporter.rules.loader.collector import Collector
from exporter.rules.loader.document import (
    DocumentError,
    Mapping,
    Node,
    Scalar,
    Sequence,
    is_null,
    read_documents,
)
from exporter.rules.loader.exception_reader import Verb, read_exceptions
from exporter.rules.loader.items import (
    ListItem,
    MacroItem,
    PluginRequirement,
    RuleItem,
    RuleUpdate,
    Version,
)
from exporter.rules.loader.override_reader import read_override
from exporter.rules.loader.results import (
    Context,
    ErrorCode,
    ItemType,
    LoadError,
    LoadResult,
    WarningCode,
)
from exporter.rules.loader.schema import schema_violations

_RULE_APPEND = ("condition", "exceptions", "output", "desc", "tags")
_RULE_REPLACE = (
    "condition",
    "exceptions",
    "output",
    "desc",
    "tags",
    "priority",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
)
_RULE_REQUIRED = ("condition", "output", "desc", "priority")
_KEYS = {
    "required_engine_version": frozenset(("required_engine_version",)),
    "required_plugin_versions": frozenset(("required_plugin_versions",)),
    "list": frozenset(("list", "items", "append", "override")),
    "macro": frozenset(("macro", "condition", "append", "override")),
    "rule": frozenset(("rule", "source", "override", "append", *_RULE_REPLACE)),
}
_ITEM_TYPES = {
    "required_engine_version": ItemType.REQUIRED_ENGINE_VERSION,
    "required_plugin_versions": ItemType.REQUIRED_PLUGIN_VERSIONS,
    "list": ItemType.LIST,
    "macro": ItemType.MACRO,
    "rule": ItemType.RULE,
}

_APPEND_DEPRECATED = (
    "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: append') under "
    "'override' instead."
)
_ENABLED_DEPRECATED = (
    "A rule item with nothing but 'enabled' is deprecated. Add an entry 'enabled: replace' under "
    "'override'."
)
_APPEND_AND_OVERRIDE = (
    "Keys 'override' and 'append: true' cannot be used together. Add an 'append' entry (e.g. "
    "'condition: append') under 'override' instead."
)


def read_file(text: str, result: LoadResult, collector: Collector) -> bool:
    """Put every item of a file into the collector; False when an error stopped it."""
    context = Context.of_file(result.name)
    try:
        documents = read_documents(text)
    except DocumentError as error:
        where = context if error.mark is None else context.inside(ItemType.VALUE_FOR, error.mark)
        result.add_error(LoadError(ErrorCode.YAML_PARSE, error.message, where))
        return False
    result.schema_warnings = schema_violations(documents)
    result.schema_valid = not result.schema_warnings
    reader = _Reader(context, result, collector)
    try:
        for root in documents:
            reader.read_document(root)
    except LoadError as error:
        result.add_error(error)
        return False
    return True


class _Reader:
    """Reads the items of one file."""

    def __init__(self, context: Context, result: LoadResult, collector: Collector) -> None:
        self._context = context
        self._result = result
        self._collector = collector

    def read_document(self, root: Node) -> None:
        """Every item of a document; null documents and null items are skipped."""
        if is_null(root):
            return
        if not isinstance(root, Sequence):
            kind = " array of objects" if isinstance(root, Mapping) else ""
            raise decode.shape_error(f"Rules content is not yaml{kind}", self._context)
        for node in root.items:
            if is_null(node):
                continue
            where = self._context.inside(ItemType.RULES_CONTENT_ITEM, node.mark)
            if not isinstance(node, Mapping):
                raise decode.shape_error(
                    "Unexpected element type. Each element should be a yaml associative array.",
                    where,
                )
            self._read_item(node, where)

    def _read_item(self, item: Mapping, where: Context) -> None:
        kind = next((key for key in _KEYS if item.find(key) is not None), None)
        if kind is None:
            self._result.add_warning(WarningCode.UNKNOWN_ITEM, "Unknown top level item", where)
            return
        if kind == "required_engine_version":
            self._read_engine_version(item)
        elif kind == "required_plugin_versions":
            self._read_plugin_versions(item)
        elif kind == "list":
            self._read_list(item)
        elif kind == "macro":
            self._read_macro(item)
        else:
            self._read_rule(item)

    def _warn_unknown_keys(
        self, item: Mapping, known: frozenset[str], what: str, context: Context
    ) -> None:
        for key, _ in item.pairs:
            if not isinstance(key, Scalar) or key.text not in known:
                name = key.text if isinstance(key, Scalar) else ""
                self._result.add_warning(
                    WarningCode.UNKNOWN_KEY,
                    f"Unknown key '{name}' in {what}",
                    context.inside(ItemType.VALUE_FOR, key.mark, name),
                )

    def _named(self, item: Mapping, kind: str) -> tuple[str, Context]:
        """The name of a list, macro or rule and the context of the item."""
        item_type = _ITEM_TYPES[kind]
        name = decode.text(item, kind, self._context.inside(item_type, item.mark))
        context = self._context.inside(item_type, item.mark, name)
        self._warn_unknown_keys(item, _KEYS[kind], kind, context)
        return name, context

    def _read_engine_version(self, item: Mapping) -> None:
        context = self._context.inside(ItemType.REQUIRED_ENGINE_VERSION, item.mark)
        self._warn_unknown_keys(item, _KEYS["required_engine_version"], "item", context)
        value, _ = decode.scalar(item, "required_engine_version", context)
        number = value.as_uint()
        text = value.text if number is None else f"0.{number}.0"
        version = Version.parse(text)
        if version is None:
            raise decode.shape_error(
                f"Unable to parse engine version '{text}' as a semver string. Expected "
                '"x.y.z" semver format.',
                context,
            )
        self._collector.require_engine(version, text, context)

    def _read_plugin_versions(self, item: Mapping) -> None:
        value = decode.require(item, "required_plugin_versions", self._context)
        context = self._context.inside(ItemType.REQUIRED_PLUGIN_VERSIONS, value.mark)
        self._warn_unknown_keys(item, _KEYS["required_plugin_versions"], "item", context)
        if not isinstance(value, Sequence):
            raise decode.shape_error(
                "Value of required_plugin_versions must be a sequence", context
            )
        for node in value.items:
            entry_type = ItemType.REQUIRED_PLUGIN_VERSIONS_ENTRY
            where = context.inside(entry_type, node.mark)
            if not isinstance(node, Mapping):
                raise decode.shape_error("Plugin version must be a mapping", where)
            name = decode.text(node, "name", where)
            where = context.inside(entry_type, node.mark, name)
            required = [PluginRequirement(name, decode.text(node, "version", where))]
            required += self._read_alternatives(node, where)
            self._collector.require_plugin(tuple(required), where)

    def _read_alternatives(self, node: Mapping, where: Context) -> list[PluginRequirement]:
        value = node.find("alternatives")
        if value is None:
            return []
        if not isinstance(value, Sequence):
            raise decode.shape_error(
                "Value of plugin version alternatives must be a sequence", where
            )
        found = []
        for other in value.items:
            inner = where.inside(ItemType.REQUIRED_PLUGIN_VERSIONS_ALTERNATIVE, other.mark)
            if not isinstance(other, Mapping):
                raise decode.shape_error("Plugin version alternative must be a mapping", inner)
            name = decode.text(other, "name", inner)
            found.append(PluginRequirement(name, decode.text(other, "version", inner)))
        return found

    def _read_list(self, item: Mapping) -> None:
        name, context = self._named(item, "list")
        if not BARE.fullmatch(name):
            self._result.add_warning(
                WarningCode.INVALID_LIST_NAME,
                "List has an invalid name. List names should match a regular expression: "
                "([^()\"'[:space:]=,]+)",
                context,
            )
        items = decode.strings(item, "items", context)
        is_append = self._read_append_flag(item, context)
        override = read_override(item, ("items",), ("items",), context)
        if is_append and override:
            raise decode.shape_error(_APPEND_AND_OVERRIDE, context)
        read = ListItem(name, items, context)
        if is_append or override.get("items") == "append":
            self._collector.append_list(read)
        else:
            self._collector.define_list(read)

    def _read_macro(self, item: Mapping) -> None:
        name, context = self._named(item, "macro")
        if not IDENTIFIER.fullmatch(name):
            self._result.add_warning(
                WarningCode.INVALID_MACRO_NAME,
                "Macro has an invalid name. Macro names should match a regular expression: "
                "([a-zA-Z]+[a-zA-Z0-9_]*)",
                context,
            )
        condition, _ = decode.scalar(item, "condition", context)
        is_append = self._read_append_flag(item, context)
        override = read_override(item, ("condition",), ("condition",), context)
        if is_append and override:
            raise decode.shape_error(_APPEND_AND_OVERRIDE, context)
        where = context.inside(ItemType.MACRO_CONDITION, condition.mark)
        read = MacroItem(name, condition.text, context, where)
        if is_append or override.get("condition") == "append":
            self._collector.append_macro(read)
        else:
            self._collector.define_macro(read)

    def _read_append_flag(self, item: Mapping, context: Context) -> bool:
        is_append = decode.optional_boolean(item, "append", context, default=False)
        if is_append:
            self._result.add_warning(WarningCode.DEPRECATED_ITEM, _APPEND_DEPRECATED, context)
        return is_append

    def _read_rule(self, item: Mapping) -> None:
        name, context = self._named(item, "rule")
        is_append = self._read_append_flag(item, context)
        override = read_override(item, _RULE_APPEND, _RULE_REPLACE, context)
        if is_append and override:
            raise decode.shape_error(_APPEND_AND_OVERRIDE, context)
        if override:
            self._read_overriding_rule(item, name, override, context)
        elif is_append:
            update = RuleUpdate(name, context, self._explicit_source(item))
            if item.find("condition") is not None:
                update.condition = decode.text(item, "condition", context)
            if item.find("exceptions") is not None:
                update.exceptions = read_exceptions(item, context, self._result, "append")
            self._collector.append_rule(update)
        elif all(item.find(key) is None for key in _RULE_REQUIRED):
            is_enabled = decode.boolean(item, "enabled", context)
            self._result.add_warning(WarningCode.DEPRECATED_ITEM, _ENABLED_DEPRECATED, context)
            self._collector.set_enabled(name, is_enabled, context)
        else:
            self._collector.define_rule(self._read_definition(item, name, context), self._result)

    def _read_definition(self, item: Mapping, name: str, context: Context) -> RuleItem:
        condition, _ = decode.scalar(item, "condition", context)
        output, _ = decode.scalar(item, "output", context)
        rule = RuleItem(
            name=name,
            condition=condition.text,
            output=output.text.strip(" \t\n\r\f\v"),
            desc=decode.text(item, "desc", context),
            priority=decode.priority(item, context),
            context=context,
            condition_context=context.inside(ItemType.RULE_CONDITION, condition.mark),
            output_context=context.inside(ItemType.RULE_OUTPUT, output.mark),
        )
        if item.find("source") is not None:
            rule.source = decode.text(item, "source", context)
            rule.has_explicit_source = True
        rule.is_enabled = decode.optional_boolean(item, "enabled", context, default=True)
        rule.warn_evttypes = decode.optional_boolean(item, "warn_evttypes", context, default=True)
        rule.skip_if_unknown_filter = decode.optional_boolean(
            item, "skip-if-unknown-filter", context, default=False
        )
        rule.capture = decode.optional_boolean(item, "capture", context, default=False)
        if item.find("capture_duration") is not None:
            rule.capture_duration_ms = decode.unsigned(item, "capture_duration", context)
        if item.find("tags") is not None:
            rule.tags = set(decode.strings(item, "tags", context))
        rule.exceptions = read_exceptions(item, context, self._result, "define")
        return rule

    @staticmethod
    def _explicit_source(item: Mapping) -> str | None:
        source = item.find("source")
        return source.text if isinstance(source, Scalar) and source.text else None

    def _read_overriding_rule(
        self, item: Mapping, name: str, override: dict[str, str], context: Context
    ) -> None:
        unlisted = {key for key in _RULE_REPLACE if item.find(key) is not None}
        verbs: tuple[tuple[Verb, tuple[str, ...]], ...] = (
            ("append", _RULE_APPEND),
            ("replace", _RULE_REPLACE),
        )
        for verb, keys in verbs:
            named = [key for key in keys if override.get(key) == verb]
            if not named:
                continue
            update = RuleUpdate(name, context, self._explicit_source(item))
            for key in named:
                if key not in unlisted:
                    raise decode.shape_error(
                        f"An {verb} override for '{key}' was specified but '{key}' is not defined",
                        context,
                    )
                unlisted.discard(key)
                self._read_into(update, item, key, verb)
            if verb == "append":
                self._collector.append_rule(update)
            else:
                self._collector.replace_in_rule(update)
        for key in sorted(unlisted):
            node = decode.require(item, key, context)
            raise decode.shape_error(
                f"Unexpected key '{key}': no corresponding entry under 'override' is defined.",
                context.inside(ItemType.OVERRIDE, node.mark, key),
            )

    def _read_into(self, update: RuleUpdate, item: Mapping, key: str, verb: Verb) -> None:
        context = update.context
        match key:
            case "condition":
                update.condition = decode.text(item, key, context)
            case "output":
                update.output = decode.text(item, key, context)
            case "desc":
                update.desc = decode.text(item, key, context)
            case "tags":
                update.tags = set(decode.strings(item, key, context))
            case "exceptions":
                update.exceptions = read_exceptions(item, context, self._result, verb)
            case "priority":
                update.priority = decode.priority(item, context)
            case "enabled":
                update.is_enabled = decode.boolean(item, key, context)
            case "warn_evttypes":
                update.warn_evttypes = decode.boolean(item, key, context)
            case "skip-if-unknown-filter":
                update.skip_if_unknown_filter = decode.boolean(item, key, context)
            case "capture":
                update.capture = decode.boolean(item, key, context)
            case _:
                update.capture_duration_ms = decode.unsigned(item, key, context)
