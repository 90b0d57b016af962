"""What close closes: noted at the entry of the call, as long as an event of close is wanted.

At the exit of every other call the descriptor is still in the kernel's table. For close a program
reads it at the entry; where the kernel has trampolines it stands at the function of the call, so
that no other call takes longer, else at the entry of all calls. Maps and programs exist only
meanwhile. The programs are bpf/hook_close.h and syscalls_close.h.
"""

import os
import struct
import threading
from collections.abc import Mapping

from exporter.errors import ProbeError
from exporter.sources.probe import kernel, source_text
from exporter.sources.probe.kernel import MapShape
from exporter.sources.probe.maps import Maps, possible_cpus
from exporter.sources.probe.programs import IS_TYPED, MAP_STEPS, Programs
from exporter.sources.probe.syscalls import Step, native_numbers

HOOK = "hook_close"

NOTES_MAX = 512
"""Closes that may be under way at one time, 2 MiB; those beyond are told without a descriptor."""

_MAP_SCRATCH, _MAP_CLOSING, _AT_FUNCTION = 2, 50, 110
"""Numbers in bpf/maps.h."""

_TRACEPOINT = "sys_enter"
_STEPS = {
    "step_attach": Step.ATTACH,
    "step_path": Step.PATH,
    "step_attached": Step.ATTACHED,
    "note_closed": Step.FINISH,
}
"""Programs at the entry: those that write the attachment of every other call, and the last."""


class Closing:
    """The programs of close in one open probe. May be used from several threads."""

    def __init__(self, maps: Maps, programs: Programs) -> None:
        self._maps = maps
        self._programs = programs
        self._code: dict[str, bytes] = {}
        self._constants: Mapping[int, int] = {}
        self._function = 0
        self._own: dict[str, int] = {}
        self._link = -1
        self._lock = threading.Lock()
        self.is_at_function = False
        """Whether no other call passes the program, once it is attached."""

    def prepare(
        self, code: Mapping[str, bytes], constants: Mapping[int, int], function: int
    ) -> None:
        """Remember what to load. function: BTF id of the call's function, 0 for none."""
        self._code = {name: code[name] for name in (HOOK, "take_closed", *_STEPS)}
        self._constants = constants
        self._function = function

    @property
    def is_attached(self) -> bool:
        """Whether closes are looked at."""
        return self._link >= 0

    def attach(self) -> None:
        """Look at every close from now on, unless that is so already. Raises ProbeError.

        To be called before events of close are wanted: the few notes that nobody takes until then
        lie there until their threads close something else.
        """
        with self._lock:
            if self._link >= 0:
                return
            try:
                self._load()
                self._attach()
            except BaseException:
                self._release()
                raise

    def release(self) -> None:
        """Detach and remove all; may be called twice."""
        with self._lock:
            self._release()

    def is_missing(self) -> bool:
        """Whether the kernel does not hold the attachment any more."""
        with self._lock:
            return self._link >= 0 and not kernel.is_attached(self._link, self._own[HOOK])

    def reattach(self) -> None:
        """Attach anew, unless nothing was attached. Raises ProbeError."""
        with self._lock:
            if self._link >= 0:
                os.close(self._link)
                self._link = -1
                self._attach()

    def _load(self) -> None:
        """Everything, and what takes the notes in its place."""
        own = self._own
        own["closing"] = kernel.create_map(
            "lanner_closing", MapShape(kernel.HASH, 4, source_text.CLOSING_BYTES, NOTES_MAX)
        )
        own["scratch"] = kernel.create_map(
            "lanner_scratch", MapShape(kernel.ARRAY, 4, source_text.SCRATCH_BYTES, possible_cpus())
        )
        try:
            self._load_entry(is_at_function=self._function != 0)
        except ProbeError:
            if not self._function:
                raise
            self._load_entry(is_at_function=False)
        typed_for = self._programs.typed_for
        constants = {**self._constants, IS_TYPED: int(typed_for != 0)}
        numbers = {**self._maps.numbered(), _MAP_CLOSING: own["closing"]}
        placed = kernel.place(self._code["take_closed"], numbers, constants)
        own["take_closed"] = kernel.load_program("take_closed", placed, typed_for)
        self._maps.put_program("filters", _number(), own["take_closed"])

    def _load_entry(self, *, is_at_function: bool) -> None:
        """The hook and its steps, for one place to stand."""
        own = self._own
        self._drop(HOOK, "steps", *_STEPS)
        own["steps"] = kernel.create_map(
            "lanner_steps", MapShape(kernel.PROG_ARRAY, 4, 4, len(Step))
        )
        numbers = {
            **self._maps.numbered(),
            _MAP_SCRATCH: own["scratch"],
            MAP_STEPS: own["steps"],
            _MAP_CLOSING: own["closing"],
        }
        constants = {**self._constants, IS_TYPED: 0, _AT_FUNCTION: int(is_at_function)}
        for name in (HOOK, *_STEPS):
            placed = kernel.place(self._code[name], numbers, constants)
            function = self._function if is_at_function else 0
            own[name] = kernel.load_program(name, placed, function, is_function=is_at_function)
        for name, step in _STEPS.items():
            kernel.update_map(own["steps"], struct.pack("<I", step), struct.pack("<I", own[name]))
        self.is_at_function = is_at_function

    def _attach(self) -> None:
        hook = self._own[HOOK]
        try:
            self._link = kernel.attach(_TRACEPOINT, hook, is_typed=self.is_at_function)
        except ProbeError:
            if not self.is_at_function:
                raise
            self._load_entry(is_at_function=False)
            self._link = kernel.attach(_TRACEPOINT, self._own[HOOK])

    def _release(self) -> None:
        if self._link >= 0:
            os.close(self._link)
            self._link = -1
        if "take_closed" in self._own:
            self._maps.remove("filters", _number())
        self._drop(*self._own)

    def _drop(self, *names: str) -> None:
        for name in names:
            if name in self._own:
                os.close(self._own.pop(name))


def _number() -> int:
    """Native number of close."""
    return native_numbers(source_text.architecture())["close"]
