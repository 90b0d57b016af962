"""AlertHold: alerts wait for their container's metadata, in order, and never for long."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.alerts.hold import AlertHold, HoldOptions, Possible
from exporter.alerts.maker import Draft
from exporter.events.container import Container
from exporter.events.host import Host
from tests.factories import make_event, make_thread

HOLD_NS = 500


class Asked:
    """Lookups whose answers the test gives."""

    def __init__(self, *pending: bytes) -> None:
        self.asked = set(pending)
        self.arrived: list[object] = []

    @property
    def pending(self) -> int:
        """How many are asked for."""
        return len(self.asked)

    def is_pending(self, container: bytes) -> bool:
        """Whether it is asked for now."""
        return container in self.asked


def event_in(container: bytes, host: Host):
    """An event of a container."""
    return make_event(proc=make_thread("sh", container_id=container), host=host)


def make_hold(asked: Any, capacity: int = 9, *, hold_ns: int = HOLD_NS, memory: int = 10**9):
    """A hold with these bounds."""
    options = HoldOptions(hold_ns=hold_ns, capacity=capacity, memory_bytes=memory)
    return AlertHold(asked, options)


def names(drafts) -> list[str]:
    """What the drafts of these tests finish to."""
    return [draft.finish(0) for draft in drafts]


def possible(name: str, question=None, size: int = 0) -> Possible:
    """An alert that finishes to its name."""
    draft = Draft(lambda _seq: name, size)  # type: ignore[arg-type, return-value]
    return Possible(draft, question)


def put(hold: Any, event, name: str, now_ns: int = 0, *, question=None, size: int = 0) -> list[str]:
    """Hold an alert that finishes to its name."""
    return names(hold.put(event, [possible(name, question, size)], now_ns))


def test_only_pending_containers_wait():
    """The host, known containers and those nobody is asked about do not wait."""
    host = Host(containers={b"known": Container(id=b"known")})
    hold = make_hold(Asked(b"asked", b"known"))

    waits = [hold.must_wait(event_in(c, host)) for c in (b"", b"known", b"other", b"asked")]
    assert waits == [False, False, False, True]
    assert not make_hold(Asked(b"asked"), hold_ns=0).must_wait(event_in(b"asked", host))


def test_an_answer_lets_all_go_in_order():
    """With the metadata there, the alerts of the container go as they came; others stay."""
    host, asked = Host(), Asked(b"a", b"b")
    hold = make_hold(asked)
    for name in ("a1", "b1", "a2"):
        put(hold, event_in(name[:1].encode(), host), name)
    asked.asked.discard(b"a")
    host.containers[b"a"] = Container(id=b"a")

    assert names(hold.due(1)) == ["a1", "a2"]
    assert len(hold) == 1
    assert hold.counts == {
        "held": 3, "completed": 2, "missed": 0, "timed_out": 0, "overflow": 0, "memory": 0,
    }  # fmt: skip


def test_a_miss_ends_the_wait():
    """The answer that nobody knows is an answer."""
    host, asked = Host(), Asked(b"a")
    hold = make_hold(asked)
    put(hold, event_in(b"a", host), "a1")
    asked.asked.clear()

    assert names(hold.due(1)) == ["a1"]
    assert hold.counts["missed"] == 1


def test_time_ends_the_wait_of_each():
    """Each alert waits its own time, no longer."""
    host = Host()
    hold = make_hold(Asked(b"a"))
    put(hold, event_in(b"a", host), "a1", 0)
    put(hold, event_in(b"a", host), "a2", 100)

    assert names(hold.due(HOLD_NS - 1)) == []
    assert names(hold.due(HOLD_NS)) == ["a1"]
    assert names(hold.due(HOLD_NS + 100)) == ["a2"]
    assert hold.counts["timed_out"] == 2


def test_the_oldest_makes_room():
    """Past the capacity the alert that has waited longest goes with what is known."""
    host = Host()
    hold = make_hold(Asked(b"a", b"b"), 2)
    put(hold, event_in(b"b", host), "b1", 1)
    put(hold, event_in(b"a", host), "a1", 2)

    assert put(hold, event_in(b"a", host), "a2", 3) == ["b1"]
    assert hold.counts["overflow"] == 1


def test_before_a_later_alert():
    """An alert that need not wait comes behind those of its container that did."""
    host, asked = Host(), Asked(b"a")
    hold = make_hold(asked)
    put(hold, event_in(b"a", host), "a1")
    asked.asked.clear()

    assert names(hold.before(event_in(b"b", host))) == []
    assert names(hold.before(event_in(b"a", host))) == ["a1"]
    assert names(hold.before(event_in(b"a", host))) == []


def is_told(event) -> bool:
    """A rule that matches what has a name."""
    return event.thread.container_id in event.host.containers


def test_a_decision_waits_and_is_taken_once():
    """A rule that hangs on the answer becomes an alert or nothing, and is counted apart."""
    for is_named, expected in ((True, ["a1", "a2"]), (False, ["a1"])):
        host, asked = Host(), Asked(b"a")
        hold = make_hold(asked)
        put(hold, event_in(b"a", host), "a1")
        put(hold, event_in(b"a", host), "a2", question=is_told)
        asked.asked.discard(b"a")
        if is_named:
            host.containers[b"a"] = Container(id=b"a")

        assert names(hold.due(1)) == expected
        assert len(hold) == 0
        step = "completed" if is_named else "missed"
        assert (hold.counts["held"], hold.counts[step]) == (1, 1)
        assert (hold.decisions["held"], hold.decisions[step]) == (1, 1)


def test_the_first_rule_that_matches_ends_an_event():
    """Unless all are wanted, a rule behind one that matches after all gives nothing."""
    for is_all, expected in ((True, ["first", "second"]), (False, ["first"])):
        host, asked = Host(), Asked(b"a")
        hold = make_hold(asked)
        both = [possible("first", lambda _event: True), possible("second")]
        hold.put(event_in(b"a", host), both, 0, match_all=is_all)
        assert (hold.counts["held"], hold.decisions["held"]) == (is_all, 2 - is_all)

        assert names(hold.rest()) == expected


def test_memory_is_bounded():
    """What has waited longest makes room for bytes too; what is too big alone does not wait."""
    host = Host()
    hold = make_hold(Asked(b"a"), memory=100)
    assert put(hold, event_in(b"a", host), "a1", 1, size=60) == []
    assert put(hold, event_in(b"a", host), "a2", 2, size=60) == ["a1"]
    assert put(hold, event_in(b"a", host), "a3", 3, size=101) == ["a2", "a3"]

    assert hold.counts["memory"] == 3
    assert len(hold) == 0


STEP = st.tuples(st.sampled_from(["put", "answer", "due"]), st.sampled_from([b"a", b"b", b"c"]))


@settings(max_examples=200)
@given(steps=st.lists(STEP, max_size=40), capacity=st.integers(1, 5))
def test_nothing_is_lost_doubled_or_reordered(steps, capacity):
    """held == finished + waiting at all times; the order of each container is kept."""
    host, asked = Host(), Asked(b"a", b"b", b"c")
    hold = make_hold(asked, capacity)
    put_in, out = [], []
    for now_ns, (step, container) in enumerate(steps):
        if step == "put":
            name = f"{container.decode()}{now_ns}"
            put_in.append(name)
            out += put(hold, event_in(container, host), name, now_ns * 100)
        elif step == "answer":
            asked.asked ^= {container}
        else:
            out += names(hold.due(now_ns * 100))
        assert len(hold) <= capacity
        assert hold.counts["held"] == len(put_in) == len(out) + len(hold)
    out += names(hold.rest())

    for container in "abc":
        assert [n for n in out if n[0] == container] == [n for n in put_in if n[0] == container]
    assert sum(hold.counts.values()) == 2 * len(put_in)
    assert not any(hold.decisions.values())
