"""What is told before anything is loaded into the kernel."""

import pytest

from exporter.errors import ProbeError
from exporter.sources.probe.options import ProbeOptions
from exporter.sources.probe.probe import Probe


def test_unknown_calls_and_sizes_are_refused():
    """What the probe cannot do is told before anything is loaded."""
    with pytest.raises(ProbeError, match="cannot report umount"):
        Probe(ProbeOptions(syscalls=frozenset({"umount", "openat"}))).open()
    with pytest.raises(ProbeError, match="not possible"):
        Probe(ProbeOptions(ring_bytes=3 << 20)).open()
    with pytest.raises(ProbeError, match="not open"):
        Probe().poll(0)
