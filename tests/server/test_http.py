"""HTTP answers on a real socket."""

import email.utils
import gzip
import json
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from exporter.errors import RuleError
from exporter.metrics.registry import Page, Registry
from exporter.server.address import Address, bind_socket
from exporter.server.http import HttpHooks, HttpServer, make_app


class Hooks:
    """What the server asks; a test changes the answers."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.reasons: list[str] = []
        self.reload_error: RuleError | None = None
        self.scrape_threads: set[str] = set()

    def metrics(self, accept: str, accept_encoding: str) -> Page:
        """A real page; notes the thread."""
        self.scrape_threads.add(threading.current_thread().name)
        return self.registry.page(accept, accept_encoding)

    async def reload(self) -> str:
        """Succeed or not."""
        if self.reload_error:
            raise self.reload_error
        return "reloaded, 3 rules"


@pytest.fixture
def hooks():
    """Answers of the application."""
    return Hooks()


@pytest.fixture
def url(loop_thread, hooks):
    """Address of a running server."""

    async def start() -> HttpServer:
        app = make_app(
            HttpHooks(
                metrics=hooks.metrics,
                unready_reasons=lambda: hooks.reasons,
                reload=hooks.reload,
            )
        )
        server = HttpServer(app, bind_socket(Address("127.0.0.1", 0)))
        server.start()
        return server

    server = loop_thread.run(start())
    yield f"http://{server.address}"
    loop_thread.run(server.stop())


def fetch(url: str, method: str = "GET", **headers: str):
    """Status, headers and body."""
    request = urllib.request.Request(
        url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_metrics_in_the_format_asked_for(url, hooks) -> None:
    """Text by default, OpenMetrics and gzip on request; made outside the loop's thread."""
    _, plain_headers, plain = fetch(f"{url}/metrics")
    _, om_headers, om = fetch(
        f"{url}/metrics",
        accept="application/openmetrics-text; version=1.0.0",
        accept_encoding="gzip",
    )

    assert plain_headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"lanner_build_info{" in plain
    assert om_headers["content-type"].startswith("application/openmetrics-text")
    assert om_headers["content-encoding"] == "gzip"
    assert gzip.decompress(om).endswith(b"# EOF\n")
    assert all(name.startswith("asyncio_") for name in hooks.scrape_threads)


def test_health_and_readiness_differ(url, hooks) -> None:
    """Alive is not ready: readiness has its reasons as JSON and status 503."""
    hooks.reasons = ["the probe is not attached", "no rules are loaded"]
    health = fetch(f"{url}/healthz")
    status, headers, body = fetch(f"{url}/readyz")
    hooks.reasons = []

    assert (health[0], json.loads(health[2])) == (200, {"status": "ok"})
    assert (status, json.loads(body)) == (
        503,
        {"status": "not ready", "reasons": ["the probe is not attached", "no rules are loaded"]},
    )
    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")
    assert fetch(f"{url}/readyz")[0] == 200


def test_versions_has_the_keys_installers_read(url) -> None:
    """/versions carries the keys that falcoctl reads."""
    body = json.loads(fetch(f"{url}/versions")[2])

    assert body.keys() == {
        "falco_version",
        "lanner_version",
        "libs_version",
        "plugin_api_version",
        "driver_api_version",
        "driver_schema_version",
        "default_driver_version",
        "engine_version",
        "engine_version_semver",
        "plugin_versions",
    }
    assert (body["engine_version"], body["engine_version_semver"]) == ("63", "0.63.0")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_reload_answers_with_its_outcome(url, hooks, method) -> None:
    """A reload that fails is a 500 with the error's text, one that works a 200."""
    good = fetch(f"{url}/-/reload", method)
    hooks.reload_error = RuleError("unknown field", code="X1")
    bad = fetch(f"{url}/-/reload", method)

    assert (good[0], good[2]) == (200, b"reloaded, 3 rules\n")
    assert (bad[0], bad[2]) == (500, b"error X1: unknown field\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/-/reload", 405), ("POST", "/metrics", 405), ("GET", "/etc/passwd", 404)],
)
def test_everything_else_is_refused(url, method, path, status) -> None:
    """Unknown paths and methods are 404 and 405."""
    assert fetch(f"{url}{path}", method)[0] == status


def test_the_server_does_not_name_its_software(url) -> None:
    """No Server header tells an attacker what to look for."""
    assert "server" not in fetch(f"{url}/healthz")[1]


def test_garbage_does_not_stop_the_server(url) -> None:
    """A client that speaks no HTTP gets a 400 or a closed connection; others are served."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"\x00\xff" * 100 + b"\r\n\r\n")
        client.settimeout(10)
        answer = client.recv(4096)

    assert answer == b"" or b" 400 " in answer
    assert fetch(f"{url}/healthz")[0] == 200


def test_answers_carry_the_date(url):
    """The date is that of now, not of the server's start, though nothing wakes it in between."""

    def date() -> float:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
            return email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()

    first = date()
    deadline = time.monotonic() + 10
    while date() == first:
        assert time.monotonic() < deadline, "the date stands still"
        time.sleep(0.1)
    earliest = int(time.time())

    assert earliest - 1 <= date() <= time.time()
