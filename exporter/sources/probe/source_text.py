"""The C text that is compiled: constants for this kernel and this start, then bpf/probe.c.

The files lie in bpf/ beside the package in a checkout, and in exporter/bpf in an installed wheel.
"""

import os
import platform
import re
from pathlib import Path

import exporter
from exporter.errors import ProbeError
from exporter.events.table import event_type, load_event_table
from exporter.sources.probe.syscalls import CALLS, CLONE, EXECVE, PROCEXIT, Step, native_numbers

_PACKAGE = Path(exporter.__file__).parent

PROGRAMS: dict[str, Step] = {f"step_{step.name.lower()}": step for step in Step}
"""Function in bpf/ -> index in the program array."""

CALL_PROGRAMS = frozenset(
    f"step_{step.name.lower()}"
    for step in (
        *{call.step for call in CALLS.values()},
        Step.OPEN_BY_HANDLE_END,
        Step.EXEC_FAILED_ENV,
        Step.IO_PARAMS,
        Step.MESSAGE,
    )
)
"""Those that only a record of a system call's exit goes through."""

HOOK_PROGRAMS = frozenset(
    f"step_{step.name.lower()}"
    for step in (Step.EXEC_ENV, Step.JUDGE, Step.SUBMIT, Step.SCAN, Step.SCAN_ENV)
)
"""Those that no such record goes through."""

CLOSE_PROGRAMS = frozenset({"hook_close", "note_closed", "take_closed"})
"""Those that are loaded only while events of close are wanted (closing.py)."""

HOOKS = {
    "hook_sys_exit": "sys_exit",
    "hook_exec": "sched_process_exec",
    "hook_fork": "sched_process_fork",
    "hook_exit": "sched_process_exit",
    "hook_rename": "task_rename",
}
"""Function in bpf/ -> raw tracepoint that it is attached to."""

CFLAGS = (
    "-Wno-address-of-packed-member",
    "-Werror=implicit-function-declaration",
    "-g0",
    "-Xclang",
    "-disable-llvm-passes",
)
"""Without debug information and without clang's own optimisation: bcc optimises the module once
more anyway. Together they make the compile a third faster."""

PARTS = (1, 2)
"""Halves of the programs that are compiled at the same time (bpf/probe.c)."""

FILTER_TEXTS_BYTES = 4096
"""Room for the texts that filters look at (exporter/pushdown/memory.py)."""

JUDGED_BYTES = 8192
"""Room for struct judged (bpf/layout.h)."""

NEEDLES_BYTES = 2 * 8 * 256 * 8 + 8
"""Size of struct needles (bpf/layout.h)."""

SCRATCH_BYTES = 48 * 1024
"""Room for struct scratch (bpf/layout.h)."""

CLOSING_BYTES = 4224
"""Size of struct closing (bpf/layout.h)."""

CLOSED_AT = 41872
"""Where struct closed is in struct scratch (bpf/layout.h)."""

BUSY_CALLS = ("open", "openat", "connect", "accept4", "socket")
"""Calls that are made often enough to pay for a branch of their own on the way to their filter."""

RECORD, RECORD_STATE = "record_call", "record_state"
"""Functions in bpf/ that filters go on to: with events for the rules, and for the state alone."""

EVENT_CODES = max(event.code for event in load_event_table().events) + 1


def locate_bpf() -> Path:
    """Directory of the probe's C files. Raises ProbeError when the installation lacks it."""
    for candidate in (_PACKAGE / "bpf", _PACKAGE.parent / "bpf"):
        if (candidate / "probe.c").is_file():
            return candidate
    raise ProbeError(
        "the probe's C files are not installed",
        code="E_INSTALL",
        hint=f"reinstall Lanner: {_PACKAGE / 'bpf'} is missing",
    )


def architecture() -> str:
    """x86_64 or aarch64. Raises ProbeError on anything else."""
    machine = platform.machine()
    if machine not in ("x86_64", "aarch64"):
        raise ProbeError(
            f"the probe does not know the processor architecture {machine}",
            code="E_ARCH",
            hint="use x86_64 or aarch64",
        )
    return machine


def possible_cpus(text: str) -> int:
    """Number of CPU ids that may appear, from the kernel's list format such as "0-3,8"."""
    return max(int(part.rpartition("-")[2]) for part in text.strip().split(",")) + 1


def _inline(directory: Path, name: str, seen: set[str]) -> str:
    """The file with its quoted includes put in place, each once: bcc compiles one text."""
    if name in seen:
        return ""
    seen.add(name)
    text = (directory / name).read_text()
    text = text.replace("#pragma once\n", "")
    body = re.sub(
        r'^#include "([^"]+)"\n', lambda m: _inline(directory, m[1], seen), text, flags=re.MULTILINE
    )
    return f'#line 1 "{name}"\n{body}' if name != "probe.c" else body


def build_text(directory: Path, offsets: str) -> str:
    """The whole C text but for `#define PART`. It depends on the kernel and on bpf/ alone."""
    lines = [
        f"#define PAGE_SIZE {os.sysconf('SC_PAGE_SIZE')}",
        f"#define SCRATCH_BYTES {SCRATCH_BYTES}",
        f"#define JUDGED_BYTES {JUDGED_BYTES}",
        f"#define CLOSING_BYTES {CLOSING_BYTES}",
        f"#define CLOSED_AT {CLOSED_AT}",
    ]
    numbers = native_numbers(architecture())
    lines += [
        f"#define NR_{name.upper()} {numbers[name]}"
        for name in (*BUSY_CALLS, "close")
        if name in numbers
    ]
    for name, event_id in (("EXECVE", EXECVE), ("PROCEXIT", PROCEXIT), ("CLONE", CLONE)):
        event = event_type(event_id)
        lines.append(f"#define CODE_{name} {event.code}")
        lines.append(f"#define NPARAMS_{name} {len(event.params)}")
    return "\n".join(lines) + "\n" + offsets + _inline(directory, "probe.c", set())
