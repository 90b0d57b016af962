"""Whose records are left out: who came and went between two events and left nobody behind."""

from itertools import accumulate
from struct import pack

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.state_record import BriefLives, StateRecord
from exporter.sources.probe.brief_lives import BriefLivesFilter
from exporter.sources.probe.lifelines import BIRTH_PARAMS, EXEC_PARAMS
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.record import RECORD_STATE_ONLY
from tests.sources.probe.test_decode import make_record

OFFSET_NS = 1_000_000
HERE = {"vpid": 7, "mntns": 1, "cgroup_id": 2, "flags": RECORD_STATE_ONLY}


def record(event_id, params, pid, ptid, tid=None, /, **header):
    own = {"tid": tid or pid, "pid": pid, "ptid": ptid}
    return make_record(event_id, params, **HERE | own | header)


def birth(pid, ptid=1, tid=None, /, result=0, **header):
    params = (pack("<q", result), *[b""] * (BIRTH_PARAMS - 1))
    return record("PPME_SYSCALL_CLONE_20_X", params, pid, ptid, tid, **header)


def execve(pid, ptid=1, /, **header):
    params = (pack("<q", 0), *[b""] * (EXEC_PARAMS - 1))
    return record("PPME_SYSCALL_EXECVE_19_X", params, pid, ptid, **header)


def end(pid, ptid=1, tid=None, /, reaper=0, **header):
    params = (pack("<q", 0), pack("<q", 0), b"\0", b"\0", pack("<q", reaper))
    return record("PPME_PROCEXIT_1_E", params, pid, ptid, tid, **header)


def chdir(pid, /, **header):
    return record("PPME_SYSCALL_CHDIR_X", (pack("<q", 0), b"/\0"), pid, 1, **header)


def event():
    """A record that a rule may match, of somebody else."""
    return chdir(900, flags=0)


def sift(records, *, is_known=True):
    """Which records are read, by their number, and how many lives are left out before each."""
    sifter = BriefLivesFilter(lambda: OFFSET_NS)
    if is_known:
        assert len(sift_with(sifter, [birth(800), birth(801)])[0]) == 2
    return sift_with(sifter, records)


def sift_with(sifter, records):
    memory = b"".join(records)
    ends = list(accumulate(map(len, records)))
    spans = [slice(stop - len(data), stop) for stop, data in zip(ends, records, strict=True)]
    kept = sifter.sift(memory, spans)
    return [spans.index(span) for span in kept], [
        (place, lives.count) for place, lives in sifter.found
    ]


def test_a_life_between_two_events_is_left_out():
    """Birth, program, calls that concern itself, end; with two threads as well."""
    for life in (
        [birth(5), end(5)],
        [birth(5), execve(5), end(5)],
        [birth(5), chdir(5), execve(5), execve(5), end(5)],
        [birth(5), birth(5, 1, 6), end(5, 1, 6), end(5)],
        [birth(5), birth(5, 1, 6), end(5), end(5, 1, 6)],
    ):
        assert sift(life) == ([], [(0, 1)])
        around = [event(), *life, event()]
        assert sift(around) == ([0, len(around) - 1], [(1, 1)])


def test_what_is_not_over_or_was_interrupted_is_read():
    """No end, no birth, an event in between: of the process or of anybody."""
    for records in (
        [birth(5), execve(5)],
        [execve(5), end(5)],
        [birth(5), event(), end(5)],
        [birth(5), execve(5, flags=0), end(5)],
        [birth(5), birth(5, 1, 6), end(5)],
        [birth(5)],
        [],
    ):
        assert sift(records) == (list(range(len(records))), [])


