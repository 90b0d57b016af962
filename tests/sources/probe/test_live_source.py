"""What the probe's records become for those who take state records, and for those who do not."""

import struct

from exporter.events.event import Event
from exporter.events.host import Host
from exporter.events.state_record import StateRecord
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.record import FLAGS_AT, HEADER, HEADER_FIELDS, PEEK, RECORD_STATE_ONLY
from tests.sources.probe.test_decode import make_record

CHDIR = (struct.pack("<q", 0), b"/\0")


def chdir(flags: int) -> bytes:
    """A record with these header flags."""
    return make_record("PPME_SYSCALL_CHDIR_X", CHDIR, flags=flags)


def test_the_first_look_reads_what_the_header_says():
    """Time stamp, event code and flags lie where the whole header has them."""
    data = chdir(0x1234)
    head = dict(zip(HEADER_FIELDS, HEADER.unpack_from(data), strict=True))

    assert PEEK.unpack_from(data) == (head["ts_ns"], head["event_code"], head["flags"])
    assert struct.unpack_from("<H", data, FLAGS_AT) == (head["flags"],)


def test_state_records_are_for_who_asked():
    """Only records that no rule can match, only where wanted, in order; each counts once."""
    records = [chdir(0), chdir(RECORD_STATE_ONLY), b"short", chdir(2)]
    for wants, kinds in ((True, [Event, StateRecord, Event]), (False, [Event] * 3)):
        source = ProbeSource(Host(), has_state_records=wants)

        found = source._decode(records)

        assert [type(one) for one in found] == kinds
        assert (source.delivered, source.decode_errors) == (3, 1)


def test_only_crowds_without_events_may_wait():
    """One record for the rules, or none at all, and the next are taken soon."""
    source = ProbeSource(Host(), has_state_records=True)
    quiet, event = chdir(RECORD_STATE_ONLY), chdir(0)
    for records, can_wait in (([quiet] * 3, True), ([quiet, event], False), ([], False)):
        source._decode(records)

        assert source._is_patient == can_wait


def test_a_state_record_can_still_become_its_event():
    """At the same time, hidden from rules; bytes that are no record become a counted error."""
    source = ProbeSource(Host(), has_state_records=True)
    data = chdir(RECORD_STATE_ONLY)
    whole, short = source._decode([data, data[:-1]])
    assert isinstance(whole, StateRecord)
    assert isinstance(short, StateRecord)

    event = whole.decode(whole)

    assert event is not None
    assert event.is_hidden
    assert (event.ts_ns, event.kernel_ts_ns, event.param(1)) == (whole.ts_ns, 1_000, b"/")
    assert short.decode(short) is None
    assert (source.delivered, source.decode_errors) == (1, 1)
