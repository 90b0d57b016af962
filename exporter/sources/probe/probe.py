"""Probe: live events of this kernel, through raw tracepoints and a BPF ring buffer.

Takes a choice of events and a scope, gives the bytes of records (`decode.py` makes events of
them). The probe's code is compiled by bcc in a child process; see launch.py.
"""

import os
import platform
import re
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from exporter.errors import ProbeError
from exporter.events.table import event_type
from exporter.sources.probe import btf, kernel, offsets, ring, scope, source_text
from exporter.sources.probe.build import Build, cache_directory, kernel_offsets
from exporter.sources.probe.self_test import BEAT_CALL
from exporter.sources.probe.syscalls import (
    BEAT,
    CALLS,
    DEFAULT_CALLS,
    EXECVE,
    MAX_NUMBER,
    ONLY_STATE,
    PROCEXIT,
    STATE,
    STATE_CALLS,
    UNKNOWN,
    Hook,
    Step,
    encode_ops,
    native_numbers,
    numbers_of,
)

DEFAULT_RING_BYTES = 8 << 20
DEFAULT_SNAPLEN = 80
MAX_SNAPLEN = 4095
"""Room of the probe for what is read or written (bpf/layout.h)."""
MIN_KERNEL = (5, 8)
NAMES_MAX = 4096
"""Users whose names are tested in the kernel, as far as they differ from those without a name."""

RENAMED_MAX = 65536
"""Threads with a new name that no event has told yet."""

SCOPE_PIDS_MAX = 65536
"""Processes that a process tree in scope may have at one time."""

REASONS = ("ia32", "scratch_busy", "no_step", "scope_full", "ring_full", "unknown_call")
"""Reasons counted beside lost events, in the order of bpf/maps.h."""

_BEAT_FULL = "beat_full"
"""Counted behind them; no loss."""

_NO_EVENTS = frozenset({"ia32", "unknown_call"})
"""Reasons of calls that are no events of ours."""

_RESERVED_SHARE = 8
"""One part in so many of the ring is kept for events that the state follows."""

_COUNTERS = struct.Struct("<QQQQ")
_FILTER_MEMORY_BYTES = 8 * source_text.EVENT_CODES + source_text.FILTER_TEXTS_BYTES
"""Of one CPU: a counter of events left out by event code, then room for texts."""
_FILTER_MAPS = frozenset({"filters", "filter_memory", "filter_ports"})
_HOOK_FILTER_MAPS = frozenset({"scratch", "steps", "judged", "names"})
_EXIT_PROGRAMS = frozenset({"hook_sys_exit", source_text.RECORD, source_text.RECORD_STATE})
"""Programs on sys_exit that no other hook jumps to."""
_PORTS = 1 << 16
_MAP_STEPS, _IS_TYPED = 4, 108
"""Numbers in bpf/maps.h."""
_SYSCALL_INFO = struct.Struct("<IIIIQ")


class ProbeOptions(Struct, kw_only=True, frozen=True):
    """What to load.

    syscalls: names of system calls to report at first (`Probe.report` changes them); None for those
    that change something (DEFAULT_CALLS). Successful execs are reported with execve or execveat.
    followed: calls whose events are needed beside them, but for the state alone (`Probe.report`).
    procexit: report the end of threads. ring_bytes: size of the ring buffer, a power of two.
    snaplen: bytes that events show of what was read, written, sent or received; at most
    MAX_SNAPLEN. scope_cgroup: directory of the only cgroup subtree to look at. scope_pid: the only
    process to look at, with its descendants. self_test_seconds: how often the
    probe is tested; 0: never.
    """

    syscalls: frozenset[str] | None = None
    followed: frozenset[str] = frozenset()
    procexit: bool = True
    ring_bytes: int = DEFAULT_RING_BYTES
    snaplen: int = DEFAULT_SNAPLEN
    scope_cgroup: Path | None = None
    scope_pid: int | None = None
    self_test_seconds: float = 10.0


class EventCount(Struct, frozen=True):
    """What became of the events of one code since the start.

    truncated and state_only ones are among the submitted ones. state_only: no rule can match them,
    but the state needs them. filtered: left out because no rule can match them.
    """

    submitted: int
    dropped: int
    truncated: int
    state_only: int = 0
    filtered: int = 0


