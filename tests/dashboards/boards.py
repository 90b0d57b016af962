"""The committed dashboards, as tests read them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "dashboards").glob("*.json"))

EVERYTHING = {"cluster", "instance", "namespace", "pod", "rule", "priority"}
"""Variables that stand for all values until somebody chooses."""


class Query(NamedTuple):
    """One query of one panel."""

    board: str
    panel: str
    expression: str


def load() -> dict[str, dict[str, Any]]:
    """File stem -> dashboard."""
    return {path.stem: json.loads(path.read_text()) for path in FILES}


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels with data, those inside rows as well."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def queries() -> list[Query]:
    """Every query of every panel and annotation."""
    found = []
    for name, board in load().items():
        found += [
            Query(name, panel["title"], target["expr"])
            for panel in panels(board)
            for target in panel["targets"]
        ]
        found += [
            Query(name, entry["name"], entry["expr"]) for entry in board["annotations"]["list"]
        ]
    return found


def fill_in(expression: str, seconds: int, rate_seconds: int) -> str:
    """The expression as Grafana sends it when nothing is chosen.

    seconds: the time range. rate_seconds: what a rate looks back.
    """
    values = {
        "__range_s": str(seconds),
        "__range": f"{seconds}s",
        "__rate_interval": f"{rate_seconds}s",
        **dict.fromkeys(EVERYTHING, ".*"),
    }

    def value(match: re.Match[str]) -> str:
        return values[match[1]]

    return re.sub(r"\$(\w+)", value, expression)
