"""Probe: live events of this kernel, through raw tracepoints and a BPF ring buffer.

Takes a choice of events and a scope, gives the bytes of records (`decode.py` makes events of
them). The probe's code is compiled by bcc in a child process; see launch.py.
"""

import os
import platform
from pathlib import Path
from types import TracebackType
from typing import Self

from exporter.errors import ProbeError
from exporter.events.table import event_type
from exporter.sources.probe import kernel, offsets, ring, scope, source_text
from exporter.sources.probe.build import Build, kernel_offsets
from exporter.sources.probe.call_table import CallTable, native_calls
from exporter.sources.probe.closing import HOOK, Closing
from exporter.sources.probe.counters import (
    ProbeCounters,
    read_events,
    read_lost,
    read_pressed,
    read_reason,
)
from exporter.sources.probe.filters import Filters
from exporter.sources.probe.maps import REASONS, Maps
from exporter.sources.probe.options import ProbeOptions
from exporter.sources.probe.programs import Programs, start_constants
from exporter.sources.probe.syscalls import DEFAULT_CALLS, EXECVE

_INITIAL_PIDNS = 0xEFFFFFFC


class Probe:
    """The loaded probe. Records come from `poll` between `open` and `close`.

    filters: decide which events are sent; none at first.
    """

    def __init__(self, options: ProbeOptions | None = None) -> None:
        self.options = options or ProbeOptions()
        self._links: dict[int, str] = {}
        self._maps = Maps()
        self._programs = Programs()
        self._calls = CallTable(self._maps, has_procexit=self.options.procexit)
        self._ring: ring.Ring | None = None
        self._closing = Closing(self._maps, self._programs)
        self.filters = Filters(self._maps, self._programs)
        self.offsets: dict[str, int] = {}
        """Constants of this kernel (offsets.py), once the probe is open."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_attached(self) -> bool:
        """Whether events are being received."""
        return bool(self._links)

    @property
    def is_typed(self) -> bool:
        """Whether programs on sys_exit get typed pointers."""
        return bool(self._programs.typed_for)

    @property
    def plain_reason(self) -> str:
        """Why they do not, where the kernel refused it."""
        return self._programs.plain_reason

    def open(self) -> None:
        """Compile, load and attach. Raises ProbeError; nothing stays loaded then."""
        kernel.check_release(platform.release())
        calls = DEFAULT_CALLS if self.options.syscalls is None else self.options.syscalls
        native_calls(calls | self.options.followed)  # a wrong name is told before anything is done
        _check_namespace()
        try:
            self._load()
            self.report(calls, self.options.followed)
            self._ring = ring.Ring(
                self._maps["events"], self.options.ring_bytes, self._maps["reader"]
            )
            for program in self._hooks():
                self._attach(program)
            self._seed_scope()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        options = self.options
        page = os.sysconf("SC_PAGE_SIZE")
        if options.ring_bytes < page or options.ring_bytes & (options.ring_bytes - 1):
            raise ProbeError(
                f"a ring buffer of {options.ring_bytes} bytes is not possible",
                code="E_RING_SIZE",
                hint=f"use a power of two of at least {page}",
            )
        if options.scope_pid is not None:
            scope.descendants(options.scope_pid)  # a wrong pid is told before seconds of compiling
        # Maps come first: they show at once whether we have the privileges.
        kernel.lift_memory_limit()
        self._maps.create(options.ring_bytes)
        directory = source_text.locate_bpf()
        with Build(directory) as build:
            constants = start_constants(options)
            kernel_text = kernel_offsets()
            code = build.instructions(source_text.build_text(directory, kernel_text))
        self.offsets = offsets.parse_constants(kernel_text)
        self._programs.load(code, self._maps, constants, self.offsets.get("BTF_SYS_EXIT", 0))
        self._programs.join(self._maps)
        self._closing.prepare(code, constants, self.offsets.get("BTF_SYS_CLOSE", 0))
        self._calls.fill()
        # The entry that says whether a rename was lost (bpf/rename.h).
        self._maps.put("renamed", 0, bytes(4))

    def _hooks(self) -> list[str]:
        """Programs to attach; those that would have nothing to do are left out."""
        idle = set()
        if event_type(EXECVE).code not in self._calls.codes:
            idle |= {"hook_exec", "hook_rename"}
        if self.options.scope_pid is None:
            if source_text.architecture() == "x86_64":
                idle.add("hook_fork")
            if not self.options.procexit:
                idle.add("hook_exit")
        return [program for program in source_text.HOOKS if program not in idle]

    def _attach(self, program: str) -> None:
        self._links[self._programs.attach(program)] = program

    def _seed_scope(self) -> None:
        """Once more after the first pass: forks before the probe was attached are caught then."""
        if self.options.scope_pid is None:
            return
        seeded: set[int] = set()
        while True:
            tree = scope.descendants(self.options.scope_pid)
            if tree <= seeded:
                return
            for pid in tree - seeded:
                self._maps.put("scope_pids", pid, b"\1")
            seeded |= tree

    def report(self, calls: frozenset[str], followed: frozenset[str] = frozenset()) -> None:
        """From now on report exactly these system calls; events of those that stay go on unbroken.

        followed: calls to report beside them as far as the state needs their events: not when they
        fail, and of clone only the child's side. Calls that the architecture lacks are passed over.
        Raises ProbeError for calls that the probe does not know.
        """
        if "close" in calls | followed:
            self._closing.attach()
        self._calls.report(calls, followed)
        if "close" not in self.reported:
            self._closing.release()
        if self._links and event_type(EXECVE).code in self._calls.codes:
            # Successful execs are wanted: attach what tells of them.
            for program in ("hook_rename", "hook_exec"):
                if program not in self._links.values():
                    self._attach(program)

    @property
    def reported(self) -> frozenset[str]:
        """The system calls that are reported now."""
        return self._calls.reported

    def _open_ring(self) -> ring.Ring:
        if self._ring is None:
            raise ProbeError("the probe is not open", code="E_CLOSED")
        return self._ring

    def poll(
        self, timeout_ms: int, *, is_patient: bool = False, sift: ring.Sift | None = None
    ) -> list[bytes]:
        """Records that wait, in the order of submission; waits for the first at most so long.

        is_patient: crowds of them may gather for longer. sift: which of them to read (ring.py).
        """
        return self._open_ring().take(timeout_ms, is_patient=is_patient, sift=sift)

    def wake_with(self, fd: int) -> None:
        """Let `poll` return, maybe empty, as soon as this descriptor is readable too."""
        self._open_ring().wake_with(fd)

    def drain(self) -> list[bytes]:
        """Everything that is still in the ring, without waiting."""
        return self._open_ring().take_all()

    def detach(self) -> None:
        """Stop producing; what is in the ring can still be read by `drain`."""
        while self._links:
            os.close(self._links.popitem()[0])
        self._closing.release()

    @property
    def attached(self) -> frozenset[str]:
        """The hooks that are attached, as far as we know."""
        closing = {HOOK} if self._closing.is_attached else ()
        return frozenset({*self._links.values(), *closing})

    def missing(self) -> list[str]:
        """Hooks whose attachment the kernel does not hold any more."""
        missing = [
            program
            for link, program in self._links.items()
            if not kernel.is_attached(link, self._programs[program])
        ]
        return [*missing, HOOK] if self._closing.is_missing() else missing

    def reattach(self, program: str) -> None:
        """Attach a hook anew. Raises ProbeError when that is not possible any more."""
        if program == HOOK:
            self._closing.reattach()
            return
        for link in [link for link, name in self._links.items() if name == program]:
            del self._links[link]
            os.close(link)
        self._attach(program)

    def positions(self) -> tuple[int, int]:
        """Bytes of the ring that were taken and given so far."""
        return self._open_ring().positions

    def skip(self) -> None:
        """Go on reading with the next record that is written."""
        self._open_ring().skip()

    def pressed(self) -> int:
        """How often the ring had no room, for an event or for an answer to the self-test."""
        return read_pressed(self._maps)

    def counters(self) -> ProbeCounters:
        """Sums over all CPUs; only codes that this probe can emit."""
        events = read_events(self._maps, self._calls.codes)
        reasons = {name: read_reason(self._maps, name) for name in REASONS}
        return ProbeCounters(events, {**reasons, "recursion": self._programs.missed_runs()})

    def lost(self) -> int:
        """What `read_lost` counts; 0 when the probe is not open."""
        return read_lost(self._maps) if self._maps else 0

    def close(self) -> None:
        """Detach and release everything; may be called twice."""
        self.detach()
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        self._programs.close()
        self._maps.close()
        self.filters.forget()


def _check_namespace() -> None:
    """Raises ProbeError in a pid namespace other than the host's."""
    if str(Path("/proc/self/ns/pid").readlink()) != f"pid:[{_INITIAL_PIDNS}]":
        raise ProbeError(
            "Lanner runs in a pid namespace of its own and could not tell its own events",
            code="E_PIDNS",
            hint="run it in the host's pid namespace (hostPID: true, --pid=host)",
        )
