"""Lines of a replay: all of them, in order, whole, with few writes."""

import errno
import io

import pytest

from exporter.app.replay.lines import LineWriter
from exporter.errors import OutputError
from exporter.outputs.lines import LineOptions
from exporter.rules.priority import Priority
from tests.app.replay.test_summary import make_alert


class Out(io.BytesIO):
    """A stream that notes each write, and may fail."""

    def __init__(self, error: OSError | None = None) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.error = error

    def write(self, data) -> int:
        """Note or fail."""
        if self.error is not None:
            raise self.error
        self.writes.append(bytes(data))
        return len(data)


def test_a_batch_is_one_write():
    """Lines and alerts keep their order; nothing is written twice."""
    out, steps = Out(), []
    writer = LineWriter(out, LineOptions(), before_write=lambda: steps.append(len(out.writes)))
    writer.line(b"one\n")
    writer.put(make_alert("R", Priority.DEBUG))
    writer.line(b"two\n")
    assert out.writes == []

    writer.flush()
    writer.flush()
    assert out.writes == [b"one\n\ntwo\n"]
    assert steps == [0]


def test_many_alerts_are_written_before_their_batch_ends():
    """What waits is bounded, and nothing of it is lost."""
    out = Out()
    writer = LineWriter(out, LineOptions())
    for _ in range(5000):
        writer.put(make_alert("R", Priority.DEBUG))
    before = len(out.writes)
    writer.flush()

    assert 2 <= before <= 100
    assert b"".join(out.writes) == b"\n" * 5000


def test_alerts_may_be_left_out():
    """`stdout_output.enabled: false` with a summary."""
    out = Out()
    writer = LineWriter(out, LineOptions(), has_alerts=False)
    assert writer.put(make_alert("R", Priority.DEBUG))
    writer.flush()

    assert out.writes == []


def test_a_full_disk_is_an_error_for_people():
    """One sentence with the reason."""
    writer = LineWriter(Out(OSError(errno.ENOSPC, "No space left on device")), LineOptions())
    writer.line(b"x\n")

    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        writer.flush()


def test_a_reader_that_went_away_is_told_apart():
    """`| head` is no failure that needs words."""
    writer = LineWriter(Out(BrokenPipeError()), LineOptions())
    writer.line(b"x\n")

    with pytest.raises(BrokenPipeError):
        writer.flush()
