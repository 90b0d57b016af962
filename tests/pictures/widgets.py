"""HTML of panels about now: one number, bars side by side, tables."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tests.pictures.answers import Series
from tests.pictures.charts import Look
from tests.pictures.themes import Theme, between, by_threshold
from tests.pictures.units import age, show

_ENDS = {"continuous-YlRd": ("#FADE2A", "#F2495C"), "continuous-greens": ("#C8F2C2", "#56A64B")}
_ROW = 30
"""Height of a row of a table."""


def stat(panel: Mapping[str, Any], series: Sequence[Series], theme: Theme) -> str:
    """One number, in the colour of its threshold."""
    defaults = panel["fieldConfig"]["defaults"]
    if not series:
        return f'<div class="stat">{escape(defaults.get("noValue", "No data"))}</div>'
    value = series[0].last
    colour = by_threshold(value, defaults["thresholds"]["steps"], theme)
    text = show(value, defaults.get("unit", "short"), defaults.get("decimals"))
    return f'<div class="stat" style="color:{colour}">{text}</div>'


def bargauge(panel: Mapping[str, Any], series: Sequence[Series], size: tuple[int, int]) -> str:
    """Horizontal bars with their names."""
    defaults = panel["fieldConfig"]["defaults"]
    highest = defaults.get("max") or max((entry.last for entry in series), default=1) or 1
    ends = _ENDS.get(defaults["color"]["mode"], _ENDS["continuous-YlRd"])
    height = min(34, (size[1] - 4) // max(1, len(series)) - 4)
    name = min(300, 14 + 7 * max((len(entry.name) for entry in series), default=1))
    rows = []
    for entry in series:
        share = entry.last / highest
        colour = between(*ends, share)
        width = max(2, round((size[0] - name - 110) * share))
        text = show(entry.last, defaults.get("unit", "short"), defaults.get("decimals"))
        label = f'<span class="label" style="width:{name}px">{escape(entry.name)}</span>'
        style = f"width:{width}px;background:{colour}55;border-right:2px solid {colour}"
        rows.append(
            f'<div class="bar" style="height:{height}px">{label}<b style="{style}"></b>'
            f'<span style="color:{colour}">{text}</span></div>'
        )
    return "".join(rows)


def table(
    panel: Mapping[str, Any], content: tuple[Sequence[str], Sequence[Mapping[str, Any]]], look: Look
) -> str:
    """A table, as many rows as there is room for; nothing without rows."""
    headings, rows = content
    if not rows:
        return ""
    settings: dict[str, dict[str, Any]] = {}
    for override in panel.get("fieldConfig", {}).get("overrides", ()):
        properties = {item["id"]: item["value"] for item in override["properties"]}
        settings[override["matcher"]["options"]] = properties
    head = "".join(f"<th>{escape(name)}</th>" for name in headings)
    body = []
    for row in rows[: max(1, (look.size[1] - _ROW) // _ROW)]:
        cells = (_cell(name, row[name], settings.get(name, {}), look) for name in headings)
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="rows"><tr>{head}</tr>{"".join(body)}</table>'


def _cell(heading: str, value: Any, settings: Mapping[str, Any], look: Look) -> str:
    unit = settings.get("unit", "short")
    if not isinstance(value, float):
        mapped = _mapped(str(value), settings)
        style = f' style="color:{by_threshold(0, [mapped], look.theme)}"' if mapped else ""
        kind = ' class="link"' if "links" in settings and value else ""
        if heading == "Tags":
            # Takes what room is left, and is cut off there.
            kind = ' class="rest"'
        return f"<td{kind}{style}>{escape(str(value))}</td>"
    if unit == "dateTimeFromNow":
        return f"<td>{age(value, look.times[1])}</td>"
    return f"<td>{show(value, unit, settings.get('decimals'))}</td>"


def _mapped(value: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for mapping in settings.get("mappings", ()):
        if value in mapping["options"]:
            return {"value": None, "color": mapping["options"][value]["color"]}
    return None
