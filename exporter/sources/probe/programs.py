"""The programs of one probe in the kernel: loaded, and made known to each other.

Takes their instructions (build.py) and the maps. Where the kernel has them, programs on sys_exit
are typed ones, whose context and task are pointers that the verifier knows.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from exporter.events.host import INITIAL_MNTNS
from exporter.sources.probe import btf, kernel, offsets, scope, source_text
from exporter.sources.probe.maps import Maps
from exporter.sources.probe.options import MAX_SNAPLEN, ProbeOptions
from exporter.sources.probe.syscalls import MAX_NUMBER

_RESERVED_SHARE = 8
"""One part in so many of the ring is kept for events that the state follows."""

_EXIT_PROGRAMS = frozenset({"hook_sys_exit", source_text.RECORD, source_text.RECORD_STATE})
"""Programs on sys_exit that no other hook jumps to."""

_EXIT_ARRAYS = ("filters", "exit_steps")
"""Arrays that only they use."""

MAP_STEPS, IS_TYPED = 4, 108
"""Numbers in bpf/maps.h."""


def start_constants(options: ProbeOptions) -> dict[int, int]:
    """Constants of this start, by their number in bpf/maps.h. Raises ProbeError."""
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
        IS_TYPED: 0,
        107: options.ring_bytes - options.ring_bytes // _RESERVED_SHARE,
        109: min(options.snaplen, MAX_SNAPLEN),
        111: _host_mntns(),
    }


def _host_mntns() -> int:
    """Mount namespace of the host's processes, which need not tell their cgroup v2 directory."""
    try:
        return Path("/proc/1/ns/mnt").stat().st_ino
    except OSError:
        # It takes the right to trace pid 1. Then all whose host is not in the first namespace tell.
        return INITIAL_MNTNS


class Programs:
    """The loaded programs by their function in bpf/."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}
        self.typed_for = 0
        """BTF id of what the typed programs are for; 0 when there are none."""
        self.plain_reason = ""
        """What the kernel said where it refused a typed program."""

    def __getitem__(self, name: str) -> int:
        """The program's descriptor."""
        return self._fds[name]

    def load(
        self, code: Mapping[str, bytes], maps: Maps, constants: Mapping[int, int], typed_for: int
    ) -> None:
        """Load what is needed. typed_for: BTF id of sys_exit, or 0. Raises ProbeError."""
        self._load_exit(code, maps, constants, typed_for)
        needless = source_text.CALL_PROGRAMS if self.typed_for else frozenset()
        for name, instructions in code.items():
            if name not in self._fds and name not in needless | source_text.CLOSE_PROGRAMS:
                placed = kernel.place(instructions, maps.numbered(), constants)
                self._fds[name] = kernel.load_program(name, placed)

    def _load_exit(
        self, code: Mapping[str, bytes], maps: Maps, constants: Mapping[int, int], typed_for: int
    ) -> None:
        """Load the hook of sys_exit, and all it may jump to, as typed programs where possible.

        Typed programs jump to typed ones only, so they have steps of their own. Steps that only
        records of system calls go through are then needed in no other form.
        """
        if not typed_for or source_text.architecture() != "x86_64":
            return
        numbers = {**maps.numbered(), MAP_STEPS: maps["exit_steps"]}
        hooks = source_text.HOOKS.keys() - _EXIT_PROGRAMS
        try:
            for name, instructions in code.items():
                if name in hooks | source_text.HOOK_PROGRAMS | source_text.CLOSE_PROGRAMS:
                    continue
                placed = kernel.place(instructions, numbers, {**constants, IS_TYPED: 1})
                own = name if name in _EXIT_PROGRAMS else f"exit_{name}"
                self._fds[own] = kernel.load_program(name, placed, typed_for)
        except kernel.RefusedError as error:
            self.plain_reason = f"{error.message} ({error.finding})"
            self.close()
            maps.empty_programs(_EXIT_ARRAYS)
        else:
            self.typed_for = typed_for

    def join(self, maps: Maps) -> None:
        """Make the steps known to each other. Raises ProbeError."""
        for program, step in source_text.PROGRAMS.items():
            if program in self._fds:
                maps.put_program("steps", step, self._fds[program])
            if f"exit_{program}" in self._fds:
                maps.put_program("exit_steps", step, self._fds[f"exit_{program}"])
        maps.put_program("filters", MAX_NUMBER, self._fds[source_text.RECORD])
        maps.put_program("filters", MAX_NUMBER + 2, self._fds[source_text.RECORD_STATE])

    def attach(self, program: str) -> int:
        """Attach a hook; the descriptor detaches it when closed. Raises ProbeError."""
        is_typed = bool(self.typed_for) and program in _EXIT_PROGRAMS
        return kernel.attach(source_text.HOOKS[program], self._fds[program], is_typed=is_typed)

    def missed_runs(self) -> int:
        """How often the kernel skipped a hook because it was running on that CPU already."""
        return sum(kernel.read_missed_runs(self._fds[hook]) for hook in source_text.HOOKS)

    def close(self) -> None:
        """Let go of the descriptors; may be called twice."""
        while self._fds:
            os.close(self._fds.popitem()[1])
