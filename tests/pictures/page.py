"""A dashboard as one HTML page on Grafana's grid of 24 columns, and its picture by a browser."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from tests.dashboards.boards import panels
from tests.pictures import charts, widgets
from tests.pictures.answers import Asker
from tests.pictures.themes import Theme

WIDTH = 1440
_COLUMN = WIDTH / 24
_ROW = 38
_GAP = 8
_HEAD = 30
_TOP = 52

_STYLE = """
* { box-sizing: border-box; margin: 0; }
body { background: %(page)s; color: %(text)s; font: 13px "DejaVu Sans", sans-serif;
  width: %(width)dpx; }
header { height: 44px; padding: 12px 14px; font-size: 16px; font-weight: bold; }
header small { font-weight: normal; font-size: 12px; color: %(faint)s; margin-left: 14px; }
section { position: absolute; overflow: hidden; background: %(panel)s; border: 1px solid %(border)s;
  border-radius: 3px; padding: 0 10px 6px; }
section h2 { font-size: 13px; line-height: 30px; font-weight: 600; white-space: nowrap; }
.row { position: absolute; left: 14px; font-size: 14px; font-weight: bold; line-height: 34px; }
svg { display: block; }
.stat { font-size: 38px; text-align: center; padding-top: 20px; white-space: nowrap; }
.empty { color: %(faint)s; text-align: center; padding-top: 60px; }
table { border-collapse: collapse; width: 100%%; }
.legend { font-size: 11px; margin-top: 4px; }
.legend td, .legend th { height: 20px; text-align: right; width: 90px; color: %(text)s;
  white-space: nowrap; }
.legend th { color: #5794F2; font-weight: normal; }
.legend .name, .legend th:first-child { text-align: left; width: auto; }
.legend i { display: inline-block; width: 14px; height: 4px; margin-right: 8px;
  vertical-align: 2px; }
.rows td, .rows th { height: 30px; text-align: left; padding: 0 8px;
  border-bottom: 1px solid %(border)s;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 420px; }
.rows .rest { max-width: 0; width: 40%%; }
.rows th { color: #5794F2; font-weight: 600; }
.link { color: #5794F2; }
.bar { display: flex; align-items: center; margin-bottom: 4px; font-size: 12px; }
.bar b { height: 100%%; margin-right: 8px; }
.bar .label { flex: none; overflow: hidden; white-space: nowrap; text-overflow: ellipsis;
  padding-right: 8px; }
"""


def draw(board: Mapping[str, Any], asker: Asker, theme: Theme) -> tuple[str, int, list[str]]:
    """The page, its height in pixels, and the titles of panels that had no data."""
    style = _STYLE % {**theme._asdict(), "width": WIDTH}
    marks = asker.annotations(board)
    parts, empty, lowest = [], [], 0
    for row in (panel for panel in board["panels"] if panel["type"] == "row"):
        top = _TOP + row["gridPos"]["y"] * _ROW
        parts.append(f'<div class="row" style="top:{top}px">▾ {escape(row["title"])}</div>')
    for panel in panels(board):
        place = panel["gridPos"]
        left, top = place["x"] * _COLUMN + _GAP / 2, _TOP + place["y"] * _ROW
        width, height = place["w"] * _COLUMN - _GAP, place["h"] * _ROW - _GAP
        lowest = max(lowest, top + place["h"] * _ROW)
        body = _body(panel, asker, (int(width) - 22, int(height) - _HEAD - 8), marks, theme)
        if not body:
            empty.append(panel["title"])
        parts.append(
            f'<section style="left:{left}px;top:{top}px;width:{width}px;height:{height}px">'
            f"<h2>{escape(panel['title'])}</h2>{body or '<div class=empty>No data</div>'}</section>"
        )
    head = f"<header>{escape(board['title'])}<small>{escape(board['description'])}</small></header>"
    page = f"<!doctype html><meta charset=utf-8><style>{style}</style>{head}{''.join(parts)}"
    return page, lowest + _GAP, empty


def _body(
    panel: Mapping[str, Any], asker: Asker, size: tuple[int, int],
    marks: charts.Marks, theme: Theme,
) -> str:  # fmt: skip
    """What is below the panel's title; nothing without data."""
    look = charts.Look((asker.start, asker.end), size, marks, theme)
    kind = panel["type"]
    if kind in ("timeseries", "heatmap"):
        found, step = asker.over_time(panel, size[0])
        if not found:
            return ""
        if kind == "heatmap":
            return charts.heatmap(found, step, look)
        return charts.timeseries(panel, found, step, look)
    if kind == "table":
        return widgets.table(panel, asker.table(panel), look)
    series = asker.now(panel)
    if kind == "stat":
        return widgets.stat(panel, series, theme)
    return widgets.bargauge(panel, series, size) if series else ""


def photograph(page: str, height: int, picture: Path) -> None:
    """Let a browser draw the page into a PNG file; colours are reduced where pngquant is."""
    browser = shutil.which("chromium")
    assert browser, "chromium is missing: apt-get install chromium"
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "page.html"
        file.write_text(page)
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={directory}/profile", f"--window-size={WIDTH},{height}",
             f"--screenshot={picture.absolute()}", file.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
    quantise = shutil.which("pngquant")
    if quantise:
        command = [quantise, "--force", "--strip", "--ext", ".png", "64", str(picture)]
        subprocess.run(command, check=True)
