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
from exporter.metrics.registry import FamilyOptions, Registry
from exporter.metrics.series import Exemplar
from exporter.metrics.text import base_name

GOLDEN = Path(__file__).parent / "golden" / "page.txt"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def full_registry() -> Registry:
    """A registry with an instrument for every family, each with one child."""
    registry = Registry()
    registry._overflow.labels("lanner_alerts_total").value = 2
    for number, family in enumerate(FAMILIES):
        labels = tuple(
            f'{name} "\\\n' if name == "rule" else name for name in family.default_labels
        )
        if family.name in registry._instruments or family is families.SCRAPE_SUCCESS:
            continue
        if family.kind is Kind.HISTOGRAM:
            registry.histogram(family).labels(*labels).observe(0.0123, (("alert_seq", "7"),))
        elif family.kind is Kind.SUMMARY:
            registry.summary(family).labels(*labels).observe(0.0123)
        elif number % 2 or family.max_series:
            make = {
                Kind.COUNTER: registry.counter,
                Kind.GAUGE: registry.gauge,
                Kind.UNTYPED: registry.untyped,
            }[family.kind]
            child = make(family).labels(*labels)
            child.value = number
            child.exemplar = Exemplar((("alert_seq", "7"),), 1.0, 1700000000.0)
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
def test_promtool_finds_nothing_of_ours() -> None:
    """promtool check metrics has no remark but on the unit in three of Falco's names."""
    page = full_registry().page().body
    result = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, check=False
    )

    remarks = (result.stdout + result.stderr).decode().splitlines()
    assert {line.split()[0] for line in remarks} == {
        "falcosecurity_falco_host_boot_timestamp_nanoseconds",
        "falcosecurity_falco_reload_timestamp_nanoseconds",
        "falcosecurity_falco_start_timestamp_nanoseconds",
    }
    assert all('use base unit "seconds"' in line for line in remarks)


def test_openmetrics_parses() -> None:
    """A client that asks for OpenMetrics gets a page that the strict parser takes, with units."""
    page = full_registry().page(OPENMETRICS)
    parsed = {family.name: family for family in parse_openmetrics(page.body.decode())}

    assert page.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert parsed["lanner_detection_latency_seconds"].unit == "seconds"
    assert {base_name(family) for family in FAMILIES} <= parsed.keys()


def test_openmetrics_has_exemplars_and_times_of_creation() -> None:
    """Counters and buckets name their newest alert; each counter tells when it began."""
    page = full_registry().page(OPENMETRICS).body.decode()
    samples = [s for family in parse_openmetrics(page) for s in family.samples]
    exemplars = {s.name: s.exemplar.labels for s in samples if s.exemplar}
    created = {s.name for s in samples if s.name.endswith("_created")}
    without = Registry(has_created=False).page(OPENMETRICS).body.decode()

    assert exemplars["lanner_rule_alerts_total"] == {"alert_seq": "7"}
    assert exemplars["lanner_detection_latency_seconds_bucket"] == {"alert_seq": "7"}
    assert {
        "lanner_rule_alerts_created",
        "lanner_detection_latency_seconds_created",
        "lanner_rule_evaluation_seconds_created",
    } <= created
    assert "_created" not in without


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
    registry = Registry({"lanner_alerts_total": FamilyOptions(max_series=10_000)})
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
        is_ours = not family.program
        assert family.name.startswith("lanner_") == is_ours
        if is_ours or family.kind is Kind.COUNTER:
            assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)
        assert family.name.removesuffix("_total").endswith(family.unit)
        assert family.unbounded | family.optional | family.off <= set(family.labels)
        assert family.off <= family.optional
        assert bool(family.unbounded) == bool(family.max_series)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
