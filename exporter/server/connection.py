"""One HTTP connection with limits: how many there are, and how slow a client may be.

Takes what uvicorn's protocol takes; ends connections whose client needs too long for a request's
head, for its body, or to read an answer. Every end by a limit is reported with its reason.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import h11
from msgspec import Struct
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.server.web_tls import is_allowed

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-type: text/plain\r\ncontent-length: 21\r\n\r\ntoo many connections\n"
)


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """Limits of all connections. The seconds are for a whole head, body and standing answer."""

    max_connections: int = 256
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    answer_seconds: float = 30.0
    handshake_seconds: float = 10.0
    max_head_bytes: int = 16_384


class LimitedProtocol(H11Protocol):
    """Uvicorn's protocol under limits.

    on_rejected: told the reason when a connection is ended. allowed_names: alternative names that a
    client's certificate must have one of; empty for any.
    """

    def __init__(
        self,
        *args: Any,
        limits: ConnectionLimits,
        on_rejected: Callable[[str], None],
        allowed_names: Callable[[], Sequence[str]],
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._on_rejected = on_rejected
        self._allowed_names = allowed_names
        self._phase = ""
        self._timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or end it at once."""
        super().connection_made(transport)
        names = self._allowed_names()
        if names and not is_allowed(transport.get_extra_info("peercert"), names):
            self._on_rejected("client_certificate")
            transport.abort()
        elif len(self.connections) > self._limits.max_connections:
            self._on_rejected("connections")
            transport.write(_BUSY)
            transport.close()
        else:
            self._enter("head", self._limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self.transport.is_closing():
            return
        if not self._phase and self.conn.their_state is h11.IDLE:
            self._enter("head", self._limits.head_seconds)
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """An answer is out; the next request may be in the buffer already."""
        super().on_response_complete()
        self._follow()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has too long a head."""
        self._on_rejected("bad_request")
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        super().pause_writing()
        if self._answer_timer is None:
            self._answer_timer = self.loop.call_later(
                self._limits.answer_seconds, self._end, "slow_reader"
            )

    def resume_writing(self) -> None:
        """The client has read most of it."""
        super().resume_writing()
        self._stop_answer_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._enter("", 0)
        self._stop_answer_timer()
        super().connection_lost(exc)

    def _follow(self) -> None:
        """Watch the part of the request that is on its way."""
        state = self.conn.their_state
        if self.transport.is_closing():
            self._enter("", 0)
        elif state is h11.SEND_BODY:
            if self._phase != "body":
                self._enter("body", self._limits.body_seconds)
        elif state is not h11.IDLE or self._phase == "body":
            self._enter("", 0)

    def _enter(self, phase: str, seconds: float) -> None:
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._end, f"slow_{phase}") if phase else None

    def _end(self, reason: str) -> None:
        self._on_rejected(reason)
        # Not closed but cut: a standing reader would keep the buffer alive for ever.
        self.transport.abort()

    def _stop_answer_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
