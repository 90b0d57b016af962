"""Interfaces of the host and the ends of a connection they explain."""

from exporter.events.fd import Fd, FdType
from exporter.events.host import Interface
from exporter.state.interfaces import infer_ipv4, read_interfaces

LO = Interface(name=b"lo", address=b"\x7f\0\0\x01", netmask=b"\xff\0\0\0")
ETH = Interface(name=b"eth0", address=b"\x0a\0\0\x05", netmask=b"\xff\xff\xff\0")

FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
     |-- 10.0.0.5
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.5
        /32 host LOCAL
"""
ROUTE = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
IF_INET6 = "00000000000000000000000000000001 01 80 10 80       lo\n"


def test_interfaces_from_proc(proc):
    """Local addresses with the networks they are in, IPv4 and IPv6."""
    net = proc.root / "1" / "net"
    net.mkdir()
    (net / "fib_trie").write_text(FIB_TRIE)
    (net / "route").write_text(ROUTE)
    (net / "if_inet6").write_text(IF_INET6)
    found = read_interfaces(proc.root)

    assert [(item.name, item.address, item.netmask, item.broadcast) for item in found] == [
        (b"eth0", b"\x0a\0\0\x05", b"\xff\xff\xff\0", b"\x0a\0\0\xff"),
        (b"lo", b"\x7f\0\0\x01", b"\xff\0\0\0", b"\x7f\xff\xff\xff"),
        (b"lo", bytes(15) + b"\x01", b"\xff" * 16, b""),
    ]
    assert read_interfaces(proc.root / "missing") == []


def incomplete(sip: bytes, dip: bytes) -> Fd:
    """A connection after its incomplete ends were looked at."""
    fd = Fd(type=FdType.IPV4, sip=sip, sport=1, dip=dip, dport=2)
    infer_ipv4([LO, ETH], fd)
    return fd


def test_an_end_without_an_address_faces_the_other():
    """0.0.0.0 becomes the address in the other end's network, else the first that is no lo."""
    assert incomplete(bytes(4), b"\x0a\0\0\x09").sip == b"\x0a\0\0\x05"
    assert incomplete(b"\x7f\0\0\x01", bytes(4)).dip == b"\x7f\0\0\x01"
    assert incomplete(bytes(4), b"\x08\x08\x08\x08").sip == b"\x0a\0\0\x05"


def test_complete_and_empty_ends_stay():
    """Nothing is guessed where both ends or none are known."""
    assert incomplete(bytes(4), bytes(4)).sip == bytes(4)
    assert incomplete(b"\x01\x01\x01\x01", b"\x02\x02\x02\x02").sip == b"\x01\x01\x01\x01"
