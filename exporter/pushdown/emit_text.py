"""Comparing texts in BPF with many constants, eight bytes at a time.

R7 points to the CPU's memory; everything here may change R0 to R5.
"""

from collections.abc import Iterable

from exporter.pushdown.assembler import Alu, Assembler, Jump, Label, Reg, Size
from exporter.pushdown.ir import PATH_BYTES, Match, Text, TextIs
from exporter.pushdown.memory import LAST_AT, LENGTH_AT, TEXT_AT

_WORD = 8
_MASK = PATH_BYTES - 1
_LINEAR = 6
"""Up to so many words are compared one after the other, more by halving."""

R1, R2, R3, R4, R5, R7 = Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R7


def compare_text(code: Assembler, atom: TextIs, hit: Label, miss: Label) -> None:
    """Go to `hit` when the text compares with one of the values, else to `miss`."""
    text, at = atom.fact, TEXT_AT[atom.fact]
    match atom.match:
        case Match.EQUAL:
            find_in(code, [value + b"\0" for value in atom.values], (R7, at), hit, miss)
        case Match.PREFIX:
            find_in(code, atom.values, (R7, at), hit, miss)
        case Match.NAME:
            code.load(Size.U64, R3, R7, LAST_AT[text])
            code.alu(Alu.AND, R3, _MASK)
            code.alu(Alu.ADD, R3, R7)
            find_in(code, [value + b"\0" for value in atom.values], (R3, at + 1), hit, miss)
        case Match.DIRECTORY:
            _compare_directory(code, atom, hit, miss)
        case Match.SUFFIX:
            _compare_suffix(code, atom, hit, miss)
        case Match.CONTAINS:
            _search(code, atom, hit, miss)


def _by_length(values: Iterable[bytes]) -> dict[int, list[bytes]]:
    groups: dict[int, list[bytes]] = {}
    for value in sorted(values):
        groups.setdefault(len(value), []).append(value)
    return groups


def _compare_directory(code: Assembler, atom: TextIs, hit: Label, miss: Label) -> None:
    for length, values in _by_length(atom.values).items():
        other = Label()
        is_root = values == [b"/"]
        code.load(Size.U64, R2, R7, LAST_AT[atom.fact])
        code.jump(other, Jump.NE, R2, 0 if is_root else length)
        if is_root:
            code.jump(hit)
        else:
            slashed = [value + b"/" for value in values if value != b"/"]
            find_in(code, slashed, (R7, TEXT_AT[atom.fact]), hit, other)
        code.place(other)
    # A value of one letter has the length of "/" but not its place.
    code.jump(miss)


def _compare_suffix(code: Assembler, atom: TextIs, hit: Label, miss: Label) -> None:
    for length, values in _by_length(atom.values).items():
        other = Label()
        code.load(Size.U64, R3, R7, LENGTH_AT[atom.fact])
        code.alu(Alu.AND, R3, _MASK)
        code.jump(other, Jump.LT, R3, length)
        code.alu(Alu.SUB, R3, length)
        code.alu(Alu.ADD, R3, R7)
        find_in(code, values, (R3, TEXT_AT[atom.fact]), hit, other)
        code.place(other)
    code.jump(miss)


def _search(code: Assembler, atom: TextIs, hit: Label, miss: Label) -> None:
    """Try every place. A match cannot reach past the text's NUL, as no value holds one."""
    loop, following = Label(), Label()
    limit = 16 if atom.fact is Text.COMM else PATH_BYTES
    code.constant(R5, 0)
    code.place(loop)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    find_in(code, atom.values, (R3, TEXT_AT[atom.fact]), hit, following)
    code.place(following)
    code.alu(Alu.ADD, R5, 1)
    code.jump(miss, Jump.GE, R5, limit)
    code.load(Size.U64, R2, R7, LENGTH_AT[atom.fact])
    code.jump(loop, Jump.LT, R5, R2)
    code.jump(miss)


def find_in(
    code: Assembler, values: Iterable[bytes], at: tuple[Reg, int], hit: Label, miss: Label
) -> None:
    """Go to `hit` when the bytes at register + offset start with one of the values, else to `miss`.

    Changes R1, R2 and R4. Values that share their first eight bytes are told apart behind them.
    """
    short: dict[int, set[bytes]] = {}
    long: dict[bytes, set[bytes]] = {}
    for value in values:
        if len(value) < _WORD:
            short.setdefault(len(value), set()).add(value)
        else:
            long.setdefault(value[:_WORD], set()).add(value[_WORD:])
    if 0 in short:
        code.jump(hit)
        return
    base, offset = at
    code.load(Size.U64, R1, base, offset)
    for length, group in sorted(short.items()):
        # Shifting the other bytes out needs no constant of 64 bits for a mask.
        unused = 64 - 8 * length
        code.move(R2, R1)
        code.alu(Alu.LSH, R2, unused)
        _search_words(
            code, R2, {int.from_bytes(value, "little") << unused: hit for value in sorted(group)}
        )
    branches = {word: Label() for word in sorted(long)}
    _search_words(
        code, R1, {int.from_bytes(word, "little"): label for word, label in branches.items()}
    )
    code.jump(miss)
    for word, label in branches.items():
        code.place(label)
        if b"" in long[word]:
            code.jump(hit)
        else:
            find_in(code, sorted(long[word]), (base, offset + _WORD), hit, miss)


def _search_words(code: Assembler, word: Reg, targets: dict[int, Label]) -> None:
    """Go to the label of the number in the register; go on behind when it has none."""
    end = Label()
    _halve(code, word, sorted(targets.items()), end)
    code.place(end)


def _halve(code: Assembler, word: Reg, targets: list[tuple[int, Label]], end: Label) -> None:
    if len(targets) <= _LINEAR:
        for number, label in targets:
            code.constant(R4, number)
            code.jump(label, Jump.EQ, word, R4)
        code.jump(end)
        return
    middle = len(targets) // 2
    upper = Label()
    code.constant(R4, targets[middle][0])
    code.jump(upper, Jump.GE, word, R4)
    _halve(code, word, targets[:middle], end)
    code.place(upper)
    _halve(code, word, targets[middle:], end)
