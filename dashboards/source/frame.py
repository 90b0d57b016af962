"""What is around the panels: variables, annotations, links between the dashboards."""

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as models

from dashboards.source.panels import SOURCE
from dashboards.source.queries import NODE

TAG = "lanner"

_ALERTS = f"lanner_last_alert_timestamp_seconds{{{NODE}"
_QUERIES = {
    "cluster": "label_values(lanner_build_info, cluster)",
    "instance": 'label_values(lanner_build_info{cluster=~"$cluster"}, instance)',
    "namespace": f"label_values({_ALERTS}}}, k8s_ns_name)",
    "pod": f'label_values({_ALERTS}, k8s_ns_name=~"$namespace"}}, k8s_pod_name)',
    "rule": 'label_values(lanner_rule_info{cluster=~"$cluster"}, rule)',
    "priority": 'label_values(lanner_rule_info{cluster=~"$cluster"}, priority)',
}
"""Variables; each stands for everything until something is chosen."""

_LABELS = {"instance": "node"}

_EVERYTHING = ".*"
"""Matches series that do not have the label, too: without a cluster label there is one cluster."""


def frame(uid: str, title: str, tells: str, variables: Sequence[str]) -> Dashboard:
    """A dashboard without panels."""
    board = (
        Dashboard(title)
        .uid(uid).description(tells).tags([TAG]).editable()
        .time("now-1h", "now").refresh("30s").timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("data source").type("prometheus")
        )
        .link(
            dashboard.DashboardLink("Lanner").type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG]).as_dropdown(True).include_vars(True).keep_time(True)
        )
    )  # fmt: skip
    for name in variables:
        board = board.with_variable(_variable(name))
    for annotation in _annotations():
        board = board.annotation(annotation)
    return board


def _variable(name: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(_LABELS.get(name, name)).datasource(SOURCE)
        .query({"query": _QUERIES[name], "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True).include_all(True).all_value(_EVERYTHING)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )  # fmt: skip


_OURS = "on (instance) lanner_build_info"
ANNOTATIONS = {
    "Rules loaded": (
        f"changes(lanner_last_reload_success_timestamp_seconds{{{NODE}}}[$__rate_interval]) > 0",
        "blue",
    ),
    "Lanner restarted": (
        f"changes(process_start_time_seconds{{{NODE}}}[$__rate_interval]) > 0 and {_OURS}",
        "orange",
    ),
}


def _annotations() -> Iterable[dashboard.AnnotationQuery]:
    for name, (expression, colour) in ANNOTATIONS.items():
        yield (
            dashboard.AnnotationQuery()
            .name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expression)
        )  # fmt: skip


def investigation(namespace: str = "${__data.fields.Namespace}", pod: str = "") -> str:
    """Address of the investigation dashboard for a namespace, and a pod."""
    address = f"/d/lanner-investigation?var-namespace={namespace}&${{__url_time_range}}"
    return address + (f"&var-pod={pod}" if pod else "")
