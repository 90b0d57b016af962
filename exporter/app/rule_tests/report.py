"""Reports of test runs: text for people, JSON for scripts, JUnit XML for build servers."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from exporter.app.rule_tests.outcome import CaseOutcome, Outcome, RuleCoverage

_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def text_report(outcome: Outcome) -> str:
    """Failures in full, coverage when there is one, and a last line that counts."""
    lines: list[str] = []
    for case in outcome.failed:
        lines.append(f"FAIL {case.case.span} {case.case.name}")
        for problem in case.problems:
            lines += [f"  {line}" for line in problem.splitlines()]
        lines.append("")
    if outcome.coverage is not None:
        lines += [*_coverage_lines(outcome.coverage), ""]
    total, failed = len(outcome.cases), len(outcome.failed)
    noun = "test" if total == 1 else "tests"
    word = f"{failed} of {total} {noun} failed" if failed else f"{total} {noun} passed"
    lines.append(f"{word} in {outcome.seconds:.2f} s")
    return "\n".join(lines)


def _coverage_lines(coverage: Sequence[RuleCoverage]) -> Iterator[str]:
    atoms = [atom for rule in coverage for atom in rule.atoms]
    covered = sum(atom.is_covered for atom in atoms)
    tested = sum(bool(rule.positive and rule.negative) for rule in coverage)
    for rule in coverage:
        gaps = list(_gaps(rule))
        if gaps:
            yield f"{rule.rule}: {rule.positive} positive, {rule.negative} negative tests"
            yield from gaps
    yield (
        f"{tested} of {len(coverage)} rules have positive and negative tests, "
        f"{covered} of {len(atoms)} checks are fully covered"
    )


def _gaps(rule: RuleCoverage) -> Iterator[str]:
    if not rule.positive and not rule.negative:
        yield "  no test"
        return
    if not rule.positive:
        yield "  no test in which it matches"
    if not rule.negative:
        yield "  no test in which it must not match"
    for atom in rule.atoms:
        if not atom.was_true and not atom.was_false:
            yield f"  never decided: {atom.text}"
        elif not atom.was_true:
            yield f"  never true:    {atom.text}"
        elif not atom.was_false:
            yield f"  never false:   {atom.text}"
        elif not atom.is_noticed:
            yield f"  not noticed:   {atom.text}"


def json_report(outcome: Outcome) -> dict[str, Any]:
    """Everything as plain values."""
    body: dict[str, Any] = {
        "passed": len(outcome.cases) - len(outcome.failed),
        "failed": len(outcome.failed),
        "seconds": round(outcome.seconds, 3),
        "tests": [_case_json(case) for case in outcome.cases],
    }
    if outcome.coverage is not None:
        body["coverage"] = [
            {
                "rule": rule.rule,
                "positive": rule.positive,
                "negative": rule.negative,
                "checks": [
                    {
                        "text": atom.text,
                        "was_true": atom.was_true,
                        "was_false": atom.was_false,
                        "noticed": atom.is_noticed,
                    }
                    for atom in rule.atoms
                ],
            }
            for rule in outcome.coverage
        ]
    return body


def _case_json(case: CaseOutcome) -> dict[str, Any]:
    return {
        "file": case.file,
        "line": case.case.span.line,
        "name": case.case.name,
        "passed": case.passed,
        "seconds": round(case.seconds, 6),
        "problems": case.problems,
        "alerts": [
            {
                "rule": fired.rule,
                "event": fired.event,
                "priority": fired.priority,
                "output": fired.message,
                "place": fired.step,
            }
            for fired in case.fired
        ],
    }


def junit_report(outcome: Outcome) -> bytes:
    """JUnit XML: one suite a file, one testcase a test."""
    root = ET.Element("testsuites", _counts(outcome.cases, "lanner rules test"))
    files = dict.fromkeys(case.file for case in outcome.cases)
    for file in files:
        cases = [case for case in outcome.cases if case.file == file]
        suite = ET.SubElement(root, "testsuite", _counts(cases, _clean(file)))
        for case in cases:
            element = ET.SubElement(
                suite,
                "testcase",
                classname=_clean(file),
                name=_clean(case.case.name),
                file=_clean(file),
                line=str(case.case.span.line),
                time=f"{case.seconds:.6f}",
            )
            if case.problems:
                message = _clean(case.problems[0].splitlines()[0])
                failure = ET.SubElement(element, "failure", message=message, type="AssertionError")
                failure.text = _clean("\n".join(case.problems))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(cases: Sequence[CaseOutcome], name: str) -> dict[str, str]:
    return {
        "name": name,
        "tests": str(len(cases)),
        "failures": str(sum(not case.passed for case in cases)),
        "errors": "0",
        "time": f"{sum(case.seconds for case in cases):.6f}",
    }


def _clean(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
