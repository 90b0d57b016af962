"""Lives that begin and end between two events: nothing of them stays, and no rule can ask.

Under load most processes are born, run a program and end within the few milliseconds that records
gather in. Where no event of anybody lies between birth and end, and nobody who is left was their
child, the state is the same with them and without them. That shows in the headers of their records,
so the records themselves, all of them in another CPU's cache, need not be read.
Source: what exporter/state/lifelines.py makes of births, execs and exits;
tests/integration/test_brief_lives.py compares the two.
"""

import mmap
from collections.abc import Callable
from struct import Struct

import msgspec

from exporter.events.state_record import BriefLives
from exporter.events.table import event_type
from exporter.sources.probe.lifelines import (
    BIRTH_PARAMS,
    BIRTHS,
    EXEC_PARAMS,
    EXECVE,
    EXIT_BYTES,
    EXIT_REAPER,
    EXIT_REAPER_AT,
    PARAMS_AT,
    PROCEXIT,
)
from exporter.sources.probe.record import RECORD_STATE_ONLY

_LOOK = Struct("<QIH2x3I4xI28xI2xH8xQ")
"""ts_ns, record_len, event_code, tid, pid, ptid, vpid, mntns, flags and cgroup_id of the header."""

_RESULT = Struct("<q")
_BIRTH_RESULT_AT = PARAMS_AT + 2 * BIRTH_PARAMS
_EXEC_RESULT_AT = PARAMS_AT + 2 * EXEC_PARAMS

_OWN = frozenset(
    event_type(event_id).code
    for event_id in (
        "PPME_SYSCALL_CHDIR_X", "PPME_SYSCALL_FCHDIR_X", "PPME_SYSCALL_CHROOT_X",
        "PPME_SYSCALL_CAPSET_X", "PPME_SYSCALL_PRCTL_X",
    )
)  # fmt: skip
"""Calls that change nothing but the process that makes them."""

_HEADER_BYTES = PARAMS_AT
_MIN_RECORDS = 2
_MAX_PLACES = 4096
_UNUSUAL = -1
"""Stands among the living threads of a process of which not everything is as usual."""


class _Life(msgspec.Struct, gc=False):
    """One process, by its records since its birth."""

    alive: list[int]
    """Threads that have begun and not ended."""
    records: list[int]
    """Which records of the batch are its own."""
    above: list[int]
    """Whose child it was, and who inherited its own children."""
    exits: list[tuple[int, int, int]]
    """tid, ptid and time of each thread's end."""


Memory = bytes | mmap.mmap


class BriefLivesFilter:
    """Leaves them out of what is read; one a source, for it remembers what was let through.

    offset_ns: what times of records lack to ns since the epoch.

    Never left out: the first process in a cgroup or mount namespace, which tells what they are;
    the init of a pid namespace, with which a container ends; and whatever is not as usual.
    """

    def __init__(self, offset_ns: Callable[[], int]) -> None:
        self.found: list[tuple[int, BriefLives]] = []
        """Lives that were left out of the last batch, and how many of its records come before."""
        self.left_out = 0
        """Records that were."""
        self._offset_ns = offset_ns
        self._places: set[tuple[int, int]] = set()
        """Pairs of cgroup and mount namespace of which a process was let through."""

    def sift(self, memory: Memory, spans: list[slice]) -> list[slice]:
        """The records to read among those that lie here; `found` tells of the others.

        Those that go beyond the end of the memory are to be read.
        """
        self.clear()
        if len(spans) < _MIN_RECORDS:
            return spans
        batch = _Batch(memory, spans, self._places, self._offset_ns())
        batch.look()
        left_out = batch.left_out
        if not left_out:
            return spans
        self.found, self.left_out = batch.found, len(left_out)
        return [span for index, span in enumerate(spans) if index not in left_out]

    def clear(self) -> None:
        """Forget the last batch."""
        self.found = []
        self.left_out = 0


