"""The node as its users see it: HTTP, gRPC, standard output, reload and stop, on real sockets."""

import gc
import json
import urllib.error
import urllib.request
import weakref

import grpc
import pytest

from exporter._proto import outputs_pb2, outputs_pb2_grpc
from exporter.alerts.maker import AlertOptions
from exporter.app.rule_files import LoadedRules, load_active
from exporter.errors import RuleError
from exporter.rules.loader import RuleOptions
from tests.app.conftest import make_active, make_rule, wait_for
from tests.factories import make_event

RULES = """
- rule: Opened
  desc: opened
  condition: evt.type = openat and (proc.name = cat or fd.name startswith /etc)
  output: opened
  priority: NOTICE
"""


def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status and body."""
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sample(page: str, start: str) -> float:
    """The value of the one sample whose line starts so."""
    (line,) = [line for line in page.splitlines() if line.startswith(start)]
    return float(line.rsplit(" ", 1)[1])


def test_an_event_becomes_a_line_a_counter_and_a_message(running, tmp_path) -> None:
    """One matching event is one line on stdout, one count of its rule and one gRPC message."""
    running.start()
    with grpc.insecure_channel(f"unix://{running.socket}") as channel:
        stream = outputs_pb2_grpc.serviceStub(channel).sub(iter(()))
        stream.initial_metadata()
        running.source.push(make_event("openat", num=7))
        message = next(stream)
        stream.cancel()
    wait_for(lambda: (tmp_path / "out.txt").read_bytes().endswith(b"\n"))
    # An event counts as delivered when all that it caused is done.
    delivered = 'lanner_events_total{stage="delivered",type="openat"}'
    wait_for(lambda: sample(fetch(f"{running.url}/metrics")[1], delivered) == 1)
    _, page = fetch(f"{running.url}/metrics")

    assert message.rule == "first"
    assert {key: message.output_fields[key] for key in ("evt.type", "evt.num")} == {
        "evt.type": "openat",
        "evt.num": "7",
    }
    assert (tmp_path / "out.txt").read_text().endswith(": Warning first happened\n")
    assert sample(page, 'lanner_alerts_total{container="",k8s_ns_name="",k8s_pod_name="",') == 1


def test_every_rule_is_at_zero_before_its_first_match(running) -> None:
    """A loaded rule that never matched has its series, at 0."""
    running.load_rules = lambda: make_active(make_rule("a"), make_rule("b", 1))
    running.start()
    _, page = fetch(f"{running.url}/metrics")

    assert [
        part
        for line in page.splitlines()
        if line.startswith("lanner_alerts_total") and line.endswith(" 0.0")
        for part in line.split(",")
        if part.startswith("rule=")
    ] == ['rule="a"', 'rule="b"']


def test_state_is_scanned_after_the_source_is_attached(running) -> None:
    """No process may start unseen between the scan and the attaching."""
    running.start()

    assert running.state.scanned_while_attached is True


def test_a_good_reload_swaps_the_rules(running) -> None:
    """After /-/reload the new rules match, the old ones and their series are gone."""
    running.start()
    running.load_rules = lambda: make_active(make_rule("second"))
    answer = fetch(f"{running.url}/-/reload", "POST")
    running.source.push(make_event("openat"))
    wait_for(lambda: 'rule="second",source="syscall"} 1.0' in fetch(f"{running.url}/metrics")[1])
    _, page = fetch(f"{running.url}/metrics")

    assert answer == (200, "reloaded, 1 rules\n")
    assert 'rule="first"' not in page
    assert sample(page, 'lanner_reloads_total{result="success"}') == 1
    assert sample(page, "lanner_last_reload_successful") == 1


def test_nothing_of_the_old_rules_is_left_by_a_reload(make_running, tmp_path) -> None:
    """Old rules are gone by the end of a reload, though the collector by itself never runs."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    matchers: list[weakref.ref[object]] = []

    def load():
        loaded: list[LoadedRules] = []
        options = AlertOptions(hostname="h")
        active = load_active(
            [str(path)], RuleOptions(), options, is_base64=False, on_loaded=loaded.append
        )
        functions = loaded[0].engine.compiled.functions["syscall"]
        matchers.append(weakref.ref(next(iter(functions.values())).call))
        return active

    running = make_running()
    running.load_rules = load
    running.start()
    gc.disable()
    try:
        assert fetch(f"{running.url}/-/reload", "POST")[0] == 200
        assert [matcher() is None for matcher in matchers] == [True, False]
    finally:
        gc.enable()


