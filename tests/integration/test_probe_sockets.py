"""The probe tells both ends of connections, from the kernel's sockets, on the real kernel."""

import socket

import pytest

from exporter.events.fd import FdType, L4Proto
from exporter.events.table import load_event_table
from tests.integration.probe_rig import Rig, only

FLAGS = dict(load_event_table().value_tables["file_flags"])
V4_LOOPBACK = socket.inet_aton("127.0.0.1")
V6_LOOPBACK = socket.inet_pton(socket.AF_INET6, "::1")

PAIR = """
server = socket.socket({family}, socket.SOCK_STREAM)
server.bind(({host!r}, 0))
server.listen(5)
client = socket.socket({family}, socket.SOCK_STREAM)
client.connect(server.getsockname())
accepted, _ = server.accept()
out["server"] = [server.fileno(), server.getsockname()[1]]
out["client"] = [client.fileno(), client.getsockname()[1]]
out["accepted"] = accepted.fileno()
"""


@pytest.fixture(scope="module")
def rig():
    rig = Rig()
    yield rig
    rig.close()


@pytest.mark.parametrize(
    ("family", "host", "address", "kinds"),
    [
        ("socket.AF_INET", "127.0.0.1", V4_LOOPBACK, (FdType.IPV4, FdType.IPV4_LISTEN)),
        ("socket.AF_INET6", "::1", V6_LOOPBACK, (FdType.IPV6, FdType.IPV6_LISTEN)),
    ],
)
def test_tcp_connection(rig, family, host, address, kinds):
    """connect and accept tell the same connection from their own side, source = initiator."""
    pid, out, events = rig.run(PAIR.format(family=family, host=host))
    server_fd, server_port = out["server"]
    client_fd, client_port = out["client"]

    connect = only(events, "connect", pid, fd=client_fd)
    for event in (connect, only(events, "accept4", pid)):
        tuple_ = event.named_param("tuple")
        assert (tuple_.sip, tuple_.sport) == (address, client_port)
        assert (tuple_.dip, tuple_.dport) == (address, server_port)
    assert connect.named_param("res") == 0
    assert connect.named_param("addr").port == server_port
    fd = connect.live.fds[client_fd]
    assert (fd.type, fd.l4, fd.sip, fd.sport, fd.dip, fd.dport) == (
        kinds[0],
        L4Proto.TCP,
        address,
        client_port,
        address,
        server_port,
    )
    accept = only(events, "accept4", pid)
    assert accept.named_param("fd") == out["accepted"]
    assert accept.named_param("queuemax") == 5
    assert accept.live.fds[out["accepted"]].dport == client_port
    bind = only(events, "bind", pid)
    assert (bind.named_param("addr").address, bind.named_param("addr").port) == (address, 0)
    assert bind.named_param("fd") == server_fd
    listen = only(events, "listen", pid)
    assert listen.named_param("backlog") == 5
    assert (listen.live.fds[server_fd].type, listen.live.fds[server_fd].sport) == (
        kinds[1],
        server_port,
    )


def test_refused_connection(rig):
    """A failed connect tells the address that was tried, and no tuple."""
    pid, out, events = rig.run(
        """
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        out["port"] = probe.getsockname()[1]
        try:
            socket.socket().connect(("127.0.0.1", out["port"]))
        except ConnectionRefusedError:
            pass
        """
    )

    connect = only(events, "connect", pid)
    assert connect.named_param("res") == -111
    assert connect.named_param("tuple") is None
    assert (connect.named_param("addr").address, connect.named_param("addr").port) == (
        V4_LOOPBACK,
        out["port"],
    )


def test_connected_datagram_socket(rig):
    """A UDP connect tells local and remote end."""
    pid, out, events = rig.run(
        """
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", 53))
        out["fd"], out["port"] = s.fileno(), s.getsockname()[1]
        """
    )

    connect = only(events, "connect", pid)
    tuple_ = connect.named_param("tuple")
    assert (tuple_.sport, tuple_.dport) == (out["port"], 53)
    assert connect.live.fds[out["fd"]].l4 == L4Proto.UDP


@pytest.mark.parametrize("is_abstract", [False, True])
def test_unix_connection(rig, tmp_path, is_abstract):
    """Unix sockets tell kernel addresses and the path of the listening end."""
    path = str(tmp_path / "socket")
    name = ("\0" if is_abstract else "") + path
    pid, _, events = rig.run(
        f"""
        name = {name!r}
        server = socket.socket(socket.AF_UNIX)
        server.bind(name)
        server.listen(1)
        client = socket.socket(socket.AF_UNIX)
        client.connect(name)
        server.accept()
        """
    )

    assert only(events, "bind", pid).named_param("addr").path == path.encode()
    connect = only(events, "connect", pid)
    accept = only(events, "accept4", pid)
    assert connect.named_param("addr").path == path.encode()
    sent, got = connect.named_param("tuple"), accept.named_param("tuple")
    assert (sent.path, got.path) == (path.encode(), path.encode())
    # Outgoing tells (peer, own), incoming (own, peer): the same pair, seen from both sides.
    assert 0 not in (sent.unix_source, sent.unix_dest)
    assert (sent.unix_source, sent.unix_dest) == (got.unix_source, got.unix_dest)


def test_socket_arguments(rig):
    """socket tells family, type, protocol and flags."""
    pid, out, events = rig.run('s = socket.socket(type=socket.SOCK_DGRAM); out["fd"] = s.fileno()')

    event = only(events, "socket", pid)
    assert event.named_param("fd") == out["fd"]
    assert event.named_param("domain") == 2
    assert event.named_param("type") & 0xF == 2
    assert event.named_param("flags") == FLAGS["O_CLOEXEC"]
