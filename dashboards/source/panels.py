"""Panels: a title, what it tells, queries, unit, place. Colours follow Grafana's theme.

Each function gives a builder; widths are in Grafana's 24 columns. Priorities have the same colours
everywhere, and thresholds say what is good: green, worth a look: orange, wrong: red.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

PRIORITY_COLOURS = {
    "Emergency": "dark-purple",
    "Alert": "purple",
    "Critical": "dark-red",
    "Error": "red",
    "Warning": "orange",
    "Notice": "yellow",
    "Informational": "blue",
    "Debug": "text",
}

LEAST_INTERVAL = "1m"
"""Of bars and cells that count: a rate looks back a scrape further, and sees each alert once."""

Queries = Mapping[str, str] | str
"""Legend -> expression, or one expression."""


def thresholds(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours from values on; the first step has no value."""
    config = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE)
    return config.steps([models.Threshold(value=value, color=colour) for value, colour in steps])


GOOD = thresholds((None, "green"))
NONE_IS_GOOD = thresholds((None, "green"), (0.000001, "red"))
NEUTRAL = thresholds((None, "text"))


_PRIORITY_CELL = [
    models.DynamicConfigValue(
        id_val="mappings",
        value=[
            {
                "type": "value",
                "options": {
                    name: {"text": name, "color": colour, "index": index}
                    for index, (name, colour) in enumerate(PRIORITY_COLOURS.items())
                },
            }
        ],
    ),
    models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
    models.DynamicConfigValue(id_val="custom.width", value=110),
]


def _targets(queries: Queries, *, instant: bool = False) -> list[prometheus.Dataquery]:
    pairs = [("", queries)] if isinstance(queries, str) else list(queries.items())
    targets = []
    for index, (legend, expression) in enumerate(pairs):
        target = prometheus.Dataquery().expr(expression).ref_id(chr(ord("A") + index))
        target = target.legend_format(legend or "__auto")
        targets.append(target.instant() if instant else target.range())
    return targets


def _colour(name: str, colour: str) -> tuple[str, list[models.DynamicConfigValue]]:
    fixed = {"mode": "fixed", "fixedColor": colour}
    return name, [models.DynamicConfigValue(id_val="color", value=fixed)]


def _decimals(unit: str, decimals: int | None = None) -> int | None:
    """increase() estimates between samples: 4.07 alerts were 4."""
    return 0 if unit == "short" and decimals is None else decimals


def number(
    title: str,
    tells: str,
    queries: Queries,
    *,
    unit: str = "short",
    steps: dashboard.ThresholdsConfig = NEUTRAL,
    decimals: int | None = None,
    width: int = 4,
    height: int = 4,
    link: str = "",
) -> stat.Panel:
    """One number for the whole time range, coloured by thresholds."""
    panel = (
        stat.Panel()
        .title(title).description(tells).datasource(SOURCE).unit(unit).thresholds(steps)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .no_value("0").span(width).height(height)
    )  # fmt: skip
    places = _decimals(unit, decimals)
    if places is not None:
        panel = panel.decimals(places)
    for target in _targets(queries, instant=True):
        panel = panel.with_target(target)
    if link:
        panel = panel.links([dashboard.DashboardLink(title).url(link)])
    return panel


