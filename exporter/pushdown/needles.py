"""Needles: the texts that a filter of finished records looks for, as tables for bpf/judge.h.

A table has 64 bits for every byte value at each of eight places. The kernel takes the AND over the
places behind a position: what is left are the needles that may begin there. It is exact for needles
of up to eight bytes. The environment is long, so only every so many positions of it are looked at;
there a bit stands for a piece of a needle, of which one lies at such a position wherever the needle
is.
"""

import struct
from collections.abc import Iterable, Iterator

from exporter.pushdown.atoms import Match, TextIs
from exporter.pushdown.facts import Text
from exporter.pushdown.ir import All, Any, Literal, Predicate

HOOK_TEXTS = (
    Text.COMM, Text.EXE, Text.EXEPATH, Text.ARGUMENTS, Text.COMMAND_LINE, Text.PARENT_COMM,
)  # fmt: skip
"""Texts of struct judged, in its order."""

_PLACES = 8
_BITS = 64
_BYTES = 256
_ALL = (1 << _BITS) - 1
_CASE = 0x20
_MAX_STRIDE = 8
_SEARCHES = frozenset({Match.CONTAINS, Match.CONTAINS_FOLDED})


class Table:
    """Eight places of 256 bytes. Bits are given out one after the other."""

    def __init__(self) -> None:
        self.rows = [[0] * _BYTES for _ in range(_PLACES)]
        self.count = 0

    def add(self, piece: bytes, *, is_folded: bool) -> int:
        """The bit of a text, of which the first eight bytes count."""
        bit = 1 << self.count
        self.count += 1
        for place, row in enumerate(self.rows):
            if place >= len(piece):
                for byte in range(_BYTES):
                    row[byte] |= bit
                continue
            byte = piece[place]
            row[byte] |= bit
            if is_folded:
                row[byte ^ _CASE] |= bit
        return bit

    def to_bytes(self) -> bytes:
        """As struct needles has it."""
        return b"".join(struct.pack(f"<{_BYTES}Q", *row) for row in self.rows)


class Needles:
    """Those of one predicate. Texts that find no room have no mask: nothing is known of them."""

    def __init__(self, predicate: Predicate) -> None:
        self._texts, self._env = Table(), Table()
        self._masks: dict[tuple[bool, bytes, bool], int] = {}
        self._wanted = 0
        atoms = [atom for atom in _atoms(predicate) if atom.match in _SEARCHES]
        for atom in atoms:
            if atom.fact in HOOK_TEXTS:
                self._wanted |= 1 << HOOK_TEXTS.index(atom.fact)
                self._add_texts(atom)
        self.stride = self._stride_for(atoms)
        for atom in atoms:
            if atom.fact is Text.ENVIRONMENT:
                self._add_env(atom)

    def mask(self, atom: TextIs) -> int | None:
        """Bits of which at least one is set where the text holds one of the atom's values."""
        is_env, is_folded = atom.fact is Text.ENVIRONMENT, atom.match is Match.CONTAINS_FOLDED
        mask = 0
        for value in _possible(atom):
            bits = self._masks.get((is_env, value, is_folded))
            if bits is None:
                return None
            mask |= bits
        return mask

    @staticmethod
    def is_exact(atom: TextIs) -> bool:
        """Whether the bits are set only where the text holds one of the values."""
        is_short = all(len(value) <= _PLACES for value in _possible(atom))
        return is_short and atom.fact is not Text.ENVIRONMENT

    def to_bytes(self) -> bytes:
        """struct needles."""
        tail = struct.pack("<II", self._wanted, self.stride)
        return self._texts.to_bytes() + self._env.to_bytes() + tail

    def _add_texts(self, atom: TextIs) -> None:
        is_folded = atom.match is Match.CONTAINS_FOLDED
        for value in _possible(atom):
            key = (False, value, is_folded)
            if key not in self._masks and self._texts.count < _BITS:
                self._masks[key] = self._texts.add(value, is_folded=is_folded)

    def _stride_for(self, atoms: Iterable[TextIs]) -> int:
        """The longest step for which pieces of at least four bytes are left of every needle."""
        values = {v for atom in atoms if atom.fact is Text.ENVIRONMENT for v in _possible(atom)}
        if not values:
            return 0
        shortest = min(map(len, values))
        stride = max(1, min(_MAX_STRIDE, shortest - 3))
        return max(1, min(stride, _BITS // len(values)))

    def _add_env(self, atom: TextIs) -> None:
        is_folded = atom.match is Match.CONTAINS_FOLDED
        for value in _possible(atom):
            key = (True, value, is_folded)
            if key in self._masks or self._env.count + self.stride > _BITS:
                continue
            width = len(value) - self.stride + 1
            self._masks[key] = 0
            for start in range(self.stride):
                piece = value[start : start + width]
                self._masks[key] |= self._env.add(piece, is_folded=is_folded)
        # A NUL between two variables shows as a blank.
        for row in self._env.rows:
            row[0] |= row[ord(" ")]


def _possible(atom: TextIs) -> list[bytes]:
    """Values that a text of the kernel can hold."""
    return sorted(value for value in atom.values if b"\0" not in value)


def _atoms(predicate: Predicate) -> Iterator[TextIs]:
    match predicate:
        case Literal(TextIs() as atom):
            yield atom
        case All(parts) | Any(parts):
            for part in parts:
                yield from _atoms(part)
