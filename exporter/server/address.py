"""Listening addresses as users write them, and the sockets made of them.

Takes `:9376`, `127.0.0.1:0`, `[::]:9376`, `localhost:9376`, gives a bound socket or one sentence
that says why not.
"""

import errno
import ipaddress
import socket
from dataclasses import dataclass

from exporter.errors import ServerError

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port to listen on; an empty host means every IPv4 address."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "0.0.0.0"  # noqa: S104
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`; the host may be missing or an IPv6 address in brackets.

    Raises ServerError.
    """
    host, colon, port = text.rpartition(":")
    hint = "write HOST:PORT, such as :9376, 127.0.0.1:9376 or [::]:9376"
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ServerError(f'"{text}" is no listening address', code="S001", hint=hint)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ServerError(f'"{text}" has an IPv6 address without brackets', code="S001", hint=hint)
    return Address(host, int(port))


def bind_socket(address: Address) -> socket.socket:
    """A listening TCP socket on the address; port 0 takes a free one. Raises ServerError."""
    try:
        family, kind, proto, _, place = socket.getaddrinfo(
            address.host or "0.0.0.0",  # noqa: S104  a scraper comes from another machine
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
    except (OSError, UnicodeError) as error:  # the latter for names that DNS cannot hold
        raise ServerError(
            f'cannot listen on {address}: the host "{address.host}" is unknown', code="S002"
        ) from error
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise _bind_error(address, error) from error
    sock.setblocking(False)
    return sock


def bound_address(sock: socket.socket) -> Address:
    """Where a bound socket really listens (the port that 0 became)."""
    host, port = sock.getsockname()[:2]
    return Address(str(host), int(port))


def _bind_error(address: Address, error: OSError) -> ServerError:
    if error.errno == errno.EADDRINUSE:
        return ServerError(
            f"cannot listen on {address}: the port is in use",
            code="S003",
            hint="stop the other program (ss -ltnp shows it) or choose a port with --listen",
        )
    if error.errno == errno.EACCES:
        return ServerError(
            f"cannot listen on {address}: ports below 1024 need CAP_NET_BIND_SERVICE",
            code="S003",
            hint="choose a higher port with --listen",
        )
    return ServerError(f"cannot listen on {address}: {error.strerror}", code="S003")
