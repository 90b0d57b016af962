"""Lanner looks after its own source: losses become alerts, a dead probe ends the process."""

import pytest

from exporter.alerts.event_drops import DropAction, DropOptions, Drops
from exporter.alerts.maker import AlertOptions
from exporter.app.self_watch import CHECK_NS, SelfWatch
from exporter.errors import ProbeError

SECOND = 1_000_000_000


class Source:
    """A source with settable losses."""

    def __init__(self):
        self.delivered = 0
        self.count = 0
        self.error = None

    def lost(self):
        return self.count

    def losses(self):
        return {("openat", "ring_full"): self.count, ("", "scratch_busy"): 3}

    def check(self):
        if self.error:
            raise self.error


def watch(source, *actions, said=None):
    options = DropOptions(threshold=0, actions=frozenset(actions))
    said = [] if said is None else said
    return SelfWatch(source, options, AlertOptions(hostname="h"), said.append, 0)


def test_losses_become_an_alert_and_a_line():
    """Both actions at once; the alert tells the reasons."""
    source, said = Source(), list[Drops]()
    watched = watch(source, DropAction.LOG, DropAction.ALERT, said=said)
    source.count = 5

    assert watched.tick(SECOND - 1, 1) is None
    alert = watched.tick(SECOND, 2)

    assert alert is not None
    assert alert.seq == 2
    assert alert.output_fields["n_drops_ring_full_total"] == 5
    assert alert.output_fields["n_drops_scratch_busy_total"] == 3
    assert [drops.lost for drops in said] == [5]


@pytest.mark.parametrize("action", [DropAction.IGNORE, DropAction.LOG])
def test_without_alert(action):
    """No alert unless it is wanted."""
    source, said = Source(), list[Drops]()
    watched = watch(source, action, said=said)
    source.count = 5

    assert watched.tick(SECOND, 1) is None
    assert len(said) == (action is DropAction.LOG)


def test_exit():
    """`exit` ends the hot thread, and so the process, with a sentence for people."""
    source = Source()
    watched = watch(source, DropAction.EXIT)
    source.count = 5

    with pytest.raises(ProbeError, match="5 of 5 events were lost"):
        watched.tick(SECOND, 1)


def test_a_dead_probe_is_noticed():
    """A probe that the kernel has detached ends the process at the next look."""
    source = Source()
    watched = watch(source, DropAction.ALERT)
    source.error = ProbeError("gone", code="E_DETACHED")

    assert watched.tick(CHECK_NS - 1, 1) is None
    with pytest.raises(ProbeError, match="gone"):
        watched.tick(CHECK_NS, 1)
