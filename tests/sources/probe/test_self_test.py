"""The self-test of the probe: what is silent is mended once, and then the process ends."""

import struct
from itertools import count

import pytest

from exporter.errors import ProbeError
from exporter.sources.probe import self_test
from exporter.sources.probe.self_test import HOOKS, SelfTest

SECOND = 1_000_000_000
BEATS = [struct.pack("<II", 0x74616562, number) for number in range(len(HOOKS))]


class FakeProbe:
    """A probe that answers as the test says, through a ring that is read by `read`.

    answering: hooks that the kernel runs.
    """

    def __init__(self, monkeypatch, *, heals: bool = True) -> None:
        self.attached = frozenset(HOOKS) | {"hook_exec"}
        self.answering = set(HOOKS)
        self.heals = heals
        self.repaired: list[str] = []
        self.gone: list[str] = []
        self.taken = self.given = 0
        self.full = 0
        self.fills = False
        self.is_over = True
        self.delivered = count()
        self.events = 0
        self.waiting: list[bytes] = []
        self.test = SelfTest(self, 10 * SECOND, lambda: self.events)
        monkeypatch.setattr(self_test, "make_beats", self.beat)

    def beat(self):
        """The kernel's side of the calls."""
        self.full |= self.fills
        if not self.is_over:
            return lambda: self.is_over
        for number, hook in enumerate(HOOKS):
            if hook in self.answering and not self.full:
                self.waiting.append(BEATS[number])
                self.given += 16
        return lambda: True

    def read(self) -> None:
        """The reader takes what waits."""
        for record in self.waiting:
            assert self.test.hears(record)
        self.waiting.clear()
        self.taken = self.given

    def missing(self) -> list[str]:
        """What the kernel let go of."""
        return self.gone

    def reattach(self, program: str) -> None:
        """Attach anew."""
        self.repaired.append(program)
        self.gone = []
        if self.heals:
            self.answering.add(program)

    def positions(self) -> tuple[int, int]:
        """Of the ring."""
        return self.taken, self.given

    def skip(self) -> None:
        """Of the ring."""
        self.repaired.append("ring")
        self.taken = self.given

    def pressed(self) -> int:
        """How often the ring was full."""
        return self.full


def test_a_healthy_probe_passes_again_and_again(monkeypatch):
    """A test an interval, whose answers are heard; nothing is mended."""
    probe = FakeProbe(monkeypatch)
    for second in range(31):
        assert probe.test.tick(1 + second * SECOND) == []
        probe.read()

    # Each ends with the look after its answers.
    assert probe.test.results == {(hook, "passed"): 2 for hook in HOOKS}
    assert probe.repaired == []


@pytest.mark.parametrize("hook", HOOKS)
def test_a_silent_hook_is_attached_anew(monkeypatch, hook):
    """Only the one that did not answer, after a second; then all is well."""
    probe = FakeProbe(monkeypatch)
    probe.test.tick(1)
    probe.answering.discard(hook)
    probe.test.tick(10 * SECOND + 1)
    probe.read()

    assert probe.test.tick(11 * SECOND) == []
    assert probe.test.tick(11 * SECOND + 1) == [hook]
    probe.read()
    assert probe.test.tick(11 * SECOND + 2) == []
    assert probe.repaired == [hook]
    assert probe.test.results[hook, "repaired"] == probe.test.results[hook, "passed"] == 1
    probe.test.tick(21 * SECOND + 2)
    probe.read()
    assert probe.test.tick(21 * SECOND + 3) == []
    assert probe.test.results[hook, "passed"] == 2


def test_a_thread_that_has_not_ended_yet_is_waited_for(monkeypatch):
    """On a busy machine the kernel may end it seconds later; until then silence proves nothing."""
    probe = FakeProbe(monkeypatch)
    probe.test.tick(1)
    probe.is_over = False
    probe.test.tick(10 * SECOND + 1)
    probe.read()
    for second in (11, 12, 15):
        assert probe.test.tick(second * SECOND + 1) == []

    probe.is_over = True
    assert probe.test.tick(16 * SECOND) == []
    probe.beat()
    probe.read()
    assert probe.test.tick(16 * SECOND + 1) == []
    assert probe.repaired == []
    assert probe.test.results == {(hook, "passed"): 1 for hook in HOOKS}


def test_what_stays_silent_ends_the_process(monkeypatch):
    """Attaching anew did not help: an error that names the hook."""
    probe = FakeProbe(monkeypatch, heals=False)
    probe.test.tick(1)
    probe.answering.discard("hook_exit")
    probe.test.tick(10 * SECOND + 1)
    probe.read()
    assert probe.test.tick(12 * SECOND) == ["hook_exit"]
    probe.read()

    with pytest.raises(ProbeError, match="does not run hook_exit of the probe"):
        probe.test.tick(14 * SECOND)


def test_an_attachment_that_is_gone_is_made_anew(monkeypatch):
    """Without waiting for its silence."""
    probe = FakeProbe(monkeypatch)
    probe.test.tick(1)
    probe.gone = ["hook_exec"]

    assert probe.test.tick(10 * SECOND + 1) == ["hook_exec"]
    assert probe.repaired == ["hook_exec"]


def test_answers_behind_a_crowd_are_waited_for(monkeypatch):
    """A reader that is busy has not come to them yet, however long that takes."""
    probe = FakeProbe(monkeypatch)
    probe.test.tick(1)
    probe.test.tick(10 * SECOND + 1)
    for second in range(11, 40):
        probe.events += 1
        assert probe.test.tick(second * SECOND) == []
    probe.read()
    probe.test.tick(40 * SECOND)

    assert probe.repaired == []
    assert probe.test.results["hook_exit", "passed"] == 1


def test_a_full_ring_proves_nothing(monkeypatch):
    """Answers that found no room are no silence."""
    probe = FakeProbe(monkeypatch)
    probe.test.tick(1)
    probe.fills = True
    probe.test.tick(10 * SECOND + 1)
    probe.read()

    assert probe.test.tick(12 * SECOND) == []
    assert probe.repaired == []
    assert probe.test.results["hook_exit", "unclear"] == 1


@pytest.mark.parametrize("lost", ["ahead", "behind"])
def test_a_reader_at_the_wrong_place_goes_on_at_the_end(monkeypatch, lost):
    """Past the writer at once; behind it when nothing was read for ten seconds."""
    probe = FakeProbe(monkeypatch)
    probe.test.tick(1)
    probe.test.tick(10 * SECOND + 1)
    probe.waiting.clear()
    if lost == "ahead":
        probe.taken = 1 << 60
        assert probe.test.tick(10 * SECOND + 2) == ["ring"]
    else:
        assert probe.test.tick(20 * SECOND) == []
        assert probe.test.tick(20 * SECOND + 1) == ["ring"]
    probe.read()
    probe.test.tick(21 * SECOND)

    assert probe.repaired == ["ring"]
    assert probe.test.results["ring", "repaired"] == 1


def test_no_test_where_none_is_wanted(monkeypatch):
    """An interval of 0 means never."""
    probe = FakeProbe(monkeypatch)
    test = SelfTest(probe, 0, lambda: 0)

    assert [test.tick(second * SECOND) for second in range(1, 100)] == [[]] * 99
    assert probe.given == 0


def test_only_answers_are_heard(monkeypatch):
    """Other records of that size, and other hooks, are none."""
    test = FakeProbe(monkeypatch).test

    assert [test.hears(record) for record in (b"", bytes(8), BEATS[0] + b"x")] == [False] * 3
    assert not test.hears(struct.pack("<II", 0x74616562, 2))
