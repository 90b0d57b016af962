"""The pictures of the dashboards, and the parts that draw them."""

import math
import struct
from typing import Any

import pytest

from tests.dashboards.boards import FILES, ROOT, load
from tests.pictures.answers import Series, _merge
from tests.pictures.charts import Look, heatmap, timeseries
from tests.pictures.themes import DARK, between, by_threshold
from tests.pictures.units import age, show

PICTURES = ROOT / "docs" / "pictures"
LOOK = Look((0.0, 600.0), (600, 300), (), DARK)


@pytest.mark.parametrize("board", [path.stem for path in FILES])
def test_every_dashboard_has_its_picture_in_the_documentation(board: str) -> None:
    """`make pictures` drew it, it is small enough to be cloned, and a page shows it."""
    data = (PICTURES / f"{board}.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])

    assert data.startswith(b"\x89PNG")
    assert (width, height > 600) == (1440, True)
    assert len(data) < 300 * 1024
    assert f"pictures/{board}.png" in (ROOT / "docs" / "dashboards.md").read_text()


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (4.07, "short", "4"), (0.0, "short", "0"), (12_345.0, "short", "12.3 K"),
        (0.0023, "s", "2.3 ms"), (666.0, "s", "11.1 mins"), (0.8225, "percentunit", "82.2%"),
        (80.7 * 2**20, "bytes", "80.7 MiB"), (30.0, "cpm", "30 c/m"), (math.nan, "s", "no data"),
    ],
)  # fmt: skip
def test_numbers_are_shown_in_their_unit(value: float, unit: str, shown: str) -> None:
    """Three digits, and the prefix that people would choose."""
    assert show(value, unit, 0 if unit == "short" else None) == shown


def test_ages_are_told_as_people_do() -> None:
    """Milliseconds since the epoch, seen from now."""
    assert [age(1000.0 * at, 1000.0) for at in (999, 930, 700)] == [
        "a few seconds ago", "a minute ago", "5 minutes ago",
    ]  # fmt: skip


def test_tables_are_joined_where_all_shared_columns_agree() -> None:
    """As Grafana merges them: a name that differs keeps rows apart."""
    left = [{"node": "a", "Value #A": 1.0}, {"node": "b", "Value #A": 2.0}]

    assert _merge(left, [{"node": "b", "Value #B": 3.0}, {"node": "c", "Value #B": 4.0}]) == [
        {"node": "a", "Value #A": 1.0},
        {"node": "b", "Value #A": 2.0, "Value #B": 3.0},
        {"node": "c", "Value #B": 4.0},
    ]


def test_colours_follow_thresholds() -> None:
    """The last step reached counts; the first has no value."""
    steps: list[dict[str, Any]] = [{"value": None, "color": "green"}, {"value": 2, "color": "red"}]

    assert [by_threshold(value, steps, DARK) for value in (0, 1.9, 2, 5)] == [
        "#73BF69", "#73BF69", "#F2495C", "#F2495C",
    ]  # fmt: skip
    assert between("#000000", "#ff8000", 0.5) == "#804000"


def test_names_cannot_break_the_page() -> None:
    """Rules and pods are named by others: markup in a name stays text."""
    panel = next(p for p in load()["overview"]["panels"] if p["type"] == "timeseries")
    evil = Series("<script>x</script>", {}, [(60.0, 1.0), (120.0, math.nan), (180.0, 3.0)])

    drawn = timeseries(panel, [evil], 60, LOOK) + heatmap([evil], 60, LOOK)

    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") == 2
    assert "nan" not in drawn
