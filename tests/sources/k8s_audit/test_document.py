"""Laws of cutting documents into audit events, and of their times."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.k8s_audit.document import NotAuditError, parse_event, parse_timestamp, split

TIME = "2024-05-01T12:00:00.123456Z"
EVENT = {"kind": "Event", "auditID": "a", "stageTimestamp": TIME}


def texts(document: object) -> list[object]:
    """What a document is cut into: events as parsed JSON, errors by their reason."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return [
        part.reason if isinstance(part, NotAuditError) else json.loads(part) for part in split(data)
    ]


def reasons(data: bytes) -> list[str]:
    """Why the parts of a document are no events, those that look like one included."""
    found = []
    for part in split(data):
        try:
            if isinstance(part, NotAuditError):
                raise part
            parse_event(part)
        except NotAuditError as error:
            found.append(error.reason)
    return found


def test_one_event_stands_for_itself():
    """An object of kind Event is the event."""
    assert texts(EVENT) == [EVENT]


def test_a_list_has_events_of_any_kind():
    """Items of an EventList need no kind of their own."""
    bare = {"auditID": "b"}

    assert texts({"kind": "EventList", "items": [EVENT, bare]}) == [EVENT, bare]
    assert texts({"kind": "EventList", "items": []}) == []


def test_arrays_hold_documents_in_order():
    """Each element is a document of its own, however deep; a wrong one costs nothing but itself."""
    document = [EVENT, [{"kind": "EventList", "items": [EVENT]}], {"kind": "Pod"}, 5, [], EVENT]

    assert texts(document) == [EVENT, EVENT, "not_audit", "not_audit", EVENT]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_json"),
        (b"   ", "not_json"),
        (b"{", "not_json"),
        (b'{"kind":"Event"} x', "not_json"),
        (b"hello", "not_json"),
        (b"NaN", "not_json"),
        (b'{"kind":"Event","x":NaN}', "not_json"),
        (b"5", "not_audit"),
        (b"null", "not_audit"),
        (b'"Event"', "not_audit"),
        (b"{}", "not_audit"),
        (b'{"kind":5}', "not_audit"),
        (b'{"kind":"EventList"}', "not_audit"),
        (b'{"kind":"EventList","items":{}}', "not_audit"),
        (b'{"kind":"EventList","items":null}', "not_audit"),
        (b"[" * 5000, "not_json"),
        (b"[" * 5000 + b"]" * 5000, "not_json"),
        (b'{"kind":"Event","a":' * 3000 + b"1" + b"}" * 3000, "not_json"),
    ],
)
def test_what_is_no_document_has_one_reason(data, reason):
    """Anything but an array, a list or an event is said to be so, once."""
    assert reasons(data) == [reason]


def test_a_byte_order_mark_is_no_garbage():
    """Editors put one at the start of files."""
    assert texts(b"\xef\xbb\xbf" + json.dumps(EVENT).encode()) == [EVENT]


def test_the_payload_is_compact_and_keeps_order_numbers_and_text():
    """Blanks go, everything else stays as it was written."""
    text = (
        b' {"stageTimestamp" : "2024-05-01T12:00:00Z", "b": [1.50, 1e3, 12345678901234567890123],\n'
        b' "a": {"\\u00e9": null, "s": "\\"<\\u0001\\/"} } '
    )

    assert parse_event(text)[1] == (
        b'{"stageTimestamp":"2024-05-01T12:00:00Z","b":[1.50,1e3,12345678901234567890123],'
        b'"a":{"\xc3\xa9":null,"s":"\\"<\\u0001/"}}'
    )


@pytest.mark.parametrize("odd", [b'"\\ud800"', b'"\xff"', b'"\\udc00\\ud800"'])
def test_text_that_is_no_unicode_does_not_hide_an_event(odd):
    """Broken characters are replaced, the event goes on."""
    data = b'{"kind":"Event","stageTimestamp":"2024-05-01T12:00:00Z","user":%b}' % odd
    (text,) = split(data)
    assert isinstance(text, bytes)
    user = json.loads(parse_event(text)[1])["user"]

    assert set(user) == {"\ufffd"}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"kind": "Event"}, "no_timestamp"),
        ({"stageTimestamp": None}, "bad_timestamp"),
        ({"stageTimestamp": 5}, "bad_timestamp"),
        ({"stageTimestamp": "yesterday"}, "bad_timestamp"),
        ([], "not_audit"),
    ],
)
def test_an_event_needs_a_time(event, reason):
    """Without a readable stageTimestamp there is no event."""
    with pytest.raises(NotAuditError) as caught:
        parse_event(json.dumps(event).encode())

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-05-01T12:00:00Z", 1714564800_000000000),
        ("2024-05-01T12:00:00.5Z", 1714564800_500000000),
        ("2024-05-01T12:00:00.123456789999Z", 1714564800_123456789),
        ("2024-05-01T12:00:00,25Z", 1714564800_250000000),
        ("2024-05-01T14:00:00+02:00", 1714564800_000000000),
        ("2024-05-01T06:30:00-05:30", 1714564800_000000000),
        ("2024-02-29T00:00:00Z", 1709164800_000000000),
        ("2023-02-29T00:00:00Z", None),
        ("2024-05-01T12:00:60Z", None),
        ("2024-05-01T24:00:00Z", None),
        ("2024-05-01T12:00:00", None),
        ("2024-05-01 12:00:00Z", None),
        ("2024-05-01t12:00:00z", None),
        ("2024-05-01T12:00:00Z\n", None),
        ("2024-05-01T12:00:00.Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("\u0662024-05-01T12:00:00Z", None),
    ],
)
def test_times(text, time_ns):
    """RFC 3339, to the nanosecond, within what 64 bits hold."""
    assert parse_timestamp(text) == time_ns


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_JSON)
def test_any_event_keeps_its_meaning(value):
    """Parsing and writing again changes nothing that JSON can say."""
    event = {"stageTimestamp": TIME, "value": value}

    assert json.loads(parse_event(json.dumps(event).encode())[1]) == event


@given(st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_document_raises(data):
    """Whatever the bytes, each part is an event or has a reason."""
    assert all(reasons(data))
