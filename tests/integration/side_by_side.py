"""Two instances of Lanner side by side, with pushdown and without: their alerts must be equal."""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.integration.live import wait_until

EVENTS = "lanner_events_total"


def rules_of(conditions: Mapping[str, str], output: str, macros: Iterable[str] = ()) -> str:
    """A rules file with a rule a condition, by name. macros: lines that come first."""
    lines = list(macros)
    for name, condition in conditions.items():
        lines += [
            f"- rule: {name}",
            f"  desc: {name}",
            f"  condition: {json.dumps(condition)}",
            f"  output: {json.dumps(output)}",
            "  priority: NOTICE",
        ]
    return "\n".join(lines) + "\n"


def start_both(start_lanner, rules: Path, ring_size: str = "64MiB"):
    """One with pushdown, one without, once both are ready."""
    config = f"rule_matching: all\nprobe: {{ring_size: {ring_size}}}\n"
    instances = [
        start_lanner("--json", "-r", str(rules), *flags, config=config)
        for flags in ((), ("--no-pushdown",))
    ]
    for lanner in instances:
        lanner.wait_ready()
    return instances


def raised_by(lanner):
    """Rule and output of each alert, without its time."""
    return sorted((alert["rule"], alert["output"].split(" ", 2)[-1]) for alert in lanner.alerts())


def is_drained(lanner):
    """Whether everything that the kernel submitted was looked at."""
    delivered = lanner.total(EVENTS, stage="delivered")
    time.sleep(0.05)
    return delivered >= lanner.total(EVENTS, stage="submitted")


def is_told(lanner):
    """Whether everything was looked at, and every alert of it has come."""
    return is_drained(lanner) and len(lanner.lines) >= lanner.total("lanner_alerts_total")


def raised_by_both(instances):
    """What each raised, once all of it has come; nothing was lost on the way."""
    for lanner in instances:
        wait_until(lambda lanner=lanner: is_told(lanner), 60, "all alerts")
        assert lanner.total("lanner_events_dropped_total", default=0) == 0
    return [raised_by(lanner) for lanner in instances]
