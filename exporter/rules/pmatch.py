"""pmatch: does one of many paths lead to the field's path?

Paths are compared component by component; components with `?`, `*` or `[` are globs.
Source: rule-language.md section 3.1.
"""

from collections.abc import Callable, Iterable

from exporter.rules.glob import Matcher, compile_glob

_GLOB_CHARS = frozenset(b"?*[")


class _Node:
    """One component of the search paths."""

    __slots__ = ("exact", "globs", "is_end")

    def __init__(self) -> None:
        self.exact: dict[bytes, _Node] = {}
        self.globs: dict[bytes, tuple[Matcher, _Node]] = {}
        self.is_end = False


def components(path: bytes) -> list[bytes]:
    """The non-empty parts between slashes."""
    return [part for part in path.split(b"/") if part]


def compile_pmatch(paths: Iterable[bytes]) -> Callable[[bytes], bool]:
    """A function that says whether some path is a component-wise prefix of a text."""
    root = _Node()
    for path in paths:
        node = root
        for part in components(path):
            if node.is_end:
                break
            if _GLOB_CHARS.isdisjoint(part):
                node = node.exact.setdefault(part, _Node())
            else:
                if part not in node.globs:
                    node.globs[part] = (compile_glob(part), _Node())
                node = node.globs[part][1]
        node.is_end = True
    plain = _plain_prefixes(root)
    if plain is not None:
        return plain
    return lambda text: _leads_to(root, components(text))


def _plain_prefixes(root: _Node) -> Callable[[bytes], bool] | None:
    """Without globs: one set look-up a leading part of the text."""
    found: set[tuple[bytes, ...]] = set()
    depths: set[int] = set()
    pending: list[tuple[_Node, tuple[bytes, ...]]] = [(root, ())]
    while pending:
        node, path = pending.pop()
        if node.globs:
            return None
        if node.is_end:
            found.add(path)
            depths.add(len(path))
            continue
        pending.extend((child, (*path, part)) for part, child in node.exact.items())
    if () in found:
        return lambda _: True
    lengths = sorted(depths)
    if not lengths:
        return lambda _: False
    first = frozenset(path[0] for path in found)

    def matches(text: bytes) -> bool:
        parts = components(text)
        if not parts or parts[0] not in first:
            return False
        return any(tuple(parts[:length]) in found for length in lengths)

    return matches


def _leads_to(node: _Node, parts: list[bytes], at: int = 0) -> bool:
    pending = [(node, at)]
    while pending:
        node, at = pending.pop()
        if node.is_end:
            return True
        if at == len(parts):
            continue
        part = parts[at]
        for matches, child in reversed(list(node.globs.values())):
            if matches(part):
                pending.append((child, at + 1))
        exact = node.exact.get(part)
        if exact is not None:
            pending.append((exact, at + 1))
    return False
