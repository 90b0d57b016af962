"""The time during which nobody watched is known after a restart, a crash and a boot."""

import asyncio

import pytest

from exporter.app.watch_record import WatchRecord, record_path

SECOND = 1_000_000_000


@pytest.fixture
def path(tmp_path):
    return record_path(tmp_path, "everything")


def record(path, boot_id="boot", told=None):
    told = [] if told is None else told
    return WatchRecord(path, lambda: True, told.append, boot_id)


def test_the_first_run_knows_no_gap(path):
    """Without a run before there is nothing to compare with."""
    first = record(path)
    first.begin(5 * SECOND)

    assert first.gap_seconds is None


def test_the_gap_after_a_crash(path):
    """From the last sign of life of the killed run to the new probe."""
    record(path).beat(100 * SECOND)
    told: list[float] = []
    second = record(path, told=told)
    second.begin(107 * SECOND)

    assert second.gap_seconds == 7
    assert told == [7]


def test_the_gap_after_a_boot(path):
    """After a boot: since the machine came up."""
    record(path, "before").beat(100 * SECOND)
    second = record(path, "after")
    second.begin(33 * SECOND)

    assert second.gap_seconds == 33


@pytest.mark.parametrize("content", [b"", b"{", b'{"boot_id": 3}', b"\xff\xfe", b"[]"])
def test_a_damaged_record_is_no_record(path, content):
    """What cannot be read says nothing, and does no harm."""
    path.write_bytes(content)
    one = record(path)
    one.begin(5 * SECOND)

    assert one.gap_seconds is None


def test_nothing_is_kept_nowhere(tmp_path):
    """Without a directory of our own, or with one that cannot be written, nothing happens."""
    record(None).beat(SECOND)
    record(tmp_path / "missing" / "file").beat(SECOND)

    assert record_path(None, "everything") is None
    assert list(tmp_path.iterdir()) == []


def test_those_who_watch_something_else_have_their_own(tmp_path):
    """One cgroup's watcher says nothing about the whole machine."""
    assert record_path(tmp_path, "a") != record_path(tmp_path, "b")


def test_the_end_is_recorded(path):
    """A run that is told to stop leaves its last sign then."""

    async def live_and_die():
        one = record(path)
        task = asyncio.create_task(one.run())
        while not path.exists():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.001)
        path.unlink()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(live_and_die())

    assert path.exists()
