"""The hot thread with alerts that wait for metadata: nothing else waits, and order is kept."""

from typing import Any

from exporter.alerts.alert import Alert
from exporter.alerts.hold import AlertHold, HoldOptions
from exporter.alerts.maker import AlertMaker, AlertOptions
from exporter.app.pipeline import ActiveRules, Drafting, Pipeline
from exporter.events.container import Container
from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.state_record import BriefLives, StateRecord
from exporter.rules.engine import Engine
from exporter.rules.format import compile_format
from exporter.rules.parser import parse_condition
from exporter.rules.ruleset import Ruleset
from exporter.state.lookups import Lookups
from exporter.state.procfs import Procfs
from exporter.state.state import State
from tests.app.conftest import FakeState, make_rule
from tests.factories import make_event, make_thread

WEB = b"0123456789ab"
LABELS = {b"io.kubernetes.pod.namespace": b"shop", b"io.kubernetes.pod.name": b"web-0"}


class Rig:
    """A pipeline without its thread: events go in by hand, alerts are collected.

    conditions: of the rules r0, r1, ... on every event.
    """

    def __init__(
        self, tmp_path, *conditions: str, hold_ns: int = 10**12, match_all: bool = False
    ) -> None:
        self.host = Host()
        self.lookups = Lookups()
        self.lookups.has_runtime = True
        self.alerts: list[Alert] = []
        self.counted: list[Alert] = []
        rules = tuple(
            make_rule(
                f"r{index}",
                index,
                ast=parse_condition(condition),
                event_types=frozenset({make_event().type.code}),
                output="%evt.num %proc.name %container.name",
            )
            for index, condition in enumerate(conditions or ("evt.num > 0",))
        )
        maker = AlertMaker(rules, compile_format, AlertOptions(hostname="n"))
        engine = Engine(Ruleset(rules=rules, sha256={}, match_all=match_all))
        self.hold = AlertHold(
            self.lookups, HoldOptions(hold_ns=hold_ns, capacity=100, memory_bytes=1 << 20)
        )
        self.pipeline = Pipeline(
            source=None,  # type: ignore[arg-type]
            state=State(self.host, keep_fds=False, procfs=Procfs(tmp_path), lookups=self.lookups),
            rules=ActiveRules(
                ruleset=engine.ruleset,
                match=engine.match,
                make=maker.make,
                drafting=Drafting(weigh=engine.weigh, draft=maker.draft),
            ),
            counters=self,
            queue=self,
            on_end=lambda _error: None,
            hold=self.hold,
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


NAMED = "container.name = web"
UNNAMED = "not container.name = web"


def test_a_rule_on_names_is_decided_when_they_come(tmp_path):
    """At the event nothing is known: neither a miss nor an alert for what is not the case."""
    rig = Rig(tmp_path, NAMED, UNNAMED, match_all=True)
    rig.lookups.want(WEB)
    rig.handle(1, WEB)
    rig.handle(2)
    assert [(a.rule, a.event_num) for a in rig.alerts] == [("r1", 2)]

    rig.lookups.told(Container(id=WEB, name=b"web"))
    rig.handle(3, WEB)
    assert [(a.rule, a.event_num) for a in rig.alerts] == [("r1", 2), ("r0", 1), ("r0", 3)]
    assert rig.hold.decisions["held"] == rig.hold.decisions["completed"] == 2
    assert rig.hold.counts["held"] == 0


def test_what_is_known_decides_when_nobody_can_tell(tmp_path):
    """A miss, like the end of the wait, takes the decision with what is known."""
    rig = Rig(tmp_path, NAMED, UNNAMED)
    rig.lookups.want(WEB)
    rig.handle(1, WEB)
    rig.lookups.missed(WEB, "not_found")
    rig.handle(2)

    assert [(a.rule, a.event_num) for a in rig.alerts] == [("r1", 1), ("r1", 2)]
    assert rig.hold.decisions["missed"] == 2


def test_nothing_waits_that_does_not_depend_on_names(tmp_path):
    """An event whose rules are false whatever is told is not kept at all."""
    rig = Rig(
        tmp_path,
        f"proc.name = bash and {NAMED}",
        f"not proc.name = sh or (not {NAMED} and container.id = host)",
    )
    rig.lookups.want(WEB)
    rig.handle(1, WEB)

    assert len(rig.hold) == 0
    assert not any(rig.hold.decisions.values())


def test_the_process_is_that_of_the_event(tmp_path):
    """What has changed until the answer came changes neither decision nor text."""
    rig = Rig(tmp_path, f"proc.name = sh and {NAMED}")
    rig.lookups.want(WEB)
    rig.handle(1, WEB)
    for thread in rig.host.threads.values():
        thread.comm, thread.container_id = b"other", b""
    rig.lookups.told(Container(id=WEB, name=b"web"))
    rig.handle(2)

    assert rig.messages() == ["1 sh web"]


class OddState(FakeState):
    """A state that takes records by their code: takes 1, leaves 2 to their events, fails at 3."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.passed = 0

    def take(self, record: StateRecord) -> bool:
        """Take, leave or fail."""
        if record.code == 3:
            raise ZeroDivisionError
        return record.code == 1

    def pass_over(self, lives: BriefLives) -> None:
        """Note the number, or fail."""
        self.passed += 1 // lives.count

    def before(self, event: Event) -> None:
        """An event came."""
        self.events.append(event)


def test_state_records_never_meet_the_rules(tmp_path):
    """Those that the state does not take pass as their event, which is hidden; errors count."""
    rig = Rig(tmp_path)
    state = rig.pipeline._state = OddState()
    hidden = make_event(num=2, is_hidden=True)
    events = {b"whole": hidden, b"short": None}
    for code, data in ((1, b"whole"), (2, b"whole"), (2, b"short"), (3, b"whole")):
        rig.pipeline.handle(StateRecord(code, 0, data, lambda record: events[record.data]))
    for count in (1, 0):
        rig.pipeline.handle(BriefLives(count, []))
    rig.pipeline.handle(make_event(host=rig.host, proc="sh", num=5))

    assert [event.num for event in state.events] == [2, 5]
    assert state.passed == 1
    assert rig.messages() == ["5 sh host"]
    assert rig.pipeline.errors == {"state": 2, "rules": 0, "alert": 0}
    assert sum(rig.pipeline.delivered) == 1
