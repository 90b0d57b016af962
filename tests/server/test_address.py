"""Listening addresses as users write them, and what is said when they cannot be had."""

import socket

import pytest

from exporter.errors import ServerError
from exporter.server.address import Address, bind_socket, bound_address, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":9376", Address("", 9376)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::]:9376", Address("::", 9376)),
        ("localhost:80", Address("localhost", 80)),
    ],
)
def test_addresses_are_read(text: str, expected: Address) -> None:
    """Host and port in all their forms."""
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "9376", "host:", "host:http", ":65536", "::1:9376", ":-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Anything else is one sentence with an example."""
    with pytest.raises(ServerError) as caught:
        parse_address(text)

    assert "127.0.0.1:9376" in str(caught.value)


def test_no_host_means_every_ipv4_address() -> None:
    """An address without host is printed and bound as 0.0.0.0."""
    with bind_socket(parse_address(":0")) as sock:
        assert sock.getsockname()[0] == "0.0.0.0"
    assert str(Address("", 9376)) == "0.0.0.0:9376"
    assert str(Address("::", 9376)) == "[::]:9376"


def test_ipv6_is_bound() -> None:
    """An IPv6 address gives an IPv6 socket."""
    with bind_socket(parse_address("[::1]:0")) as sock:
        assert sock.family == socket.AF_INET6
        assert str(bound_address(sock)).startswith("[::1]:")


def test_a_port_in_use_is_said_so() -> None:
    """The second listener on a port is told what is wrong and what to do."""
    with bind_socket(parse_address("127.0.0.1:0")) as sock:
        address = bound_address(sock)
        with pytest.raises(ServerError) as caught:
            bind_socket(address)

    assert str(caught.value) == (
        f"error S003: cannot listen on {address}: the port is in use\n"
        "  hint: stop the other program (ss -ltnp shows it) or choose a port with --listen"
    )


def test_an_unknown_host_is_said_so() -> None:
    """A host that does not resolve is named."""
    with pytest.raises(ServerError, match=r'the host "no\.such\.host\.invalid" is unknown'):
        bind_socket(Address("no.such.host.invalid", 80))
    with pytest.raises(ServerError, match=r'the host "a{64}\.invalid" is unknown'):
        bind_socket(Address(f"{'a' * 64}.invalid", 80))
