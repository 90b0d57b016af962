"""Names of rules and their addresses: what was an answer is known, and never fills the memory."""

from exporter.rules import dns
from exporter.rules.dns import Resolver


def test_an_earlier_answer_still_names_its_address():
    """Connections outlive answers: an address keeps its name when the name has moved on."""
    resolver = Resolver(is_online=False)
    resolver.put(b"a.example", frozenset({b"\x0a\0\0\x01"}))
    resolver.put(b"a.example", frozenset({b"\x0a\0\0\x02"}))

    assert resolver.addresses_of(b"a.example") == {b"\x0a\0\0\x02"}
    assert resolver.name_of(b"\x0a\0\0\x01") == b"a.example"


def test_a_name_that_changes_all_day_is_bounded():
    """Of all answers the newest are kept, and one that is given again is new."""
    resolver = Resolver(is_online=False)
    steady = frozenset({b"\x0b\0\0\0"})
    for number in range(2 * dns._MAX_ADDRESSES):
        resolver.put(b"cdn.example", frozenset({b"\x0a" + number.to_bytes(3, "big")}))
        if number % 1000 == 0:
            resolver.put(b"steady.example", steady)

    assert len(resolver._names) == dns._MAX_ADDRESSES
    assert resolver.name_of(b"\x0a\0\0\0") is None
    assert resolver.name_of(b"\x0a" + number.to_bytes(3, "big")) == b"cdn.example"
    assert resolver.name_of(b"\x0b\0\0\0") == b"steady.example"
