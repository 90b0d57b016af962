"""What a replay is told, whom it talks to, and how it ended. Plain data and protocols."""

from dataclasses import dataclass
from typing import Protocol

from exporter.errors import LannerError


class Console(Protocol):
    """Who tells a person, beside the output, how the replay goes."""

    def show(self, position: int, total: int, events: int) -> None:
        """So many of all bytes (0: unknown) and so many events have been read.

        Called some times a second.
        """

    def clear(self) -> None:
        """Lines are about to be written: take away what would be in their way."""

    def say(self, sentence: str) -> None:
        """Something that a person should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What the command line says beyond the configuration.

    path: of the recording, `-` for standard input. event_source: of its events. fields:
    output format for every event that passes. condition: which events pass. has_rules: whether
    rules look at them. keeps_pace: keep the time between events. listen: HOST:PORT where metrics
    are served meanwhile.
    """

    path: str
    event_source: str = "syscall"
    fields: str | None = None
    condition: str | None = None
    has_rules: bool = True
    has_summary: bool = False
    keeps_pace: bool = False
    listen: str | None = None


@dataclass(slots=True)
class ReplayEnd:
    """How a replay ended. error: what ended it early. is_interrupted: Ctrl-C did."""

    error: LannerError | None = None
    is_interrupted: bool = False
