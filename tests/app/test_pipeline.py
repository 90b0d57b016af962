"""The hot thread with alerts that wait for metadata: nothing else waits, and order is kept."""

from typing import Any

from exporter.alerts.alert import Alert
from exporter.alerts.hold import AlertHold
from exporter.alerts.maker import AlertMaker, AlertOptions
from exporter.app.pipeline import ActiveRules, Pipeline
from exporter.events.container import Container
from exporter.events.host import Host
from exporter.rules.format import compile_format
from exporter.rules.ruleset import Ruleset
from exporter.state.lookups import Lookups
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.app.conftest import make_rule
from tests.factories import make_event, make_thread

WEB = b"0123456789ab"
LABELS = {b"io.kubernetes.pod.namespace": b"shop", b"io.kubernetes.pod.name": b"web-0"}


class Rig:
    """A pipeline without its thread: events go in by hand, alerts are collected."""

    def __init__(self, tmp_path, hold_ns: int = 10**12) -> None:
        self.host = Host()
        self.lookups = Lookups()
        self.lookups.has_runtime = True
        self.alerts: list[Alert] = []
        self.counted: list[Alert] = []
        rule = make_rule("r", output="%evt.num %proc.name %container.name")
        maker = AlertMaker([rule], compile_format, AlertOptions(hostname="n"))
        self.pipeline = Pipeline(
            source=None,  # type: ignore[arg-type]
            state=State(self.host, keep_fds=False, procfs=Procfs(tmp_path), lookups=self.lookups),
            rules=ActiveRules(
                ruleset=Ruleset(rules=(rule,), sha256={}),
                match=lambda _event: (rule,),
                make=maker.make,
                draft=maker.draft,
            ),
            counters=self,
            queue=self,
            on_end=lambda _error: None,
            hold=AlertHold(self.lookups, hold_ns=hold_ns, capacity=100),
        )

    def count(self, alert: Alert) -> None:
        """Called for every alert."""
        self.counted.append(alert)

    def housekeep(self, _now_seconds: float) -> None:
        """Nothing to keep."""

    def put(self, alert: Alert) -> bool:
        """Called for every alert."""
        self.alerts.append(alert)
        return True

    def handle(self, num: int, container: bytes = b"", **thread: Any) -> None:
        """One event, all the way."""
        proc = make_thread("sh", tid=1000 + num, container_id=container, **thread)
        self.pipeline.handle(make_event(host=self.host, proc=proc, num=num))

    def messages(self) -> list[str]:
        """What came out, in order."""
        return [alert.message for alert in self.alerts]


def test_an_alert_waits_for_its_container_only(tmp_path):
    """The host's alerts and other containers' do not wait; the held one comes complete."""
    rig = Rig(tmp_path)
    rig.lookups.want(WEB)
    rig.handle(1, WEB)
    rig.handle(2)
    assert rig.messages() == ["2 sh host"]

    rig.lookups.told(Container(id=WEB, name=b"web", labels=LABELS))
    rig.handle(3)
    assert rig.messages() == ["2 sh host", "1 sh web", "3 sh host"]
    held = rig.alerts[1]
    assert (held.k8s_ns_name, held.k8s_pod_name, held.container) == ("shop", "web-0", WEB.decode())
    assert held.output_fields["container.name"] == "web"
    assert [alert.seq for alert in rig.alerts] == [1, 2, 3]
    assert rig.counted == rig.alerts


def test_order_within_a_container(tmp_path):
    """An alert that is complete at once comes behind those of its container that waited."""
    rig = Rig(tmp_path)
    rig.lookups.want(WEB)
    rig.handle(1, WEB)
    rig.handle(2, WEB)
    rig.lookups.told(Container(id=WEB, name=b"web"))
    rig.handle(3, WEB)

    assert rig.messages() == ["1 sh web", "2 sh web", "3 sh web"]


def test_a_container_that_ends_with_its_answer(tmp_path):
    """Facts and the news of the end come together: the alert still gets the facts."""
    rig = Rig(tmp_path)
    rig.lookups.want(WEB)
    rig.handle(1, WEB)
    rig.lookups.told(Container(id=WEB, name=b"web"))
    rig.lookups.gone(WEB)
    rig.handle(2)
    rig.handle(3)

    assert rig.messages()[0] == "1 sh web"
    assert WEB not in rig.host.containers


def test_an_alert_that_waited_in_vain(tmp_path):
    """A miss lets it go with what is known; later alerts of the container do not wait."""
    rig = Rig(tmp_path)
    rig.lookups.want(WEB)
    rig.handle(1, WEB)
    rig.lookups.missed(WEB, "not_found")
    rig.handle(2, WEB)

    assert rig.messages() == ["1 sh <NA>", "2 sh <NA>"]
    assert rig.lookups.misses["not_found"] == 1