class _Batch:
    """One batch of records, and what was found in it."""

    def __init__(
        self, memory: Memory, spans: list[slice], places: set[tuple[int, int]], offset_ns: int
    ) -> None:
        self.found: list[tuple[int, BriefLives]] = []
        self.left_out: set[int] = set()
        self._memory = memory
        self._spans = spans
        self._places = places
        self._offset_ns = offset_ns
        self._lives: dict[int, _Life] = {}
        """Processes that were born since the last event, by pid."""
        self._tied: set[int] = set()
        """Threads that records of others name."""

    def look(self) -> None:
        """Look at all headers, from one event to the next."""
        memory, lives, places = self._memory, self._lives, self._places
        look, only_state, end = _LOOK.unpack_from, RECORD_STATE_ONLY, len(memory)
        for index, span in enumerate(self._spans):
            at, stop = span.start, span.stop
            size = stop - at
            if size < _HEADER_BYTES:
                # No record: an answer to the self-test.
                continue
            if stop > end:
                self._settle(index)
                continue
            ts_ns, length, code, tid, pid, ptid, vpid, mntns, flags, cgroup_id = look(memory, at)
            if not flags & only_state or length != size:
                self._settle(index)
                continue
            place = (cgroup_id, mntns)
            life = lives.get(pid)
            if life is None:
                if (
                    code in BIRTHS
                    and tid == pid
                    and vpid != 1
                    and place in places
                    and self._is_whole(span, _BIRTH_RESULT_AT)
                ):
                    lives[pid] = _Life([tid], [index], [ptid], [])
                else:
                    self._let_through(span, code, place, (pid, ptid))
                continue
            life.records.append(index)
            life.above.append(ptid)
            alive = life.alive
            is_usual = place in places
            if code == PROCEXIT:
                if tid in alive and size == EXIT_BYTES:
                    alive.remove(tid)
                    life.exits.append((tid, ptid, ts_ns + self._offset_ns))
                    life.above += EXIT_REAPER.unpack_from(memory, at + EXIT_REAPER_AT)
                else:
                    is_usual = False
            elif code == EXECVE:
                is_usual &= alive == [tid] and self._is_whole(span, _EXEC_RESULT_AT)
            elif code in BIRTHS:
                is_usual &= (
                    tid != pid and tid not in alive and self._is_whole(span, _BIRTH_RESULT_AT)
                )
                alive.append(tid)
            else:
                is_usual &= code in _OWN
            if not is_usual:
                alive.append(_UNUSUAL)
        self._settle(len(self._spans))

    def _let_through(
        self, span: slice, code: int, place: tuple[int, int], named: tuple[int, int]
    ) -> None:
        """A record of a process that was born before. named: its pid and ptid."""
        if code in BIRTHS or code == EXECVE:
            result_at = _EXEC_RESULT_AT if code == EXECVE else _BIRTH_RESULT_AT
            if self._is_whole(span, result_at):
                if len(self._places) >= _MAX_PLACES:
                    self._places.clear()
                self._places.add(place)
        elif code == PROCEXIT and span.stop - span.start == EXIT_BYTES:
            self._tied.update(EXIT_REAPER.unpack_from(self._memory, span.start + EXIT_REAPER_AT))
        # The pid too: a record ahead of its process's birth is not as usual.
        self._tied.update(named)

    def _is_whole(self, span: slice, result_at: int) -> bool:
        """Whether a record has a result, which is 0."""
        if span.stop - span.start < result_at + _RESULT.size:
            return False
        (result,) = _RESULT.unpack_from(self._memory, span.start + result_at)
        return not result

    def _settle(self, index: int) -> None:
        """Find the lives that are over where this record, or the end, comes."""
        if not self._lives:
            return
        tied = self._tied
        brief: list[_Life] = []
        # A child is born behind its parent: seen from the end, it is settled by then who stays.
        for pid, life in reversed(self._lives.items()):
            if life.alive or pid in tied or any(tid in tied for tid, _, _ in life.exits):
                tied.update(life.above)
            else:
                brief.append(life)
        self._lives.clear()
        if not brief:
            return
        for life in brief:
            self.left_out.update(life.records)
        exits = [one for life in reversed(brief) for one in life.exits]
        before = index - len(self.left_out)
        self.found.append((before, BriefLives(len(brief), exits)))
