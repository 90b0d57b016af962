"""The audit web hook on a real socket: who may send what, and that every answer is counted."""

import http.client
import json
import socket
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from exporter.errors import ServerError
from exporter.metrics import families
from exporter.metrics.registry import Registry
from exporter.server.address import Address, bind_socket
from exporter.server.http import HttpHooks, HttpServer, make_app
from exporter.server.k8s_audit import AuditHook, Token, audit_route

BODY = json.dumps({"kind": "EventList", "items": []}).encode()
LIMIT = 100_000


class Hook:
    """The application behind the web hook."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.is_full = False
        self.is_open = True
        self.registry = Registry()
        self.url = ""

    def offer(self, body: bytes) -> bool:
        """Take it, unless full."""
        if not self.is_full:
            self.bodies.append(body)
        return not self.is_full

    def start(self, loop_thread, token: Token | None) -> HttpServer:
        """A server with the hook."""

        async def start() -> HttpServer:
            route = audit_route(
                AuditHook(
                    path="/k8s-audit",
                    max_bytes=LIMIT,
                    offer=self.offer,
                    is_open=lambda: self.is_open,
                    is_token=token.is_right if token else None,
                    is_safe=lambda: True,
                    answers=self.registry.counter(families.AUDIT_REQUESTS),
                )
            )
            hooks = HttpHooks(metrics=self.registry.page, unready_reasons=list, reload=None)  # type: ignore[arg-type]
            server = HttpServer(make_app(hooks, [route]), bind_socket(Address("127.0.0.1", 0)))
            server.start()
            return server

        server: HttpServer = loop_thread.run(start())
        self.url = f"http://{server.address}"
        return server

    def send(self, body: Any = BODY, method: str = "POST", path: str = "/k8s-audit", **headers):
        """Status, headers and text of the answer."""
        given = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)) as client:
            client.request(method, path, body, given)
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def counted(self) -> dict[str, float]:
        """Answers by code, without those that never were."""
        lines = self.registry.page().body.decode().splitlines()
        found = {}
        for line in lines:
            if line.startswith("lanner_k8s_audit_requests_total{"):
                code, count = line.split('"')[1], float(line.rsplit(" ", 1)[1])
                if count:
                    found[code] = count
        return found


@pytest.fixture
def serve(loop_thread):
    """Starts a hook, stops its server."""
    servers: list[HttpServer] = []

    def start(token: Token | None = None) -> Hook:
        hook = Hook()
        servers.append(hook.start(loop_thread, token))
        return hook

    yield start
    for server in servers:
        loop_thread.run(server.stop())


def test_a_batch_is_taken_as_it_is_and_answered_with_200(serve):
    """The body is not looked into: whatever it is, it is taken byte by byte."""
    hook = serve()
    content = "application/json; charset=utf-8"

    assert hook.send(path="/k8s-audit?timeout=30s", Content_Type=content)[0] == 200
    assert hook.send(b"\xff no json")[0] == 200
    assert hook.send(b"x" * LIMIT)[0] == 200
    assert hook.bodies == [BODY, b"\xff no json", b"x" * LIMIT]
    assert hook.counted() == {"200": 3}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_is_taken(serve, method):
    """Anything else gets 405, with the method that would be."""
    hook = serve()
    status, headers, _ = hook.send(method=method)

    assert (status, headers["allow"]) == (405, "POST")
    assert hook.counted() == {"405": 1}
    assert not hook.bodies


@pytest.mark.parametrize(
    "headers",
    [{"Content_Type": "text/plain"}, {"Content_Type": ""}, {"Content_Encoding": "gzip"}],
)
def test_only_plain_json_is_taken(serve, headers):
    """Other content gets 400."""
    hook = serve()

    assert hook.send(**headers)[0] == 400
    assert hook.counted() == {"400": 1}
    assert not hook.bodies


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("size", [LIMIT + 1, 20 * LIMIT])
def test_a_batch_past_the_limit_gets_413(serve, size, is_chunked):
    """Whether its length is announced or not; the sender can read the answer."""
    hook = serve()
    body = iter([b"x" * 1000] * (size // 1000 + 1)) if is_chunked else b"x" * size

    assert hook.send(body)[0] == 413
    assert hook.counted() == {"413": 1}
    assert not hook.bodies


def test_a_token_must_be_the_right_one(serve):
    """None, another one, another scheme: 401 before the body is looked at."""
    hook = serve(Token("s3cr\u00e9t"))
    right = "Bearer s3cr\u00e9t".encode().decode("latin-1")
    for wrong in (None, "Bearer ", "Bearer s3cr", "Basic s3cr\u00e9t", "Bearer s3cr\u00e9t x"):
        status, headers, _ = hook.send(**({"Authorization": wrong} if wrong else {}))
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert not hook.bodies

    assert hook.send(Authorization=right)[0] == 200
    assert hook.send(Authorization=right.replace("Bearer", "bearer"))[0] == 200
    assert hook.counted() == {"401": 5, "200": 2}


def test_a_full_queue_asks_the_sender_to_come_again(serve):
    """429 with Retry-After, which the API server obeys."""
    hook = serve()
    hook.is_full = True
    status, headers, _ = hook.send()

    assert (status, headers["retry-after"]) == (429, "1")
    assert hook.counted() == {"429": 1}


def test_nothing_is_taken_before_the_start_and_after_the_end(serve):
    """503 while nobody would match the events."""
    hook = serve()
    hook.is_open = False

    assert hook.send()[0] == 503
    assert not hook.bodies


def test_a_client_that_leaves_is_counted(serve):
    """A body that ends early is no batch."""
    hook = serve()
    host, port = urlsplit(hook.url).netloc.split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(
            b"POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\nhalf"
        )
    for _ in range(1000):
        if hook.counted():
            break

    assert hook.counted() == {"499": 1}
    assert not hook.bodies


def test_a_token_file_is_read_again_when_it_changes(tmp_path):
    """As secrets are rotated; a file that is gone or empty for a moment changes nothing."""
    file = tmp_path / "token"
    file.write_text("one\n")
    token = Token(file=file)
    assert token.is_right(b"one")

    file.with_suffix(".new").write_text("two\n")
    file.with_suffix(".new").rename(file)
    assert token.is_right(b"two")
    assert not token.is_right(b"one")
    file.unlink()
    assert token.is_right(b"two")
    file.write_text("")
    assert token.is_right(b"two")
    assert not token.is_right(b"")


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_token_file_must_hold_a_token(tmp_path, text):
    """A missing or empty one is told at the start."""
    if text is not None:
        (tmp_path / "token").write_text(text)

    with pytest.raises(ServerError) as caught:
        Token(file=tmp_path / "token")
    assert str(tmp_path / "token") in str(caught.value)
