"""Laws of rules that wait for what a container's runtime tells."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.alerts.maker import kept_event
from exporter.events.container import Container
from exporter.events.fd import Fd, FdType
from exporter.rules.ast import Not, Or
from exporter.rules.engine import Engine
from exporter.rules.parser import parse_condition
from exporter.rules.undecided import Candidate
from tests.factories import make_event, make_thread
from tests.rules.condition_strategies import DRAWN_CODES, checks, conditions, events
from tests.rules.interpreter import matches
from tests.rules.test_compiler import make_ruleset

WEB = b"0123456789ab"

LATE = st.sampled_from((
    "container.name = cat", "container.name exists", "container.name != sh",
    "container.image.repository in (cat, bash)", "container.image.repository startswith /etc",
    "k8s.ns.name = cat", "not k8s.ns.name = sh", "container.privileged = true",
    "container.name = val(proc.name)", "proc.name = val(container.name)",
    'concat(container.name, proc.name) = "catsh"', "container.type != host",
    "container.label[a] in (sh)", 'join(",", (proc.name, container.name)) contains sh',
    "container.mount.dest[/etc] exists", "len(container.name) > 2",
    'concat(container.name, proc.pname) startswith "cat"', "proc.pname = val(container.name)",
))  # fmt: skip

TEXTS = st.sampled_from((b"cat", b"bash", b"sh", b"/etc/shadow", b""))
FACTS = st.one_of(
    st.none(),
    st.builds(
        Container,
        id=st.just(WEB),
        name=TEXTS,
        image_repository=TEXTS,
        is_privileged=st.booleans(),
        labels=st.dictionaries(
            st.sampled_from((b"a", b"io.kubernetes.pod.namespace")), TEXTS, max_size=2
        ),
    ),
)


def outcome(candidates: list[Candidate], event: Any, *, match_all: bool) -> list[str]:
    """Names of the rules that match after all."""
    found = [one.rule.name for one in candidates if one.question is None or one.question(event)]
    return found if match_all else found[:1]


@settings(max_examples=150)
@given(
    st.lists(conditions(st.one_of(checks(), LATE, LATE)), min_size=1, max_size=4),
    events().filter(lambda event: event.thread is not None),
    st.lists(FACTS, min_size=1, max_size=3),
    st.booleans(),
)
def test_the_decision_is_that_of_an_event_whose_facts_were_there(texts, event, told, match_all):
    """Weighed now and asked later == matched with the facts at once, though the process changed."""
    assert event.thread is not None
    event.thread.container_id = WEB
    ruleset = make_ruleset(*texts, match_all=match_all, codes=DRAWN_CODES)
    engine = Engine(ruleset)
    expected = []
    for facts in told:
        event.host.containers = {} if facts is None else {WEB: facts}
        found = [rule.name for rule in ruleset.rules if matches(rule.ast, event)]
        expected.append(found if match_all else found[:1])
    event.host.containers = {}

    candidates = list(engine.weigh(event))
    kept = kept_event(event)
    event.thread.comm = event.thread.exe = b"changed"
    event.thread.container_id = b""
    event.host.threads.clear()

    for facts, names in zip(told, expected, strict=True):
        event.host.containers = {} if facts is None else {WEB: facts}
        assert outcome(candidates, kept, match_all=match_all) == names
    assert not engine.rule_errors


@pytest.mark.parametrize(
    "condition",
    [
        'concat(container.name, proc.pname) = "webbash"',
        "proc.pname != val(container.name)",
        'join("-", (container.name, fd.name)) = "web-/etc/a"',
    ],
)
def test_what_stands_beside_a_name_is_read_at_the_event(condition):
    """In one check with it: ancestors and descriptors are others by the time of the answer."""
    engine = Engine(make_ruleset(condition, codes=DRAWN_CODES))
    parent = make_thread("bash", tid=7)
    thread = make_thread("cat", tid=8, parent=parent, container_id=WEB)
    event = make_event(proc=thread, fd_name="/etc/a")
    event.host.threads.update({7: parent, 8: thread})
    (candidate,) = engine.weigh(event)

    parent.comm = b"other"
    assert event.fd is not None
    event.fd.name = b"/other"
    event.host.containers[WEB] = Container(id=WEB, name=b"web")
    assert candidate.question is not None
    assert candidate.question(kept_event(event))


@pytest.mark.parametrize(
    ("condition", "is_open"),
    [
        ("proc.name = cat and container.name = x", True),
        ("container.name = x and proc.name = cat", True),
        ("proc.name = sh and container.name = x", False),
        ("container.name = x and proc.name = sh", False),
        ("container.name = x or proc.name = cat", False),
        ("proc.name = sh or not container.name = x", True),
        ("container.id = host and container.name = x", False),
        ("not container.id = host", False),
        ("container.id != host and not (container.name = x and k8s.ns.name = y)", True),
        ("not (proc.name = cat or container.name = x)", False),
        ("k8s.pod.name exists", True),
        ("container.duration > 5", False),
    ],
)
def test_only_what_depends_on_the_runtime_is_open(condition, is_open):
    """Parts that are decided decide the whole wherever they can, on both sides of the open ones."""
    engine = Engine(make_ruleset(condition, codes=DRAWN_CODES))
    event = make_event(proc=make_thread("cat", container_id=WEB))

    assert any(one.question is not None for one in engine.weigh(event)) == is_open


def test_a_sure_match_ends_the_list_unless_all_are_wanted():
    """Rules behind the first sure one can change nothing, and are not asked."""
    texts = ("container.name = x", "proc.name = cat", "container.name = y")
    event = make_event(proc=make_thread("cat", container_id=WEB))

    first = Engine(make_ruleset(*texts, codes=DRAWN_CODES)).weigh(event)
    every = Engine(make_ruleset(*texts, match_all=True, codes=DRAWN_CODES)).weigh(event)
    assert [(one.rule.index, one.question is None) for one in first] == [(0, False), (1, True)]
    assert [(one.rule.index, one.question is None) for one in every] == [
        (0, False), (1, True), (2, False),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "errors"), [("x", 0), ("web", 1)])
def test_an_error_counts_where_it_matters(name, errors):
    """A check that raises counts for its rule when its answer is needed, and not otherwise."""
    condition = f"container.name = {name} and fd.ip intersects (10.0.0.1)"
    engine = Engine(make_ruleset(condition, codes=DRAWN_CODES))
    fd = Fd(type=FdType.IPV4, sip=b"\x0a\0\0\1", dip=b"\x0a\0\0\2")
    event = make_event(proc=make_thread("cat", container_id=WEB), fd=fd)
    (candidate,) = engine.weigh(event)

    event.host.containers[WEB] = Container(id=WEB, name=b"web")
    assert candidate.question is not None
    assert not candidate.question(kept_event(event))
    assert sum(engine.rule_errors.values()) == errors


def test_deep_conditions():
    """Nothing recurses on the way down or up."""
    node = parse_condition("container.name = x")
    other = parse_condition("proc.name = a")
    for _ in range(2000):
        node = Not(Or((other, node)))
    engine = Engine(make_ruleset(node, codes=DRAWN_CODES))
    event = make_event(proc=make_thread("cat", container_id=WEB))
    (candidate,) = engine.weigh(event)

    assert candidate.question is not None
    event.host.containers[WEB] = Container(id=WEB, name=b"x")
    assert candidate.question(kept_event(event))
