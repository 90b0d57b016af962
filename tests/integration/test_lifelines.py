"""Records of a real kernel: the quick way of births, execs and exits gives what their events do."""

from typing import Any

import msgspec

from exporter.events.state_record import StateRecord
from exporter.sources.probe.decode import Decoder
from exporter.sources.probe.record import PEEK
from exporter.sources.probe.syscalls import STATE_CALLS
from tests.integration.probe_rig import Rig
from tests.integration.test_probe_births import BIRTHS, scanned_state

OFFSET_NS = 1_000_000_000_000

EXECS = """
import pathlib, subprocess, tempfile, time
for number in range(200):
    os.spawnv(os.P_WAIT, "/bin/true", ["true", str(number)])
os.spawnve(os.P_WAIT, "/bin/sh", [" ", "-c", "cd /usr; true; /bin/true a b", "\\xff \\x01"], {})
os.spawnve(os.P_WAIT, "/bin/true", ["true"] + ["long" * 100] * 50, {"A": "b" * 6000})
with tempfile.TemporaryDirectory() as name:
    script = pathlib.Path(name, "script")
    script.write_text("#!/bin/sh -e\\nexec /bin/true from a script\\n")
    script.chmod(0o755)
    subprocess.run([script, "one"], check=True, cwd="/tmp")
memory = os.memfd_create("program", 0)
os.write(memory, pathlib.Path("/bin/true").read_bytes())
subprocess.run(["in memory"], executable=f"/proc/self/fd/{memory}", pass_fds=[memory], check=True)
subprocess.run(["unshare", "-mp", "--fork", "/bin/true"], check=True)
orphan = "(sleep 0.01 &); exec setpriv --reuid 65534 /bin/true"
subprocess.run(["/bin/sh", "-c", orphan], check=True)
time.sleep(0.05)
"""


def seen(state, records, *, is_quick: bool) -> tuple[list[Any], int]:
    """The entry of each record's thread behind it, or None; how many were taken the quick way."""
    decoder = Decoder(state.host)
    entries: list[Any] = []
    taken = 0
    for data in records:
        ts_ns, code, _ = PEEK.unpack_from(data)
        record = StateRecord(code, ts_ns + OFFSET_NS, data, lambda _record: None)
        event = decoder.decode(data, OFFSET_NS)
        if is_quick and state.take(record):
            taken += 1
        else:
            state.before(event)
            state.after(event)
        thread = state.host.threads.get(event.tid)
        parent = None if thread is None else state.host.parent(thread)
        entries.append((
            event.type.name,
            None if thread is None else msgspec.structs.asdict(thread),
            None if parent is None else parent.tid,
        ))  # fmt: skip
    return entries, taken


def test_both_ways_lead_to_the_same_entries():
    """Threads, scripts, other users and namespaces, orphans: field by field."""
    rig = Rig(syscalls=frozenset(), followed=STATE_CALLS, ring_bytes=8 << 20)
    try:
        one, other, third = scanned_state(), scanned_state(), scanned_state()
        rig.call(BIRTHS)
        rig.call(EXECS)
        rig.source.probe.detach()
        records = rig.source.probe.drain()
    finally:
        rig.close()

    quick, taken = seen(one, records, is_quick=True)
    assert other._live is not None
    other._live.quick = {}
    thorough, none = seen(other, records, is_quick=True)
    by_events, _ = seen(third, records, is_quick=False)

    assert none == 0
    for place, entry in enumerate(quick):
        assert entry == thorough[place] == by_events[place]
    lives = [name for name, _, _ in quick if name in {"clone", "vfork", "execve", "procexit"}]
    assert len(lives) > 600
    assert taken > 0.9 * len(lives)
