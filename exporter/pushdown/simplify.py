"""Building predicates: equal parts once, sets joined, what is implied left out, cheap parts first.

Every function here gives a predicate that holds for exactly the same observations as the plain
conjunction or disjunction of what it is given.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet

from exporter.pushdown.atoms import Below, InNetworks, InSet, Match, TextIs, test_value
from exporter.pushdown.facts import HEAVY, Group, Text
from exporter.pushdown.ir import FALSE, TRUE, All, Any, Constant, Literal, Predicate

_COSTS = {
    Group.CALL: 1,
    Group.TASK: 4,
    Group.HOW: 20,
    Group.SOCKET: 40,
    Group.PATH: 60,
    Group.PATH2: 60,
    Group.IMAGE: 8,
}
_MAX_FACTORED = 64
"""Disjunctions of more parts are not searched for common parts."""


def cost_of(predicate: Predicate) -> int:
    """Rough price of evaluating the predicate, for ordering."""
    match predicate:
        case Literal(atom):
            if isinstance(atom, TextIs):
                loop = 400 if atom.match is Match.CONTAINS else 0
                return _COSTS[predicate.group] + loop + len(atom.values)
            return _COSTS[predicate.group]
        case All(parts) | Any(parts):
            return sum(map(cost_of, parts))
        case _:
            return 0


def all_of(parts: Iterable[Predicate]) -> Predicate:
    """All of the parts hold."""
    found: dict[Predicate, None] = {}
    for part in parts:
        if part == FALSE:
            return FALSE
        found.update(dict.fromkeys(part.parts if isinstance(part, All) else (part,)))
    found.pop(TRUE, None)
    known = [part for part in _join(found, is_positive=False) if isinstance(part, Literal)]
    known = _strongest(known)
    kept: dict[Predicate, None] = dict.fromkeys(known)
    for part in found:
        if not isinstance(part, Literal):
            left = under(part, known)
            kept.update(dict.fromkeys(left.parts if isinstance(left, All) else (left,)))
    kept.pop(TRUE, None)
    if FALSE in kept or any(_opposite(part) in kept for part in kept if _is_certain(part)):
        return FALSE
    if not kept:
        return TRUE
    if len(kept) > len(known) and any(
        isinstance(part, Literal) and part not in known for part in kept
    ):
        # New literals came out of the other parts: they may decide more.
        return all_of(kept)
    return next(iter(kept)) if len(kept) == 1 else All(tuple(sorted(kept, key=cost_of)))


def _strongest(literals: list[Literal]) -> list[Literal]:
    """The literals without those that others imply."""
    kept: list[Literal] = []
    for at, one in enumerate(literals):
        others = (*kept, *literals[at + 1 :])
        if not any(_verdict(other, one) is True for other in others):
            kept.append(one)
    return kept


def under(predicate: Predicate, known: list[Literal]) -> Predicate:
    """What is left of a predicate where these literals hold."""
    if not known:
        return predicate
    match predicate:
        case Literal():
            verdicts = {_verdict(one, predicate) for one in known}
            return FALSE if False in verdicts else TRUE if True in verdicts else predicate
        case All(parts):
            left = [under(part, known) for part in parts]
            return predicate if left == list(parts) else all_of(left)
        case Any(parts):
            left = [under(part, known) for part in parts]
            return predicate if left == list(parts) else any_of(left)
        case Constant():
            return predicate


def _verdict(known: Literal, other: Literal) -> bool | None:
    """What a literal that holds says of another one; None when it leaves it open."""
    if known == other:
        return True
    verdict = None
    if known.atom == other.atom:
        verdict = False
    elif not isinstance(known.atom, TextIs) and known.atom.fact == other.atom.fact:
        verdict = _number_verdict(known, other)
    # What is not known makes both literals true, so one never rules the other out.
    return None if verdict is False and known.group in HEAVY else verdict


def _number_verdict(known: Literal, other: Literal) -> bool | None:
    atom, asked = known.atom, other.atom
    if isinstance(atom, InSet) and known.is_positive and not isinstance(asked, TextIs):
        verdicts = {test_value(asked, value) is other.is_positive for value in atom.values}
        return verdicts.pop() if len(verdicts) == 1 else None
    if isinstance(atom, Below) and isinstance(asked, InSet):
        fits = any((value < atom.limit) is known.is_positive for value in asked.values)
        return None if fits else not other.is_positive
    return None


def any_of(parts: Iterable[Predicate]) -> Predicate:
    """At least one of the parts holds."""
    found: dict[Predicate, None] = {}
    for part in parts:
        if part == TRUE:
            return TRUE
        found.update(dict.fromkeys(part.parts if isinstance(part, Any) else (part,)))
    found.pop(FALSE, None)
    joined = _join(found, is_positive=True)
    if any(_opposite(part) in joined for part in joined):
        return TRUE
    kept = [part for part in joined if not _is_implied(part, joined)]
    if not kept:
        return FALSE
    if len(kept) == 1:
        return kept[0]
    return _factor(kept) or Any(tuple(sorted(kept, key=cost_of)))


def _opposite(part: Predicate) -> Predicate | None:
    return Literal(part.atom, not part.is_positive) if isinstance(part, Literal) else None


def _is_certain(part: Predicate) -> bool:
    """Whether the part's fact is always known: only then a part and its opposite exclude."""
    return isinstance(part, Literal) and part.group not in HEAVY


