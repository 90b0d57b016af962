"""What pushdown has to say of rules: those because of which every event of a type is sent."""

from collections.abc import Iterable

from exporter.pushdown.analysis import analyse, analyse_hooks
from exporter.pushdown.explain import forced_through
from exporter.rules.lint import LintFinding
from exporter.rules.lint.lint import place_of
from exporter.rules.loader.load import LoadReport

_CODE = "L018"


def lint_pushdown(report: LoadReport, calls: Iterable[str]) -> list[LintFinding]:
    """A finding for each rule that the kernel cannot select events for.

    report: rules that loaded. calls: system calls whose events the rules can match.
    """
    if report.compiled is None:
        return []
    places = {entry.rule.name: place_of(entry.item.context) for entry in report.compiled.rules}
    return [
        LintFinding(
            _CODE,
            "rule",
            forced.rule,
            f"every {', '.join(forced.calls)} is sent to user space: {forced.reason}",
            places[forced.rule],
            "add a check that the kernel can test, such as a path or a program's name",
        )
        for forced in forced_through(analyse(report.ruleset, calls), analyse_hooks(report.ruleset))
    ]
