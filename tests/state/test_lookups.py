"""Lookups: ids one way, facts the other, without losing or asking twice."""

import pytest

from exporter.events.container import Container
from exporter.state import lookups as lookups_module
from exporter.state.lookups import Lookups
from tests.live_contexts import HOST_MNTNS, make_live

A = "0123456789abcdef" * 4
SHORT = A[:12].encode()
POD = [b"cpuset=/kubepods/podx/" + A.encode()]


@pytest.fixture
def lookups(live) -> Lookups:
    """Those of the live state, with a runtime to ask."""
    found = Lookups()
    found.has_runtime = True
    live.tables.lookups = live._lookups = found
    return found


def run_container(fed, pid: int = 50, **arguments):
    """A program starts in the container."""
    live = make_live(pid, cgroup_id=9, mntns=HOST_MNTNS + 7, vpid=1, vtid=1, **arguments)
    return fed.execve(pid, b"/bin/sh", live=live, cgroups=POD)


def wanted(lookups: Lookups) -> list[bytes]:
    """The ids that reach the event loop."""
    found: list[bytes] = []
    lookups.connect(lambda call: call(), found.append)
    return found


def test_an_id_is_asked_for_once(fed, lookups):
    """However many events a container has, its id goes out once."""
    run_container(fed)
    run_container(fed, 51)

    assert wanted(lookups) == [SHORT]
    assert lookups.is_pending(SHORT)


def test_hosts_and_known_containers_are_not_asked_for(fed, lookups):
    """Who has facts, or is no container, needs none."""
    fed.state.host.containers[SHORT] = Container(id=SHORT)
    run_container(fed)
    fed.execve(60, live=make_live(60))

    assert wanted(lookups) == []


def test_facts_are_taken_between_two_events(fed, lookups):
    """What has arrived is there for the next event's rules."""
    run_container(fed)
    lookups.told(Container(id=SHORT, name=b"web"))
    event = run_container(fed, 51)

    assert event.host.containers[event.thread.container_id].name == b"web"
    assert not lookups.is_pending(SHORT)


def test_a_miss_is_counted_and_not_asked_again(fed, lookups):
    """The answer that nobody knows is an answer."""
    run_container(fed)
    lookups.missed(SHORT, "not_found")
    run_container(fed, 51)

    assert lookups.misses["not_found"] == 1
    assert not lookups.is_pending(SHORT)
    assert wanted(lookups) == [SHORT]


def test_without_a_runtime_nothing_is_asked(fed, lookups):
    """No socket: counted once a container, nobody waits."""
    lookups.connected(is_any=False)
    run_container(fed)
    run_container(fed, 51)

    assert lookups.misses["no_socket"] == 1
    assert wanted(lookups) == []


def test_a_container_that_starts_again_is_asked_for_again(fed, lookups):
    """Its init ends: the facts go, and the id may be asked for once more."""
    run_container(fed)
    lookups.told(Container(id=SHORT))
    fed("openat", 51, live=make_live(51), fd=3, name=b"/x", flags=1)
    live = make_live(50, cgroup_id=9, mntns=HOST_MNTNS + 7, vpid=1, vtid=1)
    fed("PPME_PROCEXIT_1_E", 50, live=live, status=0)
    assert SHORT not in fed.state.host.containers

    run_container(fed, 70)
    assert wanted(lookups) == [SHORT, SHORT]


def test_the_end_does_not_end_the_waiting(fed, lookups):
    """A container that lived for a moment still gets its answer; alerts wait for it."""
    run_container(fed)
    live = make_live(50, cgroup_id=9, mntns=HOST_MNTNS + 7, vpid=1, vtid=1)
    fed("PPME_PROCEXIT_1_E", 50, live=live, status=0)
    assert lookups.is_pending(SHORT)

    lookups.told(Container(id=SHORT))
    lookups.gone(SHORT)
    fed.state.take_arrivals()
    assert SHORT in fed.state.host.containers

    fed.state.take_arrivals()
    assert SHORT not in fed.state.host.containers


def test_both_ways_are_bounded(lookups, monkeypatch):
    """Past the bounds ids are asked for later and facts are lost, both counted."""
    monkeypatch.setattr(lookups_module, "MAX_WANTED", 2)
    monkeypatch.setattr(lookups_module, "MAX_ARRIVED", 2)
    for number in range(3):
        lookups.want(b"%d" % number)
        lookups.told(Container(id=b"%d" % number))

    assert lookups.misses["queue_full"] == 1
    assert not lookups.is_pending(b"2")
    assert (lookups.lost, len(lookups.arrived)) == (1, 2)


def test_what_was_asked_is_forgotten_in_order(lookups, monkeypatch):
    """A bounded memory of ids; those that fall out count as not asked."""
    monkeypatch.setattr(lookups_module, "_MAX_ASKED", 2)
    for number in range(3):
        lookups.want(b"%d" % number)

    assert [lookups.is_pending(b"%d" % number) for number in range(3)] == [False, True, True]