def test_a_bad_reload_keeps_the_old_rules(running) -> None:
    """A rules file that does not load is an answer 500, a metric, and nothing else."""
    running.start()

    def broken():
        raise RuleError("unknown field", code="R1")

    running.load_rules = broken
    status, body = fetch(f"{running.url}/-/reload", "POST")
    running.source.push(make_event("openat"))
    wait_for(lambda: 'rule="first",source="syscall"} 1.0' in fetch(f"{running.url}/metrics")[1])
    _, page = fetch(f"{running.url}/metrics")

    assert (status, body) == (500, "error R1: unknown field\n")
    assert sample(page, 'lanner_reloads_total{result="failure"}') == 1
    assert sample(page, "lanner_last_reload_successful") == 0


def test_a_reload_loses_no_event(running) -> None:
    """Every event around twenty reloads is matched by one ruleset or the other."""
    running.start()
    running.load_rules = lambda: make_active(make_rule("first"))
    total = 0
    for _ in range(20):
        running.source.push(*[make_event("openat") for _ in range(53)])
        total += 53
        assert fetch(f"{running.url}/-/reload", "POST")[0] == 200
    wait_for(
        lambda: (
            sample(fetch(f"{running.url}/metrics")[1], 'lanner_events_total{stage="delivered"')
            == total
        )
    )
    _, page = fetch(f"{running.url}/metrics")

    assert total == sample(page, "lanner_alerts_total{")


def test_stop_delivers_what_waits(running, tmp_path) -> None:
    """Events pushed just before the stop still come out, and the status is 0."""
    running.start()
    running.source.push(*[make_event("openat") for _ in range(97)])
    status = running.stop()

    assert status == 0
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 97
    assert running.source.is_closed


def test_the_end_of_the_hot_thread_ends_the_process(running) -> None:
    """When events can no longer be read the node stops with status 1."""
    running.start()
    running.source.fail(OSError("ring gone"))

    assert running.join() == 1


def test_an_event_that_breaks_a_rule_is_counted(running) -> None:
    """A failure in matching costs that event only, and shows in the metrics."""

    def match(event):
        if event.num == 1:
            raise KeyError("x")
        return (make_rule("first"),)

    running.load_rules = lambda: make_active(make_rule("first"), match=match)
    running.start()
    running.source.push(make_event("openat", num=1), make_event("openat", num=2))
    wait_for(lambda: 'rule="first",source="syscall"} 1.0' in fetch(f"{running.url}/metrics")[1])
    _, page = fetch(f"{running.url}/metrics")

    assert sample(page, 'lanner_event_errors_total{stage="rules"}') == 1


def test_readyz_says_why_not(running) -> None:
    """Without rules the node is alive but not ready, and says the reason."""
    running.load_rules = make_active
    running._thread.start()
    wait_for(lambda: running.node is not None and not running.source.is_ended)
    wait_for(lambda: len(json.loads(fetch(f"{running.url}/readyz")[1])["reasons"]) == 1)

    assert (
        fetch(f"{running.url}/readyz")[0],
        json.loads(fetch(f"{running.url}/readyz")[1]),
    ) == (503, {"status": "not ready", "reasons": ["no rules are loaded"]})
    assert fetch(f"{running.url}/healthz") == (200, '{"status":"ok"}')


def test_get_drains_the_history(running) -> None:
    """get gives each alert once and ends."""
    running.start()
    running.source.push(make_event("openat", num=1), make_event("openat", num=2))
    with grpc.insecure_channel(f"unix://{running.socket}") as channel:
        stub = outputs_pb2_grpc.serviceStub(channel)
        got: list[str] = []

        def has_both() -> bool:
            got.extend(m.output_fields["evt.num"] for m in stub.get(outputs_pb2.request()))
            return len(got) == 2

        wait_for(has_both)
        again = list(stub.get(outputs_pb2.request()))

    assert got == ["1", "2"]
    assert again == []


@pytest.mark.parametrize("path", ["/nothing", "/-/reload"])
def test_unknown_paths_and_methods_are_refused(running, path) -> None:
    """What is not offered is an HTTP error of the 4xx kind."""
    running.start()

    assert fetch(f"{running.url}{path}")[0] in (404, 405)


def test_the_end_of_the_source_ends_the_node(running, tmp_path) -> None:
    """A source that ends by itself, as a capture does: every alert comes out, status 0."""
    running.start()
    running.source.push(*[make_event("openat") for _ in range(89)])
    running.source.is_ended = True

    assert running.join() == 0
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 89
    assert running.source.is_closed
