"""What became of loading rules, all together and file by file."""

from exporter.app.reloads import ReloadStatus
from exporter.app.rule_files import InvalidRulesError
from exporter.errors import LannerError, RuleError, Span
from exporter.metrics import families
from exporter.metrics.family import Family
from exporter.metrics.registry import Registry
from exporter.rules.ruleset import Ruleset


class Status:
    """A status on a registry of its own."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.status = ReloadStatus(self.registry)

    def load(self, now: float, **digests: str) -> None:
        """Files with these digests run."""
        self.status.loaded(Ruleset(sha256=digests), now)

    def values(self, family: Family) -> dict[str, float]:
        """First label, if there is one -> value."""
        return {key[0] if key else "": value for key, value in self.read(family)}

    def read(self, family: Family):
        """Series of a family."""
        return self.registry.reading(family).items()


def test_a_file_that_did_not_change_keeps_its_time() -> None:
    """The time is that of the content that runs, whichever reload found it."""
    status = Status()
    status.load(100.0, a="1", b="2")
    status.load(200.0, a="1", b="3", c="4")

    assert status.values(families.RULES_FILE_TIME) == {"a": 100.0, "b": 200.0, "c": 200.0}
    assert status.values(families.RELOAD_TIME) == {"": 200.0}
    assert status.values(families.RULES_FILE_SUCCESSFUL) == {"a": 1, "b": 1, "c": 1}


def test_the_wrong_files_of_a_failed_reload_are_known() -> None:
    """Files with errors are 0, the others 1; what runs keeps its time."""
    status = Status()
    status.load(100.0, a="1", b="2")
    wrong = InvalidRulesError(
        [RuleError("x", span=Span("b", 3, 1)), RuleError("y", span=Span("new", 1, 1))]
    )
    status.status.failed(wrong)

    assert status.values(families.RULES_FILE_SUCCESSFUL) == {"a": 1, "b": 0, "new": 0}
    assert status.values(families.RULES_FILE_TIME) == {"a": 100.0, "b": 100.0}
    assert status.values(families.RELOAD_SUCCESSFUL) == {"": 0}
    assert status.values(families.RELOADS) == {"success": 0, "failure": 1}


def test_a_good_reload_forgets_the_failure() -> None:
    """All files of the new set are good, and files that left are gone."""
    status = Status()
    status.load(100.0, a="1", b="2")
    status.status.failed(LannerError("no memory"))
    status.load(200.0, a="1")
    status.status.succeeded()

    assert status.values(families.RULES_FILE_SUCCESSFUL) == {"a": 1}
    assert status.values(families.RELOAD_SUCCESSFUL) == {"": 1}
    assert status.values(families.RELOADS) == {"success": 1, "failure": 1}
