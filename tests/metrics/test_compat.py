"""What falcosidekick and Falco say of themselves, made of our own families."""

import platform

from exporter.metrics import families
from exporter.metrics.compat import export_falco, export_falcosidekick
from exporter.metrics.registry import Registry


def make_registry() -> Registry:
    """Our families as a running node has them."""
    registry = Registry()
    registry.read(families.QUEUE_ACCEPTED, lambda: {("alerts",): 7, ("output_stdout",): 5})
    registry.read(families.QUEUE_DROPPED, lambda: {("alerts",): 2, ("output_stdout",): 1})
    registry.read(
        families.OUTPUT_ALERTS, lambda: {("stdout", "delivered"): 4, ("stdout", "failed"): 3}
    )
    registry.read(
        families.EVENTS, lambda: {("openat", "submitted"): 100, ("openat", "delivered"): 90}
    )
    registry.read(
        families.EVENTS_DROPPED,
        lambda: {
            ("openat", "ring_full"): 5,
            ("open", "ring_full"): 1,
            ("setuid", "ring_full"): 2,
            ("", "decode"): 3,
        },
    )
    registry.read(families.RULES_FILE_INFO, lambda: {("/etc/rules/a.yaml", "00ff"): 1})
    registry.read(families.STATE_ENTRIES, lambda: {("threads",): 42, ("users",): 3})
    registry.gauge(families.RELOAD_TIME).labels().value = 1_700_000_000.5
    return registry


def values(registry: Registry) -> dict[str, float]:
    """Sample -> value of the page."""
    lines = registry.page().body.decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {sample: float(value) for sample, value in pairs}


def test_falcosidekick_counts_inputs_and_outputs() -> None:
    """Accepted and rejected on the way in, ok and error on the way out."""
    registry = make_registry()
    export_falcosidekick(registry)
    found = {k: v for k, v in values(registry).items() if k.startswith("falco")}

    prefix = "falcosecurity_falcosidekick"
    assert found == {
        f'{prefix}_inputs_total{{source="requests",status="accepted"}}': 7,
        f'{prefix}_inputs_total{{source="requests",status="rejected"}}': 2,
        f'{prefix}_outputs_total{{destination="stdout",status="ok"}}': 4,
        f'{prefix}_outputs_total{{destination="stdout",status="error"}}': 3,
    }


def test_falco_counts_events_drops_and_itself() -> None:
    """Every family is there with the labels of Falco, and the numbers are our own."""
    registry = make_registry()
    export_falco(registry, hostname="node1", version="0.44.1")
    found = {
        k.removeprefix("falcosecurity_"): v for k, v in values(registry).items() if "falco" in k
    }

    assert found['falco_version_info{version="0.44.1"}'] == 1
    assert found['falco_sha256_rules_files_info{file_name="a.yaml",sha256="00ff"}'] == 1
    assert found[f'falco_kernel_release_info{{kernel_release="{platform.release()}"}}'] == 1
    assert found['evt_hostname_info{hostname="node1"}'] == 1
    assert found["falco_reload_timestamp_nanoseconds"] == 1_700_000_000_500_000_000
    assert found["falco_outputs_queue_num_drops_total"] == 2
    assert found["scap_n_evts_total"] == 111
    assert found["scap_n_drops_total"] == 11
    assert found['scap_n_drops_buffer_total{dir="exit",drop="open"}'] == 6
    assert found['scap_n_drops_buffer_total{dir="exit",drop="other_interest"}'] == 2
    assert found['scap_n_drops_buffer_total{dir="exit",drop="proc"}'] == 0
    assert found["scap_n_threads_total"] == 42
    assert 0 < found["falco_duration_seconds_total"] < 3600
    assert found["falco_memory_rss_bytes"] > 1_000_000
    declared = {f.name.removeprefix("falcosecurity_") for f in families.FAMILIES if f.program}
    ours = {name.partition("{")[0] for name in found}
    assert {n for n in declared if n.startswith(("falco_", "scap_", "evt_"))} - ours == {
        "falco_rules_matches_total",
        "falco_events",
    }
