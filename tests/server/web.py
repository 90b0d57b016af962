"""A running HTTP server with settings of a test, and a client that says what it got."""

import base64
import contextlib
import http.client
import ssl
from collections import Counter
from pathlib import Path
from typing import Self

import bcrypt

from exporter.metrics.registry import Registry
from exporter.server.address import Address, bind_socket
from exporter.server.auth import BearerToken
from exporter.server.connection import ConnectionLimits
from exporter.server.http import HttpHooks, HttpOptions, HttpServer, make_app
from exporter.server.web_settings import WebSettings


def hashed(password: str) -> str:
    """A bcrypt hash as cheap as they come, in the form that htpasswd writes."""
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


def basic(user: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Web:
    """A server on a free port."""

    def __init__(
        self,
        loop_thread,
        *,
        config: Path | None = None,
        token: str = "",
        token_file: Path | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.loop_thread = loop_thread
        self.rejected: Counter[str] = Counter()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.reads: list[Exception | None] = []
        self.registry = Registry()
        self._options = HttpOptions(
            web=WebSettings(config, self.reads.append),
            token=BearerToken(token, token_file),
            limits=limits or ConnectionLimits(),
        )

    def __enter__(self) -> Self:
        self.loop_thread.run(self._start())
        return self

    def __exit__(self, *_exc: object) -> None:
        self.loop_thread.run(self._server.stop())

    async def _start(self) -> None:
        self._server = HttpServer(
            make_app(
                HttpHooks(metrics=self.registry.page, unready_reasons=list, reload=self._reload)
            ),
            bind_socket(Address("127.0.0.1", 0)),
            self._options,
            on_rejected=lambda reason: self.rejected.update([reason]),
            on_answer=lambda path, status: self.answers.update([(path, status)]),
        )
        self._server.start()

    async def _reload(self) -> str:
        return "reloaded"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.address.port

    def connection_count(self) -> int:
        """Connections now; for the loop's thread."""
        return len(self._server._server.server_state.connections)

    def fetch(
        self,
        path: str = "/metrics",
        method: str = "GET",
        tls: ssl.SSLContext | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; 0 when the connection was refused or cut."""
        if tls is None:
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        else:
            client = http.client.HTTPSConnection("localhost", self.port, timeout=10, context=tls)
        with contextlib.closing(client):
            try:
                names = {name.replace("_", "-"): value for name, value in headers.items()}
                client.request(method, path, body=body, headers=names)
                answer = client.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                return answer.status, found, answer.read()
            except OSError as error:
                return 0, {}, str(error).encode()
