"""A mock of the Kubernetes API over real HTTPS: list and watch of pods, as far as Lanner asks."""

import json
import queue
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from exporter.sources.runtimes.kubernetes import KubernetesEngine, KubernetesOptions

ID = "0123456789ab" + "c" * 52
OTHER = "fedcba987654" + "d" * 52
HASH = "sha256:" + "0f" * 32
SECONDS = 10


def make_pod(name="web-7d4b-x2x", version="5", ids=(ID,), **metadata):
    """A pod of a Deployment with one container each id."""
    return {
        "metadata": {
            "name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": version,
            "labels": {"app": "web", "pod-template-hash": "7d4b"},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "web-7d4b", "controller": True},
            ],
            **metadata,
        },
        "spec": {
            "hostNetwork": True,
            "containers": [{
                "name": "main",
                "securityContext": {"privileged": True},
                "volumeMounts": [{"name": "v", "mountPath": "/data", "readOnly": True},
                                 {"name": "token", "mountPath": "/token"}],
            }],
            "volumes": [{"name": "v", "hostPath": {"path": "/srv"}}, {"name": "token"}],
        },
        "status": {
            "podIP": "10.0.0.9",
            "containerStatuses": [
                {"name": "main", "containerID": f"containerd://{container}",
                 "image": "reg.test/app:2", "imageID": f"reg.test/app@{HASH}",
                 "state": {"running": {"startedAt": "2026-11-25T20:56:58Z"}}}
                for container in ids
            ],
        },
    }  # fmt: skip


class Api:
    """The mock: pages of pods, one queue of watch events, and what was asked."""

    def __init__(self, directory) -> None:
        self.pages = [{"metadata": {"resourceVersion": "5"}, "items": [make_pod()]}]
        self.watches: queue.Queue[list[object]] = queue.Queue()
        self.requests: list[tuple[str, dict[str, list[str]], str | None]] = []
        self.status = 200
        api = self

        class Handler(BaseHTTPRequestHandler):
            """Two answers: a page of the list, or lines of the watch."""

            def do_GET(self):
                url = urlsplit(self.path)
                query = parse_qs(url.query)
                api.requests.append((url.path, query, self.headers.get("Authorization")))
                self.send_response(api.status)
                self.end_headers()
                if "watch" in query:
                    for event in api.watches.get(timeout=SECONDS):
                        self.wfile.write(json.dumps(event).encode() + b"\n")
                elif api.status == 200:
                    page = int(query.get("continue", ["0"])[0])
                    self.wfile.write(json.dumps(api.pages[page]).encode())

            def log_message(self, *_):
                """Quiet."""

        self.ca_file = directory / "ca.crt"
        key = directory / "ca.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", key, "-out", self.ca_file, "-days", "2", "-subj", "/CN=api",
             "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, capture_output=True,
        )  # fmt: skip
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.token_file = directory / "token"
        self.token_file.write_text("first\n")
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.server.server_port}"

    def engine(self, **changed) -> KubernetesEngine:
        """A client of this server."""
        options: dict[str, Any] = {
            "api": self.url,
            "node": "node 1",
            "token_file": str(self.token_file),
            "ca_file": str(self.ca_file),
            "label_max_len": 100,
        }
        return KubernetesEngine(KubernetesOptions(**(options | changed)))

    def close(self) -> None:
        """Stop listening."""
        self.watches.put([])
        self.server.shutdown()
        self.server.server_close()
