"""TLS of the HTTP server: from a web configuration to a context, made anew for new connections.

Takes `TlsSection`, gives what asyncio takes for a context and what looks at the file at every
handshake, so that renewed certificates are used without a restart.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from exporter.errors import ServerError
from exporter.server.web_config import TlsSection

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1"}
_SUITE = re.compile(
    r"TLS_(?P<key>RSA|ECDHE_RSA|ECDHE_ECDSA)_WITH_"
    r"(?:AES_(?P<bits>128|256)_(?P<mode>CBC_SHA(?:256)?|GCM_SHA(?:256|384))"
    r"|(?P<chacha>CHACHA20_POLY1305)(?:_SHA256)?)"
)
_TLS13_SUITES = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
}


def make_context(tls: TlsSection) -> ssl.SSLContext:
    """The context that the section describes. Raises ServerError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    if tls.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    _set_suites(context, tls)
    _set_curves(context, tls)
    certificate = tls.cert_file or "cert"
    try:
        with _as_file(tls.cert_file, tls.cert) as cert, _as_file(tls.key_file, tls.key) as key:
            context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ServerError) as error:
        raise _error(
            f"certificate {certificate} with key {tls.key_file or 'key'}", error
        ) from error
    if tls.client_ca or tls.client_ca_file:
        try:
            context.load_verify_locations(
                cafile=tls.client_ca_file or None, cadata=tls.client_ca or None
            )
        except OSError as error:
            raise _error(f"authorities {tls.client_ca_file or 'client_ca'}", error) from error
        is_required = tls.client_auth_type == "RequireAndVerifyClientCert"
        context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL
    return context


class ReloadingContext(ssl.SSLContext):
    """A context that asks for the context of each connection; asyncio takes it for one."""

    current: Callable[[], ssl.SSLContext]

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> Self:
        """A context over `current`, which is called at every handshake."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.current = current
        return made

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """The TLS object of one connection."""
        return self.current().wrap_bio(*args, **options)


def is_allowed(certificate: dict[str, Any] | None, allowed: Iterable[str]) -> bool:
    """Whether one of the certificate's alternative names is in the list."""
    names = (certificate or {}).get("subjectAltName", ())
    return not {value for _, value in names}.isdisjoint(allowed)


def _set_suites(context: ssl.SSLContext, tls: TlsSection) -> None:
    names = [_openssl_name(name) for name in tls.cipher_suites if name not in _TLS13_SUITES]
    if not names:
        return
    try:
        context.set_ciphers(":".join(names))
    except ssl.SSLError as error:
        raise ServerError(
            f"cipher_suites: none of {', '.join(tls.cipher_suites)} is known here", code="S021"
        ) from error


def _openssl_name(name: str) -> str:
    match = _SUITE.fullmatch(name)
    if match is None:
        raise ServerError(f'cipher_suites: "{name}" is unknown', code="S021")
    parts = [] if match["key"] == "RSA" else [match["key"].replace("_", "-")]
    if match["chacha"]:
        parts.append("CHACHA20-POLY1305")
    else:
        mode = match["mode"].removeprefix("CBC_").replace("_", "-")
        parts.append(f"AES{match['bits']}-{mode}")
    return "-".join(parts)


def _set_curves(context: ssl.SSLContext, tls: TlsSection) -> None:
    if not tls.curve_preferences:
        return
    curves = [_CURVES.get(name) for name in tls.curve_preferences]
    if len(curves) != 1 or curves[0] is None:
        raise ServerError(
            f"curve_preferences: one of {', '.join(_CURVES)} can be chosen here, not"
            f" {', '.join(tls.curve_preferences)}",
            code="S021",
            hint="leave the key out: OpenSSL's own choice is X25519 first, then these",
        )
    context.set_ecdh_curve(curves[0])


@contextmanager
def _as_file(name: str, text: str) -> Any:
    """A file name for OpenSSL, which reads nothing else: of the file, or of the text in memory."""
    if name:
        yield name
        return
    memory = os.memfd_create("pem")
    try:
        Path(f"/proc/self/fd/{memory}").write_text(text, encoding="utf-8")
        yield f"/proc/self/fd/{memory}"
    finally:
        os.close(memory)


def _no_password() -> str:
    raise ServerError("the key is encrypted")


def _error(what: str, error: Exception) -> ServerError:
    reason = error.message if isinstance(error, ServerError) else None
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no PEM").replace("_", " ").lower()
    elif isinstance(error, OSError):
        reason = error.strerror
    return ServerError(f"cannot use {what}: {reason}", code="S021")
