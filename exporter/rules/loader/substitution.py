"""Lists: expanded into each other, then put as text into conditions before those are parsed.

Source: rule-language.md section 14, whose quirks users' files rely on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.rules.loader.exceptions import quote_item
from exporter.rules.loader.items import ListItem

MAX_CONDITION = 4 << 20
"""Characters of a condition after substitution; far beyond any real rule, far below our memory."""

_BLANKS = " \t\n\r"
_DELIMITERS = frozenset(_BLANKS + "(),=")


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


def compile_lists(lists: Mapping[str, ListItem]) -> dict[str, CompiledList]:
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
        text = ", ".join(quote_item(item) for item in items)
        compiled[item_list.name] = CompiledList(
            item_list.name, items, text, tuple(dict.fromkeys(references))
        )
    for name in used:
        compiled[name].is_used = True
    return compiled


def substitute(condition: str, lists: Iterable[CompiledList]) -> str:
    """The condition with every list name replaced by its items. Raises TooLongError."""
    for item_list in lists:
        if item_list.name in condition:
            condition = _substitute_one(condition, item_list)
    return condition


def referenced_lists(condition: str, lists: Mapping[str, CompiledList]) -> list[str]:
    """The lists a condition names itself, not those that come with other lists."""
    return [name for name in lists if _find(condition, name, 0) >= 0]


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


def _substitute_one(condition: str, item_list: CompiledList) -> str:
    name, text = item_list.name, item_list.text
    done: list[str] = []
    size = taken = 0
    found = _find(condition, name, 0)
    while found >= 0:
        item_list.is_used = True
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
    done.append(condition[taken:])
    return "".join(done)


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
