"""What the command line of the benches chose; each bench reads what concerns it."""

from pathlib import Path

RULE_SETS: list[list[Path]] = []
"""Sets of rules files, each loaded together, instead of the bench's own rules."""

LOAD_SECONDS: list[float] = []
"""How long each load runs in sum, without Lanner and with each set; empty for the default."""


def rule_set(text: str) -> list[Path]:
    """The files of one set: names joined by commas, as one option tells them."""
    return [Path(name) for name in text.split(",") if name]
