"""Source: what every origin of events offers to the hot thread.

open -> poll ... poll -> close, all from the same thread. A source owns its descriptors and never
blocks longer than it was told to.
"""

from collections.abc import Mapping
from typing import Protocol

from exporter.events.event import Event


class Source(Protocol):
    """One origin of events."""

    def open(self) -> None:
        """Start to receive. Raises a LannerError with a hint when that is impossible."""

    def poll(self, deadline_ns: int) -> list[Event]:
        """Events that are there, in order; waits for the first at most until `deadline_ns`.

        deadline_ns: time.monotonic_ns() scale. An empty list means that nothing came in time, or
        that the source has ended (`is_ended`).
        """

    def close(self) -> None:
        """Stop and release everything; may be called twice."""

    @property
    def is_ended(self) -> bool:
        """Whether no event can come any more (end of a capture file)."""

    def losses(self) -> Mapping[tuple[str, str], int]:
        """Events lost so far, by (event name or "", reason)."""
