"""What became of the attempts to load rules, as metrics: all together, and file by file."""

from exporter.app.rule_files import InvalidRulesError
from exporter.errors import LannerError, RuleError
from exporter.metrics import families
from exporter.metrics.instruments import LabelValues
from exporter.metrics.registry import Registry
from exporter.rules.ruleset import Ruleset


class ReloadStatus:
    """Counts reloads and remembers the newest result of every rules file."""

    def __init__(self, registry: Registry) -> None:
        self._reloads = registry.counter(families.RELOADS)
        self._is_ok = registry.gauge(families.RELOAD_SUCCESSFUL).labels()
        self._time = registry.gauge(families.RELOAD_TIME).labels()
        self._sha256: dict[str, str] = {}
        self._file_ok: dict[LabelValues, float] = {}
        self._file_time: dict[LabelValues, float] = {}
        for result in ("success", "failure"):
            self._reloads.labels(result)
        registry.read(families.RULES_FILE_SUCCESSFUL, lambda: dict(self._file_ok))
        registry.read(families.RULES_FILE_TIME, lambda: dict(self._file_time))

    def loaded(self, ruleset: Ruleset, now: float) -> None:
        """A ruleset runs from now on. now: seconds since the epoch."""
        before, self._sha256 = self._sha256, dict(ruleset.sha256)
        files = self._sha256
        self._file_ok = {(file,): True for file in files}
        self._file_time = {
            (file,): self._file_time.get((file,), now) if before.get(file) == digest else now
            for file, digest in files.items()
        }
        self._is_ok.value = 1
        self._time.value = now

    def succeeded(self) -> None:
        """An attempt while running worked; `loaded` was called."""
        self._reloads.labels("success").value += 1

    def failed(self, error: LannerError) -> None:
        """An attempt while running failed; the old rules stay."""
        self._is_ok.value = 0
        self._reloads.labels("failure").value += 1
        errors = error.errors if isinstance(error, InvalidRulesError) else (error,)
        wrong = {e.span.file for e in errors if isinstance(e, RuleError) and e.span is not None}
        self._file_ok = {(file,): file not in wrong for file in {*self._sha256, *wrong}}
