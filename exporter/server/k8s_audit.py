"""The web hook for audit events: `POST /k8s-audit`, as the Kubernetes API server calls it.

Takes one request a batch, checks who sends it and how large it is, hands the body over unparsed.
A batch that cannot be taken now is refused with 429, which makes the API server send it again.
Source: state-tracking.md section 13; Kubernetes, "Auditing", webhook backend.
"""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.errors import ServerError
from exporter.metrics.instruments import ScalarFamily

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_BODY_SECONDS = 30.0
"""How long a body may take to arrive; the API server itself gives up after 30 s."""
_READING = 4
"""Bodies read at the same time; others wait for their turn, so that memory stays bounded."""
_DISCARD_BYTES = 64 << 20
"""How much of a body that is too large is still read, so that its sender reads our answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHook:
    """What the web hook asks of the application.

    offer: takes a body; False when there is no room. is_open: whether bodies are taken at all now.
    is_token: whether a bearer token is right; None where no token is needed. is_safe: whether
    clients without a token may send now. answers: counts requests by status code.
    """

    path: str
    max_bytes: int
    offer: Callable[[bytes], bool]
    is_open: Callable[[], bool]
    is_token: Callable[[bytes], bool] | None
    is_safe: Callable[[], bool]
    answers: ScalarFamily


def audit_route(hook: AuditHook) -> Route:
    """The route of the web hook."""
    for code in (200, 400, 401, 403, 405, 408, 413, 429, 503):
        hook.answers.labels(str(code))

    turn = asyncio.Semaphore(_READING)

    async def receive(request: Request) -> Response:
        """Check and hand over one batch."""
        try:
            answer = await _answer(hook, request, turn)
        except ClientDisconnect:
            hook.answers.labels("499").value += 1
            raise
        hook.answers.labels(str(answer.status_code)).value += 1
        return answer

    return Route(hook.path, receive, methods=list(_METHODS))


async def _answer(hook: AuditHook, request: Request, turn: asyncio.Semaphore) -> Response:
    headers = request.headers
    if request.method != "POST":
        return _refusal(405, f"{request.method} is not taken, only POST", {"allow": "POST"})
    if hook.is_token is not None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hook.is_token(token.strip().encode("latin-1")):
            return _refusal(401, "a bearer token is needed", {"www-authenticate": "Bearer"})
    elif not hook.is_safe():
        # The web configuration was changed since the start: strangers get in from now on.
        return _refusal(403, "client certificates are no longer asked for, and there is no token")
    if "application/json" not in headers.get("content-type", "").lower():
        return _refusal(400, "Content-Type must be application/json")
    if headers.get("content-encoding", "identity").lower() != "identity":
        return _refusal(400, "a compressed body is not taken")
    if not hook.is_open():
        return _refusal(503, "Lanner is starting or stopping", {"retry-after": "1"})
    try:
        async with asyncio.timeout(_BODY_SECONDS), turn:
            body = await _read_body(request, hook.max_bytes)
    except TimeoutError:
        return _refusal(408, "the body came too slowly", {"connection": "close"})
    if body is None:
        return _refusal(413, f"a batch may have {hook.max_bytes} bytes at most")
    if not hook.offer(body):
        return _refusal(429, "too many batches wait", {"retry-after": "1"})
    return Response(status_code=200)


async def _read_body(request: Request, max_bytes: int) -> bytes | None:
    """The whole body; None when it is too large, and then nothing of it is kept."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
            if size > _DISCARD_BYTES:
                break
    return b"".join(chunks) if size <= max_bytes else None


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return Response(
        f"{reason}\n", status_code=status, headers=headers, media_type="text/plain; charset=utf-8"
    )


class Token:
    """A bearer token from the configuration or a file that may change, as mounted secrets do."""

    def __init__(self, text: str = "", file: Path | None = None) -> None:
        """Raises ServerError when the file cannot be read or holds nothing."""
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._token = text.encode()
        if file is not None:
            try:
                self._load(file)
            except OSError as error:
                raise ServerError(
                    f"cannot read the token file {file}: {error.strerror}", code="S010"
                ) from error
        if not self._token:
            raise ServerError(f"the token file {file} is empty", code="S010")

    def _load(self, file: Path) -> None:
        info = file.stat()
        stamp = (info.st_mtime_ns, info.st_ino)
        if stamp != self._stamp:
            # An empty file is a secret half written: the old token stays until there is a new one.
            self._token = file.read_bytes().strip() or self._token
            self._stamp = stamp

    def is_right(self, token: bytes) -> bool:
        """Whether this is the token; takes as long for a wrong one as for the right one."""
        if self._file is not None:
            try:
                self._load(self._file)
            except OSError:
                # Between two versions of a mounted secret: the old one counts.
                self._stamp = None
        return hmac.compare_digest(token, self._token)
