"""The pace of a replay: waits are those between the events, counted from the first."""

from exporter.app.replay.pace import Pace

SECOND = 1_000_000_000


class Clock:
    """A clock that only sleep moves, and what happened to it."""

    def __init__(self) -> None:
        self.now_ns = 5 * SECOND
        self.steps: list[object] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.steps.append(seconds)
        self.now_ns += round(seconds * SECOND)


def make_pace(clock: Clock) -> Pace:
    """A pace on that clock."""
    return Pace(lambda: clock.steps.append("write"), clock.sleep, now_ns=lambda: clock.now_ns)


def test_gaps_are_kept_and_lines_written_before_them():
    """The first event is due at once; what is there is written before a wait."""
    clock = Clock()
    pace = make_pace(clock)
    for ts_ns in (1000 * SECOND, 1000 * SECOND, 1002 * SECOND, 1002 * SECOND + SECOND // 2):
        pace.wait(ts_ns)

    assert clock.steps == ["write", 2.0, "write", 0.5]


def test_what_is_late_does_not_wait():
    """Time that work took is caught up; times that go back do not wait."""
    clock = Clock()
    pace = make_pace(clock)
    pace.wait(10 * SECOND)
    clock.now_ns += 3 * SECOND
    pace.wait(12 * SECOND)
    pace.wait(9 * SECOND)
    pace.wait(14 * SECOND)

    assert clock.steps == ["write", 1.0]
