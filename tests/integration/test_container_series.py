"""Series of a container that has ended leave the page; the sum over all of them stays."""

import pytest

from tests.integration.live import wait_until

pytestmark = pytest.mark.container

RULE = "Sensitive file read by untrusted program"


def test_series_of_a_container_end_after_it(stage, start_lanner, container):
    """The alert has its series; a moment after the container's end it is gone, and counted."""
    lanner = start_lanner("--json", "-o", "metrics.gone_grace=2s")
    lanner.wait_ready()
    stage.run(*container.command("cat", "/etc/shadow"))
    wait_until(lambda: lanner.total("lanner_rule_alerts_total", rule=RULE) == 1, 10, "the alert")
    wait_until(
        lambda: (
            lanner.total("lanner_alerts_total", rule=RULE, container=container.short_id, default=0)
            == 0
        ),
        20,
        "the series to end",
    )

    expired = "lanner_metric_series_expired_total"
    assert lanner.total(expired, family="lanner_alerts_total") == 1
    assert lanner.total(expired, family="lanner_last_alert_timestamp_seconds") == 1
    assert lanner.total("lanner_alerts_total", rule=RULE) == 0
    assert lanner.total("lanner_rule_alerts_total", rule=RULE) == 1