def test_what_is_not_as_usual_is_read():
    """Inits of namespaces, failures, exec under other threads, calls that concern others."""
    bind = record("PPME_SOCKET_BIND_X", (pack("<q", 0),), 5, 1)
    for records in (
        [birth(5, vpid=1), end(5, vpid=1)],
        [birth(5, result=-1), end(5)],
        [birth(5), birth(5, 1, 6), execve(5), end(5, 1, 6), end(5)],
        [birth(5), birth(5, 1, 5), end(5), end(5)],
        [birth(5), bind, end(5)],
        [birth(5), end(5), end(5)],
        [birth(5), end(5), birth(5), end(5)],
        [end(5), birth(5), end(5)],
        [birth(5), end(5)[:-1]],
    ):
        assert sift(records) == (list(range(len(records))), [])


def test_parents_of_those_who_stay_are_read():
    """Their own parents too; who left nobody behind but the dead is left out."""
    stays = [birth(5), birth(6, 5), birth(7, 6), end(6, 5), end(5)]
    assert sift(stays) == ([0, 1, 2, 3, 4], [])
    goes = [birth(5), birth(6, 5), birth(7, 6), end(7, 6), end(6, 5), end(5)]
    assert sift(goes) == ([], [(0, 3)])
    mixed = [birth(5), birth(6, 5), birth(7, 5), end(6, 5), end(5)]
    assert sift(mixed) == ([0, 2, 4], [(3, 1)])
    of_a_thread = [birth(5), birth(5, 1, 6), birth(7, 6), end(5, 1, 6), end(5)]
    assert sift(of_a_thread) == ([0, 1, 2, 3, 4], [])


def test_who_inherited_children_is_read():
    """From one who stays, as children may still be with them."""
    heir = [birth(5), end(40, 1, reaper=5), end(5)]
    assert sift(heir) == ([0, 1, 2], [])
    assert sift([birth(5), end(40, 1, reaper=9), end(5)]) == ([1], [(1, 1)])


def test_the_first_of_a_place_is_read():
    """It tells what its cgroup and its mount namespace are; all that come there are asked."""
    lives = [birth(5), end(5), birth(6), end(6)]
    assert sift(lives, is_known=False) == ([0, 1], [(2, 1)])
    for other in ({"mntns": 9}, {"cgroup_id": 9}):
        moved = [birth(5), execve(5, **other), end(5, **other)]
        assert sift(moved) == ([0, 1, 2], [])
        first = [birth(4, **other), birth(5, **other), end(5, **other)]
        assert sift(first) == ([0], [(1, 1)])


def test_a_record_in_two_pieces_counts_as_an_event():
    """Its header may lie elsewhere; the lives on both sides of it are left out all the same."""
    sifter = BriefLivesFilter(lambda: OFFSET_NS)
    records = [birth(4), birth(5), end(5), birth(6), end(6), birth(7), end(7)]
    ends = list(accumulate(map(len, records)))
    spans = [slice(stop - len(data), stop) for stop, data in zip(ends, records, strict=True)]
    spans[4] = slice(ends[-1] - 8, ends[-1] + 200)

    assert sifter.sift(b"".join(records), spans) == [spans[0], spans[3], spans[4]]
    assert [(place, lives.count) for place, lives in sifter.found] == [(2, 1), (3, 1)]


def test_lives_keep_their_place_among_what_is_read():
    """Ahead of the event that ends the stretch, with tid, parent and time of each thread's end."""
    source = ProbeSource(Host(), has_state_records=True)
    brief = source._brief_lives
    brief._offset_ns = lambda: OFFSET_NS
    records = [birth(4), birth(5), end(5), event(), birth(6), end(6, 4, ts_ns=70), chdir(1)]
    memory = b"".join(records)
    ends = list(accumulate(map(len, records)))
    spans = [slice(stop - len(data), stop) for stop, data in zip(ends, records, strict=True)]

    found = source._decode([memory[span] for span in brief.sift(memory, spans)])

    assert [one.exits if isinstance(one, BriefLives) else type(one) for one in found] == [
        StateRecord,
        [(5, 1, OFFSET_NS + 1_000)],
        Event,
        StateRecord,
        [(6, 4, OFFSET_NS + 70)],
    ]
    assert source.delivered == len(records)
    assert not source._is_patient
    assert not brief.found
