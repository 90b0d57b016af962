"""Audit events through a whole node: web hook and log file in, lines and counters out."""

import asyncio
import json
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from exporter.app.audit import Occasionally, audit_routes, make_inbox
from exporter.app.compose import compose
from exporter.app.logs import start_log
from exporter.app.node import Node
from exporter.config.load import load_config
from exporter.config.schema import Config
from exporter.errors import LannerError
from exporter.metrics.registry import Registry
from tests.app.conftest import wait_for

RULES = """
- rule: Shell in pod
  desc: d
  condition: ka.verb=create and ka.target.resource=pods and ka.target.subresource=exec
  output: exec (user=%ka.user.name pod=%ka.target.name command=%ka.uri.param[command])
  priority: NOTICE
  source: k8s_audit
- rule: Any pod
  desc: d
  condition: ka.verb=create and ka.target.resource=pods
  output: pod %ka.resp.name
  priority: INFO
  source: k8s_audit
- rule: Not for audit events
  desc: d
  condition: evt.num > 0
  output: o
  priority: INFO
"""


def event(name: str, **keys: Any) -> dict[str, Any]:
    """An audit event about a pod."""
    return {
        "kind": "Event",
        "auditID": name,
        "stage": "ResponseComplete",
        "stageTimestamp": "2024-05-01T12:00:00.000001Z",
        "verb": "create",
        "requestURI": "/api/v1/namespaces/prod/pods/web/exec?command=id&container=c",
        "user": {"username": "joe"},
        "objectRef": {"resource": "pods", "namespace": "prod", "name": name},
    } | keys


class RunningNode:
    """A node of the configuration, without a probe, in a thread of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.node: Node | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        wait_for(lambda: bool(self.node and self.node.is_ready))

    async def _main(self) -> None:
        log = start_log("error", "json")
        self.node = Node(compose(self._config, None, log), log)
        await self.node.run()

    def request(self, path: str, document: object = None, **headers: str) -> tuple[int, str]:
        """Status and text."""
        assert self.node is not None
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(
            f"http://{self.node.http_address}{path}",
            data=data,
            headers={"Content-Type": "application/json"} | headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def sample(self, start: str) -> float:
        """The value of the one sample whose line begins so; 0 when it is not there."""
        lines = [li for li in self.request("/metrics")[1].splitlines() if li.startswith(start)]
        return float(lines[0].rsplit(" ", 1)[1]) if lines else 0

    def stop(self) -> None:
        """Stop as SIGTERM does."""
        if self.node is not None and self._thread.is_alive():
            self.node.request_stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def start(tmp_path):
    """Starts nodes with these rules; further options as for -o."""
    (tmp_path / "rules.yaml").write_text(RULES)
    nodes: list[RunningNode] = []

    def make(*options: str) -> RunningNode:
        fixed = (
            f"rules_files={tmp_path / 'rules.yaml'}",
            "probe.enabled=false",
            "k8s_audit.enabled=true",
            "http.listen=127.0.0.1:0",
            'grpc.socket=""',
            "json_output=true",
        )
        nodes.append(RunningNode(load_config(None, (*fixed, *options))))
        return nodes[-1]

    yield make
    for node in nodes:
        node.stop()


def lines(capfd, count: int) -> list[dict[str, Any]]:
    """So many alerts of standard output, once they are there."""
    text = ""

    def are_there() -> bool:
        nonlocal text
        text += capfd.readouterr().out
        return bool(text.count("\n") >= count)

    wait_for(are_there)
    alerts = [json.loads(line) for line in text.splitlines()]
    assert len(alerts) == count
    return alerts


def test_a_batch_becomes_alerts_and_counters(start, capfd):
    """Each event raises its first rule; namespace and pod of the object are the alert's labels."""
    node = start()
    exec_ref = {"resource": "pods", "namespace": "prod", "name": "web", "subresource": "exec"}
    items = [
        event("1", objectRef=exec_ref),
        event("2", responseObject={"metadata": {"name": "made-up"}},
              objectRef={"resource": "pods", "namespace": "dev"}),
        event("3", objectRef={"resource": "nodes", "name": "n"}),
    ]  # fmt: skip

    assert node.request("/k8s-audit", {"kind": "EventList", "items": items})[0] == 200
    shell, pod = lines(capfd, 2)
    assert shell["rule"] == "Shell in pod"
    assert shell["source"] == "k8s_audit"
    assert shell["time"] == "2024-05-01T12:00:00.000001000Z"
    assert shell["output"].endswith("Notice exec (user=joe pod=web command=id)")
    assert (pod["rule"], pod["output_fields"]["ka.resp.name"]) == ("Any pod", "made-up")
    labels = 'container="",k8s_ns_name="%s",k8s_pod_name="%s",priority="%s",rule="%s"'
    of = f"lanner_alerts_total{{{labels}"
    assert node.sample(of % ("prod", "web", "Notice", "Shell in pod")) == 1
    assert node.sample(of % ("dev", "made-up", "Informational", "Any pod")) == 1
    assert node.sample('lanner_events_total{stage="delivered",type="pluginevent"}') == 3
    assert node.sample("lanner_probe_attached") == 0
    assert node.request("/readyz")[0] == 200


