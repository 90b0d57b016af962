"""From a difference to its smallest reproducer: one rule, as little of it, as few acts as can be.

`differs` plays scenes with a rule and says whether the twins disagree; everything here asks it
again and again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tests.fuzz.twins.conditions import CORE, RandomRule, simpler

Scene = dict[str, Any]
Differs = Callable[[RandomRule, Sequence[Scene]], bool]
Item = TypeVar("Item")


def shrink(
    rule: RandomRule, scenes: Sequence[Scene], differs: Differs
) -> tuple[RandomRule, list[Scene]]:
    """The smallest rule and scenes found for which `differs` still holds."""
    plain = replace(rule, is_with_macro=False)
    rule = plain if differs(plain, scenes) else rule
    left = fewer(list(scenes), lambda some: differs(rule, some))
    left = _fewer_acts(rule, left, differs)
    bare = replace(rule, exceptions=())
    rule = bare if rule.exceptions and differs(bare, left) else rule
    rule = _less(rule, left, differs)
    left = _fewer_acts(rule, left, differs)
    core = replace(rule, fields=CORE)
    return core if differs(core, left) else rule, left


def fewer(items: list[Item], holds: Callable[[list[Item]], bool]) -> list[Item]:
    """The items without those that `holds` does not need (delta debugging by halves)."""
    size = len(items)
    while size > 1:
        size = (size + 1) // 2
        at = 0
        while at < len(items):
            rest = items[:at] + items[at + size :]
            if rest and holds(rest):
                items = rest
            else:
                at += size
        if size == 1:
            break
    return items


def _fewer_acts(rule: RandomRule, scenes: list[Scene], differs: Differs) -> list[Scene]:
    """Each scene with the acts alone that are needed, also those in children and threads."""
    for at in range(len(scenes)):
        scenes = _fewer_acts_of(at, scenes, lambda some: differs(rule, some))
    return scenes


def _fewer_acts_of(
    at: int, scenes: list[Scene], holds: Callable[[list[Scene]], bool]
) -> list[Scene]:
    def with_acts(acts: list[Any]) -> list[Scene]:
        return [*scenes[:at], {**scenes[at], "acts": acts}, *scenes[at + 1 :]]

    acts = fewer(scenes[at]["acts"], lambda some: holds(with_acts(some)))
    for place, act in enumerate(acts):
        for kind in act.keys() & {"fork", "thread"}:
            before, behind = acts[:place], acts[place + 1 :]

            def inside(
                some: list[Any], kind: str = kind, before: Any = before, behind: Any = behind
            ) -> bool:
                return holds(with_acts([*before, {kind: some}, *behind]))

            acts = [*before, {kind: fewer(act[kind], inside)}, *behind]
    return with_acts(acts)


def _less(rule: RandomRule, scenes: Sequence[Scene], differs: Differs) -> RandomRule:
    """The rule with as simple a condition as can be."""
    found = True
    while found:
        found = False
        for condition in simpler(rule.condition):
            candidate = replace(rule, condition=condition)
            if differs(candidate, scenes):
                rule, found = candidate, True
                break
    return rule
