"""Laws of reading audit logs: order, gzip, directories, and what bad lines cost."""

import gzip
import json
import os
import time

import pytest

from exporter.errors import AuditLogError
from exporter.events.host import Host
from exporter.sources.k8s_audit.events import AuditOptions
from exporter.sources.k8s_audit.log_files import AuditLogSource


def line(name: str, **keys: object) -> bytes:
    """One event on a line."""
    event = {"kind": "Event", "auditID": name, "stageTimestamp": "2024-05-01T12:00:00Z", **keys}
    return json.dumps(event).encode() + b"\n"


class Read:
    """Everything a source gave, read to its end."""

    def __init__(self, *paths: object, **options: int) -> None:
        self.problems: list[str] = []
        self.host = Host()
        self.source = AuditLogSource(
            [str(path) for path in paths], self.host, AuditOptions(**options), self.problems.append
        )
        self.source.open()
        self.events = []
        while not self.source.is_ended:
            self.events += self.source.poll(time.monotonic_ns() + 1_000_000_000)
        self.source.close()

    @property
    def names(self) -> list[str]:
        """The ids of the events."""
        return [json.loads(event.param(1))["auditID"] for event in self.events]


def test_an_event_is_one_of_the_plugin(tmp_path):
    """Source, type, number, time, payload: as rules of source k8s_audit look at it."""
    (tmp_path / "a").write_bytes(line("one") + line("two"))
    read = Read(tmp_path / "a")
    event = read.events[1]

    assert read.names == ["one", "two"]
    assert (event.source, event.type.id, event.num) == ("k8s_audit", "PPME_PLUGINEVENT_E", 2)
    assert event.ts_ns == 1714564800_000000000
    assert event.param(1) == line("two").strip().replace(b": ", b":").replace(b", ", b",")
    assert (event.thread, event.fd, event.fd_num) == (None, None, -1)
    assert read.host.first_ts_ns == event.ts_ns


def test_lists_and_arrays_on_a_line(tmp_path):
    """A line may hold many events; blank lines hold none; the last needs no end."""
    events = [json.loads(line(name)) for name in "bcd"]
    log = b"\n \n".join(
        [
            line("a").strip(),
            json.dumps({"kind": "EventList", "items": events[:2]}).encode(),
            json.dumps([events[2]]).encode(),
        ]
    )
    (tmp_path / "log").write_bytes(log)

    assert Read(tmp_path / "log").names == ["a", "b", "c", "d"]


def test_bad_lines_are_told_by_number_and_counted_and_reading_goes_on(tmp_path):
    """One sentence each, with file and line; everything else is still read."""
    path = tmp_path / "log"
    late = line("late").replace(b"stageTimestamp", b"when")
    path.write_bytes(line("a") + b"garbage\n" + line("b") + b'{"kind":"Pod"}\n' + late + line("c"))
    read = Read(path)

    assert read.names == ["a", "b", "c"]
    assert [problem.split(": ")[0] for problem in read.problems] == [
        f"{path}:2", f"{path}:4", f"{path}:5",
    ]  # fmt: skip
    assert "garbage" in read.problems[0]
    assert read.source.losses() == {
        ("pluginevent", "not_json"): 1,
        ("pluginevent", "not_audit"): 1,
        ("pluginevent", "no_timestamp"): 1,
    }
    assert read.source.error is None


def test_events_past_the_limit_are_dropped_by_their_compact_size(tmp_path):
    """Exactly the limit is taken, one byte more is not; blanks do not count."""
    exact = line("a", filler="").strip().replace(b": ", b":").replace(b", ", b",")
    limit = len(exact) + 7
    (tmp_path / "log").write_bytes(line("a", filler="x" * 7) + line("b", filler="x" * 8))
    read = Read(tmp_path / "log", max_event_bytes=limit)

    assert read.names == ["a"]
    assert read.source.losses() == {("pluginevent", "too_large"): 1}


@pytest.mark.parametrize("size", [1000, 300_000, 2_000_000])
def test_a_line_past_the_limit_is_passed_over_whole(tmp_path, size):
    """What follows the line is read, whatever the line's length; memory stays bounded."""
    (tmp_path / "log").write_bytes(line("a") + b"x" * size + b"\n" + line("b"))
    read = Read(tmp_path / "log", max_document_bytes=999)

    assert read.names == ["a", "b"]
    assert read.source.losses() == {("pluginevent", "too_large"): 1}
    assert ":2: a line of more than 999 bytes" in read.problems[0]


def test_gzip_is_known_by_its_first_bytes(tmp_path):
    """The name does not matter; several members are one file."""
    (tmp_path / "log").write_bytes(gzip.compress(line("a")) + gzip.compress(line("b")))

    assert Read(tmp_path / "log").names == ["a", "b"]


def test_a_damaged_gzip_file_ends_reading_with_one_error(tmp_path):
    """What came out before is given, then the file and the place are named."""
    whole = gzip.compress(b"".join(line(str(n), filler=os.urandom(99).hex()) for n in range(1000)))
    path = tmp_path / "log"
    path.write_bytes(whole[: len(whole) // 2])
    read = Read(path)

    assert 0 < len(read.events) < 1000
    assert read.names == [str(n) for n in range(len(read.events))]
    assert isinstance(read.source.error, AuditLogError)
    assert str(path) in str(read.source.error)
    assert f"byte {len(whole) // 2}" in str(read.source.error)


def test_a_directory_is_its_files_the_oldest_first(tmp_path):
    """By time of change, then by name; directories and pipes in it are left alone."""
    for name, age in (("z", 30), ("a", 20), ("b", 20), ("c.gz", 10)):
        data = line(name).strip()
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "inner").mkdir()
    os.mkfifo(tmp_path / "pipe")
    read = Read(tmp_path)

    assert read.names == ["z", "a", "b", "c.gz"]
    assert read.source.bytes_read == read.source.total_bytes > 0


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_read_is_an_error(tmp_path, name):
    """A missing path, or a directory without files, is told before anything is read."""
    (tmp_path / "empty").mkdir()
    source = AuditLogSource([str(tmp_path / name)], Host())

    with pytest.raises(AuditLogError) as caught:
        source.open()
    assert str(tmp_path / name) in str(caught.value)


def test_an_empty_file_has_no_events(tmp_path):
    """The end comes at once, without an error."""
    (tmp_path / "log").touch()
    read = Read(tmp_path / "log")

    assert (read.events, read.source.error, read.source.losses()) == ([], None, {})
