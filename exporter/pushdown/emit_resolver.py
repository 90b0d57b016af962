"""The resolver: a BPF program that makes a relative path of a filter absolute.

A filter jumps here (emit_relative.py) with a question in the CPU's memory: the relative path, and
the descriptor of the directory it starts from. The resolver follows dots in front of the path,
walks from the directory up to the root of all mounts (emit_ascent.py), and puts the names in front
of the path. Then it enters the filter again. Whatever is odd about the way up makes the path
unknown, so that the event is kept.

Where the kernel lets programs take an address for a structure (bpf_rdonly_cast, since 6.2), members
and names are loaded directly; else each read is the call of a helper.

R6: context. R7: memory of this CPU.
"""

from exporter.pushdown.assembler import Alu, Assembler, Helper, Jump, Label, Reg, Size
from exporter.pushdown.emit_ascent import NAME_BYTES, Ascent, add_to
from exporter.pushdown.emit_facts import Facts, Target
from exporter.pushdown.facts import Text
from exporter.pushdown.memory import (
    ASK_LENGTH,
    ASK_TEXT,
    CLIMB,
    CUT,
    GIVE_UP,
    GO_ON,
    MAP_FILTERS,
    MAP_MEMORY,
    MAX_LEVELS,
    NAMES,
    NAMES_AT,
    NAMES_MASK,
    RESUME,
    SAVED,
    SAVED_WORDS,
    START,
    TEXT2,
    TEXT_AT,
    TOTAL,
    Slot,
)
from exporter.pushdown.paths import MAX_DOTS, PATH_BYTES
from exporter.sources.probe.syscalls import MAX_NUMBER, native_numbers

_RECORD = MAX_NUMBER
_WORD = 8
_MASK = PATH_BYTES - 1
_TEXT = TEXT_AT[Text.PATH]
_DOT, _DOT_DOT, _DOT_SLASH, _DOT_DOT_SLASH = (
    int.from_bytes(text, "little") for text in (b".", b"..", b"./", b"../")
)
_BUSY = "openat"
"""The call that relative paths are mostly given to."""
_NUMBER_OFFSET = {"x86_64": 120, "aarch64": 280}
"""Of the call's number in the registers saved at entry (bpf/syscall.h)."""

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R6, Reg.R7, Reg.R8, Reg.R9, Reg.R10,
)  # fmt: skip


def emit_resolver(target: Target) -> bytes:
    """The program."""
    return _Resolver(target).emit()


