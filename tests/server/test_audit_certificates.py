"""The audit web hook behind TLS that asks clients for certificates: these take a token's place."""

import http.client
import ssl
from pathlib import Path

import pytest
from starlette.routing import Route

from exporter.app.audit import audit_routes, make_inbox
from exporter.app.logs import start_log
from exporter.app.node_settings import http_options
from exporter.config.load import load_config
from exporter.metrics.registry import Registry
from exporter.server.address import Address, bind_socket
from exporter.server.http import HttpHooks, HttpServer, make_app
from tests.server.certificates import Authority, Pair

WEB_CONFIG = """
tls_server_config:
  cert_file: {server.cert}
  key_file: {server.key}
"""
CLIENTS = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {ca.cert}\n"


class Hook:
    """The HTTP server of a node that would take events from every address, without a token."""

    def __init__(self, loop_thread, directory: Path) -> None:
        self._loop = loop_thread
        self.authority = Authority(directory, "ca")
        self.client = self.authority.sign("apiserver")
        self._server_pair = self.authority.sign("server")
        self._file = directory / "web.yaml"
        self.configure(has_clients=True)
        config = load_config(
            None,
            ("k8s_audit.enabled=true", f"http.web_config_file={self._file}", "http.listen=:9376"),
        )
        inbox = make_inbox(config, b"", start_log("error", "json"))
        assert inbox is not None
        inbox.open()
        options = http_options(config)
        self._routes: list[Route] = audit_routes(
            config, inbox, Registry(), options.web.has_client_certificates
        )
        self._options = options
        loop_thread.run(self._start())

    def configure(self, *, has_clients: bool) -> None:
        """Write the web configuration."""
        text = WEB_CONFIG + (CLIENTS if has_clients else "")
        self._file.write_text(text.format(server=self._server_pair, ca=self.authority.pair))

    async def _start(self) -> None:
        hooks = HttpHooks(metrics=Registry().page, unready_reasons=list, reload=self._reload)
        # Its configuration says every address; the test's socket is on this machine only.
        self.server = HttpServer(
            make_app(hooks, self._routes), bind_socket(Address("127.0.0.1", 0)), self._options
        )
        self.server.start()

    async def _reload(self) -> str:
        return ""

    def stop(self) -> None:
        """Close it."""
        self._loop.run(self.server.stop())

    def post(self, client: Pair | None) -> int:
        """The status of a batch; 0 when TLS did not let it through."""
        context = ssl.create_default_context(cafile=str(self.authority.pair.cert))
        if client is not None:
            context.load_cert_chain(client.cert, client.key)
        connection = http.client.HTTPSConnection(
            "localhost", self.server.address.port, timeout=10, context=context
        )
        try:
            connection.request("POST", "/k8s-audit", "[]", {"Content-Type": "application/json"})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


@pytest.fixture
def hook(loop_thread, tmp_path):
    """One, started."""
    hook = Hook(loop_thread, tmp_path)
    yield hook
    hook.stop()


def test_a_certificate_takes_the_tokens_place(hook, tmp_path):
    """A client of our authority sends without a token; without, or of another one, nobody does."""
    strangers = tmp_path / "strangers"
    strangers.mkdir()

    assert hook.post(hook.client) == 200
    assert hook.post(None) == 0
    assert hook.post(Authority(strangers, "other").sign("apiserver")) == 0


def test_no_stranger_gets_in_when_certificates_are_no_longer_asked_for(hook):
    """The web configuration changes while running: the hook closes, whatever clients show."""
    hook.configure(has_clients=False)

    assert hook.post(None) == 403
    assert hook.post(hook.client) == 403
    hook.configure(has_clients=True)
    assert hook.post(hook.client) == 200
    assert hook.post(None) == 0
