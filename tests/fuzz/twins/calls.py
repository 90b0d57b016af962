"""System calls as acts: what actor.py performs, by name."""

from typing import Any

from exporter.events.table import load_syscall_table

Act = dict[str, Any]


class Calls:
    """Makes acts of calls. arch: of the native numbers."""

    def __init__(self, arch: str) -> None:
        self._numbers = {
            call.name: call.nr[arch] for call in load_syscall_table().syscalls if arch in call.nr
        }

    def has(self, name: str) -> bool:
        """Whether the architecture has the call."""
        return name in self._numbers

    def __call__(self, name: str, *args: Any, keep: str = "") -> Act:
        """One call. keep: name under which its result is remembered."""
        act = {"call": name, "nr": self._numbers[name], "args": list(args)}
        return {**act, "keep": keep} if keep else act
