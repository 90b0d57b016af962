"""Addresses and networks as constants of rules.

Source: rule-language.md section 3.2.
"""

import ipaddress
import socket

from msgspec import Struct

from exporter.rules.conditions import ValueTextError


class Network(Struct, frozen=True):
    """An IPv4 or IPv6 network; `width` is the address length in bytes."""

    width: int
    value: int
    shift: int

    def __contains__(self, address: bytes) -> bool:
        return (
            len(address) == self.width
            and int.from_bytes(address, "big") >> self.shift == self.value
        )


def parse_address(text: str) -> bytes:
    """Packed address of a literal: IPv4 if it has a dot, else IPv6. Raises ValueTextError."""
    family = socket.AF_INET if "." in text else socket.AF_INET6
    try:
        return socket.inet_pton(family, text)
    except (OSError, ValueError):
        kind = "IPv4" if family == socket.AF_INET else "IPv6"
        raise ValueTextError(f"unrecognized {kind} address {text}") from None


def parse_network(text: str) -> Network:
    """Network of a CIDR literal; host bits may be set. Raises ValueTextError."""
    address_text, slash, prefix_text = text.partition("/")
    if not slash:
        raise ValueTextError(f"unrecognized IP network {text}")
    address = parse_address(address_text)
    bits = 8 * len(address)
    lowest = 0 if bits == 32 else 1
    if not (prefix_text.isascii() and prefix_text.isdecimal()) or len(prefix_text) > 9:
        raise ValueTextError(f"unrecognized IP network {text}")
    prefix = int(prefix_text)
    if not lowest <= prefix <= bits:
        raise ValueTextError(f"invalid IP network prefix in {text}: not {lowest} to {bits}")
    shift = bits - prefix
    return Network(len(address), int.from_bytes(address, "big") >> shift, shift)


def address_text(address: bytes) -> str:
    """Printed form of a packed address, as inet_ntop prints it."""
    if len(address) == 4:
        return str(ipaddress.IPv4Address(address))
    return socket.inet_ntop(socket.AF_INET6, address)