def test_what_was_taken_is_matched_before_the_end(start, capfd):
    """Stopping right after the answer loses nothing; what cannot be used is counted before."""
    node = start()
    node.request("/k8s-audit", [event("late"), event("no time", stageTimestamp=None), {}])
    wait_for(lambda: node.sample('lanner_events_dropped_total{reason="not_audit"'))
    assert (
        node.sample('lanner_events_dropped_total{reason="bad_timestamp",type="pluginevent"}') == 1
    )
    node.request("/k8s-audit", [event(str(number)) for number in range(997)])
    node.stop()

    assert len(lines(capfd, 998)) == 998


def test_a_followed_log_is_read_like_the_web_hook(start, tmp_path, capfd):
    """Lines appended to the log raise alerts; without a path there is no web hook."""
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(event("old")) + "\n")
    node = start("k8s_audit.path=", f"k8s_audit.follow={log}")
    with log.open("a") as file:
        file.write(json.dumps(event("new")) + "\n")

    (alert,) = lines(capfd, 1)
    assert alert["rule"] == "Any pod"
    assert node.request("/k8s-audit", [event("x")])[0] == 404


def test_a_token_guards_the_web_hook(start, tmp_path):
    """From the configuration or from a file."""
    (tmp_path / "token").write_text("secret\n")
    for option in ("k8s_audit.token=secret", f"k8s_audit.token_file={tmp_path / 'token'}"):
        node = start(option)

        assert node.request("/k8s-audit", [])[0] == 401
        assert node.request("/k8s-audit", [], Authorization="Bearer secret")[0] == 200


def refusal(*options: str, has_certificates: bool = False) -> str:
    """Why a node with these options does not start."""
    config = load_config(None, ("k8s_audit.enabled=true", *options))
    log = start_log("error", "json")
    try:
        inbox = make_inbox(config, b"", log)
        assert inbox is not None
        audit_routes(config, inbox, Registry(), lambda: has_certificates)
    except LannerError as error:
        return str(error)
    return ""


def test_strangers_cannot_send_events():
    """Without a token the web hook needs a loopback address, or certificates of its clients."""
    assert "from anybody who reaches 0.0.0.0:9376" in refusal()
    assert "from anybody" in refusal("http.listen=10.0.0.1:80")
    assert "from anybody" in refusal('http.listen="[::]:80"')
    assert refusal(has_certificates=True) == ""


def test_settings_that_make_no_sense_are_told():
    """Two tokens, no way in, nothing to watch."""
    assert "exclude each other" in refusal("k8s_audit.token=a", "k8s_audit.token_file=/b")
    assert "nothing sends events" in refusal("k8s_audit.path=")
    config = load_config(None, ("probe.enabled=false",))
    with pytest.raises(LannerError) as caught:
        compose(config, None, start_log("error", "json"))
    assert "nothing to watch" in str(caught.value)
    with pytest.raises(LannerError) as caught:
        load_config(None, ("k8s_audit.path=audit",))
    assert "expected a path such as /k8s-audit" in str(caught.value)


def test_losses_are_logged_now_and_then():
    """The first at once, then one in ten seconds, with how many were passed over in silence."""

    class Log:
        def __init__(self) -> None:
            self.said: list[tuple[str, int]] = []

        def warning(self, _event: str, *, problem: str, more_since_last: int) -> None:
            self.said.append((problem, more_since_last))

    log, now = Log(), 100.0
    say = Occasionally(log, lambda: now)  # type: ignore[arg-type]
    for number in range(5):
        say(str(number))
    now = 110.0
    say("late")

    assert log.said == [("0", 0), ("late", 4)]
