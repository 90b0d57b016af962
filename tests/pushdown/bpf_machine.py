"""A small BPF machine: runs filters as the kernel would, on memory that a test lays out.

It checks what the verifier would: every access lies inside known memory, every register was set.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from exporter.pushdown.assembler import Helper
from exporter.pushdown.emit import RECORD, RECORD_STATE
from exporter.pushdown.emit_hook import MAP_STEPS
from exporter.pushdown.memory import MAP_FILTERS, MAP_MEMORY, MAP_PORTS, RESUME
from exporter.pushdown.observation import AF_INET6, Observation, Socket
from exporter.sources.probe.syscalls import Step
from tests.pushdown.kernel_paths import PATH_OFFSETS, Paths

U64 = (1 << 64) - 1
_STACK, _CONTEXT, _REGS, _TASK, _USER = 0x10000, 0x20000, 0x30000, 0x40000, 0x7F0000000000
_MEMORY, _PORTS, _MAPS, _KERNEL = 0x50000, 0x800000, 0x9000000, 0xA0000000
_HOW = 2
"""Argument of openat2 that points to its struct open_how."""
_STEPS = 2_000_000
_MAX_JUMPS = 6
_KERNEL_FUNCTION = 2
_ENDS = (RECORD, RECORD_STATE, Step.SUBMIT)
"""Programs that end the run of a filter."""
_SWAP = 0xDC

OFFSETS = {
    "OFF_TASK_COMM": 0x40, "OFF_TASK_CRED": 0x60, "OFF_TASK_NSPROXY": 0x68, "OFF_TASK_FILES": 0x70,
    "OFF_TASK_LOGINUID": 0x78, "OFF_CRED_EUID": 8, "OFF_CRED_EGID": 12, "OFF_NSPROXY_MNT": 16,
    "OFF_MNTNS_INUM": 24, "OFF_FILES_FDT": 8, "OFF_FDTABLE_MAX": 0, "OFF_FDTABLE_FD": 8,
    "OFF_FILE_INODE": 8, "OFF_FILE_PRIVATE": 16, "OFF_INODE_MODE": 0, "OFF_SOCKET_SK": 8,
    "OFF_SOCK_DADDR": 0, "OFF_SOCK_SADDR": 4, "OFF_SOCK_DPORT": 12, "OFF_SOCK_NUM": 14,
    "OFF_SOCK_FAMILY": 16, "BTF_RDONLY_CAST": 77, **PATH_OFFSETS,
    "OFF_SOCK_V6_DADDR": 24, "OFF_SOCK_V6_SADDR": 40,
    "OFF_SOCK_PROTOCOL": 56, "OFF_SOCK_USERLOCKS": 58, "BIT_SOCK_USERLOCKS": 16,
    "OFF_SOCK_TYPE": 60, "OFF_TASK_LEADER": 0xA0, "OFF_TASK_THREAD_PID": 0xA8,
    "OFF_TASK_SIGNAL": 0xB0,
    "OFF_PID_LEVEL": 4, "OFF_PID_NUMBERS": 16, "SIZEOF_UPID": 24, "OFF_SIGNAL_TTY": 32,
    "OFF_TTY_INDEX": 4, "OFF_TTY_DRIVER": 8, "OFF_TTY_DRIVER_MAJOR": 8,
    "OFF_TTY_DRIVER_MINOR_START": 12,
}  # fmt: skip
NUMBER = 2
"""Of the call whose filter runs, unless a test says another one."""
HOST_MNTNS = 0xEFFFFFF8
_ARGUMENTS = (112, 104, 96, 56, 72, 64)
_NUMBER = 120


class MachineError(AssertionError):
    """The program did what the verifier would refuse."""


@dataclass
class Machine:
    """Memory by address; what a run ended with."""

    regions: dict[int, bytearray] = field(default_factory=dict)
    next_kernel: int = _KERNEL
    programs: dict[int, bytes] = field(default_factory=dict)
    went_to: int | None = None
    """Index of the program that the last run went on to."""
    maps: dict[int, Callable[[int], int]] = field(default_factory=dict)
    """Further maps by number: key -> address of the value, or 0."""
    calls: list[Helper] = field(default_factory=list)
    """Helpers that were called."""
    number: int = NUMBER
    """Of the system call, under which its filter is found."""

    def region(self, size: int, data: bytes = b"") -> int:
        """Address of new kernel memory."""
        at = self.next_kernel
        self.regions[at] = bytearray(data.ljust(size, b"\0"))
        self.next_kernel += (size + 0xFFF) & ~0xFFF
        return at

    def find(self, address: int, size: int) -> tuple[bytearray, int]:
        """The memory around an address and the place in it."""
        for base, memory in self.regions.items():
            if base <= address and address + size <= base + len(memory):
                return memory, address - base
        raise MachineError(f"access of {size} bytes at {address:#x}")

    def read(self, address: int, size: int) -> int:
        """A number in memory."""
        memory, at = self.find(address, size)
        return int.from_bytes(memory[at : at + size], "little")

    def write(self, address: int, size: int, value: int) -> None:
        """Put a number into memory."""
        memory, at = self.find(address, size)
        memory[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def write_bytes(self, address: int, data: bytes) -> None:
        """Put bytes into memory."""
        memory, at = self.find(address, len(data))
        memory[at : at + len(data)] = data

    def lay_out(
        self,
        seen: Observation,
        paths: Mapping[int, bytes | None],
        directories: Mapping[int, bytes] = MappingProxyType({}),
        socket: Socket | None = None,
    ) -> None:
        """The kernel's memory as of this call.

        paths: argument -> text behind it. directories: descriptor -> its path; -1 stands for the
        working directory. socket: as the kernel has it, not as filters see it.
        """
        offsets = OFFSETS
        self.regions[_CONTEXT] = bytearray(struct.pack("<Qq", _REGS, seen.ret))
        registers = bytearray(168)
        for index, value in enumerate(seen.args):
            address = value
            if index in paths:
                address = _USER + 0x10000 * index
                text = paths[index]
                if text is not None:
                    self.regions[address] = bytearray(text + b"\0")
            elif index == _HOW and seen.how is not None:
                address = _USER + 0x10000 * index
                self.regions[address] = bytearray(struct.pack("<QQQ", *seen.how))
            struct.pack_into("<Q", registers, _ARGUMENTS[index], address)
        struct.pack_into("<Q", registers, _NUMBER, self.number)
        self.regions[_REGS] = registers
        task = bytearray(0x100)
        comm = seen.comm[:15] + b"\0"
        task[offsets["OFF_TASK_COMM"] : offsets["OFF_TASK_COMM"] + len(comm)] = comm
        cred = self.region(64)
        self.write(cred + offsets["OFF_CRED_EUID"], 4, seen.uid)
        self.write(cred + offsets["OFF_CRED_EGID"], 4, seen.gid)
        space = self.region(64)
        inum = HOST_MNTNS if seen.is_host else 0xF0000123
        self.write(space + offsets["OFF_MNTNS_INUM"], 4, inum)
        proxy = self.region(64)
        self.write(proxy + offsets["OFF_NSPROXY_MNT"], 8, space)
        tree = Paths(self)
        working = self.region(64)
        tree.write_path(working + offsets["OFF_FS_PWD"], directories.get(-1, b"/"))
        for name, value in (
            ("OFF_TASK_CRED", cred),
            ("OFF_TASK_NSPROXY", proxy),
            ("OFF_TASK_FILES", self._files(socket, tree, directories)),
            ("OFF_TASK_FS", working),
            ("OFF_TASK_LEADER", _TASK),
            ("OFF_TASK_THREAD_PID", self._pid(seen.vpid)),
            ("OFF_TASK_SIGNAL", self._signal(seen.tty)),
        ):
            struct.pack_into("<Q", task, offsets[name], value)
        struct.pack_into("<I", task, offsets["OFF_TASK_LOGINUID"], seen.loginuid)
        self.regions[_TASK] = task

    def _pid(self, vpid: int) -> int:
        """A process two pid namespaces down."""
        pid, level = self.region(128), 2
        self.write(pid + OFFSETS["OFF_PID_LEVEL"], 4, level)
        at = pid + OFFSETS["OFF_PID_NUMBERS"]
        for depth, number in enumerate((4242, 17, vpid)):
            self.write(at + depth * OFFSETS["SIZEOF_UPID"], 4, number)
        return pid

    def _signal(self, number: int) -> int:
        """A process with this terminal, if it has one."""
        signal = self.region(64)
        if number:
            driver, tty = self.region(64), self.region(64)
            minor = number & 0xFF | number >> 12 & 0xFFF00
            self.write(driver + OFFSETS["OFF_TTY_DRIVER_MAJOR"], 4, number >> 8 & 0xFFF)
            self.write(driver + OFFSETS["OFF_TTY_DRIVER_MINOR_START"], 4, minor - minor % 8)
            self.write(tty + OFFSETS["OFF_TTY_INDEX"], 4, minor % 8)
            self.write(tty + OFFSETS["OFF_TTY_DRIVER"], 8, driver)
            self.write(signal + OFFSETS["OFF_SIGNAL_TTY"], 8, tty)
        return signal

    def _files(self, one: Socket | None, tree: Paths, directories: Mapping[int, bytes]) -> int:
        """A table in which every descriptor of the call is the socket, if there is one."""
        table = self.region(8 * 64)
        for number, path in directories.items():
            if number >= 0:
                file = self.region(64)
                tree.write_path(file + OFFSETS["OFF_FILE_PATH"], path)
                self.write(table + 8 * number, 8, file)
        if one is not None:
            sock = self.region(64)
            width, ends = (16, (24, 40)) if one.family == AF_INET6 else (4, (0, 4))
            for at, address in zip(ends, (one.remote_address, one.local_address), strict=True):
                self.regions[sock][at : at + width] = address.to_bytes(width, "big")
            is_raw = one.protocol == 255
            self.write(sock + OFFSETS["OFF_SOCK_PROTOCOL"], 2, 1 if is_raw else one.protocol)
            self.write(sock + OFFSETS["OFF_SOCK_TYPE"], 2, 3 if is_raw else 2)
            self.write(sock + OFFSETS["OFF_SOCK_USERLOCKS"], 1, 0x8F if one.is_bound else 0x70)
            self.regions[sock][12:14] = one.remote_port.to_bytes(2, "big")
            self.regions[sock][14:16] = one.local_port.to_bytes(2, "little")
            self.regions[sock][16:18] = one.family.to_bytes(2, "little")
            socket = self.region(64)
            self.write(socket + 8, 8, sock)
            inode = self.region(64)
            self.write(inode, 2, 0o140777)
            file = self.region(64)
            self.write(file + 8, 8, inode)
            self.write(file + 16, 8, socket)
            for number in range(64):
                self.write(table + 8 * number, 8, file)
        fdt = self.region(64)
        self.write(fdt, 4, 64)
        self.write(fdt + 8, 8, table)
        files = self.region(64)
        self.write(files + 8, 8, fdt)
        return files

    def run(self, code: bytes, memory: bytes) -> bool:
        """Whether the program keeps the event. memory: what earlier runs left in the CPU's own."""
        self.regions[_MEMORY] = bytearray(memory)
        self.write(_MEMORY + RESUME, 8, 0)
        self.regions.setdefault(_PORTS, bytearray(4 * (1 << 16)))
        for _ in range(_MAX_JUMPS):
            index = self._run_program(code)
            self.went_to = index
            if index is None or index in _ENDS:
                assert self.read(_MEMORY + RESUME, 8) == 0, "the next filter would go astray"
                return index is not None
            code = self.programs[index]
        raise MachineError("the programs jump to each other for ever")

    def _run_program(self, code: bytes) -> int | None:
        """Index of the program that it jumps to at its end."""
        self.regions[_STACK] = bytearray(b"\xa5" * 512)
        registers: list[int | None] = [None] * 11
        registers[1], registers[10] = _CONTEXT, _STACK + 512
        instructions = [struct.unpack_from("<BBhi", code, at) for at in range(0, len(code), 8)]
        at = 0
        for _ in range(_STEPS):
            opcode, both, offset, immediate = instructions[at]
            at += 1
            dst, src = both & 15, both >> 4
            if opcode == 0x95:
                return None
            if opcode == 0x18:
                high = instructions[at][3]
                at += 1
                registers[dst] = (
                    _MAPS + immediate if src else (immediate & 0xFFFFFFFF) | (high << 32 & U64)
                )
            elif opcode == 0x85:
                if src == _KERNEL_FUNCTION:
                    assert immediate == OFFSETS["BTF_RDONLY_CAST"]
                    registers[0] = registers[1]
                elif immediate == Helper.TAIL_CALL:
                    assert registers[1] == _CONTEXT
                    assert registers[2] in {_MAPS + MAP_FILTERS, _MAPS + MAP_STEPS}
                    if registers[3] in (*_ENDS, *self.programs):
                        return registers[3]
                    registers[0] = U64
                else:
                    registers[0] = self._call(Helper(immediate), registers) & U64
                registers[1:6] = [None] * 5
            elif opcode & 7 in (1, 2, 3):
                self._memory((opcode, dst, src, offset, immediate), registers)
            elif opcode & 7 in (4, 7):
                registers[dst] = (
                    _alu(
                        opcode,
                        _known(registers[dst]) if opcode not in (0xB7, 0xBF) else 0,
                        _operand(opcode, src, immediate, registers),
                    )
                    & U64
                )
            else:
                at += offset if _jumps(opcode, dst, src, immediate, registers) else 0
        raise MachineError("the program does not end")

    def _memory(self, one: tuple[int, int, int, int, int], registers: list[int | None]) -> None:
        opcode, dst, src, offset, immediate = one
        size = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}[opcode & 0x18]
        if opcode & 7 == 1:
            registers[dst] = self.read(_known(registers[src]) + offset, size)
            return
        value = immediate if opcode & 7 == 2 else _known(registers[src])
        self.write(_known(registers[dst]) + offset, size, value)

    def _call(self, helper: Helper, registers: list[int | None]) -> int:
        first, second, third = registers[1:4]
        self.calls.append(helper)
        match helper:
            case Helper.SMP_PROCESSOR_ID:
                return 0
            case Helper.CURRENT_TASK | Helper.CURRENT_TASK_BTF:
                return _TASK
            case Helper.MAP_LOOKUP:
                key = self.read(_known(second), 4)
                if _known(first) - _MAPS in self.maps:
                    return self.maps[_known(first) - _MAPS](key)
                assert first in {_MAPS + MAP_MEMORY, _MAPS + MAP_PORTS}
                return _MEMORY if first == _MAPS + MAP_MEMORY else _PORTS + 4 * key
            case Helper.PROBE_READ_KERNEL | Helper.PROBE_READ_USER:
                return self._copy(_known(first), _known(second), _known(third))
            case Helper.PROBE_READ_USER_STR | Helper.PROBE_READ_KERNEL_STR:
                return self._copy_text(_known(first), _known(second), _known(third))
            case _:
                raise MachineError(f"helper {helper}")

    def _copy(self, to: int, size: int, source: int) -> int:
        target, place = self.find(to, size)
        try:
            memory, at = self.find(source, size)
        except MachineError:
            target[place : place + size] = bytes(size)
            return -14
        target[place : place + size] = memory[at : at + size]
        return 0

    def _copy_text(self, to: int, size: int, source: int) -> int:
        target, place = self.find(to, size)
        try:
            memory, at = self.find(source, 1)
        except MachineError:
            target[place] = 0
            return -14
        text = bytes(memory[at:]).split(b"\0", 1)[0][: size - 1] + b"\0"
        target[place : place + len(text)] = text
        return len(text)


