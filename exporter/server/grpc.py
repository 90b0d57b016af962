"""gRPC: the outputs and version services, on a Unix socket, and on TCP with mutual TLS.

Takes calls of clients of the old outputs API, gives the alert stream. Works with clients that send
an empty request now and then (client-go, client-py), that never send, and that close their side.
Health and reflection are the standard services. Source: spec/peers.md 1e.
"""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from msgspec import Struct

from exporter import __version__
from exporter._proto import outputs_pb2, version_pb2
from exporter.errors import ServerError
from exporter.server.grpc_tls import GrpcTls, server_credentials
from exporter.server.stream import AlertStream
from exporter.server.subscription import EPOCH, Subscription, read_subscription
from exporter.server.versions import COMPATIBLE_VERSION, ENGINE_VERSION

_UNIX = "unix://"
_PATH_BYTES = 107
"""Room in the kernel's address of a Unix socket."""
_ANOTHER_PATH = "choose a path with --grpc-socket, or --grpc-socket '' for no gRPC"
_SOCKET_MODE = 0o600
_DIRECTORY_MODE = 0o750
SEQUENCE = "lanner-sequence"
"""Metadata of an answer: number of the newest alert when the call began."""

_SERVICES = (
    outputs_pb2.DESCRIPTOR.services_by_name["service"].full_name,
    version_pb2.DESCRIPTOR.services_by_name["service"].full_name,
)
_OPTIONS = (
    # A client that is gone without a word is noticed within a minute.
    ("grpc.keepalive_time_ms", 40_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Clients may do the same, on an idle stream too.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    # Requests are empty; what is larger is no client of ours.
    ("grpc.max_receive_message_length", 65_536),
    ("grpc.max_metadata_size", 16_384),
    # Two servers on one port would share its clients between them.
    ("grpc.so_reuseport", 0),
)
Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcOptions(Struct, frozen=True, kw_only=True):
    """socket_path, tls: where to listen; one of them at least.

    fields_checksum: digest of the field names rules may use. on_reload: told when changed
    certificates were read, with the error if they are no good.
    """

    socket_path: Path | None = None
    tls: GrpcTls | None = None
    fields_checksum: str = ""
    on_reload: Callable[[ServerError | None], None] = lambda _error: None


def parse_socket(text: str) -> Path:
    """Read `unix:///run/x.sock` or a plain absolute path. Raises ServerError."""
    path = text.removeprefix(_UNIX).removeprefix("unix:")
    if not path.startswith("/"):
        raise ServerError(
            f'"{text}" is no Unix socket that gRPC could listen on',
            code="S010",
            hint="write unix:///run/lanner/lanner.sock, or an empty text for none;"
            " TCP with mutual TLS is grpc.listen",
        )
    if len(os.fsencode(path)) > _PATH_BYTES:
        raise ServerError(
            f"the path of the gRPC socket is longer than {_PATH_BYTES} bytes: {path}",
            code="S010",
            hint="write a shorter one; the kernel has no room for more",
        )
    return Path(path)


class GrpcServer:
    """Serves one `AlertStream`."""

    def __init__(self, stream: AlertStream, options: GrpcOptions) -> None:
        self.port = 0
        """TCP port that is listened on; 0 without."""
        self._stream = stream
        self._options = options
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_handlers(stream, options),))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self) -> None:
        """Bind the socket (mode 0600), the TCP port, and begin to serve. Raises ServerError."""
        if self._options.socket_path is not None:
            self._bind_socket(self._options.socket_path)
        if self._options.tls is not None:
            self._bind_tcp(self._options.tls)
        await self.set_serving(is_serving=False)
        await self._server.start()

    async def set_serving(self, *, is_serving: bool) -> None:
        """What the health service says, of the server as a whole and of each service."""
        status = health_pb2.HealthCheckResponse
        for name in ("", *_SERVICES):
            await self._health.set(name, status.SERVING if is_serving else status.NOT_SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Let streams end after what waits for them, at most so long, then close and remove."""
        await self._health.enter_graceful_shutdown()
        self._stream.close()
        await self._server.stop(grace_seconds)
        if self._options.socket_path is not None:
            self._options.socket_path.unlink(missing_ok=True)

    def _bind_socket(self, path: Path) -> None:
        make_way(path)
        # The mask makes the socket private from its first moment; chmod alone would leave a gap.
        old_mask = os.umask(0o777 & ~_SOCKET_MODE)
        try:
            self._server.add_insecure_port(f"{_UNIX}{path}")
        except RuntimeError as error:
            raise ServerError(
                f"gRPC cannot listen on {path}: no socket can be made there, {error}",
                code="S011",
                hint=_ANOTHER_PATH,
            ) from error
        finally:
            os.umask(old_mask)

    def _bind_tcp(self, tls: GrpcTls) -> None:
        credentials = server_credentials(tls, self._options.on_reload)
        try:
            self.port = self._server.add_secure_port(str(tls.address), credentials)
        except RuntimeError as error:
            raise ServerError(
                f"gRPC cannot listen on {tls.address}: the port is in use or not ours to take",
                code="S011",
                hint="ss -ltnp shows who has it; choose another with grpc.listen",
            ) from error


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
            hint=_ANOTHER_PATH,
        ) from error
    if not stat.S_ISSOCK(mode):
        raise ServerError(
            f"gRPC cannot listen on {path}: it exists and is no socket",
            code="S011",
            hint=_ANOTHER_PATH,
        )
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
        subscription = await begin(context)
        if stream.subscriber_count >= stream.options.max_subscribers:
            stream.rejected["subscribers"] += 1
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{stream.options.max_subscribers} clients follow already (grpc.max_subscribers)",
            )
        # Requests carry nothing, but left unread they would fill the client's window.
        reader = asyncio.create_task(_read_all(requests))
        subscriber = stream.subscribe(subscription.position, subscription.test)
        try:
            # Sent at once: a client that has the metadata misses no alert from then on.
            await context.send_initial_metadata(answer_metadata())
            async for message in subscriber.messages():
                yield message
                stream.sent["sub"] += 1
        finally:
            stream.unsubscribe(subscriber)
            reader.cancel()

    async def get(_request: bytes, context: Context) -> AsyncIterator[bytes]:
        subscription = await begin(context)
        await context.send_initial_metadata(answer_metadata())
        if subscription == Subscription():
            messages = stream.drain_history()
        else:
            # A choice of alerts must not take the others away from those who drain.
            messages = stream.read_history(subscription.position, subscription.test)
        for message in messages:
            yield message

    async def begin(context: Context) -> Subscription:
        """What the client asks for, or the end of the call."""
        try:
            return read_subscription(context.invocation_metadata() or ())
        except ServerError as error:
            stream.rejected["metadata"] += 1
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            raise

    def answer_metadata() -> tuple[tuple[str, str], ...]:
        return ((EPOCH, stream.epoch), (SEQUENCE, str(stream.next_sequence - 1)))

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
