"""Progress of a replay on the terminal of a person: bytes, events a second, time left.

Nothing is shown when standard error is no terminal.
"""

import sys
import time
from typing import Any

import click

_CLEAR_LINE = "\r\x1b[K\x1b[?25h"
"""To the begin of the line, nothing in it, and the cursor that click's bar hides is back."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class TerminalProgress:
    """A bar for a recording of known size, a running mark for one of unknown size."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        # Lines and bar share one terminal only when both go there.
        self._is_in_the_way = self._is_shown and sys.stdout.isatty()
        self._started = time.monotonic()
        self._position = 0
        self._total = 0
        self._events = 0
        self._bar: Any = None

    def show(self, position: int, total: int, events: int) -> None:
        """Draw how far the replay is."""
        if not self._is_shown:
            return
        if self._bar is None:
            self._bar = click.progressbar(
                length=total or None,
                label="replay",
                file=sys.stderr,
                item_show_func=lambda _item: self._text(),
                width=24,
            )
        step, self._position = position - self._position, position
        self._total, self._events = total, events
        self._bar.update(step)

    def clear(self) -> None:
        """Take the bar away before lines are written to the same terminal."""
        if self._is_in_the_way:
            self._wipe()

    def say(self, sentence: str) -> None:
        """One line on standard error."""
        if self._is_shown:
            self._wipe()
        click.echo(sentence, err=True)

    def finish(self) -> None:
        """Leave the terminal as it was."""
        if self._is_shown:
            self._wipe()

    def _wipe(self) -> None:
        if self._bar is None:
            return
        click.echo(_CLEAR_LINE, err=True, nl=False)

    def _text(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        size = f"/{_bytes(self._total)}" if self._total else ""
        return f"{_bytes(self._position)}{size}  {self._events / seconds:,.0f} events/s"


def _bytes(number: float) -> str:
    """A size with at most four digits."""
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"