class ProbeCounters(Struct, frozen=True):
    """Counted in the kernel: by event code, and what could not be reported by reason.

    The reason ring_full is the sum of the events' `dropped`.
    """

    events: Mapping[int, EventCount]
    reasons: Mapping[str, int]

    @property
    def dropped(self) -> int:
        """Events lost because the ring was full."""
        return sum(count.dropped for count in self.events.values())


class Probe:
    """The loaded probe. Records come from `poll` between `open` and `close`."""

    def __init__(self, options: ProbeOptions | None = None) -> None:
        self.options = options or ProbeOptions()
        self._links: dict[int, str] = {}
        self._maps: dict[str, int] = {}
        self._programs: dict[str, int] = {}
        self._ring: ring.Ring | None = None
        self._codes: tuple[int, ...] = ()
        self._reported: frozenset[str] = frozenset()
        self._followed: frozenset[str] = frozenset()
        self._filters: dict[str, int] = {}
        self._hook_filters: set[Hook] = set()
        self._names: frozenset[int] = frozenset()
        self._typed_for = 0
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
    def fd(self) -> int:
        """Descriptor that becomes readable when records wait (for select or epoll)."""
        return self._open_ring().fd

    def open(self) -> None:
        """Compile, load and attach. Raises ProbeError; nothing stays loaded then."""
        check_kernel(platform.release())
        wanted = self._native(self._first_calls() | self.options.followed)
        if str(Path("/proc/self/ns/pid").readlink()) != f"pid:[{_INITIAL_PIDNS}]":
            raise ProbeError(
                "Lanner runs in a pid namespace of its own and could not tell its own events",
                code="E_PIDNS",
                hint="run it in the host's pid namespace (hostPID: true, --pid=host)",
            )
        try:
            self._load(wanted)
            self._fill()
            self.report(self._first_calls(), self.options.followed)
            self._ring = ring.Ring(self._maps["events"], self.options.ring_bytes)
            for program in self._hooks():
                self._attach(program)
            self._seed_scope()
        except BaseException:
            self.close()
            raise

    def _first_calls(self) -> frozenset[str]:
        chosen = self.options.syscalls
        return DEFAULT_CALLS if chosen is None else chosen

    def _hooks(self) -> list[str]:
        """Programs to attach; those that would have nothing to do are left out."""
        idle = set()
        if event_type(EXECVE).code not in self._codes:
            idle |= {"hook_exec", "hook_rename"}
        if self.options.scope_pid is None:
            if source_text.architecture() == "x86_64":
                idle.add("hook_fork")
            if not self.options.procexit:
                idle.add("hook_exit")
        return [program for program in source_text.HOOKS if program not in idle]

    def _native(self, chosen: frozenset[str]) -> dict[str, int]:
        """These system calls, as far as this architecture has them -> native number."""
        unknown = sorted(chosen - CALLS.keys())
        if unknown:
            raise ProbeError(
                f"the probe cannot report {', '.join(unknown)}",
                code="E_SYSCALL",
                hint=f"it knows {', '.join(sorted(CALLS))}",
            )
        numbers = native_numbers(source_text.architecture())
        return {name: numbers[name] for name in sorted(chosen) if name in numbers}

    def report(self, calls: frozenset[str], followed: frozenset[str] = frozenset()) -> None:
        """From now on report exactly these system calls; events of those that stay go on unbroken.

        followed: calls to report beside them as far as the state needs their events: not when they
        fail, and of clone only the child's side. Calls that the architecture lacks are passed over.
        Raises ProbeError for calls that the probe does not know.
        """
        wanted = self._native(calls | followed)
        numbers = self._native(frozenset(wanted) | self._reported)
        self._codes = tuple(sorted({*self._codes, *self._codes_of(wanted)}))
        self._followed = followed - calls
        for name in wanted:
            if name not in self._reported:
                # The kernel copies an element while the probe may read it: everything but the code
                # first, so that an entry is complete once its code says that it is wanted.
                self._write_call(name, numbers[name], is_wanted=False)
            self._write_call(name, numbers[name], is_wanted=True)
        for name in self._reported - wanted.keys():
            self._write_call(name, numbers[name], is_wanted=False)
        self._reported = frozenset(wanted)
        self._want_exec()

    def _want_exec(self) -> None:
        """Attach what tells of successful execs, once they are wanted."""
        if not self._links or event_type(EXECVE).code not in self._codes:
            return
        for program in ("hook_rename", "hook_exec"):
            if program not in self._links.values():
                self._attach(program)

    def _attach(self, program: str) -> None:
        is_typed = self.is_typed and program in _EXIT_PROGRAMS
        link = kernel.attach(source_text.HOOKS[program], self._programs[program], is_typed=is_typed)
        self._links[link] = program

    @property
    def reported(self) -> frozenset[str]:
        """The system calls that are reported now."""
        return self._reported

    def _write_call(self, name: str, number: int, *, is_wanted: bool) -> None:
        call = CALLS[name]
        event = event_type(call.event)
        flags = numbers_of(name, number) if call.step == Step.NUMBER else call.flags
        if name in STATE_CALLS:
            flags |= STATE
        if name in self._followed:
            flags |= ONLY_STATE
        info = _SYSCALL_INFO.pack(
            event.code if is_wanted else 0,
            len(event.params),
            call.step,
            flags,
            encode_ops(call.ops),
        )
        kernel.update_map(self._maps["syscalls"], struct.pack("<I", number), info)

    def _codes_of(self, wanted: Mapping[str, int]) -> set[int]:
        """Codes of the events that these calls, and the ends of threads, can give."""
        events = {CALLS[name].event for name in wanted}
        if "execveat" in wanted:
            events.add(EXECVE)
        if self.options.procexit:
            events.add(PROCEXIT)
        return {event_type(event).code for event in events}

    def _load(self, wanted: Mapping[str, int]) -> None:
        options = self.options
        page = os.sysconf("SC_PAGE_SIZE")
        if options.ring_bytes < page or options.ring_bytes & (options.ring_bytes - 1):
            raise ProbeError(
                f"a ring buffer of {options.ring_bytes} bytes is not possible",
                code="E_RING_SIZE",
                hint=f"use a power of two of at least {page}",
            )
        self._codes = tuple(sorted(self._codes_of(wanted)))
        if options.scope_pid is not None:
            scope.descendants(options.scope_pid)  # a wrong pid is told before seconds of compiling
        # Maps come first: they show at once whether we have the privileges.
        kernel.lift_memory_limit()
        numbers = {}
        for number, (name, spec) in enumerate(self._map_specs().items(), start=1):
            self._maps[name] = kernel.create_map(spec[0], f"lanner_{name}", *spec[1:])
            numbers[number] = self._maps[name]
        directory = source_text.locate_bpf()
        with Build(directory) as build:
            constants = self._constants()
            kernel_text = kernel_offsets()
            code = build.instructions(source_text.build_text(directory, kernel_text))
        self.offsets = offsets.parse_constants(kernel_text)
        self._load_exit(code, numbers, constants)
        needless = source_text.CALL_PROGRAMS if self.is_typed else frozenset()
        for name, instructions in code.items():
            if name not in self._programs and name not in needless:
                placed = kernel.place(instructions, numbers, constants)
                self._programs[name] = kernel.load_program(name, placed)

    def _load_exit(
        self, code: Mapping[str, bytes], numbers: Mapping[int, int], constants: Mapping[int, int]
    ) -> None:
        """Load the hook of sys_exit, and all it may jump to, as typed programs where possible.

        Typed programs jump to typed ones only, so they have steps of their own. Steps that only
        records of system calls go through are then needed in no other form.
        """
        typed_for = self.offsets.get("BTF_SYS_EXIT", 0)
        if not typed_for or source_text.architecture() != "x86_64":
            return
        maps = {**numbers, _MAP_STEPS: self._maps["exit_steps"]}
        hooks = source_text.HOOKS.keys() - _EXIT_PROGRAMS
        try:
            for name, instructions in code.items():
                if name in hooks or name in source_text.HOOK_PROGRAMS:
                    continue
                placed = kernel.place(instructions, maps, {**constants, _IS_TYPED: 1})
                own = name if name in _EXIT_PROGRAMS else f"exit_{name}"
                self._programs[own] = kernel.load_program(name, placed, typed_for)
        except ProbeError:
            for name in [name for name in self._programs if name not in hooks]:
                os.close(self._programs.pop(name))
        else:
            self._typed_for = typed_for

    @property
    def is_typed(self) -> bool:
        """Whether programs on sys_exit get typed pointers."""
        return bool(self._typed_for)

    def load_filter(self, name: str, code: bytes) -> int:
        """Descriptor of a program that decides which events of a system call are recorded.

        code: instructions with the numbers of maps in place of descriptors. To keep an event they
        go on to the program at index MAX_NUMBER of the filters, to keep it for the state alone to
        the one at MAX_NUMBER + 2. Raises ProbeError.
        """
        maps = {
            place: self._maps[of]
            for place, of in enumerate(self._map_specs(), start=1)
            if of in _FILTER_MAPS
        }
        placed = kernel.place(code, maps, {})
        return kernel.load_program(f"filter_{name}", placed, self._typed_for)

    def set_filter(self, name: str, program: int) -> None:
        """From now on have a loaded program decide on the events of a system call."""
        number = native_numbers(source_text.architecture())[name]
        self._put_filter(number, program)
        self._filters[name] = number

    def set_resolver(self, program: int) -> None:
        """From now on have a loaded program make the relative paths of filters absolute."""
        self._put_filter(MAX_NUMBER + 1, program)

    def clear_filter(self, name: str) -> None:
        """Record every event of a system call."""
        number = self._filters.pop(name, None)
        if number is not None:
            kernel.delete_element(self._maps["filters"], struct.pack("<I", number))

    def load_hook_filter(self, hook: Hook, code: bytes) -> int:
        """Descriptor of a program that decides which finished records of a hook the rules see.

        code: as for `load_filter`; it goes on to the step SUBMIT. Raises ProbeError.
        """
        numbers = {
            place: self._maps[of]
            for place, of in enumerate(self._map_specs(), start=1)
            if of in _HOOK_FILTER_MAPS
        }
        return kernel.load_program(f"filter_{hook}", kernel.place(code, numbers, {}))

    def set_hook_filter(self, hook: Hook, program: int) -> None:
        """From now on have a loaded program decide on the records of a hook."""
        kernel.update_map(
            self._maps["steps"], struct.pack("<I", hook.slot), struct.pack("<I", program)
        )
        self._hook_filters.add(hook)

    def write_needles(self, needles: bytes) -> None:
        """The texts that the filter of execs looks for; no such filter may be in place."""
        kernel.update_map(self._maps["needles"], bytes(4), needles)

    def write_names(self, verdicts: Mapping[int, int]) -> None:
        """What the filters of hooks test of users' names: uid -> bits.

        Each uid's entry changes at once; too many leave none at all. Raises ProbeError.
        """
        fd = self._maps["names"]
        if len(verdicts) > NAMES_MAX:
            verdicts = {}
        for uid, bits in verdicts.items():
            kernel.update_map(fd, struct.pack("<I", uid), struct.pack("<Q", bits))
        for uid in self._names - verdicts.keys():
            kernel.delete_element(fd, struct.pack("<I", uid))
        self._names = frozenset(verdicts)

    def clear_hook_filter(self, hook: Hook) -> None:
        """Give every record of a hook to the rules."""
        if hook in self._hook_filters:
            self._hook_filters.discard(hook)
            kernel.delete_element(self._maps["steps"], struct.pack("<I", hook.slot))

    @property
    def hooks_filtered(self) -> frozenset[Hook]:
        """Hooks that have a filter."""
        return frozenset(self._hook_filters)

    @property
    def filtered(self) -> frozenset[str]:
        """System calls that have a filter."""
        return frozenset(self._filters)

    def _put_filter(self, number: int, program: int) -> None:
        kernel.update_map(
            self._maps["filters"], struct.pack("<I", number), struct.pack("<I", program)
        )

    def _constants(self) -> dict[int, int]:
        """Constants of this start, by their number in bpf/maps.h."""
        options = self.options
        cgroup = None
        if options.scope_cgroup is not None:
            subsystems = offsets.cgroup_subsystems(btf.read_vmlinux(offsets.STRUCTS))
            cgroup = scope.resolve_cgroup(options.scope_cgroup, subsystems)
        has_v1 = cgroup is not None and cgroup.subsystem is not None
        return {
            101: os.getpid(),
            102: int(options.scope_pid is not None),
            103: cgroup.cgroup_id if cgroup else 0,
            104: cgroup.level if cgroup else 0,
            105: (cgroup.subsystem or 0) + 1 if cgroup and has_v1 else 0,
            106: int(options.procexit),
            _IS_TYPED: 0,
            107: options.ring_bytes - options.ring_bytes // _RESERVED_SHARE,
            109: min(options.snaplen, MAX_SNAPLEN),
        }

    def _map_specs(self) -> dict[str, tuple[int, int, int, int]]:
        """Type, key bytes, value bytes and entries of each map, in the order of bpf/maps.h."""
        array, percpu = kernel.ARRAY, kernel.PERCPU_ARRAY
        cpus = possible_cpus()
        return {
            "events": (kernel.RINGBUF, 0, 0, self.options.ring_bytes),
            "scratch": (array, 4, source_text.SCRATCH_BYTES, cpus),
            "syscalls": (array, 4, _SYSCALL_INFO.size, MAX_NUMBER),
            "steps": (kernel.PROG_ARRAY, 4, 4, len(Step) + len(Hook)),
            "counters": (percpu, 4, _COUNTERS.size, source_text.EVENT_CODES),
            "reasons": (percpu, 4, 8, len(REASONS) + 1),
            "scope_pids": (kernel.HASH, 4, 1, SCOPE_PIDS_MAX),
            "filters": (kernel.PROG_ARRAY, 4, 4, MAX_NUMBER + 3),
            "filter_memory": (array, 4, _FILTER_MEMORY_BYTES, cpus),
            "filter_ports": (array, 4, 4, _PORTS),
            "exit_steps": (kernel.PROG_ARRAY, 4, 4, len(Step)),
            "judged": (array, 4, source_text.JUDGED_BYTES, cpus),
            "needles": (array, 4, source_text.NEEDLES_BYTES, 1),
            "names": (kernel.HASH, 4, 8, NAMES_MAX),
            "renamed": (kernel.HASH, 4, 4, RENAMED_MAX),
        }

    def _fill(self) -> None:
        """Make the steps known to each other."""
        steps = self._maps["steps"]
        for program, step in source_text.PROGRAMS.items():
            index = struct.pack("<I", step)
            if program in self._programs:
                kernel.update_map(steps, index, struct.pack("<I", self._programs[program]))
            if f"exit_{program}" in self._programs:
                typed = struct.pack("<I", self._programs[f"exit_{program}"])
                kernel.update_map(self._maps["exit_steps"], index, typed)
        self._put_filter(MAX_NUMBER, self._programs[source_text.RECORD])
        # Any code: it only says that the call is wanted.
        beat = _SYSCALL_INFO.pack(event_type(PROCEXIT).code, 0, 0, BEAT, 0)
        kernel.update_map(self._maps["syscalls"], struct.pack("<I", BEAT_CALL), beat)
        unknown = _SYSCALL_INFO.pack(0, 0, 0, UNKNOWN, 0)
        known = {*native_numbers(source_text.architecture()).values(), BEAT_CALL}
        for number in set(range(MAX_NUMBER)) - known:
            kernel.update_map(self._maps["syscalls"], struct.pack("<I", number), unknown)
        self._put_filter(MAX_NUMBER + 2, self._programs[source_text.RECORD_STATE])
        # The entry that says whether a rename was lost (bpf/rename.h).
        kernel.update_map(self._maps["renamed"], bytes(4), bytes(4))

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
                kernel.update_map(self._maps["scope_pids"], struct.pack("<I", pid), b"\1")
            seeded |= tree

    def _open_ring(self) -> ring.Ring:
        if self._ring is None:
            raise ProbeError("the probe is not open", code="E_CLOSED")
        return self._ring

    def poll(self, timeout_ms: int, *, is_patient: bool = False) -> list[bytes]:
        """Records that wait, in the order of submission; waits for the first at most so long.

        is_patient: crowds of them may gather for longer (ring.py).
        """
        return self._open_ring().take(timeout_ms, is_patient=is_patient)

    def drain(self) -> list[bytes]:
        """Everything that is still in the ring, without waiting."""
        return self._open_ring().take_all()

    def detach(self) -> None:
        """Stop producing; what is in the ring can still be read by `drain`."""
        while self._links:
            os.close(self._links.popitem()[0])

    @property
    def attached(self) -> frozenset[str]:
        """The hooks that are attached, as far as we know."""
        return frozenset(self._links.values())

    def missing(self) -> list[str]:
        """Hooks whose attachment the kernel does not hold any more."""
        return [
            program
            for link, program in self._links.items()
            if not kernel.is_attached(link, self._programs[program])
        ]

    def reattach(self, program: str) -> None:
        """Attach a hook anew. Raises ProbeError when that is not possible any more."""
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
        return self._reason("ring_full") + self._reason(_BEAT_FULL)

    def close(self) -> None:
        """Detach and release everything; may be called twice."""
        self.detach()
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        for fds in (self._programs, self._maps):
            while fds:
                os.close(fds.popitem()[1])
        self._filters.clear()
        self._hook_filters.clear()

    def counters(self) -> ProbeCounters:
        """Sums over all CPUs; only codes that this probe can emit."""
        cpus = possible_cpus()
        events = {}
        filtered = self._filtered_counts(cpus)
        for code in self._codes:
            data = self._read("counters", code, _COUNTERS.size * cpus)
            each = zip(*_COUNTERS.iter_unpack(data), strict=True)
            submitted, dropped, truncated, state_only = (sum(column) for column in each)
            events[code] = EventCount(submitted, dropped, truncated, state_only, filtered[code])
        reasons = {name: self._reason(name) for name in REASONS}
        reasons["recursion"] = sum(
            kernel.read_missed_runs(self._programs[hook]) for hook in source_text.HOOKS
        )
        return ProbeCounters(events, reasons)

    def _filtered_counts(self, cpus: int) -> list[int]:
        """Events left out by filters, by event code."""
        counts = struct.Struct(f"<{source_text.EVENT_CODES}Q")
        each = [
            counts.unpack_from(self._read("filter_memory", cpu, _FILTER_MEMORY_BYTES))
            for cpu in range(cpus)
        ]
        return [sum(column) for column in zip(*each, strict=True)]

    def lost(self) -> int:
        """Events lost in the kernel so far, whatever they were and why; quick to read.

        Foreign calls are no events that the probe could have told. 0 when the probe is not open.
        """
        if not self._maps:
            return 0
        return sum(self._reason(name) for name in REASONS if name not in _NO_EVENTS)

    def _reason(self, name: str) -> int:
        cpus = possible_cpus()
        data = self._read("reasons", (*REASONS, _BEAT_FULL).index(name), 8 * cpus)
        return sum(struct.unpack(f"<{cpus}Q", data))

    def _read(self, name: str, key: int, size: int) -> bytes:
        if name not in self._maps:
            raise ProbeError("the probe is not open", code="E_CLOSED")
        return kernel.read_map(self._maps[name], struct.pack("<I", key), size)


def precompile() -> bool:
    """Put the instructions for this kernel into the cache, so that the next start is quick.

    Needs no privileges beyond reading BTF. False when there is no cache to put them into.
    Raises ProbeError.
    """
    check_kernel(platform.release())
    if cache_directory() is None:
        return False
    directory = source_text.locate_bpf()
    with Build(directory) as build:
        build.instructions(source_text.build_text(directory, kernel_offsets()))
    return True


_INITIAL_PIDNS = 0xEFFFFFFC
_POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")


@cache
def possible_cpus() -> int:
    """Number of CPU ids that the kernel may use."""
    return source_text.possible_cpus(_POSSIBLE_CPUS.read_text())


def check_kernel(release: str) -> None:
    """Raises ProbeError for kernels without the BPF ring buffer."""
    match = re.match(r"(\d+)\.(\d+)", release)
    if match and (int(match[1]), int(match[2])) < MIN_KERNEL:
        raise ProbeError(
            f"the kernel {release} is too old for the probe",
            code="E_KERNEL",
            hint="use Linux 5.8 or newer",
        )
