"""The first moments of `lanner run`: the probe compiles while the rest of Lanner is imported.

Compiling takes a child process about as long as importing and loading rules takes us, so the two
run side by side. Hence this module imports next to nothing before the child is on its way.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from exporter.app.memory import share_arenas
from exporter.app.privileges import drop_privileges
from exporter.config.schema import Config
from exporter.events.host import Host
from exporter.sources.probe.live_source import ProbeSource
from exporter.sources.probe.options import ProbeOptions
from exporter.sources.probe.syscalls import STATE_CALLS


class OpeningProbe:
    """A probe that is being opened by a thread of its own. `wait` gives the outcome."""

    def __init__(self, host: Host, options: ProbeOptions) -> None:
        self.host = host
        self.source = ProbeSource(host, options, has_state_records=True)
        self._error: BaseException | None = None
        # A daemon: an error elsewhere ends the start at once, with nothing attached to clean up.
        self._thread = threading.Thread(target=self._open, name="probe-open", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self.source.open()
        except BaseException as error:  # noqa: BLE001  raised again by `wait`
            self._error = error

    def wait(self) -> None:
        """Return when the probe is attached. Raises ProbeError when it could not be."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def give_up(self) -> None:
        """Close the probe as soon as it is open, so that nothing of it stays behind."""
        self._thread.join()
        if self._error is None:
            self.source.close()


class _Compose(Protocol):
    """What this module calls of `compose.py`."""

    def run_composed(
        self, config: Config, probe: OpeningProbe | None, is_reload_due: Callable[[], bool]
    ) -> int:
        """Build and run the node."""


def run_node(config: Config) -> int:
    """Run until stopped; the exit status. Raises LannerError when the start fails."""
    # Until the loop takes over the signal: there is nothing to drain yet, so stopping is success.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    # Who changes the rules while they are being read wants the new ones, and not an end.
    hangup = threading.Event()
    signal.signal(signal.SIGHUP, lambda _number, _frame: hangup.set())
    share_arenas()
    probe = None
    if config.probe.enabled:
        probe = OpeningProbe(Host(num_cpus=os.cpu_count() or 1), probe_options(config))
    if config.drop_privileges:
        # The thread above has its own, until it has attached the probe and ends.
        drop_privileges()
    try:
        compose = cast("_Compose", import_module("exporter.app.compose"))
        return compose.run_composed(config, probe, hangup.is_set)
    except SystemExit:
        if probe is not None:
            probe.give_up()
        raise


def probe_options(config: Config) -> ProbeOptions:
    """Settings of the probe; the ring's size is rounded up to a power of two."""
    section = config.probe
    return ProbeOptions(
        # The rules are not read yet; what they need is added when they are.
        syscalls=frozenset(),
        followed=STATE_CALLS,
        snaplen=config.falco_libs.snaplen,
        ring_bytes=1 << (section.ring_size - 1).bit_length(),
        scope_cgroup=Path(section.scope_cgroup) if section.scope_cgroup else None,
        scope_pid=section.scope_pid or None,
        self_test_seconds=section.self_test,
    )
