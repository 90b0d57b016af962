"""Lanner looks after its own source: losses become alerts, a dead probe ends the process."""

import pytest

from exporter.alerts.event_drops import DropAction, DropOptions, Drops
from exporter.alerts.maker import AlertOptions
from exporter.app.self_watch import SelfWatch
from exporter.errors import ProbeError

SECOND = 1_000_000_000


class Source:
    """A source with settable losses."""

    def __init__(self):
        self.delivered = 0
        self.count = 0
        self.error = None
        self.repaired = []

    def lost(self):
        return self.count

    def losses(self):
        return {("openat", "ring_full"): self.count, ("", "scratch_busy"): 3}

    def look_after(self, _now_ns):
        if self.error:
            raise self.error
        return self.repaired


class Said:
    """What was said."""

    def __init__(self):
        self.drops: list[Drops] = []
        self.parts: list[list[str]] = []

    def lost(self, drops):
        self.drops.append(drops)

    def repaired(self, parts):
        self.parts.append(parts)


def watch(source, *actions, said=None):
    options = DropOptions(threshold=0, actions=frozenset(actions))
    return SelfWatch(source, options, AlertOptions(hostname="h"), said or Said(), 0)


def test_losses_become_an_alert_and_a_line():
    """Both actions at once; the alert tells the reasons."""
    source, said = Source(), Said()
    watched = watch(source, DropAction.LOG, DropAction.ALERT, said=said)
    source.count = 5

    assert watched.tick(SECOND - 1, 1) is None
    alert = watched.tick(SECOND, 2)

    assert alert is not None
    assert alert.seq == 2
    assert alert.output_fields["n_drops_ring_full_total"] == 5
    assert alert.output_fields["n_drops_scratch_busy_total"] == 3
    assert [drops.lost for drops in said.drops] == [5]


@pytest.mark.parametrize("action", [DropAction.IGNORE, DropAction.LOG])
def test_without_alert(action):
    """No alert unless it is wanted."""
    source, said = Source(), Said()
    watched = watch(source, action, said=said)
    source.count = 5

    assert watched.tick(SECOND, 1) is None
    assert len(said.drops) == (action is DropAction.LOG)


def test_exit():
    """`exit` ends the hot thread, and so the process, with a sentence for people."""
    source = Source()
    watched = watch(source, DropAction.EXIT)
    source.count = 5

    with pytest.raises(ProbeError, match="5 of 5 events were lost"):
        watched.tick(SECOND, 1)


def test_a_dead_probe_is_noticed():
    """A probe that cannot be helped ends the process at the next look."""
    source = Source()
    watched = watch(source, DropAction.ALERT)
    source.error = ProbeError("gone", code="E_SILENT")

    with pytest.raises(ProbeError, match="gone"):
        watched.tick(1, 1)


def test_a_repaired_probe_is_told():
    """Once for each repair, and not while nothing was."""
    source, said = Source(), Said()
    watched = watch(source, DropAction.ALERT, said=said)
    watched.tick(1, 1)
    source.repaired = ["hook_exit"]
    watched.tick(2, 1)

    assert said.parts == [["hook_exit"]]
