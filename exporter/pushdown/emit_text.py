"""Comparing texts in BPF with many constants, eight bytes at a time.

R7 points to the CPU's memory; everything here may change R0 to R5. Words are read as big-endian
numbers, in which order a value of fewer than eight bytes is a range: one search by halving serves
values of all lengths.
"""

from collections.abc import Iterable, Mapping

from exporter.pushdown.assembler import Alu, Assembler, Jump, Label, Reg, Size
from exporter.pushdown.atoms import Match, TextIs
from exporter.pushdown.facts import Text
from exporter.pushdown.memory import LAST_AT, LENGTH_AT, TEXT_AT
from exporter.pushdown.paths import PATH_BYTES

WORD = 8
_MASK = PATH_BYTES - 1
_BYTES = 0x0101010101010101
_HIGHEST = 0x8080808080808080
_COMM_BYTES = 16

R0, R1, R2, R3, R4, R5, R7, R9 = (
    Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R5, Reg.R7, Reg.R9,
)  # fmt: skip


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
    values = set(atom.values)
    if b"/" in values:
        values.remove(b"/")
        code.load(Size.U64, R1, R7, LAST_AT[atom.fact])
        code.jump(hit, Jump.EQ, R1, 0)
    for length, group in _by_length(values).items():
        other = Label()
        code.load(Size.U64, R2, R7, LAST_AT[atom.fact])
        code.jump(other, Jump.NE, R2, length)
        slashed = [value + b"/" for value in group]
        find_in(code, slashed, (R7, TEXT_AT[atom.fact]), hit, other)
        code.place(other)
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
    """Try every place, one value after the other.

    Behind the text's end are zeros, as far as a word that begins before it goes.
    """
    for value in sorted(atom.values):
        other = Label()
        _search_one(code, atom.fact, value, hit, other)
        code.place(other)
    code.jump(miss)


def _search_one(code: Assembler, text: Text, value: bytes, hit: Label, miss: Label) -> None:
    """Look for the value's first two bytes, and where these are anywhere, for the whole value.

    Two loops, for the verifier follows each round by round: the second is entered the same way
    from every round of the first, so it is followed once.
    """
    if len(value) > 2:
        is_likely = Label()
        _search_bytes(code, text, value[:2], is_likely, miss)
        code.place(is_likely)
    _search_bytes(code, text, value, hit, miss)


def _search_bytes(code: Assembler, text: Text, value: bytes, hit: Label, miss: Label) -> None:
    """Try eight places at a time.

    The words at following places, each less the value's byte there: where all are zero it is.
    """
    room = _COMM_BYTES if text is Text.COMM else PATH_BYTES
    if not value or len(value) >= room:
        code.jump(miss if value else hit)
        return
    loop = Label()
    code.constant(R5, 0)
    code.place(loop)
    code.move(R3, R7)
    code.alu(Alu.ADD, R3, R5)
    code.constant(R0, 0)
    for place, byte in enumerate(value):
        code.load(Size.U64, R1, R3, TEXT_AT[text] + place)
        code.constant(R4, byte * _BYTES)
        code.alu(Alu.XOR, R1, R4)
        code.alu(Alu.OR, R0, R1)
    # That some byte is zero is told exactly by the borrow, only not which.
    code.move(R2, R0)
    code.alu(Alu.XOR, R2, -1)
    code.constant(R4, _BYTES)
    code.alu(Alu.SUB, R0, R4)
    code.alu(Alu.AND, R0, R2)
    code.constant(R4, _HIGHEST)
    code.alu(Alu.AND, R0, R4)
    code.jump(hit, Jump.NE, R0, 0)
    code.alu(Alu.ADD, R5, WORD)
    code.jump(miss, Jump.GT, R5, room - len(value))
    code.load(Size.U64, R2, R7, LENGTH_AT[text])
    code.jump(loop, Jump.LT, R5, R2)
    code.jump(miss)


