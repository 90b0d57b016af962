"""Putting maps and constants into instructions; kernels that are too old."""

import struct
import time

import pytest

from exporter.errors import ProbeError
from exporter.sources.probe import kernel
from exporter.sources.probe.clock import Clock
from exporter.sources.probe.source_text import possible_cpus

LOAD = 0x18


def load(register, source, number):
    """The two instructions of a 64-bit immediate load."""
    return struct.pack("<BBhi", LOAD, source << 4 | register, 0, number) + bytes(8)


def test_maps_and_constants_are_put_in_place():
    """A map number becomes its descriptor, a constant a plain load of its 64 bits."""
    other = struct.pack("<BBhi", 0x95, 0, 0, 0)
    code = load(1, 1, 3) + load(2, 1, 101) + load(4, 0, 3) + other

    placed = kernel.place(code, {3: 77}, {101: 5 << 32 | 6})

    constant = struct.pack("<BBhi", LOAD, 2, 0, 6) + struct.pack("<BBhi", 0, 0, 0, 5)
    assert placed == load(1, 1, 77) + constant + load(4, 0, 3) + other


@pytest.mark.parametrize("release", ["5.7.19-generic", "4.18.0-553.el8_10.x86_64", "5.4"])
def test_old_kernels_are_told(release):
    """Kernels without the BPF ring buffer are refused by name."""
    with pytest.raises(ProbeError, match="too old"):
        kernel.check_release(release)


@pytest.mark.parametrize("release", ["5.8.0", "5.15.0-91-generic", "6.18.44-x", "10.0"])
def test_other_kernels_are_tried(release):
    """Everything since 5.8 is good enough to try."""
    kernel.check_release(release)


@pytest.mark.parametrize(("text", "count"), [("0\n", 1), ("0-3\n", 4), ("0-3,8-11", 12)])
def test_possible_cpus(text, count):
    """Per-CPU values come for every id up to the highest possible one."""
    assert possible_cpus(text) == count


def test_clock_maps_the_present_to_the_present():
    """The kernel's clock plus the offset is the time of day."""
    clock = Clock()
    before = time.time_ns()
    told = time.monotonic_ns() + clock.offset_ns()
    after = time.time_ns()

    assert before - 50_000_000 <= told <= after + 50_000_000
