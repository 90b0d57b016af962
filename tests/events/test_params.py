"""Laws of the parameter encodings (scap-format.md sections 10 and 11)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import DecodeError
from exporter.events.params import (
    SIGNED_WIDTHS,
    UNSIGNED_WIDTHS,
    Dynamic,
    PollFd,
    SocketAddress,
    SocketTuple,
    capture_decoders,
    decoder_for,
    encode_param,
)
from exporter.events.table import load_event_table

PORTS = st.integers(0, 0xFFFF)
TEXT = st.binary(max_size=40).filter(lambda data: 0 not in data)


def ip(width: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=width, max_size=width)


VALUES: dict[str, st.SearchStrategy[object]] = {
    **{
        kind: st.integers(-(1 << 8 * width - 1), (1 << 8 * width - 1) - 1)
        for kind, width in SIGNED_WIDTHS.items()
    },
    **{kind: st.integers(0, (1 << 8 * width) - 1) for kind, width in UNSIGNED_WIDTHS.items()},
    "CHARBUF": TEXT,
    "FSPATH": TEXT,
    "FSRELPATH": TEXT,
    "BYTEBUF": st.binary(min_size=1, max_size=40),
    "IPV4ADDR": ip(4),
    "IPV6ADDR": ip(16),
    "FDLIST": st.lists(
        st.builds(PollFd, st.integers(-1, 1 << 40), st.integers(0, 0xFFFF)), max_size=5
    ).map(tuple),
    "SOCKADDR": st.one_of(
        st.builds(SocketAddress, st.just(2), ip(4), PORTS),
        st.builds(SocketAddress, st.just(10), ip(16), PORTS),
        st.builds(SocketAddress, st.just(1), path=TEXT),
        st.builds(SocketAddress, st.just(16)),
    ),
    "SOCKTUPLE": st.one_of(
        st.builds(SocketTuple, st.just(2), ip(4), PORTS, ip(4), PORTS),
        st.builds(SocketTuple, st.just(10), ip(16), PORTS, ip(16), PORTS),
        st.builds(
            SocketTuple,
            st.just(1),
            unix_source=st.integers(0, (1 << 64) - 1),
            unix_dest=st.integers(0, (1 << 64) - 1),
            path=TEXT,
        ),
    ),
}


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("kind", sorted(VALUES))
def test_decode_inverts_encode(kind, byteorder):
    """decode(encode(value)) is the value, for every type and both byte orders."""

    @settings(max_examples=30)
    @given(value=VALUES[kind])
    def check(value):
        assert value == decoder_for(kind, byteorder)(encode_param(kind, value, byteorder))

    check()


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Dynamic(2, "UINT32", "DEC", 7), b"\x02\x07\0\0\0"),
        (Dynamic(1, "ERRNO", "DEC", -2), b"\x01\xfe\xff\xff\xff\xff\xff\xff\xff"),
        (Dynamic(0, "BYTEBUF", "HEX", b"ab"), b"\0ab"),
    ],
)
def test_dynamic_is_its_variant(value, data):
    """A DYN parameter is the variant byte and that variant's encoding."""
    table = "sockopt_dynamic_param"

    assert data == encode_param("DYN", value, table=table)
    assert value == decoder_for("DYN", table=table)(data)


def test_dynamic_of_unknown_variant_has_no_value():
    """A variant outside its table is unusable, not an error."""
    value = decoder_for("DYN", table="ptrace_dynamic_param")(b"\x09abc")

    assert Dynamic(9, "", "", None) == value


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x02\x7f\0\0\x01\x50\0", SocketAddress(2, b"\x7f\0\0\x01", 80)),
        (b"\x01/run/x\0", SocketAddress(1, path=b"/run/x")),
        (b"\x01", SocketAddress(1, is_valid=False)),
        (b"\x02\x7f", SocketAddress(2, b"\x7f", 0, b"", False)),
        (b"\x0a" + bytes(15) + b"\x01\x01", SocketAddress(10, bytes(15) + b"\x01", 1, b"", False)),
        (b"\x10", SocketAddress(16)),
    ],
)
def test_socket_address_bytes(data, expected):
    """Ports are host order, short addresses are marked invalid, unknown families keep theirs."""
    assert expected == decoder_for("SOCKADDR")(data)


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        (bytes([2]) + bytes(12), True),
        (bytes([2]) + bytes(11), False),
        (bytes([10]) + bytes(36), True),
        (bytes([10]) + bytes(35), False),
        (bytes([1]) + bytes(17), True),
        (bytes([1]) + bytes(16) + b"x", False),
    ],
)
def test_socket_tuple_validity(data, valid):
    """A tuple shorter than its family needs, or without its final NUL, is invalid."""
    assert valid == decoder_for("SOCKTUPLE")(data).is_valid


@settings(max_examples=40)
@given(data=st.binary(min_size=1, max_size=64))
def test_decoders_take_any_bytes(data):
    """No decoder raises, whatever a hostile record holds."""
    for event in load_event_table().events[::7]:
        for decode in capture_decoders(event):
            decode(data)


def test_old_empty_text_is_no_value_in_captures_only():
    """`(NULL)` in an old capture is an unreadable text; a live process may use that name."""
    assert decoder_for("FSPATH")(b"(NULL)\0") is None
    assert decoder_for("FSPATH", is_live=True)(b"(NULL)\0") == b"(NULL)"


def test_unknown_type_is_an_error():
    """A type that no table knows is refused when the decoder is made, not per event."""
    with pytest.raises(DecodeError):
        decoder_for("NOPE")
    with pytest.raises(DecodeError):
        encode_param("NOPE", 1)


def test_every_parameter_of_the_table_has_a_decoder():
    """Each parameter of each of the 454 event types can be decoded."""
    for event in load_event_table().events:
        assert len(event.params) == len(capture_decoders(event))
