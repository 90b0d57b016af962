"""Laws of following a log: only new lines, each once, whatever happens to the file."""

import os
import socket
import time

import pytest

from exporter.sources.k8s_audit.follow import LogFollower


class Following:
    """A follower and what it gave."""

    def __init__(self, path, limit: int = 1000) -> None:
        self.lines: list[bytes] = []
        self.problems: list[str] = []
        self.is_taking = True
        self.refused = 0
        self.follower = LogFollower(
            str(path),
            self._give,
            max_line_bytes=limit,
            on_problem=self.problems.append,
            interval_seconds=0.005,
        )
        self.follower.start()

    def _give(self, line: bytes) -> bool:
        if not self.is_taking:
            self.refused += 1
            return False
        self.lines.append(line)
        return True

    def wait_for(self, *lines: bytes) -> None:
        """Until exactly these lines were given."""
        self.wait_until(lambda: len(self.lines) >= len(lines))
        assert self.lines == list(lines)

    def wait_until(self, condition) -> None:
        """Until the condition holds."""
        deadline = time.monotonic() + 100
        while not condition():
            assert time.monotonic() < deadline, (self.lines, self.problems)
            time.sleep(0.002)


@pytest.fixture
def log(tmp_path):
    """A log with a line in it."""
    path = tmp_path / "audit.log"
    path.write_bytes(b"old\n")
    return path


@pytest.fixture
def follow():
    """Makes followers, and stops them."""
    made: list[Following] = []

    def make(path, **options) -> Following:
        made.append(Following(path, **options))
        return made[-1]

    yield make
    for following in made:
        following.follower.stop()
        following.follower.stop()


def append(path, data: bytes) -> None:
    """Write at the end."""
    with path.open("ab") as file:
        file.write(data)


def test_only_lines_written_from_now_on(log, follow):
    """What stands in the file already is not read; blank lines are nothing."""
    following = follow(log)
    append(log, b"one\n\ntwo\n")

    following.wait_for(b"one", b"two")


def test_a_line_is_given_when_it_is_whole(log, follow):
    """Parts written one after the other are one line."""
    following = follow(log)
    append(log, b"a\nbe")
    following.wait_for(b"a")
    append(log, b"gin")
    append(log, b" end\n")

    following.wait_for(b"a", b"begin end")


def test_a_file_that_was_cut_is_read_from_its_start(log, follow):
    """As after copytruncate."""
    following = follow(log)
    append(log, b"before, long enough\n")
    following.wait_for(b"before, long enough")
    os.truncate(log, 0)
    append(log, b"after\n")

    following.wait_for(b"before, long enough", b"after")


def test_a_file_put_in_its_place_is_read_from_its_start(log, follow):
    """As after a rotation: the old one to its end, the last line even unfinished, then the new."""
    following = follow(log)
    append(log, b"one\nlast without end")
    following.wait_for(b"one")
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"new one\nnew two\n")

    following.wait_for(b"one", b"last without end", b"new one", b"new two")


def test_a_file_that_is_not_there_is_waited_for(tmp_path, follow):
    """Told once; read from its start when it comes."""
    following = follow(tmp_path / "late.log")
    following.wait_until(lambda: following.problems)
    (tmp_path / "late.log").write_bytes(b"first\n")

    following.wait_for(b"first")
    assert len(following.problems) == 1
    assert "No such file" in following.problems[0]


def test_a_directory_is_waited_out(tmp_path, follow):
    """Told once, however often it is looked at; the file that takes its place is read."""
    place = tmp_path / "audit.log"
    place.mkdir()
    following = follow(place)
    following.wait_until(lambda: following.problems)
    place.rmdir()
    place.write_bytes(b"first\n")

    following.wait_for(b"first")
    assert following.problems[0] == (
        f"{place}: is a directory; expected one file, which is waited for"
    )


def test_a_file_that_cannot_be_opened_is_looked_at_in_intervals(tmp_path):
    """It is there at every look: that is no reason to look again without a pause."""
    place = tmp_path / "audit.log"
    problems: list[str] = []
    follower = LogFollower(
        str(place), lambda _line: True, max_line_bytes=9, on_problem=problems.append
    )
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(place))
        follower._reopen(at_end=True)
        assert not follower._look_again()
        assert not follower._look_again()

    assert problems == [f"{place}: No such device or address; it is followed once it can be read"]


@pytest.mark.parametrize("size", [1001, 300_000, 900_000])
def test_a_line_past_the_limit_is_passed_over_and_counted(log, follow, size):
    """Whole, in however many pieces it is read; the next line is read."""
    following = follow(log)
    append(log, b"x" * size + b"\nnext\n")

    following.wait_for(b"next")
    assert following.follower.too_long == 1
    assert len(following.problems) == 1


def test_a_line_nobody_takes_is_offered_again(log, follow):
    """The file is the buffer: nothing is lost while the reader is behind."""
    following = follow(log)
    following.is_taking = False
    append(log, b"one\ntwo\n")
    following.wait_until(lambda: following.refused > 2)
    assert following.lines == []
    following.is_taking = True

    following.wait_for(b"one", b"two")


def test_stopping_does_not_wait_for_a_reader(log, follow):
    """A line that is refused for ever does not keep the thread."""
    following = follow(log)
    following.is_taking = False
    append(log, b"one\n")
    following.wait_until(lambda: following.refused)

    following.follower.stop()
    assert following.lines == []
