"""gRPC: the outputs and version services on a Unix socket.

Takes calls of clients of the old outputs API, gives the alert stream. Works with clients that send
an empty request now and then (client-go, client-py), that never send, and that close their side.
Source: spec/peers.md 1e.
"""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
from msgspec import Struct

from exporter import __version__
from exporter._proto import version_pb2
from exporter.errors import ServerError
from exporter.server.stream import AlertStream
from exporter.server.versions import COMPATIBLE_VERSION, ENGINE_VERSION

_UNIX = "unix://"
_SOCKET_MODE = 0o600
_DIRECTORY_MODE = 0o750
Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcOptions(Struct, frozen=True, kw_only=True):
    """socket_path: where to listen. fields_checksum: digest of the field names rules may use."""

    socket_path: Path
    fields_checksum: str = ""


def parse_socket(text: str) -> Path:
    """Read `unix:///run/x.sock` or a plain absolute path. Raises ServerError."""
    path = text.removeprefix(_UNIX).removeprefix("unix:")
    if not path.startswith("/"):
        raise ServerError(
            f'gRPC cannot listen on "{text}": only Unix sockets are offered',
            code="S010",
            hint="write unix:///run/lanner/lanner.sock, or an empty text for no gRPC",
        )
    return Path(path)


class GrpcServer:
    """Serves one `AlertStream` on one Unix socket."""

    def __init__(self, stream: AlertStream, options: GrpcOptions) -> None:
        self._stream = stream
        self._options = options
        self._server = grpc.aio.server(
            # A client that is gone without a word is noticed within a minute.
            options=[("grpc.keepalive_time_ms", 40_000), ("grpc.keepalive_timeout_ms", 20_000)]
        )
        self._server.add_generic_rpc_handlers((_handlers(stream, options),))

    async def start(self) -> None:
        """Bind the socket (mode 0600) and begin to serve. Raises ServerError."""
        path = self._options.socket_path
        make_way(path)
        # The mask makes the socket private from its first moment; chmod alone would leave a gap.
        old_mask = os.umask(0o777 & ~_SOCKET_MODE)
        try:
            self._server.add_insecure_port(f"{_UNIX}{path}")
        except RuntimeError as error:
            raise ServerError(f"gRPC cannot listen on {path}", code="S011") from error
        finally:
            os.umask(old_mask)
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Let streams end after what waits for them, at most so long, then close and remove."""
        self._stream.close()
        await self._server.stop(grace_seconds)
        self._options.socket_path.unlink(missing_ok=True)


def make_way(path: Path) -> None:
    """Create the directory and remove a socket nobody listens on. Raises ServerError."""
    try:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ServerError(
            f"gRPC cannot listen on {path}: {error.strerror}",
            code="S011",
            hint="choose a path with --grpc-socket, or --grpc-socket '' for no gRPC",
        ) from error
    if not stat.S_ISSOCK(mode):
        raise ServerError(f"gRPC cannot listen on {path}: it exists and is no socket", code="S011")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        if probe.connect_ex(str(path)) == 0:
            raise ServerError(
                f"gRPC cannot listen on {path}: another program listens there",
                code="S012",
                hint="stop it, or choose another path with --grpc-socket",
            )
    path.unlink(missing_ok=True)


def _handlers(stream: AlertStream, options: GrpcOptions) -> grpc.GenericRpcHandler:
    """Both services. Messages cross as bytes: an alert is encoded once for all subscribers."""

    async def sub(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        # Requests carry nothing, but left unread they would fill the client's window.
        reader = asyncio.create_task(_read_all(requests))
        subscriber = stream.subscribe()
        try:
            # Sent at once: a client that has the metadata misses no alert from then on.
            await context.send_initial_metadata(())
            async for message in subscriber.messages():
                yield message
                stream.sent["sub"] += 1
        finally:
            stream.unsubscribe(subscriber)
            reader.cancel()

    async def get(_request: bytes, _context: Context) -> AsyncIterator[bytes]:
        for message in stream.drain_history():
            yield message

    async def version(_request: bytes, _context: Context) -> bytes:
        return version_response(options.fields_checksum)

    return _Services(
        {
            "/falco.outputs.service/sub": grpc.stream_stream_rpc_method_handler(sub),
            "/falco.outputs.service/get": grpc.unary_stream_rpc_method_handler(get),
            "/falco.version.service/version": grpc.unary_unary_rpc_method_handler(version),
        }
    )


class _Services(grpc.GenericRpcHandler):
    """Finds the handler of a call by its full name."""

    def __init__(self, methods: "dict[str, grpc.RpcMethodHandler[bytes, bytes]]") -> None:
        self._methods = methods

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """The handler, or None for a method we do not have."""
        return self._methods.get(handler_call_details.method)


async def _read_all(requests: AsyncIterator[bytes]) -> None:
    """Read and ignore, until the client closes its side or is gone."""
    with contextlib.suppress(grpc.aio.AbortError, grpc.aio.BaseError, asyncio.CancelledError):
        async for _ in requests:
            pass


def version_response(fields_checksum: str) -> bytes:
    """The encoded falco.version.response; our own version is its build part."""
    major, minor, patch = (int(part) for part in COMPATIBLE_VERSION.split("."))
    return version_pb2.response(
        version=COMPATIBLE_VERSION,
        major=major,
        minor=minor,
        patch=patch,
        build=f"lanner.{__version__}",
        engine_major=ENGINE_VERSION[0],
        engine_minor=ENGINE_VERSION[1],
        engine_patch=ENGINE_VERSION[2],
        engine_version=".".join(map(str, ENGINE_VERSION)),
        engine_fields_checksum=fields_checksum,
    ).SerializeToString()
