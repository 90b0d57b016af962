"""Texts of addresses (state-tracking.md section 7)."""

import pytest

from exporter.events.addresses import address_text, tuple_text
from exporter.events.params import SocketAddress, SocketTuple

LOOP6 = bytes(15) + b"\x01"
MAPPED_A = bytes(10) + b"\xff\xff\x0a\0\0\x01"
MAPPED_B = bytes(10) + b"\xff\xff\x0a\0\0\x02"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (SocketTuple(2, b"\x0a\0\0\x01", 43, b"\x08\x08\x08\x08", 53), b"10.0.0.1:43->8.8.8.8:53"),
        (SocketTuple(10, LOOP6, 38255, LOOP6, 2345), b"::1:38255->::1:2345"),
        (SocketTuple(10, MAPPED_A, 1, MAPPED_B, 2), b"10.0.0.1:1->10.0.0.2:2"),
        (SocketTuple(10, MAPPED_A, 1, LOOP6, 2), b"::ffff:10.0.0.1:1->::1:2"),
        (
            SocketTuple(1, unix_source=0xABC, unix_dest=0, path=b"/run/x"),
            b"abc->0 /run/x",
        ),
        (SocketTuple(16), b"family 16"),
    ],
)
def test_tuple_text(value, text):
    """Both ends without brackets, mapped pairs as IPv4, unix addresses in lower-case hex."""
    assert text == tuple_text(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (SocketAddress(2, bytes(4), 0), b"0.0.0.0:0"),
        (SocketAddress(10, MAPPED_A, 80), b"::ffff:10.0.0.1:80"),
        (SocketAddress(1, path=b"/run/x"), b"/run/x"),
        (SocketAddress(17), b"family 17"),
        (SocketAddress(2, b"\x01", 0, b"", False), b":0"),
    ],
)
def test_address_text(value, text):
    """One end; a mapped address stays as it is; odd bytes give odd text, not an error."""
    assert text == address_text(value)
