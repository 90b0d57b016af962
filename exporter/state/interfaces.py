"""Network interfaces of the host: their list, and what an incomplete IPv4 address must have been.

Source: spec/state-tracking.md section 7.
"""

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from exporter.events.fd import Fd, FdType
from exporter.events.host import Interface

_ANY = bytes(4)


def infer_ipv4(interfaces: Sequence[Interface], fd: Fd) -> None:
    """Replace the one end that is 0.0.0.0 by the interface address that faces the other end."""
    if fd.type != FdType.IPV4 or (fd.sip != _ANY) == (fd.dip != _ANY):
        return
    other = fd.dip if fd.sip == _ANY else fd.sip
    own = _facing(interfaces, other)
    if own is None or (own == other and fd.sport == fd.dport):
        return
    if fd.sip == _ANY:
        fd.sip = own
    else:
        fd.dip = own


def _facing(interfaces: Sequence[Interface], other: bytes) -> bytes | None:
    number = int.from_bytes(other, "big")
    local = [item for item in interfaces if len(item.address) == 4]
    for item in local:
        mask = int.from_bytes(item.netmask, "big")
        if mask and int.from_bytes(item.address, "big") & mask == number & mask:
            return item.address
    return next((item.address for item in local if item.address[0] != 127), None)


def read_interfaces(proc_root: str | Path = "/proc") -> list[Interface]:
    """Addresses of this host's interfaces as pid 1's network namespace has them.

    IPv4 addresses are told by the local routes of `net/fib_trie` with the networks of `net/route`,
    IPv6 by `net/if_inet6`. Unreadable files give none.
    """
    net = Path(proc_root) / "1" / "net"
    return _read_ipv4(net) + _read_ipv6(net)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _read_ipv4(net: Path) -> list[Interface]:
    addresses = _local_addresses(_lines(net / "fib_trie"))
    networks = []
    for line in _lines(net / "route")[1:]:
        fields = line.split()
        if len(fields) >= 8:
            # Numbers are printed as the machine holds them: network bytes read as a host integer.
            network = int(fields[1], 16).to_bytes(4, "little")
            networks.append((fields[0].encode(), network, int(fields[7], 16).to_bytes(4, "little")))
    found = []
    for address in addresses:
        name, mask = _network_of(address, networks)
        inverse = bytes(byte ^ 0xFF for byte in mask)
        broadcast = bytes(a | b for a, b in zip(address, inverse, strict=True))
        found.append(Interface(name=name, address=address, netmask=mask, broadcast=broadcast))
    return found


def _local_addresses(lines: list[str]) -> list[bytes]:
    found: dict[bytes, None] = {}
    last = ""
    for line in lines:
        text = line.strip()
        if text.startswith("|--"):
            last = text[3:].strip()
        elif text.startswith("/32 host LOCAL") and last:
            found[ipaddress.IPv4Address(last).packed] = None
    return list(found)


def _network_of(address: bytes, networks: list[tuple[bytes, bytes, bytes]]) -> tuple[bytes, bytes]:
    if address[0] == 127:
        return b"lo", b"\xff\0\0\0"
    best = (b"", b"\xff\xff\xff\xff", -1)
    for name, network, mask in networks:
        length = int.from_bytes(mask, "big").bit_count()
        inside = bytes(a & b for a, b in zip(address, mask, strict=True)) == network
        if inside and length > best[2] and length > 0:
            best = (name, mask, length)
    return best[0], best[1]


def _read_ipv6(net: Path) -> list[Interface]:
    found = []
    for line in _lines(net / "if_inet6"):
        fields = line.split()
        if len(fields) == 6:
            length = int(fields[2], 16)
            mask = ((1 << 128) - (1 << (128 - length))).to_bytes(16, "big")
            address = bytes.fromhex(fields[0])
            found.append(Interface(name=fields[5].encode(), address=address, netmask=mask))
    return found
