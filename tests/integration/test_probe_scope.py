"""Scopes are kept by the kernel: other processes leave no record at all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import ProbeError
from exporter.events.host import Host
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.options import ProbeOptions
from exporter.sources.probe.probe import Probe

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup/unified")
ACT = "import os\ntry:\n    os.mkdir('/proc/none-by-{}')\nexcept OSError:\n    pass\n"


@pytest.fixture(params=[V1, V2, Path("/sys/fs/cgroup")])
def cgroup(request):
    """A new cgroup directory with one below it, in each hierarchy that this machine has."""
    root = request.param
    if not (root / "cgroup.procs").is_file():
        pytest.skip(f"no cgroup hierarchy at {root}")
    outer = root / f"lanner-test-{os.getpid()}"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    yield outer
    inner.rmdir()
    outer.rmdir()


def act_in(cgroup, name):
    """Run a process that enters the cgroup (None: stays here), then makes one mkdir call."""
    enter = "" if cgroup is None else f"open({str(cgroup / 'cgroup.procs')!r}, 'w').write('0')\n"
    subprocess.run([sys.executable, "-I", "-S", "-c", enter + ACT.format(name)], check=True)


def test_cgroup_scope(cgroup):
    """Only tasks of the cgroup and of those below it are reported."""
    options = ProbeOptions(syscalls=frozenset({"mkdir"}), procexit=False, scope_cgroup=cgroup)
    source = ProbeSource(Host(), options)
    source.open()
    try:
        act_in(None, "outsider")
        act_in(cgroup, "outer")
        act_in(cgroup / "inner", "inner")
        events: list[Any] = source.drain()
    finally:
        source.close()

    assert [event.named_param("path") for event in events] == [
        b"/proc/none-by-outer",
        b"/proc/none-by-inner",
    ]


def test_process_scope_reaches_grandchildren_only_of_its_own():
    """Children and grandchildren of the process are reported, others are not."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"""
import os
input()
if not os.fork():
    if not os.fork():
{"".join("        " + line + chr(10) for line in ACT.format("grandchild").splitlines())}
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
""",
        ],
        stdin=subprocess.PIPE,
    )
    options = ProbeOptions(syscalls=frozenset({"mkdir"}), procexit=False, scope_pid=parent.pid)
    source = ProbeSource(Host(), options)
    source.open()
    try:
        act_in(None, "outsider")
        parent.communicate(b"\n")
        events: list[Any] = source.drain()
    finally:
        source.close()

    assert [event.named_param("path") for event in events] == [b"/proc/none-by-grandchild"]


def test_unknown_scopes_are_refused():
    """A pid or a cgroup that does not exist is an error that says so, and nothing stays loaded."""
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(ProbeError, match="there is no process"):
        Probe(ProbeOptions(scope_pid=2**22 + 1)).open()
    with pytest.raises(ProbeError, match="does not exist"):
        Probe(ProbeOptions(scope_cgroup=Path("/sys/fs/cgroup/none-by-lanner"))).open()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_two_probes_side_by_side():
    """Two instances see the same events, and closing one leaves the other at work."""
    options = ProbeOptions(syscalls=frozenset({"mkdir"}), procexit=False, scope_pid=os.getpid())
    with Probe(options) as first:
        with Probe(options) as second:
            act_in(None, "one")
            assert len(second.drain()) == 1
        assert not second.is_attached
        act_in(None, "two")
        assert len(first.drain()) == 2
