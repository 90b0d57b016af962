"""Asks Prometheus what Grafana asks for a panel: ranges, instants, legends, joined tables."""

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.dashboards.boards import fill_in

Panel = Mapping[str, Any]
Labels = Mapping[str, str]


@dataclass
class Series:
    """One line, bar or row. points: (seconds since the epoch, value)."""

    name: str
    labels: Labels
    points: list[tuple[float, float]]

    @property
    def numbers(self) -> list[float]:
        """The values that are numbers: a quantile of nothing is none."""
        return [value for _, value in self.points if not math.isnan(value)] or [math.nan]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


@dataclass(frozen=True)
class Asker:
    """One time range of one Prometheus, scraped every so many seconds."""

    url: str
    start: float
    end: float
    scrape_seconds: int
    variables: Mapping[str, str] = field(default_factory=dict)

    def over_time(self, panel: Panel, width: int) -> tuple[list[Series], int]:
        """The series of a panel so many pixels wide, and the seconds between their points."""
        least = max(self.scrape_seconds, _seconds(panel.get("interval") or "1s"))
        step = max(least, round((self.end - self.start) / width))
        found = []
        for target in panel["targets"]:
            # As Grafana does, so that bars keep their place.
            start = self.start // step * step
            parameters = {"start": start, "end": self.end, "step": step}
            result = self._ask("query_range", self._expression(target["expr"], step), parameters)
            found += [
                Series(_legend(target, entry["metric"]), entry["metric"], _points(entry["values"]))
                for entry in result
            ]
        return found, step

    def now(self, panel: Panel) -> list[Series]:
        """The newest values of a panel."""
        return [series for target in panel["targets"] for series in self._instant(target)]

    def table(self, panel: Panel) -> tuple[list[str], list[dict[str, Any]]]:
        """Headings and rows of a table panel, after its transformations."""
        many = len(panel["targets"]) > 1
        rows: list[dict[str, Any]] = []
        for target in panel["targets"]:
            value = f"Value #{target['refId']}" if many else "Value"
            answer = [
                dict(series.labels) | {value: series.last} for series in self._instant(target)
            ]
            rows = _merge(rows, answer) if rows else answer
        (organise,) = (t["options"] for t in panel["transformations"] if t["id"] == "organize")
        names, places = organise["renameByName"], organise["indexByName"]
        present = sorted(places, key=places.__getitem__)
        table = [{names[name]: row.get(name, "") for name in present} for row in rows]
        for order in panel["options"].get("sortBy", ()):
            key = order["displayName"]
            table.sort(key=lambda row: (row[key] != "", row[key] or 0), reverse=order["desc"])
        return [names[name] for name in present], table

    def annotations(self, board: Mapping[str, Any]) -> list[tuple[float, str]]:
        """Times and colours of a dashboard's annotations: where each begins."""
        step = max(self.scrape_seconds, round((self.end - self.start) / 600))
        marks = []
        for entry in board["annotations"]["list"]:
            parameters = {"start": self.start, "end": self.end, "step": step}
            for series in self._ask(
                "query_range", self._expression(entry["expr"], step), parameters
            ):
                times = [float(time) for time, _ in series["values"]]
                marks += [
                    (time, entry["iconColor"])
                    for before, time in zip([0.0, *times], times, strict=False)
                    if time - before > step * 1.5
                ]
        return marks

    def _instant(self, target: Panel) -> list[Series]:
        result = self._ask("query", self._expression(target["expr"], 1), {"time": self.end})
        return [
            Series(_legend(target, entry["metric"]), entry["metric"], _points([entry["value"]]))
            for entry in result
        ]

    def _expression(self, expression: str, step: int) -> str:
        rate = max(step + self.scrape_seconds, 4 * self.scrape_seconds)
        for name, value in self.variables.items():
            expression = re.sub(rf"\${name}\b", value, expression)
        return fill_in(expression, int(self.end - self.start), rate)

    def _ask(self, what: str, expression: str, parameters: Mapping[str, float]) -> Any:
        query = urllib.parse.urlencode({"query": expression, **parameters})
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{query}") as answer:
            return json.load(answer)["data"]["result"]


def _legend(target: Panel, labels: Labels) -> str:
    legend = target.get("legendFormat") or "__auto"
    if legend != "__auto":
        return re.sub(
            r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), legend
        ).strip()
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "Value"


def _points(values: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(float(time), float(value)) for time, value in values]


def _merge(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows joined where they agree on every column that both have, as Grafana merges tables."""
    rest = list(right)
    joined = []
    for row in left:
        mine = [
            other for other in rest if all(row[k] == other[k] for k in row.keys() & other.keys())
        ]
        for other in mine:
            row = row | other  # noqa: PLW2901
        joined.append(row)
    matched = [row.items() for row in joined]
    return joined + [row for row in rest if not any(row.items() <= items for items in matched)]


def _seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]
