"""Limits of connections: slow, large and many clients end, counted; the others are served."""

import contextlib
import socket
import time

from exporter.metrics import families
from exporter.metrics.instruments import Reading
from exporter.server.connection import ConnectionLimits
from exporter.server.guard import MAX_BODY_BYTES
from tests.server.web import Web

SHORT = ConnectionLimits(
    max_connections=5, head_seconds=0.3, body_seconds=0.3, answer_seconds=0.3, max_head_bytes=4096
)


def connect(web: Web) -> socket.socket:
    """A raw connection."""
    return socket.create_connection(("127.0.0.1", web.port), timeout=10)


def read_to_end(client: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    got = b""
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            return got
        if not part:
            return got
        got += part


def test_a_slow_head_ends(loop_thread) -> None:
    """A byte now and then does not keep a connection alive; nor does silence."""
    with Web(loop_thread, limits=SHORT) as web, connect(web) as silent, connect(web) as dripping:
        dripping.sendall(b"GET /healthz HTTP/1.1\r\n")
        got = b""
        for _ in range(100):
            try:
                dripping.sendall(b"x: y\r\n")
            except OSError:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the connection was kept")
        got = read_to_end(silent)

    assert got == b""
    assert web.rejected == {"slow_head": 2}


def test_a_slow_second_head_ends(loop_thread) -> None:
    """The same holds behind an answered request."""
    with Web(loop_thread, limits=SHORT) as web, connect(web) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        first = b""
        while not first.endswith(b"}"):
            first += client.recv(65536)
        client.sendall(b"GET /hea")
        rest = read_to_end(client)

    assert first.startswith(b"HTTP/1.1 200 ")
    assert rest == b""
    assert web.rejected == {"slow_head": 1}


def test_a_slow_body_ends(loop_thread) -> None:
    """A body that is announced and does not come."""
    with Web(loop_thread, limits=SHORT) as web, connect(web) as client:
        client.sendall(b"POST /-/reload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab")
        got = read_to_end(client)

    assert got.startswith(b"HTTP/1.1 200 ")
    assert web.rejected == {"slow_body": 1}


def test_a_reader_that_stands_still_ends(loop_thread) -> None:
    """An answer that nobody takes does not stay in memory."""
    with Web(loop_thread, limits=SHORT) as web:
        series: Reading = {(f"queue {number:060}",): number for number in range(10_000)}
        web.registry.read(families.QUEUE_DEPTH, lambda: series)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", web.port))
        with client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 20)
            web.loop_thread.wait_for(lambda: web.rejected["slow_reader"])

    assert web.rejected["slow_reader"] == 1


def test_one_connection_too_many_is_told_so(loop_thread) -> None:
    """503 at once; those that were there are served, and room that comes free is used."""
    limits = ConnectionLimits(max_connections=3)
    with Web(loop_thread, limits=limits) as web:
        clients = [connect(web) for _ in range(3)]
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        served = [client.recv(65536)[:12] for client in clients]
        refused = web.fetch("/healthz")
        for client in clients:
            client.close()
        web.loop_thread.wait_for(lambda: web.connection_count() == 0)
        later = web.fetch("/healthz")[0]

    assert served == [b"HTTP/1.1 200"] * 3
    assert (refused[0], refused[1]["retry-after"]) == (503, "1")
    assert later == 200
    assert web.rejected == {"connections": 1}


def test_a_long_head_is_refused(loop_thread) -> None:
    """It is not gathered without end."""
    with Web(loop_thread, limits=SHORT) as web:
        status = web.fetch("/healthz", x="a" * 8000)[0]
        after = web.fetch("/healthz")[0]

        with connect(web) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
            # The server may be gone before all of it is sent.
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    client.sendall(b"a" * 1000)
            web.loop_thread.wait_for(lambda: web.rejected["bad_request"])

    assert (status, after) == (431, 200)
    assert web.rejected == {"head_too_large": 1, "bad_request": 1}


def test_a_large_body_is_refused(loop_thread) -> None:
    """By its announced length; one without length is not read past what the server holds."""
    with Web(loop_thread, limits=SHORT) as web:
        announced = web.fetch("/-/reload", "POST", body=b"x" * (MAX_BODY_BYTES + 1))[0]
        allowed = web.fetch("/-/reload", "POST", body=b"x" * MAX_BODY_BYTES)[0]

    assert (announced, allowed) == (413, 200)
    assert web.rejected["body_too_large"] == 1


def test_many_requests_on_one_connection(loop_thread) -> None:
    """Pipelined and kept alive: the limits are for each request, not for their sum."""
    count = 101
    with Web(loop_thread, limits=SHORT) as web, connect(web) as client:
        request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
        client.sendall(
            request * (count - 1) + request.replace(b"host", b"connection: close\r\nhost")
        )
        got = read_to_end(client)

    assert got.count(b"HTTP/1.1 200 ") == count
    assert not web.rejected
