"""Who may ask the HTTP server: basic authentication, bearer tokens, or nobody but this machine.

Takes the headers of a request, gives whether it may go on. Comparing a password takes some 60 ms of
processor time by design, so it happens in a thread, one at a time, and its outcome is remembered.
"""

import asyncio
import base64
import binascii
import contextlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import bcrypt

from exporter.errors import ServerError
from exporter.server.file_stamp import file_stamp

_MAX_REMEMBERED = 256
_MAX_PASSWORD = 72
"""Bytes that bcrypt looks at; the rest of a password never counted."""


class BearerToken:
    """The token of a setting or of a file, which may be replaced while running."""

    def __init__(self, token: str, file: Path | None) -> None:
        """Raises ServerError when the file cannot be read or is empty."""
        self._token = token.encode()
        self._file = file
        self._seen = (0, 0, 0)
        if file is not None:
            self._token = self._read(file)

    @property
    def is_set(self) -> bool:
        """Whether there is a token at all."""
        return bool(self._token)

    def is_right(self, token: bytes) -> bool:
        """Compare in constant time."""
        if self._file is not None and file_stamp(self._file) != self._seen:
            # While a file is being replaced, the token before it stays in force.
            with contextlib.suppress(ServerError):
                self._token = self._read(self._file)
        return bool(self._token) and hmac.compare_digest(self._token, token)

    def _read(self, file: Path) -> bytes:
        self._seen = file_stamp(file)
        try:
            token = file.read_bytes().strip()
        except OSError as error:
            raise ServerError(
                f"cannot read the bearer token in {file}: {error.strerror}", code="S022"
            ) from error
        if not token:
            raise ServerError(f"the bearer token in {file} is empty", code="S022")
        return token


class Passwords:
    """Checks passwords against bcrypt hashes."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, bool] = OrderedDict()
        self._turn = asyncio.Semaphore(1)

    async def is_right(self, users: Mapping[str, bytes], user: str, password: bytes) -> bool:
        """Whether this is the user's password. An unknown user takes as long as a known one."""
        hashed = users.get(user)
        against = hashed or next(iter(users.values()))
        password = password[:_MAX_PASSWORD]
        key = hmac.digest(self._secret, against + b"\0" + password, sha256)
        is_right = self._remembered.get(key)
        if is_right is None:
            async with self._turn:
                is_right = await asyncio.to_thread(_matches, password, against)
            self._remembered[key] = is_right
            if len(self._remembered) > _MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return is_right and hashed is not None


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:
        return False


class Authenticator:
    """Decides by the Authorization header. users: those of the web configuration in force."""

    def __init__(self, users: Callable[[], Mapping[str, bytes]], token: BearerToken) -> None:
        self._users = users
        self._token = token
        self._passwords = Passwords()

    @property
    def is_needed(self) -> bool:
        """Whether there is any way to authenticate."""
        return self._token.is_set or bool(self._users())

    @property
    def challenge(self) -> str:
        """What a client without credentials is told to have."""
        ways = ['Basic realm="lanner"'] if self._users() else []
        return ", ".join([*ways, "Bearer"] if self._token.is_set else ways)

    async def is_right(self, authorization: str) -> bool:
        """Whether the header has a right token, or a right user and password."""
        scheme, _, value = authorization.partition(" ")
        value = value.strip()
        if scheme.lower() == "bearer" and self._token.is_set:
            return self._token.is_right(value.encode("latin-1", "replace"))
        users = self._users()
        if scheme.lower() != "basic" or not users:
            return False
        try:
            user, _, password = base64.b64decode(value, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return await self._passwords.is_right(users, user.decode("utf-8", "replace"), password)