def end_may_be_in(
    code: Assembler, text: Text, values: Iterable[bytes], hit: Label, miss: Label
) -> None:
    """Go to `miss` unless the text may end with one of the values. R9: its end (emit_path.scan).

    What lies before a text that is shorter than the value it is compared with may be anything.
    """
    backward: list[bytes] = []
    for value in sorted(value[::-1] for value in values):
        if not backward or not value.startswith(backward[-1]):
            backward.append(value)
    code.load(Size.U64, R3, R7, LENGTH_AT[text])
    code.alu(Alu.AND, R3, _MASK)
    code.alu(Alu.ADD, R3, R7)
    choose_by(code, dict.fromkeys(backward, hit), (R3, TEXT_AT[text] - WORD), miss, last=R9)


def find_in(
    code: Assembler, values: Iterable[bytes], at: tuple[Reg, int], hit: Label, miss: Label
) -> None:
    """Go to `hit` when the bytes at register + offset start with one of the values, else to `miss`.

    Changes R1 and R4.
    """
    found: list[bytes] = []
    for value in sorted(values):
        if not found or not value.startswith(found[-1]):
            found.append(value)
    choose_by(code, dict.fromkeys(found, hit), at, miss)


def choose_by(
    code: Assembler,
    targets: Mapping[bytes, Label],
    at: tuple[Reg, int],
    miss: Label,
    *,
    last: Reg | None = None,
) -> None:
    """Go to the label of the value that the bytes at register + offset start with, else to `miss`.

    No value begins with another one. Changes R1 and R4. Those that share their first eight bytes
    are told apart behind them. last: a register with the word there, which is the last of the
    values; these are given from their end, and further words lie before it.
    """
    if b"" in targets:
        code.jump(targets[b""])
        return
    longer: dict[bytes, dict[bytes, Label]] = {}
    for value, label in targets.items():
        longer.setdefault(value[:WORD], {})[value[WORD:]] = label
    base, offset = at
    further: list[tuple[Label, dict[bytes, Label]]] = []
    ranges: list[tuple[int, int, Label]] = []
    for head, tails in sorted(longer.items()):
        label = tails.get(b"", Label())
        if b"" not in tails:
            further.append((label, tails))
        ranges.append((*word_range(head), label))
    if last is None:
        code.load(Size.U64, R1, base, offset)
        code.to_big_endian(R1, 64)
    else:
        code.move(R1, last)
    _find_range(code, ranges, miss)
    for label, tails in further:
        code.place(label)
        if last is None:
            choose_by(code, tails, (base, offset + WORD), miss)
        else:
            code.load(Size.U64, R1, base, offset - WORD)
            choose_by(code, tails, (base, offset - WORD), miss, last=R1)


def word_range(head: bytes) -> tuple[int, int]:
    """The first and the last number that begins with these bytes, of which there are up to 8."""
    return (
        int.from_bytes(head.ljust(WORD, b"\0"), "big"),
        int.from_bytes(head.ljust(WORD, b"\xff"), "big"),
    )


def _find_range(code: Assembler, ranges: list[tuple[int, int, Label]], miss: Label) -> None:
    """Go to the label of the range that holds R1, else to `miss`."""
    if len(ranges) > 1:
        middle = len(ranges) // 2
        upper = Label()
        code.constant(R4, ranges[middle][0])
        code.jump(upper, Jump.GE, R1, R4)
        _find_range(code, ranges[:middle], miss)
        code.place(upper)
        _find_range(code, ranges[middle:], miss)
        return
    for first, last, label in ranges:
        code.constant(R4, first)
        if first == last:
            code.jump(label, Jump.EQ, R1, R4)
        else:
            code.jump(miss, Jump.LT, R1, R4)
            code.constant(R4, last)
            code.jump(label, Jump.LE, R1, R4)
    code.jump(miss)


def choose_interval(code: Assembler, targets: list[tuple[int, Label]]) -> None:
    """Go to the label of the interval that R1 is in. Each begins at its number, the first at 0."""
    if len(targets) == 1:
        code.jump(targets[0][1])
        return
    middle = len(targets) // 2
    lower, upper = targets[:middle], targets[middle:]
    code.constant(R4, targets[middle][0])
    if len(upper) == 1:
        code.jump(upper[0][1], Jump.GE, R1, R4)
        choose_interval(code, lower)
        return
    above = Label()
    code.jump(above, Jump.GE, R1, R4)
    choose_interval(code, lower)
    code.place(above)
    choose_interval(code, upper)
