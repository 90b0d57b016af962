"""Atoms: one fact compared with values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from exporter.pushdown.facts import WIDE, Fact, Text
from exporter.pushdown.observation import Observation
from exporter.rules.fields.fd_facts import directory_of


class Match(StrEnum):
    """How a text is compared."""

    EQUAL = "="
    PREFIX = "startswith"
    SUFFIX = "endswith"
    CONTAINS = "contains"
    CONTAINS_FOLDED = "contains (any case)"
    """Compared with bit 5 of every byte set, so that a few other characters are equal as well."""
    NAME = "last component ="
    DIRECTORY = "directory ="


@dataclass(frozen=True, slots=True)
class InSet:
    """The number is one of these."""

    fact: Fact
    values: frozenset[int]

    def __str__(self) -> str:
        return f"{self.fact} {_any_of(sorted(self.values))}"


@dataclass(frozen=True, slots=True)
class Below:
    """The number is smaller than the limit."""

    fact: Fact
    limit: int

    def __str__(self) -> str:
        return f"{self.fact} < {self.limit}"


@dataclass(frozen=True, slots=True)
class InNetworks:
    """The address lies in one of these networks: (address, mask) as numbers."""

    fact: Fact
    networks: frozenset[tuple[int, int]]

    def __str__(self) -> str:
        text = IPv6Address if self.fact.kind in WIDE else IPv4Address
        shown = [f"{text(base)}/{mask.bit_count()}" for base, mask in sorted(self.networks)]
        return f"{self.fact} in {_any_of(shown)[3:] if len(shown) > 1 else shown[0]}"


@dataclass(frozen=True, slots=True)
class TextIs:
    """The text compares with one of these values."""

    fact: Text
    match: Match
    values: frozenset[bytes]

    def __str__(self) -> str:
        shown = [value.decode(errors="backslashreplace") for value in sorted(self.values)]
        if self.match in {Match.EQUAL, Match.NAME, Match.DIRECTORY}:
            return f"{self.fact} {self.match.removesuffix('=')}{_any_of(shown)}"
        return f"{self.fact} {self.match} {_any_of(shown)[2 if len(shown) < 2 else 3 :]}"


Atom = InSet | Below | InNetworks | TextIs


_SHOWN = 6


def _any_of(values: Sequence[object]) -> str:
    if len(values) == 1:
        return f"= {values[0]}"
    more = f", ... {len(values)} in all" if len(values) > _SHOWN else ""
    return f"in ({', '.join(map(str, values[:_SHOWN]))}{more})"


def fold(text: bytes) -> bytes:
    """The text as CONTAINS_FOLDED compares it."""
    return bytes(byte | 0x20 for byte in text)


def test_text(match: Match, text: bytes, values: Iterable[bytes]) -> bool:
    """Whether a text compares with one of the values."""
    match match:
        case Match.EQUAL:
            return text in values
        case Match.PREFIX:
            return text.startswith(tuple(values))
        case Match.SUFFIX:
            return text.endswith(tuple(values))
        case Match.CONTAINS:
            return any(value in text for value in values)
        case Match.CONTAINS_FOLDED:
            folded = fold(text)
            return any(fold(value) in folded for value in values)
        case Match.NAME:
            return text[text.rfind(b"/") + 1 :] in values
        case Match.DIRECTORY:
            return directory_of(text) in values


def decide(atom: Atom, seen: Observation) -> bool | None:
    """Whether the atom holds; None when its fact is not known."""
    if isinstance(atom, TextIs):
        text = atom.fact.read(seen)
        return None if text is None else test_text(atom.match, text, atom.values)
    value = atom.fact.read(seen)
    return None if value is None else test_value(atom, value)


def test_value(atom: InSet | Below | InNetworks, value: int) -> bool:
    """Whether the atom holds of a number."""
    match atom:
        case InSet(_, values):
            return value in values
        case Below(_, limit):
            return value < limit
        case InNetworks(_, networks):
            return any(value & mask == base for base, mask in networks)
