"""Load rules: files in order into one collection, compiled after each file.

Nothing a file holds makes this raise; what is wrong is in the report.
Source: rule-language.md sections 11 to 17.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.rules.loader.catalogue_checks import CatalogueChecks
from exporter.rules.loader.checks import Checks
from exporter.rules.loader.collector import Collector
from exporter.rules.loader.compile import Compiled, Compiler
from exporter.rules.loader.items import PluginRequirement, Version
from exporter.rules.loader.options import RuleOptions
from exporter.rules.loader.reader import read_file
from exporter.rules.loader.results import (
    Context,
    ErrorCode,
    LoadError,
    LoadResult,
)
from exporter.rules.ruleset import Ruleset
from exporter.rules.selection import select


class RulesSource(NamedTuple):
    """A rules file: its name as the user gave it, and what is in it.

    content: bytes or text; an OSError when the file could not be read.
    """

    name: str
    content: bytes | str | OSError


@dataclass(slots=True)
class LoadReport:
    """What loading gave. ruleset is empty unless `successful`.

    compiled: the last compilation that went through, for descriptions. plugin_errors: version
    requirements that no plugin meets. contents: file name -> text, for snippets.
    """

    results: list[LoadResult] = field(default_factory=list)
    ruleset: Ruleset = field(default_factory=Ruleset)
    compiled: Compiled | None = None
    required_engine_version: str = ""
    required_plugins: list[tuple[PluginRequirement, ...]] = field(default_factory=list)
    plugin_errors: list[str] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)

    @property
    def successful(self) -> bool:
        """Whether every file loads and every plugin requirement is met."""
        return not self.plugin_errors and all(result.successful for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """The object of `falco -V` with JSON output."""
        return {"falco_load_results": [result.to_json(self.contents) for result in self.results]}

    def verbose(self) -> str:
        """Every file's findings in full, then unmet plugin requirements."""
        parts = [result.verbose(self.contents) for result in self.results]
        return "\n".join([*parts, *self.plugin_errors])

    def summary(self) -> str:
        """One headline a file with its codes, then unmet plugin requirements."""
        return "\n".join([*(result.summary() for result in self.results), *self.plugin_errors])


def load_rules(
    files: Sequence[RulesSource],
    options: RuleOptions | None = None,
    checks: Checks | None = None,
) -> LoadReport:
    """Load rules files in order.

    checks: the compile-time checks; None for the field catalogue's.
    """
    options = RuleOptions() if options is None else options
    checks = CatalogueChecks() if checks is None else checks
    engine = Version.parse(options.engine_version)
    assert engine is not None, "options carry a valid engine version"
    collector = Collector(engine, options.sources, checks)
    compiler = Compiler(checks, options.append_output)
    report = LoadReport()
    digests: dict[str, str] = {}
    for source in files:
        result = LoadResult(source.name)
        report.results.append(result)
        if isinstance(source.content, OSError):
            reason = source.content.strerror or str(source.content)
            result.add_error(LoadError(ErrorCode.FILE_READ, reason, Context.of_file(source.name)))
            continue
        text, digests[source.name] = _text_of(source.content)
        report.contents[source.name] = text
        if read_file(text, result, collector):
            compiled = compiler.compile(collector, result)
            if compiled is not None:
                report.compiled = compiled
    if collector.required_engine is not None:
        report.required_engine_version = collector.required_engine[1]
    report.required_plugins = list(collector.required_plugins)
    report.plugin_errors = unmet_plugins(report.required_plugins, options)
    if report.successful and report.compiled is not None:
        kept = [
            entry.rule for entry in report.compiled.rules if entry.rule.priority <= options.priority
        ]
        report.ruleset = Ruleset(select(kept, options.selections), options.match_all, digests)
    return report


def unmet_plugins(
    required: Sequence[tuple[PluginRequirement, ...]], options: RuleOptions
) -> list[str]:
    """One sentence for each requirement that what is loaded does not meet.

    Of the alternatives the first whose plugin is loaded decides.
    """
    errors = []
    for alternatives in required:
        loaded = next((plugin for plugin in alternatives if plugin.name in options.plugins), None)
        if loaded is not None:
            wanted = Version.parse(loaded.version)
            found = Version.parse(options.plugins[loaded.name])
            if wanted is not None and found is not None and found.satisfies(wanted):
                continue
        names = ", ".join(f"{plugin.name} (>= {plugin.version})" for plugin in alternatives)
        errors.append(f"Plugin requirement not satisfied, must load one of: {names}")
    return errors


def _text_of(content: bytes | str) -> tuple[str, str]:
    """The text of a file and the SHA-256 of its bytes; bytes that are no UTF-8 become U+FFFD."""
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return raw.decode("utf-8-sig", "replace"), hashlib.sha256(raw).hexdigest()
