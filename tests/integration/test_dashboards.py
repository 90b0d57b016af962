"""Every query of every dashboard gives data on a real Prometheus, after a scripted day at work."""

import signal
import threading
import time

import grpc
import pytest

from exporter._proto import outputs_pb2, outputs_pb2_grpc
from tests.dashboards.boards import fill_in, queries
from tests.integration.containers import Container
from tests.integration.live import Lanner, Stage, wait_until
from tests.integration.monitoring import Prometheus

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]

RATE_SECONDS = 8
"""What rates look back: several scrapes a second apart."""

CONFIG = "metrics: {compat: [falco-exporter, falcosidekick, falco], rule_sampling: 3}\n"

PEERS = {
    "falco-exporter": (
        "rate(falco_events[$__range]) > 0",
        "falco_events",
        "sum(rate(falco_events[$__range])) by (rule)",
        "sum(rate(falco_events[$__range])) by (priority)",
        "sum(rate(falco_events[$__range])) by (tags)",
        'sum(rate(falco_events{priority="2"}[$__range])) by (hostname)',
    ),
    "falcosidekick": (
        'sum by (rule) (falcosecurity_falcosidekick_falco_events_total{priority="6"})',
        "sum(increase(falcosecurity_falcosidekick_falco_events_total[$__range])) by (priority_raw)",
    ),
    "falco": (
        "sum by (rule_name) (increase(falcosecurity_falco_rules_matches_total[$__range]))",
        "sum by (priority) (increase(falcosecurity_falco_rules_matches_total[$__range]))",
        "rate(falcosecurity_scap_n_evts_total[$__range])",
        "falcosecurity_scap_n_drops_total",
        "falcosecurity_falco_memory_rss_bytes",
    ),
}
"""What the peers' dashboards and rules ask (spec: their names, labels and numbers)."""


class Day:
    """Lanner, a client, its Prometheus, and what happens to them."""

    def __init__(self, directory) -> None:
        self.directory = directory
        self.stage = Stage()
        self.began = time.time()
        self._followers: list[threading.Thread] = []
        self.lanner = self._start("first")
        self.prometheus = Prometheus(
            directory, {"lanner": [f"127.0.0.1:{self.lanner.port}"]}, interval="1s"
        )

    def _start(self, name: str, port: int = 0) -> Lanner:
        directory = self.directory / name
        directory.mkdir()
        scope = ("--json", "--scope-pid", str(self.stage.pid))
        lanner = Lanner(directory, *scope, config=CONFIG, port=port)
        lanner.wait_ready()
        return lanner

    def live(self) -> None:
        """What the dashboards are about: alerts, a reload, a restart, a subscriber, odd events."""
        self.prometheus.wait_ready()
        self._wait_scrapes("lanner_build_info")
        self._act()
        port = self.lanner.port
        self.lanner.stop()
        self.lanner = self._start("second", port)
        self._follow()
        for _ in range(3):
            self._act()
            self.lanner.process.send_signal(signal.SIGHUP)
            self._wait_scrape()
        # The last container's series has grown older than one scrape.
        for _ in range(3):
            self._wait_scrape()

    def _wait_scrape(self) -> None:
        before = self._last_scrape()
        wait_until(lambda: self._last_scrape() > before, 20, "another scrape")

    def _last_scrape(self) -> float:
        samples = self.prometheus.query("max(timestamp(lanner_build_info))")
        return float(samples[0]["value"][1]) if samples else 0.0

    def _wait_scrapes(self, expression: str) -> None:
        def seen() -> bool:
            counts = self.prometheus.query(f"max(count_over_time({expression}[{RATE_SECONDS}s]))")
            return bool(counts) and float(counts[0]["value"][1]) >= 3

        wait_until(seen, 30, f"scrapes of {expression}")

    def _act(self) -> None:
        """Alerts of the host and of a container, and an event with a cut argument."""
        self.stage.run("cat", "/etc/shadow")
        self.stage.run("true", "x" * 20_000)
        container = Container(self.directory)
        try:
            script = "cp /bin/busybox /tmp/true && /tmp/true; cat /etc/shadow"
            self.stage.run(*container.command("/bin/sh", "-c", script))
        finally:
            container.remove()

    def _follow(self) -> None:
        address = f"unix://{self.lanner.socket}"

        def follow() -> None:
            with grpc.insecure_channel(address) as channel:
                stub = outputs_pb2_grpc.serviceStub(channel)
                try:
                    for _ in stub.sub(iter([outputs_pb2.request()])):
                        pass
                except grpc.RpcError:
                    return  # Lanner stopped

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        self._followers.append(thread)
        wait_until(lambda: self.lanner.total("lanner_grpc_subscribers") == 1, 10, "a subscriber")

    def ask(self, expression: str):
        """The answer to an expression as a dashboard over the whole day asks it."""
        seconds = int(time.time() - self.began) + 1
        return self.prometheus.query(fill_in(expression, seconds, max(RATE_SECONDS, seconds)))

    def end(self) -> None:
        """Stop everything."""
        self.prometheus.stop()
        self.lanner.kill()
        self.stage.close()
        for thread in self._followers:
            thread.join(10)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """One day, lived to its end."""
    day = Day(tmp_path_factory.mktemp("day"))
    try:
        day.live()
        yield day
    finally:
        day.end()


def test_no_panel_is_empty(day):
    """Each query of each panel and annotation gives at least one sample."""
    asked = queries()
    empty = [query for query in asked if not day.ask(query.expression)]

    assert len(asked) > 70
    assert empty == []


def test_numbers_are_right(day):
    """Four acts of two sensitive reads each: what increase() and our first-value repair count."""
    (per_rule,) = day.ask(
        "sum(lanner_rule_alerts_total"
        '{rule="Sensitive file read by untrusted program", instance=~"$instance"})'
    )
    overview = next(query for query in queries() if query.panel == "Top workloads")
    rows = day.ask(overview.expression)
    in_containers = [row for row in rows if row["metric"].get("container")]

    # Since the restart: three acts.
    assert float(per_rule["value"][1]) == 6
    # Containers come and go: each is a series that begins with its only alerts.
    assert len(in_containers) >= 3


@pytest.mark.parametrize("peer", PEERS)
def test_the_peers_queries_give_data(day, peer):
    """Dashboards and rules made for the peers work on our compatible names."""
    empty = [expression for expression in PEERS[peer] if not day.ask(expression)]

    assert empty == []
