"""Approximation: what the kernel can say of one test, as two predicates.

A test is replaced by `if_true`, which holds whenever the test does, and `if_false`, which holds
whenever it does not. An exact test's two predicates exclude each other; a test that the kernel
knows nothing of has TRUE twice. Under a negation the two change places.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.pushdown.atoms import Atom
from exporter.pushdown.ir import FALSE, TRUE, Literal, Predicate
from exporter.pushdown.simplify import all_of, any_of


@dataclass(frozen=True, slots=True)
class Approximation:
    """See above."""

    if_true: Predicate
    if_false: Predicate


UNKNOWN = Approximation(TRUE, TRUE)
ALWAYS = Approximation(TRUE, FALSE)
NEVER = Approximation(FALSE, TRUE)
"""Of tests on a missing value too: they are all false."""


def exactly(atom: Atom) -> Approximation:
    """The test says what the atom says."""
    return Approximation(Literal(atom), Literal(atom, is_positive=False))


def constant(*, is_true: bool) -> Approximation:
    """The test always says this."""
    return ALWAYS if is_true else NEVER


def negated(one: Approximation) -> Approximation:
    """The test's negation."""
    return Approximation(one.if_false, one.if_true)


def either(parts: Iterable[Approximation]) -> Approximation:
    """At least one of the tests is true."""
    parts = tuple(parts)
    return Approximation(any_of(p.if_true for p in parts), all_of(p.if_false for p in parts))


def both(parts: Iterable[Approximation]) -> Approximation:
    """All of the tests are true."""
    parts = tuple(parts)
    return Approximation(all_of(p.if_true for p in parts), any_of(p.if_false for p in parts))


Case = tuple[Approximation, Approximation]


def by_case(*cases: Case, otherwise: Approximation) -> Approximation:
    """The test as it is in the first case whose (exact) condition holds."""
    found = otherwise
    for condition, test in reversed(cases):
        met, unmet = condition.if_true, condition.if_false
        found = Approximation(
            any_of((all_of((met, test.if_true)), all_of((unmet, found.if_true)))),
            any_of((all_of((met, test.if_false)), all_of((unmet, found.if_false)))),
        )
    return found


def at_most(predicate: Predicate) -> Approximation:
    """The predicate holds whenever the test is true; nothing is known of when it is false."""
    return Approximation(predicate, TRUE)
