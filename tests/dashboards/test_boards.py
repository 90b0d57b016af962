"""The dashboards: current, complete, and about metrics that exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.metrics.families import FAMILIES
from tests.dashboards.boards import EVERYTHING, ROOT, load, panels, queries

BOARDS = load()
FOREIGN = {
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
}  # fmt: skip


def recorded() -> set[str]:
    """Series that our recording rules make."""
    text = (ROOT / "dashboards" / "alerts" / "lanner-recording.yaml").read_text()
    return {rule["record"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]}


def test_the_files_are_what_the_code_makes(tmp_path: Path) -> None:
    """Nobody edits JSON by hand; `make docs` writes it."""
    subprocess.run([sys.executable, "-m", "dashboards.source", tmp_path], check=True, cwd=ROOT)
    made = {path.name: path.read_text() for path in tmp_path.glob("*.json")}

    assert made == {path.name: path.read_text() for path in (ROOT / "dashboards").glob("*.json")}
    assert made == {
        path.name: path.read_text()
        for path in (ROOT / "charts" / "lanner" / "files" / "dashboards").glob("*.json")
    }
    assert made.keys() == {
        "overview.json", "investigation.json", "rules.json", "health.json", "fleet.json",
    }  # fmt: skip


def test_every_metric_is_one_that_we_export() -> None:
    """A panel about a metric that does not exist is empty, and nobody knows why."""
    known = {family.name for family in FAMILIES} | FOREIGN
    known |= {f"{name}_{suffix}" for name in known for suffix in ("bucket", "sum", "count")}
    known |= recorded()
    for query in queries():
        text = re.sub(r'"[^"]*"', "", query.expression)
        names = set(re.findall(r"(?<![\w:])(?:\w+:lanner_\w+:\w+|(?:lanner|process)_\w+)", text))
        assert names, query
        assert names <= known, query


@pytest.mark.parametrize("name", BOARDS)
def test_panels_say_what_they_show(name: str) -> None:
    """Every panel has a title of its own, a description, the chosen data source and a place."""
    found = list(panels(BOARDS[name]))
    titles = [panel["title"] for panel in found]

    assert len(titles) == len(set(titles))
    for panel in found:
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_no_two_panels_overlap(name: str) -> None:
    """Each cell of the grid belongs to one panel."""
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_variables_are_there_and_used(name: str) -> None:
    """Every variable that a query names exists, and every one that exists is used."""
    board = BOARDS[name]
    variables = {entry["name"]: entry for entry in board["templating"]["list"]}
    text = str([panel["targets"] for panel in panels(board)]) + str(board["annotations"])
    used = set(re.findall(r"\$\{?([a-z]\w*)", text))
    chained = set(re.findall(r"\$(\w+)", str([v.get("query") for v in variables.values()])))

    assert used - {"datasource"} <= variables.keys()
    assert variables.keys() - {"datasource"} <= used | chained
    assert variables["datasource"]["type"] == "datasource"
    for entry in variables.values():
        if entry["name"] in EVERYTHING:
            assert (entry["allValue"], entry["includeAll"], entry["multi"]) == (".*", True, True)


def test_the_dashboards_lead_to_each_other() -> None:
    """Each has a menu of all, links of panels lead to dashboards that exist."""
    uids = {board["uid"] for board in BOARDS.values()}
    links: set[str] = set()
    for board in BOARDS.values():
        (menu,) = board["links"]
        assert (menu["type"], menu["tags"], menu["includeVars"]) == (
            "dashboards", ["lanner"], True,
        )  # fmt: skip
        assert "lanner" in board["tags"]
        links |= set(re.findall(r"/d/([\w-]+)", str(board["panels"])))

    assert links
    assert links <= uids


def test_priorities_have_one_colour_everywhere() -> None:
    """The same word has the same colour in every panel."""
    colours: dict[str, set[str]] = {}
    for board in BOARDS.values():
        for panel in panels(board):
            for override in panel.get("fieldConfig", {}).get("overrides", ()):
                for item in override["properties"]:
                    if item["id"] == "color":
                        name: Any = override["matcher"]["options"]
                        colours.setdefault(name, set()).add(item["value"]["fixedColor"])

    assert "Critical" in colours
    assert all(len(found) == 1 for found in colours.values()), colours
