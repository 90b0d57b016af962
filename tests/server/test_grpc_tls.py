"""gRPC over TCP: mutual TLS or nothing, and certificates that may be replaced."""

import shutil
from pathlib import Path
from typing import cast

import grpc
import pytest

from exporter._proto import outputs_pb2, outputs_pb2_grpc, version_pb2, version_pb2_grpc
from exporter.errors import ServerError
from exporter.server.address import Address
from exporter.server.grpc import GrpcOptions, GrpcServer
from exporter.server.grpc_tls import GrpcTls, read_certificates
from exporter.server.stream import AlertStream, StreamOptions
from tests.alerts.conftest import make_alert
from tests.server.certificates import Authority, Pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Signs our server's and our clients' certificates."""
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


def copied(source: Path, place: Path) -> Path:
    """A copy that a test may replace."""
    shutil.copy(source, place)
    return place


class Served:
    """A server on a free TCP port."""

    def __init__(self, loop_thread, directory, authority: Authority) -> None:
        self.loop_thread = loop_thread
        self.authority = authority
        pair = authority.sign("server")
        self.tls = GrpcTls(
            address=Address("127.0.0.1", 0),
            private_key=copied(pair.key, directory / "server.key"),
            cert_chain=copied(pair.cert, directory / "server.crt"),
            root_certs=copied(authority.pair.cert, directory / "ca.crt"),
        )
        self.reloads: list[ServerError | None] = []

    async def start(self) -> None:
        """Serve."""
        self.stream = AlertStream(StreamOptions())
        self.server = GrpcServer(
            self.stream, GrpcOptions(tls=self.tls, on_reload=self.reloads.append)
        )
        await self.server.start()

    def channel(self, client: Pair | None, trusted: Authority | None = None):
        """A client's channel."""
        credentials = grpc.ssl_channel_credentials(
            (trusted or self.authority).pair.cert.read_bytes(),
            client.key.read_bytes() if client else None,
            client.cert.read_bytes() if client else None,
        )
        return grpc.secure_channel(f"127.0.0.1:{self.server.port}", credentials)

    def code(self, client: Pair | None, trusted: Authority | None = None) -> grpc.StatusCode:
        """How a call of this client ends."""
        with self.channel(client, trusted) as channel:
            stub = version_pb2_grpc.serviceStub(channel)
            return cast(
                "grpc.StatusCode", stub.version.future(version_pb2.request(), timeout=10).code()
            )


@pytest.fixture
def served(loop_thread, tmp_path, authority):
    """A running server."""
    served = Served(loop_thread, tmp_path, authority)
    loop_thread.run(served.start())
    yield served
    loop_thread.run(served.server.stop(1))


def test_a_client_of_our_authority_follows(served, authority) -> None:
    """With a certificate of the authority, the stream is as on the Unix socket."""
    with served.channel(authority.sign("client")) as channel:
        stream = outputs_pb2_grpc.serviceStub(channel).sub(iter([outputs_pb2.request()]))
        stream.initial_metadata()
        served.loop_thread.call(served.stream.publish, [make_alert(rule="seen")])
        got = next(stream).rule
        stream.cancel()

    assert got == "seen"


def test_every_other_client_is_refused(served, authority, tmp_path) -> None:
    """No certificate, or one of another authority, and no TLS at all: nobody gets in."""
    stranger = Authority(tmp_path, "strangers").sign("stranger")
    with grpc.insecure_channel(f"127.0.0.1:{served.server.port}") as channel:
        stub = version_pb2_grpc.serviceStub(channel)
        plain = stub.version.future(version_pb2.request(), timeout=10).code()

    assert served.code(None) == grpc.StatusCode.UNAVAILABLE
    assert served.code(stranger) == grpc.StatusCode.UNAVAILABLE
    assert plain == grpc.StatusCode.UNAVAILABLE
    assert served.code(authority.sign("good")) == grpc.StatusCode.OK


def test_replaced_certificates_are_used_from_the_next_client_on(served, tmp_path) -> None:
    """Without a restart; files that are no good leave the old ones in use and are reported."""
    directory = tmp_path / "new"
    directory.mkdir()
    new = Authority(directory, "new")
    pair = new.sign("server2")
    old_client = served.authority.sign("old-client")
    shutil.copy(pair.key, served.tls.private_key)
    broken = served.code(old_client)
    shutil.copy(pair.cert, served.tls.cert_chain)
    shutil.copy(new.pair.cert, served.tls.root_certs)
    client = new.sign("client2")

    assert broken == grpc.StatusCode.OK
    assert isinstance(served.reloads[0], ServerError)
    assert served.code(client, new) == grpc.StatusCode.OK
    assert served.reloads[-1] is None
    assert served.code(old_client, new) == grpc.StatusCode.UNAVAILABLE


def test_a_port_in_use_is_said_so(served, loop_thread) -> None:
    """A second server does not share the port."""
    taken = GrpcTls(
        address=Address("127.0.0.1", served.server.port),
        private_key=served.tls.private_key,
        cert_chain=served.tls.cert_chain,
        root_certs=served.tls.root_certs,
    )

    async def start() -> None:
        await GrpcServer(AlertStream(StreamOptions()), GrpcOptions(tls=taken)).start()

    with pytest.raises(ServerError, match="the port is in use"):
        loop_thread.run(start())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("private_key", None, "cannot read .*: No such file"),
        ("private_key", b"no key", "cannot use the certificate .* with the key .*: "),
        ("cert_chain", b"", "cannot use the certificate"),
        ("root_certs", b"none", "cannot use the authorities in "),
    ],
)
def test_files_that_are_no_good_are_named(served, name, content, message) -> None:
    """At the start, not when the first client comes."""
    path = getattr(served.tls, name)
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ServerError, match=message):
        read_certificates(served.tls)