def _is_implied(part: Predicate, others: dict[Predicate, None]) -> bool:
    """Whether another part of the disjunction holds whenever this one does."""
    return isinstance(part, All) and any(inner in others for inner in part.parts)


def _join(parts: dict[Predicate, None], *, is_positive: bool) -> dict[Predicate, None]:
    """One literal for several on the same fact whose sets can be joined."""
    sets: dict[object, Literal] = {}
    out: dict[object, Predicate] = {}
    for part in parts:
        key: object = part
        if isinstance(part, Literal) and part.is_positive is is_positive:
            joinable = _joinable(part)
            if joinable is not None:
                key = joinable
                part = _joined(sets[key], part) if key in sets else part  # noqa: PLW2901
                sets[key] = part
        out[key] = part
    return dict.fromkeys(out.values())


def _joinable(literal: Literal) -> object | None:
    match literal.atom:
        case InSet(fact) | InNetworks(fact):
            return type(literal.atom), fact
        case TextIs(fact, match):
            return TextIs, fact, match
        case _:
            return None


def _joined(one: Literal, other: Literal) -> Literal:
    match one.atom, other.atom:
        case (InSet(fact, values), InSet(_, more)):
            return Literal(InSet(fact, values | more), one.is_positive)
        case (InNetworks(fact, networks), InNetworks(_, others)):
            return Literal(InNetworks(fact, networks | others), one.is_positive)
        case (TextIs(text, match, texts), TextIs(_, _, more_texts)):
            return Literal(TextIs(text, match, texts | more_texts), one.is_positive)
        case _:
            raise AssertionError(one, other)


def _factor(parts: list[Predicate]) -> Predicate | None:
    """`(a and b) or (a and c)` as `a and (b or c)`; None when nothing is common to two parts."""
    if len(parts) > _MAX_FACTORED:
        return None
    counts: Counter[Predicate] = Counter()
    for part in parts:
        if isinstance(part, All):
            counts.update(part.parts)
    common, count = max(
        counts.items(), key=lambda item: (item[1], -cost_of(item[0])), default=(TRUE, 0)
    )
    if count < 2:
        return None
    inside, outside = [], []
    for part in parts:
        if isinstance(part, All) and common in part.parts:
            inside.append(all_of(inner for inner in part.parts if inner != common))
        else:
            outside.append(part)
    factored = all_of((common, any_of(inside)))
    return any_of((factored, *outside)) if outside else factored


def without_heavy(predicate: Predicate) -> Predicate:
    """The predicate as far as facts that are always known decide it."""
    return without(predicate, HEAVY)


def without(predicate: Predicate, groups: AbstractSet[Group]) -> Predicate:
    """The predicate as far as the facts of other groups decide it: an upper bound."""
    return weakened(predicate, lambda literal: literal.group in groups)


