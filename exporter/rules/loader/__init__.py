"""Loader: rules files -> rules, with everything to say about the files.

Path: document (YAML with places) -> reader (items) -> collector (appends, overrides) -> compile
(lists, exceptions, macros, checks) -> load (files in order, selection) -> results.
"""

from exporter.rules.loader.checks import Checks, NoChecks
from exporter.rules.loader.load import LoadReport, RulesSource, load_rules
from exporter.rules.loader.options import AppendOutput, RuleOptions
from exporter.rules.loader.results import ErrorCode, Finding, LoadResult, WarningCode

__all__ = [
    "AppendOutput",
    "Checks",
    "ErrorCode",
    "Finding",
    "LoadReport",
    "LoadResult",
    "NoChecks",
    "RuleOptions",
    "RulesSource",
    "WarningCode",
    "load_rules",
]
