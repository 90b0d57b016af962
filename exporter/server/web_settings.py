"""The web configuration as it is now: read again when its file or a certificate changes.

Takes the file's name, gives users, headers and TLS contexts to the parts of the HTTP server. A
changed file that is no good leaves the settings before it in force, and is reported.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

from exporter.errors import ServerError
from exporter.server.file_stamp import file_stamp
from exporter.server.web_config import WebConfig, read_web_config
from exporter.server.web_tls import make_context

OnRead = Callable[[ServerError | None], None]


class WebSettings:
    """Settings of the HTTP server. Loop's thread only.

    on_read: called whenever a changed file was read, with the error if it is no good.
    """

    def __init__(self, path: Path | None, on_read: OnRead = lambda _error: None) -> None:
        """Read the file, if there is one. Raises ServerError."""
        self._path = path
        self._on_read = on_read
        self._config = WebConfig()
        self._context: ssl.SSLContext | None = None
        self._seen: list[tuple[int, int, int]] = []
        self.is_ok = True
        """Whether the newest reading worked."""
        if path is not None:
            self._read(path)
            self._seen = self._stamps(path)

    @property
    def has_tls(self) -> bool:
        """Whether connections are encrypted; does not change while running."""
        return self._context is not None

    def config(self) -> WebConfig:
        """The settings in force."""
        path = self._path
        if path is not None and (stamps := self._stamps(path)) != self._seen:
            self._seen = stamps
            try:
                self._read(path)
            except ServerError as error:
                self.is_ok = False
                self._on_read(error)
            else:
                # Another list of files may come with another configuration.
                self._seen = self._stamps(path)
                self.is_ok = True
                self._on_read(None)
        return self._config

    def has_client_certificates(self) -> bool:
        """Whether TLS lets only clients with a certificate of a known authority in, as of now."""
        tls = self.config().tls
        return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"

    def context(self) -> ssl.SSLContext:
        """TLS for the next connection."""
        self.config()
        assert self._context is not None
        return self._context

    def _read(self, path: Path) -> None:
        config = read_web_config(path)
        context = make_context(config.tls) if config.tls is not None else None
        if self._seen and (context is not None) != self.has_tls:
            raise ServerError(
                f"web configuration {path}: TLS cannot be switched on or off while running",
                code="S020",
            )
        self._config, self._context = config, context

    def _stamps(self, path: Path) -> list[tuple[int, int, int]]:
        tls = self._config.tls
        names = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls is not None else ()
        return [file_stamp(path), *(file_stamp(Path(name)) for name in names if name)]
