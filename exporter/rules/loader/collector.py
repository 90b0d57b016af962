"""Collector: all items of all files so far, with definitions, appends and overrides applied.

Source: rule-language.md sections 11 to 14.
"""

from collections.abc import Collection

from exporter.rules.loader.checks import Checks
from exporter.rules.loader.exceptions import check_fields, check_shape, fill_comps
from exporter.rules.loader.items import (
    ExceptionItem,
    ListItem,
    MacroItem,
    PluginRequirement,
    RuleItem,
    RuleUpdate,
    Version,
)
from exporter.rules.loader.results import Context, ErrorCode, LoadError, LoadResult, WarningCode


class Collector:
    """Grows item by item; every method raises LoadError(VALIDATE) when the item cannot be."""

    def __init__(self, engine: Version, sources: Collection[str], checks: Checks) -> None:
        self._engine = engine
        self._sources = sources
        self._checks = checks
        self._next = 0
        self.lists: dict[str, ListItem] = {}
        self.macros: dict[str, MacroItem] = {}
        self.rules: dict[str, RuleItem] = {}
        self.required_engine: tuple[Version, str] | None = None
        self.required_plugins: list[tuple[PluginRequirement, ...]] = []

    def require_engine(self, version: Version, text: str, context: Context) -> None:
        """`required_engine_version`; text: the version as written."""
        if not self._engine.satisfies(version):
            raise LoadError(
                ErrorCode.VALIDATE,
                f"Rules require engine version {text}, but engine version is {self._engine}",
                context,
            )
        if self.required_engine is None or self.required_engine[0] < version:
            self.required_engine = (version, text)

    def require_plugin(self, alternatives: tuple[PluginRequirement, ...], context: Context) -> None:
        """One entry of `required_plugin_versions`; its own plugin first."""
        seen: set[str] = set()
        for name, version in alternatives:
            if Version.parse(version) is None:
                raise LoadError(
                    ErrorCode.VALIDATE,
                    f"Invalid required version '{version}' for plugin '{name}'",
                    context,
                )
            if name in seen:
                raise LoadError(
                    ErrorCode.VALIDATE,
                    f"Defined multiple alternative version requirements for plugin '{name}'",
                    context,
                )
            seen.add(name)
        self.required_plugins.append(alternatives)

    def define_list(self, item: ListItem) -> None:
        """Define or redefine; a redefinition keeps its place."""
        self._place(item, self.lists.get(item.name))
        self.lists[item.name] = item

    def append_list(self, item: ListItem) -> None:
        """Add items to a list."""
        known = self.lists.get(item.name)
        if known is None:
            raise LoadError(
                ErrorCode.VALIDATE,
                "List uses 'append' or 'override.items: append' but no list by that name "
                "already exists",
                item.context,
            )
        known.items = [*known.items, *item.items]
        known.visibility = self._take_index()

    def define_macro(self, item: MacroItem) -> None:
        """Define or redefine; a redefinition keeps its place."""
        self._place(item, self.macros.get(item.name))
        self.macros[item.name] = item

    def append_macro(self, item: MacroItem) -> None:
        """Add text to a macro's condition."""
        known = self.macros.get(item.name)
        if known is None:
            raise LoadError(
                ErrorCode.VALIDATE,
                "Macro uses 'append' or 'override.condition: append' but no macro by that name "
                "already exists",
                item.context,
            )
        known.condition = f"{known.condition} {item.condition}"
        known.visibility = self._take_index()

    def define_rule(self, item: RuleItem, result: LoadResult) -> None:
        """Define or redefine; a redefinition keeps its place."""
        known = self.rules.get(item.name)
        if known is not None:
            if not item.has_explicit_source:
                item.source = known.source
            self._check_source(known, item.source, item.context)
        if item.source not in self._sources:
            item.has_unknown_source = True
            result.add_warning(
                WarningCode.UNKNOWN_SOURCE,
                f"Unknown source {item.source}, skipping",
                item.context,
            )
        for exception in item.exceptions:
            if not exception.fields:
                raise LoadError(
                    ErrorCode.VALIDATE,
                    "Rule exception item must have fields property with a list of fields",
                    exception.context,
                )
            self._check_exception(exception, item)
        self._place(item, known)
        self.rules[item.name] = item

    def append_rule(self, update: RuleUpdate) -> None:
        """Add to condition, output, desc, tags, exceptions."""
        known = self.rules.get(update.name)
        if known is None:
            raise LoadError(
                ErrorCode.VALIDATE,
                "Rule uses 'append' or 'override.<key>: append' but no rule by that name "
                "already exists",
                update.context,
            )
        if update.is_empty():
            raise LoadError(
                ErrorCode.VALIDATE,
                "Appended rule must have exceptions or condition property",
                update.context,
            )
        self._check_source(known, update.source, update.context)
        if update.condition:
            known.condition = f"{known.condition} {update.condition}"
        if update.output:
            known.output = f"{known.output} {update.output}"
        if update.desc:
            known.desc = f"{known.desc} {update.desc}"
        if update.tags is not None:
            known.tags = known.tags | update.tags
        if update.exceptions is not None:
            for exception in update.exceptions:
                self._append_exception(known, exception)
        known.visibility = self._take_index()

    def replace_in_rule(self, update: RuleUpdate) -> None:
        """Replace what the update names."""
        known = self.rules.get(update.name)
        if known is None:
            raise LoadError(
                ErrorCode.VALIDATE,
                "An 'override.<key>: replace' to a rule was requested but no rule by that name "
                "already exists",
                update.context,
            )
        self._check_source(known, update.source, update.context)
        if update.exceptions is not None:
            for exception in update.exceptions:
                if not exception.fields:
                    raise LoadError(
                        ErrorCode.VALIDATE,
                        "Rule exception item must have fields property with a list of fields",
                        exception.context,
                    )
                fill_comps(exception)
                check_shape(exception)
            known.exceptions = update.exceptions
        for name in (
            "condition",
            "output",
            "desc",
            "tags",
            "priority",
            "is_enabled",
            "warn_evttypes",
            "skip_if_unknown_filter",
            "capture",
            "capture_duration_ms",
        ):
            value = getattr(update, name)
            if value is not None:
                setattr(known, name, value)
        known.visibility = self._take_index()

    def set_enabled(self, name: str, is_enabled: bool, context: Context) -> None:  # noqa: FBT001
        """The deprecated item of nothing but a name and `enabled`."""
        known = self.rules.get(name)
        if known is None:
            raise LoadError(
                ErrorCode.VALIDATE,
                "Rule has 'enabled' key but no rule by that name already exists",
                context,
            )
        known.is_enabled = is_enabled

    def _take_index(self) -> int:
        self._next += 1
        return self._next - 1

    def _place(
        self, item: ListItem | MacroItem | RuleItem, known: ListItem | MacroItem | RuleItem | None
    ) -> None:
        item.visibility = self._take_index()
        item.index = item.visibility if known is None else known.index

    def _check_source(self, known: RuleItem, source: str | None, context: Context) -> None:
        if source is not None and source != known.source:
            raise LoadError(
                ErrorCode.VALIDATE, "Rule has been re-defined with a different source", context
            )

    def _check_exception(self, exception: ExceptionItem, rule: RuleItem) -> None:
        fill_comps(exception)
        check_shape(exception)
        if not rule.has_unknown_source:
            source = rule.source
            check_fields(exception, lambda name, arg: self._checks.is_field(name, arg, source))

    def _append_exception(self, rule: RuleItem, exception: ExceptionItem) -> None:
        known = next((item for item in rule.exceptions if item.name == exception.name), None)
        message = ""
        if known is None:
            if not exception.fields:
                message = "Rule exception must have fields property with a list of fields"
            elif not exception.values:
                message = "Rule exception must have values property with a list of values"
        elif exception.fields:
            message = "Can not append exception fields to existing exception, only values"
        elif exception.comps:
            message = "Can not append exception comps to existing exception, only values"
        if message:
            raise LoadError(ErrorCode.VALIDATE, message, exception.context)
        if known is None:
            self._check_exception(exception, rule)
            rule.exceptions.append(exception)
        else:
            known.values.extend(exception.values)
