"""Which sources a running node reads: the probe, audit events, or both as one."""

from collections.abc import Callable

from exporter.app.pipeline import EventSource
from exporter.app.start import OpeningProbe
from exporter.errors import ConfigError
from exporter.sources.k8s_audit.inbox import AuditInbox
from exporter.sources.merged import MergedSource


def sources_of(
    probe: OpeningProbe | None, inbox: AuditInbox | None
) -> tuple[EventSource, Callable[[], None]]:
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