def unreachable(code: bytes) -> set[int]:
    """Numbers of the instructions that nothing leads to; the verifier refuses such programs."""
    instructions = [struct.unpack_from("<BBhi", code, at) for at in range(0, len(code), 8)]
    reached: set[int] = set()
    pending = [0]
    while pending:
        at = pending.pop()
        if at in reached:
            continue
        reached.add(at)
        opcode, _, offset, _ = instructions[at]
        if opcode == 0x18:
            reached.add(at + 1)
            pending.append(at + 2)
            continue
        if opcode & 7 == 5 and opcode not in (0x85, 0x95):
            pending.append(at + 1 + offset)
        if opcode not in (0x05, 0x95):
            pending.append(at + 1)
    return set(range(len(instructions))) - reached


def _known(value: int | None) -> int:
    if value is None:
        raise MachineError("a register that was never set")
    return value


def _operand(opcode: int, src: int, immediate: int, registers: list[int | None]) -> int:
    # The same bit says "big endian" of byte swaps.
    return _known(registers[src]) if opcode & 8 and opcode != _SWAP else immediate & U64


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _alu(opcode: int, left: int, right: int) -> int:
    if opcode == 0xBC:
        return right & 0xFFFFFFFF
    if opcode == _SWAP:
        size = right // 8
        return int.from_bytes((left & ((1 << right) - 1)).to_bytes(size, "little"), "big")
    match opcode & 0xF0:
        case 0x00:
            return left + right
        case 0x10:
            return left - right
        case 0x20:
            return left * right
        case 0x40:
            return left | right
        case 0x50:
            return left & right
        case 0x60:
            return left << (right & 63)
        case 0x70:
            return left >> (right & 63)
        case 0xA0:
            return left ^ right
        case 0xB0:
            return right
        case 0xC0:
            return _signed(left) >> (right & 63)
        case other:
            raise MachineError(f"operation {other:#x}")


def _jumps(opcode: int, dst: int, src: int, immediate: int, registers: list[int | None]) -> bool:
    if opcode == 0x05:
        return True
    left, right = _known(registers[dst]), _operand(opcode, src, immediate, registers)
    verdicts = {
        0x10: left == right, 0x20: left > right, 0x30: left >= right, 0x40: bool(left & right),
        0x50: left != right, 0x60: _signed(left) > _signed(right),
        0x70: _signed(left) >= _signed(right), 0xA0: left < right, 0xB0: left <= right,
        0xC0: _signed(left) < _signed(right), 0xD0: _signed(left) <= _signed(right),
    }  # fmt: skip
    return verdicts[opcode & 0xF0]
