"""Filters in the running probe: programs that decide which events are sent.

The room pushdown makes them; here they are loaded, and put where the probe jumps to them.
"""

import struct
from collections.abc import Mapping

from exporter.sources.probe import kernel
from exporter.sources.probe.maps import NAMES_MAX, Maps
from exporter.sources.probe.programs import Programs
from exporter.sources.probe.source_text import architecture
from exporter.sources.probe.syscalls import MAX_NUMBER, Hook, native_numbers

_CLOSE = MAX_NUMBER + 3
"""Index of the filter of close."""

_CALL_MAPS = frozenset({"filters", "filter_memory", "filter_ports", "scratch"})
_HOOK_MAPS = frozenset({"scratch", "steps", "judged", "names"})


class Filters:
    """Those of one open probe. Every method that loads or writes raises ProbeError."""

    def __init__(self, maps: Maps, programs: Programs) -> None:
        self._maps = maps
        self._programs = programs
        self._calls: dict[str, int] = {}
        self._hooks: set[Hook] = set()
        self._names: frozenset[int] = frozenset()

    @property
    def calls(self) -> frozenset[str]:
        """System calls that have a filter."""
        return frozenset(self._calls)

    @property
    def hooks(self) -> frozenset[Hook]:
        """Hooks that have a filter."""
        return frozenset(self._hooks)

    def load_call(self, name: str, code: bytes) -> int:
        """Descriptor of a program that decides which events of a system call are recorded.

        code: instructions with the numbers of maps in place of descriptors. To keep an event they
        go on to the program at index MAX_NUMBER of the filters, to keep it for the state alone to
        the one at MAX_NUMBER + 2.
        """
        placed = kernel.place(code, self._maps.numbered(_CALL_MAPS), {})
        return kernel.load_program(f"filter_{name}", placed, self._programs.typed_for)

    def set_call(self, name: str, program: int) -> None:
        """From now on have a loaded program decide on the events of a system call."""
        # At its number close has what takes its note, and goes on from there.
        number = _CLOSE if name == "close" else native_numbers(architecture())[name]
        self._maps.put_program("filters", number, program)
        self._calls[name] = number

    def set_resolver(self, program: int) -> None:
        """From now on have a loaded program make the relative paths of filters absolute."""
        self._maps.put_program("filters", MAX_NUMBER + 1, program)

    def clear_call(self, name: str) -> None:
        """Record every event of a system call."""
        number = self._calls.pop(name, None)
        if number is not None:
            self._maps.remove("filters", number)

    def load_hook(self, hook: Hook, code: bytes) -> int:
        """Descriptor of a program that decides which finished records of a hook the rules see.

        code: as for `load_call`; it goes on to the step SUBMIT.
        """
        placed = kernel.place(code, self._maps.numbered(_HOOK_MAPS), {})
        return kernel.load_program(f"filter_{hook}", placed)

    def set_hook(self, hook: Hook, program: int) -> None:
        """From now on have a loaded program decide on the records of a hook."""
        self._maps.put_program("steps", hook.slot, program)
        self._hooks.add(hook)

    def clear_hook(self, hook: Hook) -> None:
        """Give every record of a hook to the rules."""
        if hook in self._hooks:
            self._hooks.discard(hook)
            self._maps.remove("steps", hook.slot)

    def write_needles(self, needles: bytes) -> None:
        """The texts that the filter of execs looks for; no such filter may be in place."""
        self._maps.put("needles", 0, needles)

    def write_names(self, verdicts: Mapping[int, int]) -> None:
        """What the filters of hooks test of users' names: uid -> bits.

        Each uid's entry changes at once; too many leave none at all.
        """
        if len(verdicts) > NAMES_MAX:
            verdicts = {}
        for uid, bits in verdicts.items():
            self._maps.put("names", uid, struct.pack("<Q", bits))
        for uid in self._names - verdicts.keys():
            self._maps.remove("names", uid)
        self._names = frozenset(verdicts)

    def forget(self) -> None:
        """The probe that they were in is closed."""
        self._calls.clear()
        self._hooks.clear()
