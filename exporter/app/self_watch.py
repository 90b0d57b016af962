"""Watches the probe from the hot thread: lost events, and whether it is attached at all.

Called between two batches; does nothing most of the time. What it finds becomes an alert, a line
in the log, or the end of the process, as the configuration says.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from exporter.alerts.alert import Alert
from exporter.alerts.event_drops import DropAction, DropOptions, Drops, DropWatch, drop_alert
from exporter.alerts.maker import AlertOptions
from exporter.errors import ProbeError


class WatchedSource(Protocol):
    """The source, as far as it is watched."""

    @property
    def delivered(self) -> int:
        """Events given so far."""

    def lost(self) -> int:
        """Events lost so far."""

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events lost so far, by (event name, reason)."""

    def look_after(self, now_ns: int) -> Sequence[str]:
        """Test the probe when it is time; the parts that were repaired.

        Raises ProbeError when the kernel no longer sends events.
        """


class SelfTalk(Protocol):
    """Who writes the notices into the log."""

    def lost(self, drops: Drops) -> None:
        """Events were lost."""

    def repaired(self, parts: Sequence[str]) -> None:
        """Parts of the probe were silent, and are repaired."""


class SelfWatch:
    """Checks of one source.

    say: called in the hot thread with each notice for the log; must not block.
    """

    def __init__(
        self,
        source: WatchedSource,
        drops: DropOptions,
        alerts: AlertOptions,
        say: SelfTalk,
        now_ns: int,
    ) -> None:
        self._source = source
        self._options = drops
        self._alerts = alerts
        self._say = say
        self._drops = DropWatch(drops, lambda: (source.delivered, source.lost()), now_ns)

    def tick(self, now_ns: int, seq: int) -> Alert | None:
        """An alert about Lanner itself, if one is due. seq: its number.

        Raises ProbeError when it is time to end: the probe is gone, or too much was lost and the
        configuration says so.
        """
        repaired = self._source.look_after(now_ns)
        if repaired:
            self._say.repaired(repaired)
        drops = self._drops.due(now_ns)
        return None if drops is None else self._act(drops, seq)

    def _act(self, drops: Drops, seq: int) -> Alert | None:
        actions = self._options.actions
        if DropAction.LOG in actions:
            self._say.lost(drops)
        if DropAction.EXIT in actions:
            raise ProbeError(
                f"{drops.lost} of {drops.events} events were lost within a second",
                code="E_DROPS",
                hint="syscall_event_drops.actions says exit; raise probe.ring_size, or narrow the "
                "rules that /metrics shows to take most events",
            )
        if DropAction.ALERT not in actions:
            return None
        reasons: dict[str, int] = {}
        for (_, reason), count in self._source.losses().items():
            reasons[reason] = reasons.get(reason, 0) + count
        return drop_alert(drops, reasons, seq, self._alerts)
