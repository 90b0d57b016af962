"""Tests on the names of users, decided in the kernel by the user's id.

The kernel knows no names, so user space decides each test for each user of the host and writes the
verdicts into a map: one bit a test, by uid. Uids without an entry have the verdicts of those whose
name nobody knows, which stand under an id that no user has; as long as there are none, nothing is
known.
"""

from collections.abc import Iterator, Mapping

from exporter.pushdown.atoms import TextIs, test_text
from exporter.pushdown.facts import Text
from exporter.pushdown.ir import All, Any, Literal, Predicate

OTHERS = 0xFFFFFFFF
"""Key of the verdicts for uids without an entry."""

_UNKNOWN = b"<NA>"
_BITS = 64


class NameTests:
    """Those of one predicate. Tests that find no room have no mask: nothing is known of them."""

    def __init__(self, predicate: Predicate) -> None:
        self._atoms = tuple(dict.fromkeys(_atoms(predicate)))[:_BITS]

    def __bool__(self) -> bool:
        """Whether any name is asked for."""
        return bool(self._atoms)

    def mask(self, atom: TextIs) -> int | None:
        """The atom's bit in the verdicts."""
        return 1 << self._atoms.index(atom) if atom in self._atoms else None

    def verdicts(self, names: Mapping[int, bytes]) -> dict[int, int]:
        """Uid -> bits, given the users of the host; those without a name under OTHERS."""
        others = self._bits_of(_UNKNOWN)
        found = {uid: self._bits_of(name) for uid, name in ({0: b"root"} | dict(names)).items()}
        return {OTHERS: others} | {uid: bits for uid, bits in found.items() if bits != others}

    def _bits_of(self, name: bytes) -> int:
        return sum(
            test_text(atom.match, name, atom.values) << bit for bit, atom in enumerate(self._atoms)
        )


def _atoms(predicate: Predicate) -> Iterator[TextIs]:
    match predicate:
        case Literal(TextIs(Text.USER_NAME) as atom):
            yield atom
        case All(parts) | Any(parts):
            for part in parts:
                yield from _atoms(part)
