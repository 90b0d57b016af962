"""Predicates that the kernel can evaluate: what is left of conditions for one system call.

A predicate is TRUE, FALSE, a literal, or a conjunction or disjunction of predicates. It has no
negation of its own: a literal says whether its atom must hold or must not. An atom whose fact is
not known (a path with `//` in it, a descriptor that is no socket) makes every literal on it true,
so a predicate is never false by ignorance. `holds` runs one in Python; emit.py makes BPF of it.
"""

from dataclasses import dataclass, field

from exporter.pushdown.atoms import Atom, decide
from exporter.pushdown.facts import Group
from exporter.pushdown.observation import Observation


@dataclass(frozen=True, slots=True)
class Literal:
    """An atom that must hold, or must not."""

    atom: Atom
    is_positive: bool = True

    @property
    def group(self) -> Group:
        """What is read to decide it."""
        return self.atom.fact.group

    def __str__(self) -> str:
        return str(self.atom) if self.is_positive else f"not {self.atom}"


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple["Predicate", ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((All, self.parts)))

    def __hash__(self) -> int:
        # Simplifying asks again and again, and trees are deep.
        return self._hash

    def __str__(self) -> str:
        return " and ".join(_wrapped(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds."""

    parts: tuple["Predicate", ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((Any, self.parts)))

    def __hash__(self) -> int:
        # Simplifying asks again and again, and trees are deep.
        return self._hash

    def __str__(self) -> str:
        return " or ".join(_wrapped(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Constant:
    """Holds always or never."""

    is_true: bool

    def __str__(self) -> str:
        return "always" if self.is_true else "never"


Predicate = Literal | All | Any | Constant
TRUE, FALSE = Constant(is_true=True), Constant(is_true=False)


def _wrapped(part: Predicate) -> str:
    return f"({part})" if isinstance(part, All | Any) else str(part)


def holds(predicate: Predicate, seen: Observation) -> bool:
    """Whether the predicate is true; what is not known counts as true."""
    match predicate:
        case Constant(is_true):
            return is_true
        case Literal(atom, is_positive):
            verdict = decide(atom, seen)
            return verdict is None or verdict is is_positive
        case All(parts):
            return all(holds(part, seen) for part in parts)
        case Any(parts):
            return any(holds(part, seen) for part in parts)


def groups_of(predicate: Predicate) -> frozenset[Group]:
    """Groups of facts that a predicate looks at."""
    match predicate:
        case Literal():
            return frozenset({predicate.group})
        case All(parts) | Any(parts):
            return frozenset().union(*(groups_of(part) for part in parts))
        case _:
            return frozenset()
