"""Reads of stack bytes that not every way through a program has written.

Verifiers before 6.3 refuse them, newer ones read what is there. What a branch tests is not
followed: what leans on it to be sound is refused too.
"""

import struct
from dataclasses import dataclass, replace
from functools import reduce

from exporter.pushdown.assembler import Helper

_INSTRUCTION = struct.Struct("<BBhi")
_LOAD_WIDE, _MOVE_CONSTANT, _MOVE, _ADD_CONSTANT = 0x18, 0xB7, 0xBF, 0x07
_LOAD, _STORE_CONSTANT, _STORE, _JUMP, _JUMP32 = 1, 2, 3, 5, 6
_ALWAYS, _CALL, _EXIT = 0x05, 0x85, 0x95
_WIDTHS = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_FRAME = 10
_KEY_BYTES = 4
_READERS = frozenset({
    Helper.PROBE_READ_KERNEL, Helper.PROBE_READ_USER, Helper.PROBE_READ_KERNEL_STR,
    Helper.PROBE_READ_USER_STR,
})  # fmt: skip


@dataclass(frozen=True)
class _State:
    """What every way to an instruction has in common.

    registers: (whether it is relative to the frame, number) or None. written: bytes by bit, from
    the frame pointer downwards.
    """

    registers: tuple[tuple[bool, int] | None, ...]
    written: int = 0

    def meet(self, other: "_State") -> "_State":
        """What both have in common."""
        pairs = zip(self.registers, other.registers, strict=True)
        return _State(
            tuple(one if one == two else None for one, two in pairs), self.written & other.written
        )

    def holding(self, register: int, value: tuple[bool, int] | None) -> "_State":
        """With another value of a register."""
        values = list(self.registers)
        values[register] = value
        return replace(self, registers=tuple(values))


def _bytes(offset: int, size: int) -> int:
    return reduce(lambda bits, at: bits | 1 << -at, range(offset, offset + size), 0)


def unwritten_reads(code: bytes) -> list[tuple[int, int]]:
    """(index of the instruction, offset from the frame pointer) of each."""
    program = list(_INSTRUCTION.iter_unpack(code))
    start = _State((*(None,) * _FRAME, (True, 0)))
    states: dict[int, _State] = {}
    waiting = [(0, start)]
    found = set()
    while waiting:
        at, state = waiting.pop()
        known = states.get(at)
        met = state if known is None else known.meet(state)
        if met == known:
            continue
        states[at] = met
        after, read = _step(program[at], met)
        if read is not None and read[1] & ~met.written:
            found.add((at, read[0]))
        waiting += [(following, after) for following in _following(program, at)]
    return sorted(found)


def _following(program: list[tuple[int, int, int, int]], at: int) -> list[int]:
    operation, _, offset, _ = program[at]
    if operation == _EXIT:
        return []
    if operation == _ALWAYS:
        return [at + 1 + offset]
    if operation == _LOAD_WIDE:
        return [at + 2]
    if operation & 7 in (_JUMP, _JUMP32) and operation != _CALL:
        return [at + 1, at + 1 + offset]
    return [at + 1]


def _step(
    instruction: tuple[int, int, int, int], state: _State
) -> tuple[_State, tuple[int, int] | None]:
    """State behind an instruction; offset and bytes that it reads of the stack."""
    operation, registers, offset, number = instruction
    to, source = registers & 15, registers >> 4
    kind, width = operation & 7, _WIDTHS[operation & 0x18]
    if operation == _CALL:
        return _call(number, state)
    if kind == _LOAD:
        base = state.registers[source]
        after = state.holding(to, None)
        if base is None or not base[0]:
            return after, None
        return after, (base[1] + offset, _bytes(base[1] + offset, width))
    if kind in (_STORE, _STORE_CONSTANT):
        base = state.registers[to]
        if base is None or not base[0]:
            return state, None
        return replace(state, written=state.written | _bytes(base[1] + offset, width)), None
    if kind in (_JUMP, _JUMP32):
        return state, None
    value = None
    if operation == _MOVE_CONSTANT:
        value = (False, number)
    elif operation == _MOVE:
        value = state.registers[source]
    elif operation == _ADD_CONSTANT and (old := state.registers[to]) is not None:
        value = (old[0], old[1] + number)
    return state.holding(to, value), None


def _call(number: int, state: _State) -> tuple[_State, tuple[int, int] | None]:
    first, second = state.registers[1], state.registers[2]
    read = None
    if number in _READERS and first is not None and first[0] and second is not None:
        state = replace(state, written=state.written | _bytes(first[1], second[1]))
    elif number == Helper.MAP_LOOKUP and second is not None and second[0]:
        read = second[1], _bytes(second[1], _KEY_BYTES)
    for register in range(6):
        state = state.holding(register, None)
    return state, read
