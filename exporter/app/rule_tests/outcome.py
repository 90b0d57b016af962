"""What running tests gave. Plain data, for the reports."""

from dataclasses import dataclass, field

from exporter.rules.testing.document import Case


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that came. step: where in the test file its event is written."""

    rule: str
    event: str
    priority: str
    message: str
    step: str


@dataclass(slots=True)
class CaseOutcome:
    """One test. problems: one text of a few lines each; empty when it passed."""

    file: str
    case: Case
    fired: list[Fired] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything came out as expected."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class AtomCoverage:
    """One check of a rule's condition.

    was_true, was_false: whether the tests made it decide so. is_noticed: whether some test would
    fail if the check were turned into its opposite.
    """

    text: str
    was_true: bool
    was_false: bool
    is_noticed: bool

    @property
    def is_covered(self) -> bool:
        """Whether there is nothing to say about it."""
        return self.was_true and self.was_false and self.is_noticed


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """One rule. positive, negative: tests that expect it, and that say it must not match."""

    rule: str
    positive: int
    negative: int
    atoms: tuple[AtomCoverage, ...]


@dataclass(slots=True)
class Outcome:
    """Everything of one run. coverage: None when it was not asked for."""

    cases: list[CaseOutcome] = field(default_factory=list)
    coverage: list[RuleCoverage] | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> list[CaseOutcome]:
        """The tests that did not pass."""
        return [case for case in self.cases if not case.passed]