class _Resolver:
    """Writes it."""

    def __init__(self, target: Target) -> None:
        self.code = Assembler()
        self.target = target
        self.facts = Facts(self.code, target)
        self.odd, self.answer = Label(), Label()

    def emit(self) -> bytes:
        """Everything."""
        code = self.code
        self._enter()
        self._follow_dots()
        Ascent(self.facts, self.odd).emit()
        self._make_room()
        self._write_names()
        code.load(Size.U64, R1, R7, ASK_TEXT)
        code.alu(Alu.RSH, R1, TEXT2.bit_length() - 1)
        code.alu(Alu.ADD, R1, GO_ON)
        code.jump(self.answer)
        code.place(self.odd)
        code.constant(R1, GIVE_UP)
        code.place(self.answer)
        self._go_back()
        return code.finish()

    def _enter(self) -> None:
        code, found = self.code, Label()
        code.move(R6, R1)
        code.call(Helper.SMP_PROCESSOR_ID)
        code.store(Size.U32, R10, Slot.KEY, R0)
        self.facts.lookup(MAP_MEMORY)
        code.jump(found, Jump.NE, R0, 0)
        code.exit()
        code.place(found)
        code.move(R7, R0)

    def _go_back(self) -> None:
        """Enter the filter again, with R1 to tell it how; a filter that is gone wants the event."""
        code = self.code
        code.store(Size.U64, R7, RESUME, R1)
        code.load(Size.U64, R3, R6, 0)
        offset = _NUMBER_OFFSET[self.target.machine]
        if self.target.is_typed:
            code.load(Size.U64, R3, R3, offset)
        else:
            self.facts.read(Size.U32, R3, R3, offset)
        code.move(R1, R6)
        code.pseudo_map(R2, MAP_FILTERS)
        other, gone = Label(), Label()
        # Of a number that is known the kernel makes a plain jump.
        busy = native_numbers(self.target.machine)[_BUSY]
        code.jump(other, Jump.NE, R3, busy)
        code.constant(R3, busy)
        code.call(Helper.TAIL_CALL)
        code.jump(gone)
        code.place(other)
        code.call(Helper.TAIL_CALL)
        code.place(gone)
        code.store_constant(Size.U64, R7, RESUME, START)
        code.move(R1, R6)
        code.pseudo_map(R2, MAP_FILTERS)
        code.constant(R3, _RECORD)
        code.call(Helper.TAIL_CALL)
        code.constant(R0, 0)
        code.exit()

    def _text(self, to: Reg, place: int, mask: int = _MASK) -> None:
        """To = address of the place that is kept at `place`, but for _TEXT."""
        code = self.code
        code.load(Size.U64, to, R7, place)
        code.alu(Alu.AND, to, mask)
        code.load(Size.U64, R0, R7, ASK_TEXT)
        code.alu(Alu.AND, R0, TEXT2)
        code.alu(Alu.ADD, to, R0)
        code.alu(Alu.ADD, to, R7)

    def _follow_dots(self) -> None:
        """CUT = bytes of `./` and `../` in front, CLIMB = how many of them go up."""
        code = self.code
        loop, following, up, rest, done = (Label() for _ in range(5))
        code.store_constant(Size.U64, R7, CUT, 0)
        code.store_constant(Size.U64, R7, CLIMB, 0)
        code.constant(R5, 0)
        code.place(loop)
        self._load_dots()
        code.jump(following, Jump.EQ, R2, _DOT_SLASH)
        code.jump(rest, Jump.NE, R3, _DOT_DOT_SLASH)
        add_to(self.code, CLIMB, 1)
        add_to(self.code, CUT, 1)
        code.place(following)
        add_to(self.code, CUT, 2)
        code.alu(Alu.ADD, R5, 1)
        code.jump(loop, Jump.LT, R5, MAX_DOTS)
        code.place(rest)
        self._load_dots()
        code.jump(up, Jump.EQ, R3, _DOT_DOT)
        code.jump(done, Jump.NE, R2, _DOT)
        add_to(self.code, CUT, 1)
        code.jump(done)
        code.place(up)
        add_to(self.code, CUT, 2)
        add_to(self.code, CLIMB, 1)
        code.place(done)

    def _load_dots(self) -> None:
        """R2 and R3 = the next two and three bytes of the path."""
        code = self.code
        self._text(R1, CUT)
        code.load(Size.U32, R3, R1, _TEXT)
        code.move(R2, R3)
        code.alu(Alu.AND, R2, 0xFFFF)
        code.alu(Alu.AND, R3, 0xFFFFFF)

    def _make_room(self) -> None:
        """Move what is left of the relative path to its place behind the names."""
        code, empty, fits, forwards, moved = (self.code, *(Label() for _ in range(4)))
        code.load(Size.U64, R1, R7, TOTAL)
        code.load(Size.U64, R2, R7, ASK_LENGTH)
        code.load(Size.U64, R3, R7, CUT)
        code.move(R4, R2)
        code.alu(Alu.SUB, R4, R3)  # bytes left
        code.jump(empty, Jump.EQ, R4, 0)
        code.alu(Alu.ADD, R1, 1)
        code.alu(Alu.ADD, R1, R4)
        code.jump(fits)
        code.place(empty)
        code.jump(self.odd, Jump.EQ, R1, 0)
        code.place(fits)
        code.jump(self.odd, Jump.GE, R1, PATH_BYTES - 1)
        # From here on CUT is the length of what is left, and CLIMB that of the whole.
        code.store(Size.U64, R7, CUT, R4)
        code.store(Size.U64, R7, CLIMB, R1)
        code.jump(forwards, Jump.LT, R1, R2)
        self._move(upwards=True)
        code.jump(moved)
        code.place(forwards)
        code.alu(Alu.SUB, R2, R4)
        code.store(Size.U64, R7, SAVED, R2)
        code.alu(Alu.SUB, R1, R4)
        code.store(Size.U64, R7, SAVED + _WORD, R1)
        self._move(upwards=False)
        code.place(moved)
        self._text(R1, CLIMB)
        code.store_constant(Size.U64, R1, _TEXT, 0)
        code.store_constant(Size.U64, R1, _TEXT + _WORD, 0)
        code.load(Size.U64, R1, R7, CLIMB)
        code.store(Size.U64, R7, ASK_LENGTH, R1)

    def _move(self, *, upwards: bool) -> None:
        """Eight bytes at a time, in the order in which none is overwritten unread.

        Upwards from the last to the first, with up to seven bytes more in front; downwards with
        seven more behind.
        """
        code, loop, done = self.code, Label(), Label()
        step, at = (Alu.SUB, _TEXT - _WORD) if upwards else (Alu.ADD, _TEXT)
        self._text(R2, ASK_LENGTH if upwards else SAVED)
        self._text(R3, CLIMB if upwards else SAVED + _WORD)
        code.load(Size.U64, R4, R7, CUT)
        code.constant(R5, 0)
        code.place(loop)
        code.jump(done, Jump.GE, R5, R4)
        code.load(Size.U64, R1, R2, at)
        code.store(Size.U64, R3, at, R1)
        code.alu(step, R2, _WORD)
        code.alu(step, R3, _WORD)
        code.alu(Alu.ADD, R5, _WORD)
        code.jump(loop, Jump.LT, R5, PATH_BYTES)
        code.place(done)

    def _write_names(self) -> None:
        """Write the names, each behind a slash; then restore what lies behind the last one."""
        code, slash, loop, done = self.code, Label(), Label(), Label()
        self._text(R1, TOTAL)
        code.load(Size.U64, R2, R7, CUT)
        code.jump(slash, Jump.EQ, R2, 0)
        code.store_constant(Size.U8, R1, _TEXT, ord("/"))
        code.place(slash)
        for word in range(SAVED_WORDS):
            code.load(Size.U64, R2, R1, _TEXT + _WORD * word)
            code.store(Size.U64, R7, SAVED + _WORD * word, R2)
        code.store_constant(Size.U64, R7, CLIMB, 0)  # where the next name goes
        code.store_constant(Size.U64, R10, Slot.TURN, 0)
        code.place(loop)
        code.load(Size.U64, R1, R7, NAMES)
        code.jump(done, Jump.EQ, R1, 0)
        code.alu(Alu.SUB, R1, 1)
        code.store(Size.U64, R7, NAMES, R1)
        code.alu(Alu.AND, R1, NAMES_MASK)
        code.alu(Alu.LSH, R1, 4)
        code.alu(Alu.ADD, R1, R7)
        code.load(Size.U64, R8, R1, NAMES_AT)
        code.load(Size.U64, R2, R1, NAMES_AT + _WORD)
        self._text(R1, CLIMB)
        code.move(R3, R2)
        code.alu(Alu.ADD, R3, 1)
        add_to(self.code, CLIMB, R3)
        code.store_constant(Size.U8, R1, _TEXT, ord("/"))
        self._copy_name()
        code.load(Size.U64, R1, R10, Slot.TURN)
        code.alu(Alu.ADD, R1, 1)
        code.store(Size.U64, R10, Slot.TURN, R1)
        code.jump(loop, Jump.LT, R1, MAX_LEVELS)
        code.place(done)
        self._text(R1, TOTAL)
        for word in range(SAVED_WORDS):
            code.load(Size.U64, R2, R7, SAVED + _WORD * word)
            code.store(Size.U64, R1, _TEXT + _WORD * word, R2)

    def _copy_name(self) -> None:
        """The name of R2 bytes at R8 to R1 + _TEXT + 1, with fewer than SAVED_WORDS words more."""
        code, through_helper, done = self.code, Label(), Label()
        code.alu(Alu.AND, R2, NAME_BYTES)
        if self.facts.is_direct:
            # The kernel keeps names of this length in the dentry: no word lies outside its memory.
            code.jump(through_helper, Jump.GT, R2, SAVED_WORDS * _WORD)
            code.move(R9, R1)
            self.facts.take(R8, "WORDS")
            for word in range(SAVED_WORDS):
                code.load(Size.U64, R3, R8, _WORD * word)
                code.store(Size.U64, R9, _TEXT + 1 + _WORD * word, R3)
            code.jump(done)
        code.place(through_helper)
        code.alu(Alu.ADD, R1, _TEXT + 1)
        code.move(R3, R8)
        code.call(Helper.PROBE_READ_KERNEL)
        code.place(done)
