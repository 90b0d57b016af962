"""Filters in the running probe: made for a ruleset, loaded, and changed without losing an event.

The slow part (analysis, assembling, the kernel's verifier) happens while the old filters still run.
While the rules change over every event passes, for a moment: so neither set misses one.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from exporter.errors import ProbeError
from exporter.events.host import INITIAL_MNTNS
from exporter.pushdown.analysis import CallFilter, analyse
from exporter.pushdown.emit import FilterTooLargeError, emit_filter
from exporter.pushdown.emit_facts import Target
from exporter.pushdown.emit_resolver import emit_resolver
from exporter.pushdown.explain import forced_through
from exporter.pushdown.hook_filters import HookFilters
from exporter.rules.ruleset import Ruleset
from exporter.sources.probe.probe import Probe
from exporter.sources.probe.source_text import architecture
from exporter.sources.probe.syscalls import STATE_CALLS, native_numbers
from exporter.state.procfs import Procfs

Say = Callable[..., None]

LATE = frozenset({
    "link", "linkat", "mkdir", "mkdirat", "mknod", "mknodat", "openat2", "rename", "renameat",
    "renameat2", "rmdir", "symlink", "symlinkat", "unlink", "unlinkat",
})  # fmt: skip
"""Calls whose filters a start puts in place last, for few processes make them all the time, and
the verifier needs up to 100 ms for each that looks at paths. Until then their events pass."""

_LOADERS = 2
"""Threads that load at a start: the verifier needs no GIL, and what is assembled need not wait."""

_NICENESS = 5
"""Of the thread that loads while events are matched: it has time."""


class Pushdown:
    """The filters of one open probe. May be used from several threads.

    calls_for: system calls whose events a ruleset can match. say: takes a sentence and facts for
    the log.
    """

    def __init__(
        self,
        probe: Probe,
        calls_for: Callable[[Ruleset], frozenset[str]],
        say: Say,
        proc: Path = Path("/proc"),
    ) -> None:
        self._filters: Mapping[str, CallFilter] = {}
        """Those that are not in place yet: what they were made of is memory that nobody needs."""
        self._probe = probe
        self._calls_for = calls_for
        self._say = say
        self._proc = proc
        self._lock = threading.Lock()
        self._ready: tuple[Ruleset, dict[str, int]] | None = None
        self._hooks = HookFilters(probe, self._say_unfiltered)
        self._late: tuple[str, ...] = ()
        self._has_resolver = False

    def take_names(self, names: Mapping[int, bytes]) -> None:
        """The users of the host are these from now on: uid -> name. For the hot thread."""
        self._hooks.take_names(names)

    def begin(self, ruleset: Ruleset) -> None:
        """`watch` for a start: the filters of the calls in LATE are left to `finish`."""
        with self._lock:
            if self._probe.is_attached:
                self._prepare(ruleset, LATE, is_urgent=True)
                self._switch()

    def finish(self) -> None:
        """Put the filters in place that `begin` left out, if nothing has replaced them since."""
        with self._lock:
            late, self._late = self._late, ()
            if not late:
                return
            programs = self._load(late)
            try:
                if self._probe.is_attached:
                    for name, program in programs.items():
                        self._probe.filters.set_call(name, program)
            finally:
                self._close(programs)
                self._filters = {}

    def watch(self, rulesets: Sequence[Ruleset]) -> None:
        """Report what these rulesets need and nothing else. Nothing once the probe is closed.

        One ruleset: filtered by its rules. Several: every event of their calls; the last of them is
        made ready, so that its turn is short. Raises ProbeError when the calls cannot be set.
        """
        with self._lock:
            if not self._probe.is_attached:
                return
            newest = rulesets[-1]
            if self._ready is None or self._ready[0] is not newest:
                self._prepare(newest)
            if len(rulesets) > 1:
                for name in self._probe.filters.calls:
                    self._probe.filters.clear_call(name)
                self._hooks.clear()
                calls = frozenset().union(*map(self._calls_for, rulesets))
                self._probe.report(calls, STATE_CALLS)
            else:
                self._switch()

    def _prepare(
        self, ruleset: Ruleset, late: frozenset[str] = frozenset(), *, is_urgent: bool = False
    ) -> None:
        """Load the filters of a ruleset, but for those of the calls in `late`."""
        self._drop_ready()
        calls = self._calls_for(ruleset) & native_numbers(architecture()).keys()
        self._filters = analyse(ruleset, sorted(calls))
        needed = [
            name
            for name, one in self._filters.items()
            if not one.is_pass_through and not one.is_unused
        ]
        # What many rules look at is long in the making and must not come last.
        needed.sort(key=lambda name: len(self._filters[name].shares), reverse=True)
        self._hooks.prepare(ruleset, self._target().host_mntns)
        self._late = tuple(name for name in needed if name in late)
        first = [name for name in needed if name not in late]
        self._ready = ruleset, self._load(first, is_urgent=is_urgent)
        for forced in forced_through(self._filters, self._hooks.filters):
            self._say(
                "a rule wants every event of a type",
                rule=forced.rule,
                types=list(forced.calls),
                reason=forced.reason,
            )

    def _load(self, names: Iterable[str], *, is_urgent: bool = False) -> dict[str, int]:
        """Descriptors of the calls' filters; what cannot be loaded is told and left out."""
        target = self._target()
        loading: dict[str, Future[int]] = {}
        programs: dict[str, int] = {}
        pool = (
            ThreadPoolExecutor(_LOADERS, "filters")
            if is_urgent
            else ThreadPoolExecutor(1, "filters", initializer=_stand_back)
        )
        resolver: Future[None] | None = None
        with pool:
            if not self._has_resolver:
                resolver = pool.submit(self._load_resolver, target)
                self._has_resolver = True
            for name in names:
                try:
                    code = emit_filter(self._filters[name], target)
                except FilterTooLargeError as error:
                    self._say_unfiltered(name, error)
                else:
                    loading[name] = pool.submit(self._probe.filters.load_call, name, code)
        if resolver is not None:
            resolver.result()
        for name, program in loading.items():
            try:
                programs[name] = program.result()
            except ProbeError as error:
                self._say_unfiltered(name, error)
        return programs

    def _say_unfiltered(self, name: str, error: Exception) -> None:
        """Tell of a filter that is not there."""
        self._say(
            "every event of a type is sent: its filter could not be loaded",
            type=name,
            reason=str(error),
        )

    def _load_resolver(self, target: Target) -> None:
        """Once a probe: what makes relative paths absolute is the same for all rules."""
        try:
            program = self._probe.filters.load_call("resolver", emit_resolver(target))
        except ProbeError as error:
            self._say("every event with a relative path is sent", reason=str(error))
            return
        self._probe.filters.set_resolver(program)
        os.close(program)

    def _target(self) -> Target:
        """The kernel that the filters are for."""
        own = Procfs(self._proc).read_mntns(1)
        return Target(
            offsets=self._probe.offsets,
            host_mntns=tuple(sorted({INITIAL_MNTNS, own} - {0})),
            is_typed=self._probe.is_typed,
            machine=architecture(),
        )

    def _switch(self) -> None:
        """Put the filters that are ready in place, then report the calls."""
        assert self._ready is not None
        _, programs = self._ready
        for name, program in programs.items():
            self._probe.filters.set_call(name, program)
        for name in self._probe.filters.calls - programs.keys():
            self._probe.filters.clear_call(name)
        self._hooks.switch()
        wanted = frozenset(name for name, one in self._filters.items() if not one.is_unused)
        self._probe.report(wanted, STATE_CALLS)
        self._drop_ready()
        self._filters = {name: self._filters[name] for name in self._late}

    def _drop_ready(self) -> None:
        if self._ready is not None:
            self._close(self._ready[1])
        self._ready = None
        self._hooks.drop_ready()

    @staticmethod
    def _close(programs: dict[str, int]) -> None:
        """Let go of the descriptors; the kernel's map holds what it uses."""
        while programs:
            os.close(programs.popitem()[1])


def _stand_back() -> None:
    """Let the calling thread run when others do not want to. Going back takes a privilege."""
    thread = threading.get_native_id()
    if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
        os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)
