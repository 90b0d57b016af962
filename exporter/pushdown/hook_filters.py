"""Filters of execs and ends of threads in the running probe.

Their records reach the state in any case; a filter says which of them the rules must see.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping

from exporter.errors import ProbeError
from exporter.pushdown.analysis import CallFilter, analyse_hooks
from exporter.pushdown.emit import FilterTooLargeError
from exporter.pushdown.emit_hook import Asked, emit_hook_filter
from exporter.pushdown.ir import TRUE, All
from exporter.rules.ruleset import Ruleset
from exporter.sources.probe.probe import Probe
from exporter.sources.probe.syscalls import Hook


class HookFilters:
    """Those of one open probe. Used under the lock of `Pushdown`, but for `take_names`.

    say_unfiltered: takes an event's name and why all of its kind are given to the rules.
    """

    def __init__(self, probe: Probe, say_unfiltered: Callable[[str, Exception], None]) -> None:
        self.filters: Mapping[Hook, CallFilter] = {}
        """Those that are ready, and not in place yet."""
        self._probe = probe
        self._say_unfiltered = say_unfiltered
        self._programs: dict[Hook, int] = {}
        self._asked = self._installed = Asked.of(TRUE)
        # The users of the host change in the hot thread, once a second at most.
        self._names_lock = threading.Lock()
        self._names: Mapping[int, bytes] | None = None

    def prepare(self, ruleset: Ruleset, host_mntns: Iterable[int]) -> None:
        """Load the filters of a ruleset."""
        self.filters = analyse_hooks(ruleset)
        host_mntns = tuple(host_mntns)
        filtered = {hook: one for hook, one in self.filters.items() if one.predicate != TRUE}
        # Put together without being simplified: each must find what it asks for.
        self._asked = Asked.of(All(tuple(one.predicate for one in filtered.values())))
        for hook, one in filtered.items():
            try:
                code = emit_hook_filter(one, self._asked, host_mntns)
                self._programs[hook] = self._probe.filters.load_hook(hook, code)
            except (FilterTooLargeError, ProbeError) as error:
                self._say_unfiltered(one.call.name, error)

    def switch(self) -> None:
        """Put the filters that are ready in place."""
        # Without a filter all records pass; what it looks for must not change under one.
        self.clear()
        self._probe.filters.write_needles(self._asked.needles.to_bytes())
        with self._names_lock:
            self._installed = self._asked
            self._write_names()
        for hook, program in self._programs.items():
            self._probe.filters.set_hook(hook, program)
        self.drop_ready()

    def take_names(self, names: Mapping[int, bytes]) -> None:
        """The users of the host are these from now on: uid -> name. For the hot thread."""
        with self._names_lock:
            self._names = names
            if self._probe.is_attached:
                self._write_names()

    def _write_names(self) -> None:
        tests = self._installed.names
        is_known = self._names is not None and tests
        self._probe.filters.write_names(tests.verdicts(self._names or {}) if is_known else {})

    def clear(self) -> None:
        """Give every record to the rules."""
        for hook in self._probe.filters.hooks:
            self._probe.filters.clear_hook(hook)

    def drop_ready(self) -> None:
        """Let go of what is ready; the kernel's maps hold what they use."""
        self.filters = {}
        while self._programs:
            os.close(self._programs.popitem()[1])
