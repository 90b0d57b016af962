"""Alerts made of matches: texts, typed fields, workload, latency."""

import time
from typing import Any

from exporter.alerts.maker import AlertMaker, AlertOptions, own_hostname
from exporter.events.event import Event
from exporter.rules.ast import Exists, FieldRef
from exporter.rules.priority import Priority
from exporter.rules.ruleset import ExtraField, Rule
from tests.factories import NOW_NS, make_event, make_thread

RULE = Rule(
    index=0,
    name="r",
    desc="",
    condition="",
    ast=Exists(FieldRef("evt.type")),
    output="z=%z a=%a",
    priority=Priority.NOTICE,
    tags=("b", "a", "b"),
    extra_fields=(ExtraField("plain"), ExtraField("shown", "text %x")),
)
VALUES = {"z": 1, "a": None, "plain": True, "k8s.ns.name": "prod", "k8s.pod.name": "web-0"}


class TableFormat:
    """A template whose fields have the values of a table."""

    def __init__(self, template: str) -> None:
        self.template = template.removeprefix("*")

    def render(self, _event: Event) -> str:
        """The template itself."""
        return self.template

    def render_with_fields(self, event: Event) -> tuple[str, dict[str, Any]]:
        """Both."""
        return self.render(event), self.fields(event)

    def fields(self, _event: Event) -> dict[str, Any]:
        """The fields that the template names, as far as the table has them."""
        return {key: value for key, value in VALUES.items() if f"%{key}" in self.template}

    held_bytes = 0

    def settled(self, _event: Event) -> "TableFormat":
        """Nothing depends on the event."""
        return self


def make_maker(**options: Any) -> AlertMaker:
    """A maker for `RULE`."""
    return AlertMaker(
        [RULE], lambda text, _source: TableFormat(text), AlertOptions(hostname="h", **options)
    )


def test_fields_are_sorted_and_complete() -> None:
    """Fields of the output, plain and formatted extra fields, static fields and the time."""
    alert = make_maker(static_fields=(("env", "test"),)).make(RULE, make_event(), 1)

    assert list(alert.output_fields.items()) == [
        ("a", None),
        ("env", "test"),
        ("evt.time", NOW_NS),
        ("plain", True),
        ("shown", "text %x"),
        ("z", 1),
    ]
    assert alert.message == "z=%z a=%a"
    assert alert.output.endswith(": Notice z=%z a=%a")
    assert alert.tags == ("a", "b")


def test_iso_time_names_its_field() -> None:
    """With ISO times the prefix is UTC and the time's field is evt.time.iso8601."""
    alert = make_maker(is_iso_time=True).make(RULE, make_event(), 1)

    assert alert.output.startswith("2023-11-14T22:13:20.123456789+0000: Notice ")
    assert alert.output_fields["evt.time.iso8601"] == NOW_NS
    assert "evt.time" not in alert.output_fields


def test_workload_labels_come_with_a_container() -> None:
    """Namespace and pod are looked up for containers, whatever the rule prints."""
    inside = make_thread("sh", container_id="0123456789ab")
    in_container = make_maker().make(RULE, make_event(proc=inside), 1)
    on_host = make_maker().make(RULE, make_event(), 2)

    assert (in_container.k8s_ns_name, in_container.k8s_pod_name, in_container.container) == (
        "prod",
        "web-0",
        "0123456789ab",
    )
    assert (on_host.k8s_ns_name, on_host.k8s_pod_name, on_host.container) == ("", "", "")


def test_latency_is_told_for_live_events_only() -> None:
    """The latency counts from the kernel's clock; captures have none."""
    now = time.monotonic_ns()
    live = make_maker().make(RULE, make_event(kernel_ts_ns=now - 5_000_000), 1)
    taken = time.monotonic_ns() - now
    replayed = make_maker().make(RULE, make_event(), 2)

    assert 5_000_000 <= live.latency_ns <= 5_000_000 + taken
    assert replayed.latency_ns == -1


def test_the_hostname_can_be_given(monkeypatch) -> None:
    """LANNER_HOSTNAME wins over FALCO_HOSTNAME wins over the kernel's name."""
    monkeypatch.setenv("FALCO_HOSTNAME", "falco-node")
    given = own_hostname()
    monkeypatch.setenv("LANNER_HOSTNAME", "lanner-node")

    assert (given, own_hostname()) == ("falco-node", "lanner-node")
