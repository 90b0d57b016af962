"""Certificates of the gRPC server on TCP: always mutual, read again when the files change.

Takes three PEM files under the names that Falco's configuration has, gives gRPC's credentials.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
from msgspec import Struct

from exporter.errors import ServerError
from exporter.server.address import Address
from exporter.server.file_stamp import file_stamp


class GrpcTls(Struct, frozen=True, kw_only=True):
    """Where to listen, our key and certificates, and the authorities of clients' certificates."""

    address: Address
    private_key: Path
    cert_chain: Path
    root_certs: Path

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """All files."""
        return self.private_key, self.cert_chain, self.root_certs


def server_credentials(
    tls: GrpcTls, on_reload: Callable[[ServerError | None], None]
) -> grpc.ServerCredentials:
    """Credentials that refuse clients without a certificate of our authorities.

    on_reload: called in a thread of gRPC when changed files have been read, with the error if they
    are no good: then the old ones stay. Raises ServerError when the files are no good now.
    """
    changes = _Changes(tls, on_reload)
    return grpc.dynamic_ssl_server_credentials(
        read_certificates(tls),
        # The stubs do not know that None is taken for "as before".
        cast("Callable[[], grpc.ServerCertificateConfiguration]", changes.read_if_changed),
        require_client_authentication=True,
    )


def read_certificates(tls: GrpcTls) -> grpc.ServerCertificateConfiguration:
    """The three files. Raises ServerError that names the one that is no good."""
    key, chain, roots = (_read(path) for path in tls.files)
    # gRPC says nothing of a wrong file until a client comes; OpenSSL says it now.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.cert_chain, tls.private_key, password=_no_password)
    except (ssl.SSLError, ServerError) as error:
        raise ServerError(
            f"gRPC cannot use the certificate {tls.cert_chain} with the key {tls.private_key}:"
            f" {_reason(error)}",
            code="S013",
        ) from error
    try:
        context.load_verify_locations(cadata=roots.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise ServerError(
            f"gRPC cannot use the authorities in {tls.root_certs}: {_reason(error)}", code="S013"
        ) from error
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=roots)


class _Changes:
    """Notices that a file has changed since it was read last."""

    def __init__(self, tls: GrpcTls, on_reload: Callable[[ServerError | None], None]) -> None:
        self._tls = tls
        self._on_reload = on_reload
        self._seen = self._stamps()

    def read_if_changed(self) -> grpc.ServerCertificateConfiguration | None:
        """For every handshake: the new files, or None to go on with the old ones."""
        stamps = self._stamps()
        if stamps == self._seen:
            return None
        self._seen = stamps
        try:
            found = read_certificates(self._tls)
        except ServerError as error:
            self._on_reload(error)
            return None
        self._on_reload(None)
        return found

    def _stamps(self) -> list[tuple[int, int, int]]:
        return [file_stamp(path) for path in self._tls.files]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServerError(f"gRPC cannot read {path}: {error.strerror}", code="S013") from error


def _no_password() -> str:
    raise ServerError("the key is encrypted")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return error.message if isinstance(error, ServerError) else str(error)
