"""Which sources a running node reads: the probe, audit events, or both as one."""

from collections.abc import Callable, Collection, Iterable, Iterator

from exporter.app.pipeline import IncomingSource
from exporter.app.start import OpeningProbe
from exporter.errors import ConfigError
from exporter.rules.ruleset import Rule
from exporter.sources.k8s_audit.inbox import AuditInbox
from exporter.sources.merged import MergedSource


def sources_of(
    probe: OpeningProbe | None, inbox: AuditInbox | None
) -> tuple[IncomingSource, Callable[[], None]]:
    """What the hot thread reads, and what opens it. Raises ConfigError when there is nothing."""
    if probe is None:
        if inbox is None:
            raise ConfigError(
                "there is nothing to watch: probe and k8s_audit are both off",
                code="C023",
                hint="set probe.enabled or k8s_audit.enabled",
            )
        return inbox, inbox.open
    if inbox is None:
        return probe.source, probe.wait
    merged = MergedSource(probe.source, inbox)

    def open_both() -> None:
        """The inbox last: what it takes is matched at once."""
        probe.wait()
        inbox.open()
        merged.connect()

    return merged, open_both


def active_sources(probe: OpeningProbe | None, inbox: AuditInbox | None) -> frozenset[str]:
    """Names of the event sources that this node has."""
    present = {"syscall": probe is not None, "k8s_audit": inbox is not None}
    return frozenset(name for name, is_present in present.items() if is_present)


def unmatched(rules: Iterable[Rule], sources: Collection[str]) -> Iterator[str]:
    """A sentence for each source that no rule is about, and for rules whose source is off."""
    counts: dict[str, int] = dict.fromkeys(sources, 0)
    for rule in rules:
        if rule.is_enabled:
            counts[rule.source] = counts.get(rule.source, 0) + 1
    for source, count in sorted(counts.items()):
        if source in sources and not count:
            yield f"no rule is about events of source {source}"
        elif source not in sources:
            yield f"{count} rules can never match: their source {source} is off"
