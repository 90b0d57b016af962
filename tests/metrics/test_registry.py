"""The page: complete, valid in both formats, and alive when a reader is not."""

import gzip
import re
import shutil
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.metrics import families
from exporter.metrics.families import FAMILIES, Kind
from exporter.metrics.instruments import Reading
from exporter.metrics.registry import Registry

GOLDEN = Path(__file__).parent / "golden" / "page.txt"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def full_registry() -> Registry:
    """A registry with an instrument for every family, each with one child."""
    registry = Registry()
    made_by_registry = {families.SERIES_OVERFLOW, families.SCRAPE_SUCCESS, families.BUILD_INFO}
    registry._overflow.labels("lanner_alerts_total").value = 2
    for number, family in enumerate(FAMILIES):
        labels = tuple(f'{name} "\\\n' if name == "rule" else name for name in family.labels)
        if family in made_by_registry:
            continue
        if family.kind is Kind.HISTOGRAM:
            registry.histogram(family).labels(*labels).observe(0.0123)
        elif number % 2:
            make = registry.counter if family.kind is Kind.COUNTER else registry.gauge
            make(family).labels(*labels).value = number
        else:
            registry.read(family, partial(dict, {labels: number}))
    return registry


def own_part(page: str) -> str:
    """The page without what differs from process to process."""
    kept = [line for line in page.splitlines() if " process_" not in f" {line}"]
    return re.sub(r"(?m)^(lanner_build_info)\{.*\}", r"\1{}", "\n".join(kept) + "\n")


def test_the_whole_page_is_as_agreed() -> None:
    """Names, help, types, labels, escaping and order of the page are those of the golden file."""
    page = own_part(full_registry().page().body.decode())

    assert page == GOLDEN.read_text(), "update tests/metrics/golden/page.txt on purpose only"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (prometheus)")
def test_promtool_finds_nothing() -> None:
    """promtool check metrics accepts the page without a remark."""
    page = full_registry().page().body
    result = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, check=False
    )

    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_openmetrics_parses() -> None:
    """A client that asks for OpenMetrics gets a page that the strict parser takes, with units."""
    page = full_registry().page(OPENMETRICS)
    parsed = {family.name: family for family in parse_openmetrics(page.body.decode())}

    assert page.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert parsed["lanner_detection_latency_seconds"].unit == "seconds"
    assert {f.name.removesuffix("_total") for f in FAMILIES} <= parsed.keys()


def test_gzip_only_when_asked() -> None:
    """The page is compressed for those who accept it, and the same inside."""
    registry = full_registry()
    plain = registry.page(accept_encoding="identity")
    packed = registry.page(accept_encoding="br, gzip;q=0.5")

    assert (plain.is_gzip, packed.is_gzip) == (False, True)
    assert own_part(gzip.decompress(packed.body).decode()) == own_part(plain.body.decode())


def test_a_broken_reader_costs_only_its_family() -> None:
    """A reader that raises leaves its family out and says so; the others are there."""
    registry = Registry()

    def broken() -> Reading:
        raise OSError

    registry.read(families.QUEUE_DEPTH, broken)
    registry.read(families.PROBE_ATTACHED, lambda: {(): 1})
    page = registry.page().body.decode()

    assert "lanner_queue_depth{" not in page
    assert "lanner_probe_attached 1.0\n" in page
    assert 'lanner_scrape_collector_success{collector="lanner_queue_depth"} 0.0\n' in page


def test_families_cannot_be_exported_undeclared_or_twice() -> None:
    """The registry takes declared families, of the right kind, once."""
    registry = Registry()
    registry.counter(families.ALERTS)

    with pytest.raises(ValueError, match="has its instrument already"):
        registry.counter(families.ALERTS)
    with pytest.raises(ValueError, match="not declared as a gauge"):
        registry.gauge(families.EVENTS)


def test_scrapes_survive_a_writer() -> None:
    """Pages made while another thread adds series are whole, and nothing is lost."""
    registry = Registry()
    counter = registry.counter(families.ALERTS)
    done = threading.Event()

    def write() -> None:
        for number in range(5003):
            counter.labels("r", "Warning", "syscall", "", f"pod{number}", "").value += 1
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert registry.page().body.endswith(b"\n")
    writer.join()
    page = registry.page().body.decode()

    assert page.count("\nlanner_alerts_total{") == 5003


def test_names_follow_the_conventions() -> None:
    """Names begin with lanner_, counters end in _total, units end the name, names are unique."""
    for family in FAMILIES:
        assert family.name.startswith("lanner_")
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)
        assert family.name.removesuffix("_total").endswith(family.unit)
        assert family.unbounded <= set(family.labels)
        assert bool(family.unbounded) == bool(family.max_series)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
