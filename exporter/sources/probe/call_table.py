"""The table in the kernel that says which system calls are reported, and as what."""

from collections.abc import Mapping

from exporter.errors import ProbeError
from exporter.events.table import event_type
from exporter.sources.probe.maps import SYSCALL_INFO, Maps
from exporter.sources.probe.self_test import BEAT_CALL
from exporter.sources.probe.source_text import architecture
from exporter.sources.probe.syscalls import (
    BEAT,
    CALLS,
    EXECVE,
    MAX_NUMBER,
    ONLY_STATE,
    PROCEXIT,
    STATE,
    STATE_CALLS,
    UNKNOWN,
    Step,
    encode_ops,
    native_numbers,
    numbers_of,
)


def native_calls(chosen: frozenset[str]) -> dict[str, int]:
    """These system calls, as far as this architecture has them -> native number.

    Raises ProbeError for calls that the probe does not know.
    """
    unknown = sorted(chosen - CALLS.keys())
    if unknown:
        raise ProbeError(
            f"the probe cannot report {', '.join(unknown)}",
            code="E_SYSCALL",
            hint=f"it knows {', '.join(sorted(CALLS))}",
        )
    numbers = native_numbers(architecture())
    return {name: numbers[name] for name in sorted(chosen) if name in numbers}


class CallTable:
    """The table of one probe. has_procexit: the end of threads is reported as well.

    reported: the system calls that are reported now. codes: those of all events that it reported.
    """

    def __init__(self, maps: Maps, *, has_procexit: bool) -> None:
        self.reported: frozenset[str] = frozenset()
        self.codes: tuple[int, ...] = ()
        self._maps = maps
        self._has_procexit = has_procexit
        self._followed: frozenset[str] = frozenset()

    def fill(self) -> None:
        """Mark the call of the self-test, and the numbers that no call is known by."""
        # Any code: it only says that the call is wanted.
        beat = SYSCALL_INFO.pack(event_type(PROCEXIT).code, 0, 0, BEAT, 0)
        self._maps.put("syscalls", BEAT_CALL, beat)
        unknown = SYSCALL_INFO.pack(0, 0, 0, UNKNOWN, 0)
        known = {*native_numbers(architecture()).values(), BEAT_CALL}
        for number in set(range(MAX_NUMBER)) - known:
            self._maps.put("syscalls", number, unknown)

    def report(self, calls: frozenset[str], followed: frozenset[str]) -> None:
        """What `Probe.report` does."""
        wanted = native_calls(calls | followed)
        numbers = native_calls(frozenset(wanted) | self.reported)
        self.codes = tuple(sorted({*self.codes, *self._codes_of(wanted)}))
        self._followed = followed - calls
        for name in wanted:
            if name not in self.reported:
                # The kernel copies an element while the probe may read it: everything but the code
                # first, so that an entry is complete once its code says that it is wanted.
                self._write(name, numbers[name], is_wanted=False)
            self._write(name, numbers[name], is_wanted=True)
        for name in self.reported - wanted.keys():
            self._write(name, numbers[name], is_wanted=False)
        self.reported = frozenset(wanted)

    def _write(self, name: str, number: int, *, is_wanted: bool) -> None:
        call = CALLS[name]
        event = event_type(call.event)
        flags = numbers_of(name, number) if call.step == Step.NUMBER else call.flags
        if name in STATE_CALLS:
            flags |= STATE
        if name in self._followed:
            flags |= ONLY_STATE
        info = SYSCALL_INFO.pack(
            event.code if is_wanted else 0,
            len(event.params),
            call.step,
            flags,
            encode_ops(call.ops),
        )
        self._maps.put("syscalls", number, info)

    def _codes_of(self, wanted: Mapping[str, int]) -> set[int]:
        """Codes of the events that these calls, and the ends of threads, can give."""
        events = {CALLS[name].event for name in wanted}
        if "execveat" in wanted:
            events.add(EXECVE)
        if self._has_procexit:
            events.add(PROCEXIT)
        return {event_type(event).code for event in events}
