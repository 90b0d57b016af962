"""The process families are those of prometheus_client, and tell of this process."""

import os

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from exporter.metrics.process import ProcessFamilies

PROCESS_START, CPU_SECONDS, MEMORY_BYTES = 0.02, 1.0, 64 << 20


def test_they_are_what_other_programs_serve():
    """Names, kinds, help and values are those of the reference library."""
    ours = {
        family.name: (family.kind, family.help, child.value)
        for family, [(_, child)] in ProcessFamilies().families()
    }
    theirs = {
        sample.name: (metric.type, metric.documentation, sample.value)
        for metric in ProcessCollector(registry=CollectorRegistry()).collect()
        for sample in metric.samples
    }

    assert {name: facts[:2] for name, facts in ours.items()} == {
        name: facts[:2] for name, facts in theirs.items()
    }
    for name, slack in {
        "process_start_time_seconds": PROCESS_START,
        "process_cpu_seconds_total": CPU_SECONDS,
        "process_virtual_memory_bytes": MEMORY_BYTES,
        "process_resident_memory_bytes": MEMORY_BYTES,
        "process_open_fds": 0,
        "process_max_fds": 0,
    }.items():
        assert ours[name][2] == pytest.approx(theirs[name][2], abs=slack), name


def test_a_name_with_brackets_and_spaces_moves_no_number(tmp_path):
    """Fields of stat are counted from the last bracket; each descriptor counts once."""
    (tmp_path / "self/fd").mkdir(parents=True)
    for number in range(7):
        (tmp_path / f"self/fd/{number}").touch()
    fields = ["S", *map(str, range(4, 53))]
    (tmp_path / "self/stat").write_text(f"1 (a) b (c) {' '.join(fields)}\n")
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1000\n")

    found = {f.name: child.value for f, [(_, child)] in ProcessFamilies(tmp_path).families()}

    ticks = os.sysconf("SC_CLK_TCK")
    assert found["process_cpu_seconds_total"] == (14 + 15) / ticks
    assert found["process_start_time_seconds"] == 1000 + 22 / ticks
    assert found["process_virtual_memory_bytes"] == 23
    assert found["process_resident_memory_bytes"] == 24 * os.sysconf("SC_PAGESIZE")
    assert found["process_open_fds"] == 7


def test_without_proc_the_page_has_the_rest(tmp_path):
    """What cannot be read is missing, and nothing is raised."""
    found = [family.name for family, _ in ProcessFamilies(tmp_path).families()]

    assert found == ["process_max_fds"]
