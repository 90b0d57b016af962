"""What stands before every endpoint: who may ask, how often, how much, and what is counted.

Takes requests as ASGI has them, lets them through or answers them. Endpoints that guard themselves
(the audit web hook has a token and sizes of its own) are only counted.
"""

import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from math import inf
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from exporter.server.auth import Authenticator
from exporter.server.web_config import WebConfig

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 65_536
"""No endpoint here reads a body; uvicorn holds as much of one that is announced or not."""

RELOAD_PATH = "/-/reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOptions:
    """What the guard is told.

    public: paths that need no authentication. own: paths that guard themselves. known: all paths
    there are. config: settings in force. max_head: bytes of path and headers.
    has_client_certificates: whether TLS lets only clients with a certificate in. on_rejected: told
    the reason. on_answer: told path and status.
    """

    public: Collection[str]
    own: Collection[str]
    known: Collection[str]
    config: Callable[[], WebConfig]
    authenticator: Authenticator
    max_head: int
    has_client_certificates: Callable[[], bool]
    on_rejected: Callable[[str], None]
    on_answer: Callable[[str, int], None]


class Guard:
    """The ASGI application around another."""

    def __init__(self, app: App, options: GuardOptions) -> None:
        self._app = app
        self._options = options
        self._tokens = inf
        self._filled = time.monotonic()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        options = self._options
        path = scope["path"]
        config = options.config()
        extra = [(name.lower().encode(), text.encode()) for name, text in config.headers.items()]

        async def counted(message: Message) -> None:
            """Send, with the configured headers, and count."""
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *extra]
                known = path if path in options.known else "other"
                options.on_answer(known, message["status"])
            await send(message)

        if path in options.own:
            await self._app(scope, receive, counted)
            return
        headers = Headers(scope=scope)
        refusal = (
            self._refuse_rate(config)
            or self._refuse_size(scope, headers)
            or await self._refuse_stranger(scope, headers)
        )
        if refusal is not None:
            reason, answer = refusal
            options.on_rejected(reason)
            await answer(scope, receive, counted)
            return
        await self._app(scope, receive, counted)

    def _refuse_rate(self, config: WebConfig) -> tuple[str, PlainTextResponse] | None:
        if not config.interval_seconds:
            return None
        now = time.monotonic()
        gained = (now - self._filled) / config.interval_seconds
        self._tokens = min(max(config.burst, 1), self._tokens + gained)
        self._filled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return None
        return "rate", _answer(429, "too many requests", {"retry-after": "1"})

    def _refuse_size(
        self, scope: Message, headers: Headers
    ) -> tuple[str, PlainTextResponse] | None:
        # h11 bounds a head that comes in pieces only; one read may bring a quarter of a megabyte.
        head = sum(len(name) + len(value) for name, value in scope["headers"])
        if head + len(scope["raw_path"]) + len(scope["query_string"]) > self._options.max_head:
            text = f"a head of at most {self._options.max_head} bytes is taken"
            return "head_too_large", _answer(431, text, {"connection": "close"})
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) <= MAX_BODY_BYTES:
            return None
        text = f"a body of at most {MAX_BODY_BYTES} bytes is taken here"
        return "body_too_large", _answer(413, text, {"connection": "close"})

    async def _refuse_stranger(
        self, scope: Message, headers: Headers
    ) -> tuple[str, PlainTextResponse] | None:
        options, path = self._options, scope["path"]
        authenticator = options.authenticator
        if authenticator.is_needed:
            if path in options.public and path != RELOAD_PATH:
                return None
            if await authenticator.is_right(headers.get("authorization", "")):
                return None
            challenge = {"www-authenticate": authenticator.challenge}
            return "unauthorized", _answer(401, "authentication is needed", challenge)
        if path != RELOAD_PATH or options.has_client_certificates():
            return None
        # Nobody can prove who they are, so the rules are safe from the network and from web pages
        # that a browser on this machine shows.
        is_browser = "origin" in headers or "sec-fetch-site" in headers
        if _is_local(scope) and not is_browser:
            return None
        text = "without authentication a reload may be asked for from this machine only"
        return "forbidden", _answer(403, text)


def _is_local(scope: Message) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0].partition("%")[0]).is_loopback
    except ValueError:
        return False


def _answer(status: int, text: str, headers: dict[str, str] | None = None) -> PlainTextResponse:
    return PlainTextResponse(f"{text}\n", status_code=status, headers=headers)
