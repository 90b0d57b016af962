"""Real Prometheus and Alertmanager, and a receiver of Alertmanager's webhooks; all on loopback."""

import contextlib
import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.integration.live import ROOT, STOP_SECONDS, free_port, wait_until

START_SECONDS = 30


class Server:
    """One program that answers /-/ready; its log is kept beside its data."""

    def __init__(self, name: str, directory: Path, port: int, *options: str) -> None:
        program = shutil.which(name)
        assert program, f"{name} is missing: run make setup-dev"
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = directory / f"{name}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [program, f"--web.listen-address=127.0.0.1:{port}", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self) -> None:
        """Wait until it serves."""

        def ready() -> bool:
            assert self.process.poll() is None, self._log.read_text()[-2000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready"):
                return True
            return False

        wait_until(ready, START_SECONDS, f"{self._log.stem} to be ready")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ConfiguredPrometheus(Server):
    """Prometheus with a configuration of its own and an empty store."""

    def __init__(self, directory: Path, config: Mapping[str, Any], *options: str) -> None:
        file = directory / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config))
        super().__init__(
            "prometheus",
            directory,
            free_port(),
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            *options,
        )


class Prometheus(ConfiguredPrometheus):
    """Prometheus with our rules files.

    targets: job -> addresses. interval: of scrapes and evaluations. instances: address -> what it
    is called. labels: of every target.
    """

    def __init__(
        self,
        directory: Path,
        targets: Mapping[str, Sequence[str]],
        *,
        alertmanager: str = "",
        interval: str = "5s",
        instances: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        def static(address: str) -> dict[str, Any]:
            instance = (instances or {}).get(address, address)
            return {"targets": [address], "labels": {"instance": instance, **(labels or {})}}

        managers = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
        config = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [str(ROOT / "dashboards" / "alerts" / "*.yaml")],
            "alerting": {"alertmanagers": managers},
            "scrape_configs": [
                {"job_name": job, "static_configs": [static(address) for address in addresses]}
                for job, addresses in targets.items()
            ],
        }
        super().__init__(directory, config)

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The samples of an instant query. Raises AssertionError with Prometheus' own words."""
        parameters = {"query": expression} | ({} if at is None else {"time": str(at)})
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{expression}\n{error.read().decode()}") from None
        result: list[dict[str, Any]] = body["data"]["result"]
        return result


class Alertmanager(Server):
    """Alertmanager with the example of routing, its receivers led to a webhook of the test."""

    def __init__(self, directory: Path, receiver: str) -> None:
        text = (ROOT / "dashboards" / "alertmanager" / "alertmanager.yaml").read_text()
        config = yaml.safe_load(text)
        for entry in config["receivers"]:
            entry["webhook_configs"] = [{"url": f"{receiver}/{entry['name']}"}]
        file = directory / "alertmanager.yaml"
        file.write_text(yaml.safe_dump(config))
        super().__init__(
            "prometheus-alertmanager",
            directory,
            free_port(),
            f"--config.file={file}",
            f"--storage.path={directory / 'alertmanager'}",
            "--cluster.listen-address=",
        )


class Webhook:
    """Receives what Alertmanager sends. pages: (time.monotonic(), receiver's name, alert)."""

    def __init__(self) -> None:
        self.pages: list[tuple[float, str, dict[str, Any]]] = []
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            """One notification."""

            def do_POST(self) -> None:
                """Keep its alerts."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now, name = time.monotonic(), self.path.strip("/")
                pages.extend((now, name, alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
