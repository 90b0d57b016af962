"""From the kernel to the pager: Lanner, Prometheus, our rules, Alertmanager, a webhook."""

import time

import pytest

from tests.integration.live import wait_until
from tests.integration.monitoring import Alertmanager, Prometheus, Webhook

pytestmark = [pytest.mark.container, pytest.mark.timeout(180)]

PAGE_SECONDS = 30
RULE = "Dropped executable run in container"


@pytest.fixture
def chain(tmp_path, lanner):
    """Lanner scraped by Prometheus, which alerts Alertmanager, which calls the webhook."""
    webhook = Webhook()
    alertmanager = Alertmanager(tmp_path, webhook.url)
    prometheus = Prometheus(
        tmp_path,
        {"lanner": [f"127.0.0.1:{lanner.port}"]},
        alertmanager=f"127.0.0.1:{alertmanager.port}",
    )
    try:
        alertmanager.wait_ready()
        prometheus.wait_ready()
        yield prometheus, webhook
    finally:
        prometheus.stop()
        alertmanager.stop()
        webhook.close()


def test_one_event_in_a_new_pod_pages(chain, stage, lanner, container):
    """A single Critical event in a container nobody has seen before reaches the pager in 30 s."""
    prometheus, webhook = chain
    wait_until(lambda: prometheus.query("lanner_build_info"), 30, "the first scrape")
    before = time.monotonic()

    stage.run(*container.command("/bin/sh", "-c", "cp /bin/busybox /tmp/true && /tmp/true"))

    def pages():
        return [
            (arrived, name, alert)
            for arrived, name, alert in webhook.pages
            if alert["labels"].get("rule") == RULE and name == "pager"
        ]

    wait_until(pages, PAGE_SECONDS, f"the page; came: {webhook.pages}")
    ((arrived, _, alert),) = pages()
    assert alert["labels"]["alertname"] == "LannerCriticalAlert"
    assert alert["labels"]["severity"] == "critical"
    assert alert["status"] == "firing"
    assert alert["annotations"]["summary"] == RULE
    assert arrived - before < PAGE_SECONDS
    assert lanner.total("lanner_alerts_total", rule=RULE) == 1
    # Nobody else is woken by it.
    assert not [name for _, name, _ in webhook.pages if name in {"platform", "team"}]
