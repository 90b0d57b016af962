"""HTTP: metrics for scrapers, health for the kubelet, versions, reload.

Takes requests, asks the rooms through `HttpHooks`, gives answers. Runs on the application's event
loop; making a page of metrics happens in a thread.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.errors import LannerError
from exporter.metrics.registry import Page
from exporter.server.address import Address, bound_address
from exporter.server.versions import Versions

_JSON = "application/json"
_MAX_CONNECTIONS = 256
_KEEP_ALIVE_SECONDS = 75


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
    """The ASGI application. routes: further endpoints, such as the audit web hook."""
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

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/versions", versions),
            Route("/-/reload", reload, methods=["POST", "PUT"]),
            *routes,
        ]
    )


def json_response(value: object, *, status: int = 200) -> Response:
    """A JSON answer that no cache keeps."""
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type=_JSON,
        headers={"cache-control": "no-store"},
    )


class _Server(uvicorn.Server):
    """Uvicorn without its own idea of signals: the application owns them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class HttpServer:
    """Serves an app on a bound socket; the socket belongs to the server from then on."""

    def __init__(self, app: Starlette, sock: socket.socket) -> None:
        self.address: Address = bound_address(sock)
        self._socket = sock
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=2,
            )
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer; connections made since the bind wait in the backlog until then."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")

    async def stop(self) -> None:
        """Answer what is being answered, then close; takes 2 s at most."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()
