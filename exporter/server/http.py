"""HTTP: metrics for scrapers, health for the kubelet, versions, reload.

Takes requests, asks the rooms through `HttpHooks`, gives answers. Runs on the application's event
loop; making a page of metrics happens in a thread.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.errors import LannerError
from exporter.metrics.registry import Page
from exporter.server.address import Address, bound_address
from exporter.server.auth import Authenticator, BearerToken
from exporter.server.connection import ConnectionLimits, LimitedProtocol
from exporter.server.guard import RELOAD_PATH, Guard, GuardOptions
from exporter.server.versions import Versions
from exporter.server.web_settings import WebSettings
from exporter.server.web_tls import ReloadingContext

_JSON = "application/json"
_KEEP_ALIVE_SECONDS = 75
_TICK_SECONDS = 1
HTTP_REASONS = (
    "bad_request",
    "body_too_large",
    "client_certificate",
    "connections",
    "forbidden",
    "head_too_large",
    "rate",
    "slow_body",
    "slow_head",
    "slow_reader",
    "unauthorized",
)
"""Why clients are turned away, in metrics."""


@dataclass(frozen=True, slots=True)
class HttpHooks:
    """What the server asks of the application.

    metrics: Accept and Accept-Encoding headers -> page; called in a thread. unready_reasons: one
    sentence each, none when ready. reload: load the rules again; its answer is one sentence, and it
    raises LannerError when the old rules stay.
    """

    metrics: Callable[[str, str], Page]
    unready_reasons: Callable[[], Sequence[str]]
    reload: Callable[[], Awaitable[str]]
    versions: Versions = Versions()  # noqa: RUF009  frozen


def make_app(hooks: HttpHooks, routes: Sequence[Route] = ()) -> Starlette:
    """The ASGI application.

    routes: further endpoints, such as the audit web hook; they guard themselves.
    """
    one_scrape = asyncio.Lock()

    async def metrics(request: Request) -> Response:
        """The page, in the format and encoding that the scraper asks for."""
        headers = request.headers
        # One page at a time: ten scrapers at once would share one GIL with the hot thread.
        async with one_scrape:
            page = await asyncio.to_thread(
                hooks.metrics, headers.get("accept", ""), headers.get("accept-encoding", "")
            )
        encoding = {"content-encoding": "gzip"} if page.is_gzip else {}
        return Response(
            page.body,
            headers={"content-type": page.content_type, "vary": "accept, accept-encoding"}
            | encoding,
        )

    async def healthz(_request: Request) -> Response:
        """Alive: this answer is the proof."""
        return json_response({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        """200 when events are matched, else 503 with the reasons."""
        reasons = list(hooks.unready_reasons())
        if reasons:
            return json_response({"status": "not ready", "reasons": reasons}, status=503)
        return json_response({"status": "ok"})

    async def versions(_request: Request) -> Response:
        """Versions under the keys that installers of rules read."""
        return json_response(hooks.versions)

    async def reload(_request: Request) -> Response:
        """Load the rules again; 500 with the reason when the old set stays."""
        try:
            message = await hooks.reload()
        except LannerError as error:
            return Response(f"{error}\n", status_code=500, media_type="text/plain")
        return Response(f"{message}\n", media_type="text/plain")

    app = Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/versions", versions),
            Route(RELOAD_PATH, reload, methods=["POST", "PUT"]),
            *routes,
        ]
    )
    app.state.own_paths = frozenset(route.path for route in routes)
    return app


def json_response(value: object, *, status: int = 200) -> Response:
    """A JSON answer that no cache keeps."""
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type=_JSON,
        headers={"cache-control": "no-store"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Settings of the server. public: paths that need no authentication where there is one."""

    web: WebSettings = field(default_factory=lambda: WebSettings(None))
    token: BearerToken = field(default_factory=lambda: BearerToken("", None))
    public: Collection[str] = ("/healthz", "/readyz")
    limits: ConnectionLimits = ConnectionLimits()  # noqa: RUF009  frozen


class _Server(uvicorn.Server):
    """Uvicorn without its own idea of signals, which the application owns, and of listening."""

    def __init__(
        self,
        config: uvicorn.Config,
        options: HttpOptions,
        make_protocol: Callable[..., asyncio.Protocol],
    ) -> None:
        super().__init__(config)
        self._options = options
        self._make_protocol = make_protocol
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Make the main loop end."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """As uvicorn's, but it wakes up for the date in answers only, not ten times a second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but with a context for each connection and a short TLS handshake."""
        options, loop = self._options, asyncio.get_running_loop()
        tls: dict[str, Any] = {}
        if options.web.has_tls:
            tls["ssl"] = ReloadingContext(options.web.context)
            tls["ssl_handshake_timeout"] = options.limits.handshake_seconds

        def protocol() -> asyncio.Protocol:
            """Of one connection."""
            return self._make_protocol(
                config=self.config, server_state=self.server_state, app_state={}
            )

        self.servers = [
            await loop.create_server(protocol, sock=sock, backlog=self.config.backlog, **tls)
            for sock in sockets or ()
        ]
        self.started = True


class HttpServer:
    """Serves an app on a bound socket; the socket belongs to the server from then on.

    on_rejected: told the reason whenever a limit or the guard turned a client away. on_answer: told
    path and status of every answer.
    """

    def __init__(
        self,
        app: Starlette,
        sock: socket.socket,
        options: HttpOptions | None = None,
        *,
        on_rejected: Callable[[str], None] = lambda _reason: None,
        on_answer: Callable[[str, int], None] = lambda _path, _status: None,
    ) -> None:
        options = options or HttpOptions()
        web = options.web
        self.address: Address = bound_address(sock)
        self._socket = sock

        def users() -> Mapping[str, bytes]:
            """Those of the settings in force."""
            return web.config().users

        def allowed_names() -> Sequence[str]:
            """Alternative names of clients' certificates."""
            tls = web.config().tls
            return tls.client_allowed_sans if tls is not None else ()

        guard = Guard(
            app,
            GuardOptions(
                public=options.public,
                own=app.state.own_paths,
                known={route.path for route in app.routes if isinstance(route, Route)},
                config=web.config,
                authenticator=Authenticator(users, options.token),
                max_head=options.limits.max_head_bytes,
                has_client_certificates=web.has_client_certificates,
                on_rejected=on_rejected,
                on_answer=on_answer,
            ),
        )
        self._server = _Server(
            uvicorn.Config(
                guard,
                loop="asyncio",
                http="h11",
                h11_max_incomplete_event_size=options.limits.max_head_bytes,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Whose X-Forwarded-For is believed decides who may reload: no environment variable
                # may widen that.
                forwarded_allow_ips=["127.0.0.1", "::1"],
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=2,
            ),
            options,
            partial(
                LimitedProtocol,
                limits=options.limits,
                on_rejected=on_rejected,
                allowed_names=allowed_names,
            ),
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer; connections made since the bind wait in the backlog until then."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")

    async def stop(self) -> None:
        """Answer what is being answered, then close; takes 2 s at most."""
        self._server.stop()
        if self._task is not None:
            await self._task
        self._socket.close()
