"""Lists: expanded into each other, then put as text into conditions before those are parsed.

Source: rule-language.md section 14, whose quirks users' files rely on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import dropwhile

from exporter.rules.loader.exceptions import quote_item
from exporter.rules.loader.items import ListItem

MAX_CONDITION = 4 << 20
"""Characters of a condition after substitution; far beyond any real rule, far below our memory."""

_BLANKS = " \t\n\r"
_DELIMITERS = frozenset(_BLANKS + "(),=")
_WORD = re.compile(r"[^ \t\n\r(),=]+")


class TooLongError(Exception):
    """Lists inside lists made a condition longer than MAX_CONDITION."""


@dataclass(slots=True)
class CompiledList:
    """A list ready for substitution; references are the lists its own items name."""

    name: str
    items: list[str]
    text: str
    references: tuple[str, ...] = ()
    is_used: bool = False


class ListTable:
    """All lists in definition order, found by the words of a condition."""

    def __init__(self, lists: Mapping[str, ListItem]) -> None:
        self.lists = _compile(lists)
        self._in_order = list(self.lists.values())
        self._places = {item.name: place for place, item in enumerate(self._in_order)}
        # Names that hold delimiters are no words: they are looked for in every condition.
        self._odd = [
            place
            for place, item in enumerate(self._in_order)
            if not _DELIMITERS.isdisjoint(item.name)
        ]

    def substitute(self, condition: str) -> str:
        """The condition with every list name replaced by its items. Raises TooLongError.

        Lists are taken in definition order, so items that name a later list are replaced too.
        """
        waiting = self._named_in(condition, -1)
        heapify(waiting)
        done = -1
        while waiting:
            place = heappop(waiting)
            if place == done:
                continue
            done = place
            item_list = self._in_order[place]
            condition, is_found = _substitute_one(condition, item_list)
            if is_found:
                item_list.is_used = True
                for later in self._named_in(item_list.text, place):
                    heappush(waiting, later)
        return condition

    def named_in(self, condition: str) -> list[str]:
        """The lists a condition names itself, in definition order."""
        places = sorted(set(self._named_in(condition, -1)))
        names = (self._in_order[place].name for place in places)
        return [name for name in names if _find(condition, name, 0) >= 0]

    def _named_in(self, text: str, after: int) -> list[int]:
        """Places, behind `after`, of lists that the text may name."""
        words = set(_WORD.findall(text))
        places = [self._places[word] for word in words if word in self._places]
        return [place for place in (*places, *self._odd) if place > after]


def _compile(lists: Mapping[str, ListItem]) -> dict[str, CompiledList]:
    """Expand list names among items one level, if that list was first defined before this one."""
    compiled: dict[str, CompiledList] = {}
    used: set[str] = set()
    for item_list in lists.values():
        items: list[str] = []
        references: list[str] = []
        for item in item_list.items:
            other = lists.get(item)
            if other is not None and other.index < item_list.visibility:
                items.extend(other.items)
                references.append(item)
            else:
                items.append(item)
        used.update(references)
        # Empty items at the front leave no comma behind, as the reference builds the text.
        shown = dropwhile(lambda item: not item, items)
        text = ", ".join(quote_item(item) for item in shown)
        compiled[item_list.name] = CompiledList(
            item_list.name, items, text, tuple(dict.fromkeys(references))
        )
    for name in used:
        compiled[name].is_used = True
    return compiled


def _find(condition: str, name: str, start: int) -> int:
    """Where the name stands between delimiters, from `start` on; -1 if nowhere."""
    found = condition.find(name, start)
    while found >= 0:
        end = found + len(name)
        if (found == 0 or condition[found - 1] in _DELIMITERS) and (
            end >= len(condition) or condition[end] in _DELIMITERS
        ):
            return found
        found = condition.find(name, found + 1)
    return -1


def _substitute_one(condition: str, item_list: CompiledList) -> tuple[str, bool]:
    """The condition with one list put in, and whether it was there."""
    name, text = item_list.name, item_list.text
    done: list[str] = []
    size = taken = 0
    found = _find(condition, name, 0)
    while found >= 0:
        done.append(condition[taken:found])
        _strip_end(done)
        taken = found + len(name)
        while taken < len(condition) and condition[taken] in _BLANKS:
            taken += 1
        if not text:
            # The comma that stood before (or behind) the name has nothing to separate any more.
            if done and done[-1].endswith(","):
                done[-1] = done[-1][:-1]
                _drop_empty(done)
            elif condition[taken : taken + 1] == ",":
                taken += 1
        is_first = not done
        done.append(f"{text} " if is_first else f" {text} ")
        size += len(text) + 2
        if size > MAX_CONDITION:
            raise TooLongError
        # The search goes on behind the items, so a list that holds its own name ends.
        found = _find(condition, name, taken + is_first)
    if not taken:
        return condition, False
    done.append(condition[taken:])
    return "".join(done), True


def _strip_end(pieces: list[str]) -> None:
    """Take blanks from the end of the joined pieces."""
    while pieces:
        pieces[-1] = pieces[-1].rstrip(_BLANKS)
        if pieces[-1]:
            return
        pieces.pop()


def _drop_empty(pieces: list[str]) -> None:
    while pieces and not pieces[-1]:
        pieces.pop()
