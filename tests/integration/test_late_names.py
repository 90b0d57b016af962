"""Rules on names and images are right from the first program of a container on."""

import http.server
import json
import os
import socketserver
import subprocess
import threading

import pytest

from tests.integration.live import Lanner, wait_until

pytestmark = pytest.mark.container

RULES = """
- macro: reads_shadow
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and container.id != host
- rule: of the image
  desc: d
  condition: reads_shadow and container.image.repository = reg.test/box
  output: "%proc.name %proc.cmdline %container.name"
  priority: WARNING
- rule: of another image
  desc: d
  condition: reads_shadow and not container.image.repository in (reg.test/box)
  output: "%container.name"
  priority: WARNING
- rule: of another namespace
  desc: d
  condition: reads_shadow and k8s.ns.name != shop
  output: "%container.name"
  priority: WARNING
"""


class SlowEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The Docker API of a daemon that lists nothing and tells of one container when it is let.

    may_answer: set when it may tell.
    """

    daemon_threads = True

    def __init__(self, path, container_id: str) -> None:
        self.may_answer = threading.Event()
        self.asked = threading.Event()
        self.is_over = threading.Event()
        self._id = container_id
        super().__init__(str(path), self._handler())
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, path: str) -> object:
        """What it says to a request; None for what it does not know."""
        if path.startswith("/containers/json"):
            return []
        if path.startswith("/containers/"):
            self.asked.set()
            self.may_answer.wait(10)
            labels = {"io.kubernetes.pod.namespace": "shop"}
            config = {"Image": "reg.test/box:1", "Labels": labels}
            return {"Id": self._id, "Name": "/boxy", "Image": "sha256:1", "Config": config}
        if path.startswith("/images/"):
            return {"RepoTags": ["reg.test/box:1"]}
        return {} if path.startswith("/version") else None

    def _handler(self):
        engine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection."""

            def do_GET(self):
                """Answer one request; events never come."""
                if self.path.startswith("/events"):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.flush()
                    engine.is_over.wait(60)
                    return
                found = engine.answer(self.path)
                body = json.dumps(found).encode()
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self):
                """A Unix socket's clients have none."""
                return ""

            def log_message(self, *_args):
                """Say nothing."""

        return Handler


@pytest.fixture
def start(tmp_path, container):
    """A Lanner that knows the slow engine only."""
    started: list[Lanner] = []
    engine = SlowEngine(tmp_path / "d.sock", container.id)

    def begin(hold: str):
        rules = tmp_path / "rules.yaml"
        rules.write_text(RULES)
        config = (
            f"rule_matching: all\ncontainers: {{hold: {hold}, podman_storage: [], sockets: "
            f"{{docker: [{tmp_path}/d.sock], podman: [], cri: [], containerd: []}}}}\n"
        )
        scope = ("--scope-pid", str(os.getpid()))
        lanner = Lanner(tmp_path, "--json", *scope, "-r", str(rules), config=config)
        started.append(lanner)
        lanner.wait_ready()
        up = "lanner_container_runtime_up"
        wait_until(lambda: lanner.total(up, engine="docker", default=0) == 1, 10, "the engine")
        return lanner, engine

    yield begin
    for lanner in started:
        lanner.kill()
    engine.is_over.set()
    engine.shutdown()
    engine.server_close()


def test_decisions_wait_for_the_image(start, container):
    """Alerts of exactly the rules that are true of it, of processes as they were."""
    lanner, engine = start("10s")
    subprocess.run(container.command("cat", "/etc/shadow"), check=True, capture_output=True)
    assert engine.asked.wait(10)
    held = "lanner_match_holds_total"
    wait_until(lambda: lanner.total(held, step="held") == 3, 10, "the decisions to be held")
    assert lanner.alerts() == []

    engine.may_answer.set()
    alert = lanner.wait_alert(lambda _alert: True)
    assert alert["rule"] == "of the image"
    assert " cat cat /etc/shadow boxy " in alert["output"]
    wait_until(lambda: lanner.total(held, step="completed") == 3, 10, "all to be decided")
    assert [alert["rule"] for alert in lanner.alerts()] == ["of the image"]


def test_at_the_bound_what_is_known_decides(start, container):
    """No answer in time: as with an engine that does not know it, and counted."""
    lanner, engine = start("300ms")
    subprocess.run(container.command("cat", "/etc/shadow"), check=True, capture_output=True)
    assert engine.asked.wait(10)

    lanner.wait_alert(lambda alert: alert["rule"] == "of another image")
    assert [alert["rule"] for alert in lanner.alerts()] == ["of another image"]
    assert lanner.total("lanner_match_holds_total", step="timed_out") == 3
