"""Colours: names that dashboards use, and what is around panels, light and dark."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

NAMED = {
    "green": "#73BF69", "dark-green": "#37872D", "yellow": "#FADE2A", "orange": "#FF9830",
    "red": "#F2495C", "dark-red": "#C4162A", "blue": "#5794F2", "purple": "#B877D9",
    "dark-purple": "#8F3BB8",
}  # fmt: skip
SERIES = (
    "#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0",
    "#37872D", "#FADE2A", "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62",
)  # fmt: skip


class Theme(NamedTuple):
    """What is around the data."""

    page: str
    panel: str
    border: str
    text: str
    faint: str
    grid: str
    empty: str


DARK = Theme("#111217", "#181b1f", "#2a2d33", "#d5d6dc", "#8e909a", "#2b2e35", "#22252b")
LIGHT = Theme("#f4f5f5", "#ffffff", "#e0e1e4", "#24292e", "#6b6f76", "#e4e5e8", "#f0f1f3")


def named(name: str, theme: Theme) -> str:
    """A colour as CSS takes it."""
    return theme.text if name == "text" else NAMED.get(name, name)


def by_threshold(value: float, steps: Sequence[Mapping[str, Any]], theme: Theme) -> str:
    """The colour of the last step that the value reaches."""
    colour = "text"
    for step in steps:
        if step.get("value") is None or value >= step["value"]:
            colour = step["color"]
    return named(colour, theme)


def between(low: str, high: str, share: float) -> str:
    """A colour on the way from one to another."""
    pairs = zip(_channels(low), _channels(high), strict=True)
    mixed = (round(a + (b - a) * min(1.0, max(0.0, share))) for a, b in pairs)
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
