"""Laws of fitting rules to the sources of a node."""

import pytest

from exporter.app.sources import unmatched
from tests.app.conftest import make_rule

SYSCALL = make_rule("a", source="syscall")
AUDIT = make_rule("b", source="k8s_audit")
OFF = make_rule("c", source="k8s_audit", is_enabled=False)


@pytest.mark.parametrize(
    ("rules", "sources", "sentences"),
    [
        ([SYSCALL, AUDIT], {"syscall", "k8s_audit"}, []),
        ([SYSCALL, OFF], {"syscall"}, []),
        (
            [SYSCALL, AUDIT, AUDIT],
            {"syscall"},
            ["2 rules can never match: their source k8s_audit is off"],
        ),
        (
            [SYSCALL, OFF],
            {"k8s_audit"},
            [
                "no rule is about events of source k8s_audit",
                "1 rules can never match: their source syscall is off",
            ],
        ),
        ([], set(), []),
    ],
)
def test_what_does_not_fit_is_said(rules, sources, sentences):
    """Sources without rules and rules without source; switched-off rules are about nothing."""
    assert list(unmatched(rules, sources)) == sentences