def without_if_unlikely(predicate: Predicate, groups: AbstractSet[Group]) -> Predicate:
    """The predicate with facts of these groups only where all others leave it likely.

    An upper bound that says of ordinary calls as much as the predicate does.
    """
    bound = without(predicate, groups)
    if not is_likely(bound):
        return bound
    match predicate:
        case All(parts):
            return all_of(without_if_unlikely(part, groups) for part in parts)
        case Any(parts):
            return any_of(without_if_unlikely(part, groups) for part in parts)
        case _:
            return predicate


def alternatives(predicate: Predicate) -> Iterator[Predicate]:
    """Predicates of which at least one holds whenever this one does."""
    match predicate:
        case Any(parts):
            for part in parts:
                yield from alternatives(part)
        case All(parts):
            choices = [part for part in parts if isinstance(part, Any)]
            if choices:
                longest = max(choices, key=lambda part: len(part.parts))
                others = [part for part in parts if part is not longest]
                for choice in alternatives(longest):
                    yield all_of((*others, choice))
            else:
                yield predicate
        case _:
            yield predicate


def is_likely(predicate: Predicate) -> bool:
    """Whether the predicate holds of an ordinary call: a task and a path that no rule names.

    It is a successful one without flags, in a container.
    """
    match predicate:
        case Literal(atom, is_positive):
            is_met = not isinstance(atom, TextIs) and test_value(atom, 0)
            return is_met is is_positive
        case All(parts):
            return all(map(is_likely, parts))
        case Any(parts):
            return any(map(is_likely, parts))
        case Constant(is_true):
            return is_true


def weakened(predicate: Predicate, drop: Callable[[Literal], bool]) -> Predicate:
    """The predicate with these literals taken for true."""
    match predicate:
        case Literal():
            return TRUE if drop(predicate) else predicate
        case All(parts):
            return all_of(weakened(part, drop) for part in parts)
        case Any(parts):
            return any_of(weakened(part, drop) for part in parts)
        case Constant():
            return predicate


def literals_of(predicate: Predicate) -> Iterator[Literal]:
    """The literals of a predicate, in order."""
    match predicate:
        case Literal():
            yield predicate
        case All(parts) | Any(parts):
            for part in parts:
                yield from literals_of(part)


def replaced(predicate: Predicate, rest: Callable[[Literal], Predicate]) -> Predicate:
    """The predicate with its literals replaced; constants are taken out, no more."""
    if isinstance(predicate, Literal):
        return rest(predicate)
    if isinstance(predicate, Constant):
        return predicate
    kind = type(predicate)
    decides, adds_nothing = (FALSE, TRUE) if kind is All else (TRUE, FALSE)
    left: list[Predicate] = []
    is_same = True
    for part in predicate.parts:
        to = replaced(part, rest)
        if to is decides:
            return decides
        is_same = is_same and to is part
        left.append(to)
    return predicate if is_same else _combined(kind, adds_nothing, left)


def _combined(
    kind: type[All | Any], adds_nothing: Predicate, parts: Iterable[Predicate]
) -> Predicate:
    kept: dict[Predicate, None] = {}
    for part in parts:
        if part is not adds_nothing:
            kept.update(dict.fromkeys(part.parts if isinstance(part, kind) else (part,)))
    if not kept:
        return adds_nothing
    return next(iter(kept)) if len(kept) == 1 else kind(tuple(kept))


def weight_of(predicate: Predicate) -> int:
    """For the order of evaluation once everything is read: what rarely holds and is cheap first."""
    match predicate:
        case Literal(TextIs(Text.COMM, match), is_positive):
            return 500 if match in _SLOW else 60 if is_positive else 90
        case Literal(TextIs(_, match), is_positive):
            return 400 if match in _SLOW else 10 if is_positive else 100
        case Literal():
            return 5 if predicate.group is Group.CALL else 40
        case All(parts):
            return min(map(weight_of, parts))
        case Any(parts):
            return sum(map(weight_of, parts))
        case _:
            return 0


_SLOW = frozenset({Match.CONTAINS})
