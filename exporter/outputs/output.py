"""Output: what every channel offers to the delivery, whatever is behind it."""

from collections.abc import Sequence
from typing import Protocol

from exporter.alerts.alert import Alert


class Output(Protocol):
    """One channel. Its delivery calls `send` with one batch at a time, never two at once."""

    @property
    def name(self) -> str:
        """Name in metrics, logs and configuration."""

    @property
    def max_batch(self) -> int:
        """Alerts `send` takes at most in one call."""

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Hand all alerts to the receiver, or raise OutputError: then none counts as delivered.

        Must not block the loop.
        """

    async def close(self) -> None:
        """Release what the channel holds; no call follows."""
