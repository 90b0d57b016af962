"""Our page as a real Prometheus stores it: over TLS, in both rich forms, foreign names too."""

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from exporter.alerts.counters import AlertCounters, CounterOptions
from exporter.metrics import families
from exporter.metrics.compat import export_falco, export_falcosidekick
from tests.alerts.conftest import make_alert
from tests.alerts.test_counters import RULE, make_rule
from tests.integration.live import wait_until
from tests.integration.monitoring import ConfiguredPrometheus
from tests.server.certificates import Authority
from tests.server.conftest import LoopThread
from tests.server.web import Web, hashed

pytestmark = pytest.mark.timeout(120)

LATENCY_SECONDS = 0.0123
FOREIGN_QUERIES = (
    # grafana.com 11914 and falco-exporter's chart.
    "rate(falco_events[1m]) > 0",
    "falco_events",
    "sum(rate(falco_events[1m])) by (rule) > 0",
    "sum(rate(falco_events[1m])) by (priority) > 0",
    "sum(rate(falco_events[1m])) by (tags) > 0",
    "sum(rate(falco_events[1m])) by (pod, hostname) > 0",
    'rate(falco_events{priority="4"}[1m]) > 0',
    # falcosidekick's chart; it counts priorities the other way round.
    'rate(falcosecurity_falcosidekick_falco_events_total{priority="4"}[1m]) > 0',
    'sum(falcosecurity_falcosidekick_falco_events_total{priority_raw="warning"}) by (rule) > 0',
    'falcosecurity_falcosidekick_inputs_total{status="accepted"}',
    'sum(falcosecurity_falcosidekick_outputs_total{status="error"}) by (destination) == 0',
    # Falco's own dashboard.
    "sum(increase(falcosecurity_falco_rules_matches_total[1m])) by (priority) > 0",
    "sum(increase(falcosecurity_falco_rules_matches_total[1m])) by (source) > 0",
    "sum(increase(falcosecurity_falco_rules_matches_total[1m])) by (rule_name) > 0",
    'falcosecurity_falco_rules_matches_total{tag_T1005="true"}',
    "rate(falcosecurity_scap_n_evts_total[1m])",
    "rate(falcosecurity_scap_n_drops_total[1m])",
    "sum(rate(falcosecurity_scap_n_drops_buffer_total[1m])) by (drop)",
    "rate(falcosecurity_falco_outputs_queue_num_drops_total[1m])",
    "falcosecurity_falco_memory_rss_bytes",
    "falcosecurity_falco_cpu_usage_ratio",
    "falcosecurity_scap_n_threads_total",
    "falcosecurity_falco_version_info",
)


class ScrapingPrometheus(ConfiguredPrometheus):
    """Prometheus that scrapes one target over TLS, with a password."""

    def __init__(self, directory: Path, target_port: int, authority: Authority, features: str):
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {
                    "job_name": "lanner",
                    "scheme": "https",
                    "tls_config": {"ca_file": str(authority.pair.cert), "server_name": "localhost"},
                    "basic_auth": {"username": "prometheus", "password": "secret"},
                    "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}],
                }
            ],
        }
        super().__init__(directory, config, f"--enable-feature={features}")

    def get(self, path: str, **parameters: str):
        """The data of an answer of the API."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str):
        """Samples of an instant query."""
        return self.get("query", query=expression)["result"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Signs the target's certificate."""
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture
def target(tmp_path, authority):
    """A server with all families, and the counters behind it."""
    loop = LoopThread()
    pair = authority.sign("target")
    file = tmp_path / "web.yaml"
    file.write_text(
        json.dumps(
            {
                "tls_server_config": {"cert_file": str(pair.cert), "key_file": str(pair.key)},
                "basic_auth_users": {"prometheus": hashed("secret")},
            }
        )
    )
    with Web(loop, config=file) as web:
        registry = web.registry
        options = CounterOptions(hostname="node1", programs=frozenset(families.PROGRAMS))
        counters = AlertCounters(registry, options)
        counters.begin([make_rule()])
        registry.read(families.QUEUE_ACCEPTED, lambda: {("alerts",): 1})
        registry.read(families.OUTPUT_ALERTS, lambda: {("stdout", "failed"): 0})
        registry.read(families.EVENTS, lambda: {("openat", "submitted"): time.time()})
        registry.read(families.EVENTS_DROPPED, lambda: {("openat", "ring_full"): 0})
        registry.read(families.STATE_ENTRIES, lambda: {("threads",): 9})
        export_falcosidekick(registry)
        export_falco(registry, hostname="node1", version="0.44.1")
        yield web, counters
    loop.close()


def raise_alerts(counters: AlertCounters, count: int) -> None:
    """So many alerts of the known rule, in a pod."""
    for seq in range(count):
        counters.count(
            make_alert(
                seq=seq,
                event_num=1000 + seq,
                latency_ns=round(LATENCY_SECONDS * 1e9),
                made_ns=time.time_ns(),
                k8s_ns_name="shop",
                k8s_pod_name="web-1",
                container="c1",
            )
        )


def scraped(prometheus: ScrapingPrometheus) -> float:
    """Alerts of the rule as Prometheus knows them; -1 before the first scrape."""
    found = prometheus.query("lanner_rule_alerts_total")
    return float(found[0]["value"][1]) if found else -1


@pytest.mark.parametrize("features", ["exemplar-storage", "native-histograms,exemplar-storage"])
def test_prometheus_stores_what_we_say(target, tmp_path, authority, features) -> None:
    """OpenMetrics and protobuf alike: no sample lost, exemplars kept, foreign queries answered.

    With native histograms, quantiles are right within the width of a bucket.
    """
    web, counters = target
    prometheus = ScrapingPrometheus(tmp_path, web.port, authority, features)
    try:
        prometheus.wait_ready()
        wait_until(lambda: scraped(prometheus) == 0, 30, "the first scrape")
        start = time.time()
        raise_alerts(counters, 3)
        wait_until(lambda: scraped(prometheus) == 3, 30, "the alerts")
        # rate() wants two samples of the pod's own series.
        time.sleep(2.5)
        raise_alerts(counters, 2)
        wait_until(lambda: scraped(prometheus) == 5, 30, "more alerts")

        empty = [query for query in FOREIGN_QUERIES if not prometheus.query(query)]
        exemplars = prometheus.get(
            "query_exemplars",
            query="lanner_rule_alerts_total",
            start=str(start - 60),
            end=str(time.time() + 60),
        )
        (increase,) = prometheus.query("increase(lanner_rule_alerts_total[1m]) > 0")
        quantile = "histogram_quantile(0.5, sum(rate(lanner_detection_latency_seconds{}[1m])){})"
        form = ("", "") if "native" in features else ("_bucket", " by (le)")
        (median,) = prometheus.query(quantile.replace("{}", form[0], 1).replace("{}", form[1], 1))
        (target_state,) = prometheus.get("targets")["activeTargets"]
        version = prometheus.query("lanner_alerts_total{k8s_pod_name='web-1'}")
    finally:
        prometheus.stop()

    assert empty == []
    labels = [e["labels"] for found in exemplars for e in found["exemplars"]]
    assert {"alert_seq": "1", "event_num": "1001"} in labels
    assert (target_state["health"], target_state["lastError"]) == ("up", "")
    assert increase["metric"]["rule"] == RULE
    assert version[0]["metric"]["container"] == "c1"
    width = 0.09 if "native" in features else 1.5
    assert float(median["value"][1]) == pytest.approx(LATENCY_SECONDS, rel=width)
    assert not web.rejected