def lines(
    title: str,
    tells: str,
    queries: Queries,
    *,
    unit: str = "short",
    steps: dashboard.ThresholdsConfig | None = None,
    width: int = 12,
    height: int = 8,
    bars: bool = False,
    highest: float | None = None,
    colours: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Values over time; bars are stacked, for counts within intervals of a minute or more."""
    panel = (
        timeseries.Panel()
        .title(title).description(tells).datasource(SOURCE).unit(unit).min(0)
        .line_width(1).fill_opacity(80 if bars else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True).calcs(["sum", "max"] if bars else ["lastNotNull", "max"])
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .span(width).height(height)
    )  # fmt: skip
    if bars:
        stacking = common.StackingConfig().mode(common_models.StackingMode.NORMAL)
        panel = panel.draw_style(common_models.GraphDrawStyle.BARS).stacking(stacking)
        panel = panel.interval(LEAST_INTERVAL).decimals(0)
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(*_colour(name, colour))
    if highest is not None:
        panel = panel.max(highest)
    if steps is not None:
        style = common.GraphThresholdsStyleConfig().mode(
            common_models.GraphThresholdsStyleMode.LINE
        )
        panel = panel.thresholds(steps).thresholds_style(style)
    for target in _targets(queries):
        panel = panel.with_target(target)
    return panel


def by_priority(title: str, tells: str, expression: str, *, width: int = 12) -> timeseries.Panel:
    """Stacked bars, a colour a priority."""
    return lines(
        title, tells, {"{{priority}}": f"{expression} > 0"},
        width=width, height=9, bars=True, colours=PRIORITY_COLOURS,
    )  # fmt: skip


def ranking(
    title: str,
    tells: str,
    queries: Queries,
    *,
    unit: str = "short",
    width: int = 8,
    height: int = 9,
    colours: str = models.FieldColorModeId.CONTINUOUS_YL_RD,
    highest: float | None = None,
) -> bargauge.Panel:
    """Horizontal bars, longest first as the query sorts them."""
    panel = (
        bargauge.Panel()
        .title(title).description(tells).datasource(SOURCE).unit(unit).min(0)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId(colours)))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .span(width).height(height)
    )  # fmt: skip
    if highest is not None:
        panel = panel.max(highest)
    places = _decimals(unit)
    if places is not None:
        panel = panel.decimals(places)
    for target in _targets(queries, instant=True):
        panel = panel.with_target(target)
    return panel


def field_map(title: str, tells: str, legend: str, expression: str, *, width: int = 12,
              unit: str = "short") -> heatmap.Panel:  # fmt: skip
    """A row a series, a cell an interval, darker for more."""
    return (
        heatmap.Panel()
        .title(title).description(tells).datasource(SOURCE)
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .cell_values(heatmap.CellValues().unit(unit).decimals(0))
        .interval(LEAST_INTERVAL)
        .with_target(
            prometheus.Dataquery().expr(expression).ref_id("A").legend_format(legend).range()
            .format(PromQueryFormat.TIME_SERIES)
        )
        .span(width).height(9)
    )  # fmt: skip


def listing(
    title: str,
    tells: str,
    queries: Sequence[str],
    *,
    columns: Mapping[str, str],
    units: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    sort: str = "",
    width: int = 24,
    height: int = 9,
) -> table.Panel:
    """A table of instant queries, joined on what they share.

    columns: name in the query -> heading, in order; others are left out. units, links: by
    heading.
    """
    panel = (
        table.Panel()
        .title(title).description(tells).datasource(SOURCE)
        .show_header(True).span(width).height(height)
    )  # fmt: skip
    for index, expression in enumerate(queries):
        panel = panel.with_target(
            prometheus.Dataquery().expr(expression).ref_id(chr(ord("A") + index)).instant()
            .format(PromQueryFormat.TABLE)
        )  # fmt: skip
    if len(queries) > 1:
        panel = panel.with_transformation(_transformation("merge", {}))
    organise = {
        "renameByName": dict(columns),
        "indexByName": {name: place for place, name in enumerate(columns)},
        "includeByName": dict.fromkeys(columns, True),
    }
    panel = panel.with_transformation(_transformation("organize", organise))
    for heading, unit in (units or {}).items():
        panel = panel.override_by_name(
            heading, [models.DynamicConfigValue(id_val="unit", value=unit)]
        )
    if "Alerts" in columns.values():
        panel = panel.override_by_name(
            "Alerts", [models.DynamicConfigValue(id_val="decimals", value=0)]
        )
    if "Priority" in columns.values():
        panel = panel.override_by_name("Priority", _PRIORITY_CELL)
    for heading, url in (links or {}).items():
        link = [{"title": "Look closer", "url": url}]
        panel = panel.override_by_name(
            heading, [models.DynamicConfigValue(id_val="links", value=link)]
        )
    if sort:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
    return panel


def _transformation(name: str, options: dict[str, Any]) -> models.DataTransformerConfig:
    return models.DataTransformerConfig(id_val=name, options=options)
