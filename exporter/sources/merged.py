"""MergedSource: the probe and an inbox of other events as one source of the hot thread.

The probe does the waiting, because its events are many and early; the inbox interrupts it. Events
of the two are in order each for themselves, as they are with two engines.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from exporter.events.event import Event
from exporter.events.state_record import Incoming


class Interruptible(Protocol):
    """The source that waits: the probe."""

    @property
    def is_ended(self) -> bool:
        """Whether no event will come any more."""

    def poll(self, deadline_ns: int) -> Sequence[Incoming]:
        """The events that are there, or the first before time.monotonic_ns() == deadline_ns."""

    def wake_with(self, fd: int) -> None:
        """Let `poll` return as soon as this descriptor is readable too."""

    def drain(self) -> Sequence[Incoming]:
        """Stop new events; those that were recorded before."""

    def close(self) -> None:
        """Release everything."""


class Inbox(Protocol):
    """The source that interrupts."""

    @property
    def wake_fd(self) -> int:
        """Descriptor that is readable while events may wait."""

    def take(self) -> Sequence[Event]:
        """Events that wait."""

    def drain(self) -> Sequence[Event]:
        """Stop new events; those that came before."""

    def close(self) -> None:
        """Release everything."""


class MergedSource:
    """Events of both; it ends with the main source."""

    def __init__(self, main: Interruptible, inbox: Inbox) -> None:
        self._main = main
        self._inbox = inbox

    def connect(self) -> None:
        """Let the inbox interrupt the main source; once both are open."""
        self._main.wake_with(self._inbox.wake_fd)

    @property
    def is_ended(self) -> bool:
        """Whether the main source has ended."""
        return self._main.is_ended

    def poll(self, deadline_ns: int) -> Iterable[Incoming]:
        """Events of both, or the first of either before time.monotonic_ns() == deadline_ns."""
        taken = self._inbox.take()
        if taken:
            # Somebody's events are there: look at the other's without waiting.
            return [*taken, *self._main.poll(0)]
        return self._main.poll(deadline_ns) or self._inbox.take()

    def drain(self) -> Iterable[Incoming]:
        """Stop both; what each had."""
        return [*self._main.drain(), *self._inbox.drain()]

    def close(self) -> None:
        """Release both."""
        self._main.close()
        self._inbox.close()
