"""SVG of panels over time: lines, stacked bars, and heat maps with a row a series."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from tests.pictures.answers import Series
from tests.pictures.themes import SERIES, Theme, between, named
from tests.pictures.units import show

_HEADINGS = {"lastNotNull": "Last", "max": "Max", "sum": "Total"}
_REDUCE: Mapping[str, Callable[[Series], float]] = {
    "lastNotNull": lambda series: series.numbers[-1],
    "max": lambda series: max(series.numbers),
    "sum": lambda series: sum(series.numbers),
}

Marks = Sequence[tuple[float, str]]
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 10, 8, 20
_LINE = 20
"""Height of a line of the legend."""


class _Frame:
    """Where times and values are in a drawing."""

    def __init__(self, size: tuple[int, int], times: tuple[float, float], top: float, left: int):
        self.width, self.height = size
        self.start, self.end = times
        self.top, self.left = top, left
        self.base = self.height - _BOTTOM

    def x(self, when: float) -> float:
        span = self.width - self.left - _RIGHT
        return self.left + (when - self.start) / (self.end - self.start) * span

    def y(self, value: float) -> float:
        return self.base - value / self.top * (self.base - _TOP)

    def times(self, theme: Theme) -> str:
        """Labels of the time axis."""
        step = next(s for s in (30, 60, 120, 300, 600) if (self.end - self.start) / s <= 8)
        first = int(self.start // step + 1) * step
        return "".join(
            f'<text x="{self.x(at):.0f}" y="{self.height - 4}" fill="{theme.faint}"'
            f' text-anchor="middle">{time.strftime("%H:%M", time.gmtime(at))}</text>'
            for at in range(first, int(self.end), step)
            if self.x(at) < self.width - 20
        )

    def marks(self, marks: Marks, theme: Theme) -> str:
        """Annotations: dashed lines with a foot."""
        return "".join(
            f'<line x1="{self.x(at):.1f}" x2="{self.x(at):.1f}" y1="{_TOP}" y2="{self.base}"'
            f' stroke="{named(colour, theme)}" stroke-dasharray="3 3" opacity=".7"/>'
            for at, colour in marks
        )


class Look(NamedTuple):
    """How a drawing is to look. times: first and last. size: width and height in pixels."""

    times: tuple[float, float]
    size: tuple[int, int]
    marks: Marks
    theme: Theme


def timeseries(panel: Mapping[str, Any], series: Sequence[Series], step: int, look: Look) -> str:
    """A time series panel with its legend; a point every step seconds."""
    times, size, marks, theme = look
    defaults = panel["fieldConfig"]["defaults"]
    unit, decimals = defaults.get("unit", "short"), defaults.get("decimals")
    is_bars = defaults["custom"].get("drawStyle") == "bars"
    colours = _colours(panel, series, theme)
    # In Grafana a long legend scrolls.
    rows = min(len(series), max(2, size[1] // 2 // _LINE - 1))
    height = size[1] - _LINE * (rows + 1) - 6
    top = _round_up(_highest(series, is_stacked=is_bars), is_count=is_bars)
    frame = _Frame((size[0], height), times, float(defaults.get("max") or top), _LEFT)
    parts = [_values(frame, unit, theme, is_count=is_bars), frame.times(theme)]
    parts.append(
        _bars(frame, series, colours, step) if is_bars else _lines(frame, series, colours, step)
    )
    style = defaults["custom"].get("thresholdsStyle", {}).get("mode")
    if style == "line":
        parts += [
            f'<line x1="{_LEFT}" x2="{frame.width - _RIGHT}" y1="{frame.y(limit["value"]):.1f}"'
            f' y2="{frame.y(limit["value"]):.1f}" stroke="{named(limit["color"], theme)}"/>'
            for limit in defaults["thresholds"]["steps"]
            if limit.get("value") is not None
        ]
    parts.append(frame.marks(marks, theme))
    reducers = panel["options"]["legend"]["calcs"]
    headings = "".join(f"<th>{_HEADINGS[name]}</th>" for name in reducers)
    legend = "".join(
        f'<tr><td class="name"><i style="background:{colours[index]}"></i>{escape(entry.name)}</td>'
        + "".join(f"<td>{show(_REDUCE[name](entry), unit, decimals)}</td>" for name in reducers)
        + "</tr>"
        for index, entry in enumerate(series[:rows])
    )
    return _svg(frame.width, height, parts) + (
        f'<table class="legend"><tr><th>Name</th>{headings}</tr>{legend}</table>'
    )


def heatmap(found: Sequence[Series], step: int, look: Look) -> str:
    """A row a series, a cell an interval of step seconds."""
    times, size, _, theme = look
    series = sorted(found, key=lambda entry: entry.name, reverse=True)
    left = 14 + min(230, 7 * max((len(entry.name) for entry in series), default=1))
    frame = _Frame(size, times, 1, left)
    highest = max((value for entry in series for _, value in entry.points), default=1) or 1
    row = (frame.base - _TOP) / max(1, len(series))
    parts = [frame.times(theme)]
    low, high = between(theme.panel, "#FF9830", 0.25), "#E8590C"
    for index, entry in enumerate(series):
        y = _TOP + index * row
        parts.append(
            f'<text x="{left - 6}" y="{y + row / 2 + 4:.1f}" fill="{theme.faint}"'
            f' text-anchor="end">{escape(_short(entry.name))}</text>'
        )
        for at, value in entry.points:
            x, until = max(left, frame.x(at - step)), frame.x(at)
            if value > 0.01 and until > left:
                parts.append(
                    f'<rect x="{x + 0.5:.1f}" y="{y + 1:.1f}" width="{max(1, until - x - 1):.1f}"'
                    f' height="{row - 2:.1f}" fill="{between(low, high, value / highest)}"/>'
                )
    return _svg(size[0], size[1], parts)


def _short(name: str) -> str:
    return name if len(name) <= 32 else name[:31] + "…"


def _colours(panel: Mapping[str, Any], series: Sequence[Series], theme: Theme) -> list[str]:
    fixed = {
        override["matcher"]["options"]: item["value"]["fixedColor"]
        for override in panel.get("fieldConfig", {}).get("overrides", ())
        for item in override["properties"]
        if item["id"] == "color"
    }
    return [
        named(fixed[entry.name], theme) if entry.name in fixed else SERIES[index % len(SERIES)]
        for index, entry in enumerate(series)
    ]


def _highest(series: Sequence[Series], *, is_stacked: bool) -> float:
    sums: dict[float, float] = {}
    for entry in series:
        for at, value in entry.points:
            if not math.isnan(value):
                sums[at] = sums.get(at, 0) + value if is_stacked else max(sums.get(at, 0), value)
    return max(sums.values(), default=0)


def _round_up(value: float, *, is_count: bool) -> float:
    if value <= 0:
        return 1.0
    magnitude = 1.0
    while magnitude > value:
        magnitude /= 10
    while magnitude * 10 <= value:
        magnitude *= 10
    steps = (1.2, 1.6, 2, 2.5, 3, 4, 5, 6, 8, 10)
    top = magnitude * next(step for step in steps if magnitude * step >= value)
    return max(top, 4) if is_count else top


def _values(frame: _Frame, unit: str, theme: Theme, *, is_count: bool) -> str:
    parts = []
    for index in range(5):
        value = frame.top * index / 4
        y = frame.y(value)
        text = show(value, unit, None if value % 1 or not is_count else 0)
        parts.append(
            f'<line x1="{_LEFT}" x2="{frame.width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
            f' stroke="{theme.grid}"/><text x="{_LEFT - 6}" y="{y + 4:.1f}" fill="{theme.faint}"'
            f' text-anchor="end">{text}</text>'
        )
    return "".join(parts)


def _bars(frame: _Frame, series: Sequence[Series], colours: Sequence[str], step: int) -> str:
    parts, below = [], dict[float, float]()
    for entry, colour in zip(series, colours, strict=True):
        for at, value in entry.points:
            if not value > 0.01:
                continue
            base = below.get(at, 0.0)
            below[at] = base + value
            # Grafana centres a bar on its time.
            x = max(float(_LEFT), frame.x(at - step * 0.4))
            width = min(frame.x(at + step * 0.4), frame.width - _RIGHT) - x
            parts.append(
                f'<rect x="{x:.1f}" width="{max(1, width):.1f}" y="{frame.y(base + value):.1f}"'
                f' height="{frame.y(base) - frame.y(base + value):.1f}" fill="{colour}"'
                ' fill-opacity=".85"/>'
            )
    return "".join(parts)


def _lines(frame: _Frame, series: Sequence[Series], colours: Sequence[str], step: int) -> str:
    parts = []
    for entry, colour in zip(series, colours, strict=True):
        for run in _runs(entry.points, step):
            path = " ".join(f"{frame.x(at):.1f},{frame.y(value):.1f}" for at, value in run)
            first, last = frame.x(run[0][0]), frame.x(run[-1][0])
            parts.append(
                f'<polygon points="{first:.1f},{frame.base} {path} {last:.1f},{frame.base}"'
                f' fill="{colour}" fill-opacity=".08"/>'
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
            )
    return "".join(parts)


def _runs(points: Sequence[tuple[float, float]], step: int) -> list[list[tuple[float, float]]]:
    """Points without a gap between them."""
    runs: list[list[tuple[float, float]]] = []
    for at, value in points:
        if math.isnan(value):
            continue
        if runs and at - runs[-1][-1][0] <= step * 1.5:
            runs[-1].append((at, value))
        else:
            runs.append([(at, value)])
    return runs


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return f'<svg width="{width}" height="{height}" font-size="11">{"".join(parts)}</svg>'
