"""Records that come alone are taken at once; those that come in crowds may gather."""

from exporter.sources.probe.ring import BATCH_RECORDS, _Pace

MS = 1_000_000


def test_single_records_are_taken_at_once():
    """One record every few milliseconds, or a handful at once, is no crowd."""
    pace = _Pace()
    for step in range(1, 200):
        pace.note(1, step * 2 * MS)
        assert not pace.is_busy
    pace.note(9, 401 * MS)

    assert not pace.is_busy


def test_crowds_gather_until_they_end():
    """Two thousand a second are a crowd from the first window on, until a quiet one is over."""
    pace = _Pace()
    for step in range(1, 20):
        pace.note(8, 1000 * MS + step * 4 * MS)
        assert pace.is_busy == (step >= 4)
    pace.note(0, 1200 * MS)

    assert not pace.is_busy


def test_a_full_batch_has_gathered():
    """Behind a full batch others wait already."""
    pace = _Pace()
    pace.note(BATCH_RECORDS, 1000 * MS)

    assert not pace.is_busy
