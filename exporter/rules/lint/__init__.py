"""Lint: rules that load and are probably not what was meant.

Path: findings (codes and their words) <- conditions, values, shadowing (one concern each) <- lint
(all of them over a load report).
"""

from exporter.rules.lint.findings import CODES, LintFinding
from exporter.rules.lint.lint import lint_rules

__all__ = ["CODES", "LintFinding", "lint_rules"]
