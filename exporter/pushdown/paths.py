"""Paths as the kernel's filters see them: whether one can be looked at as it stands."""

PATH_BYTES = 512
"""Room for a path in the kernel, with its NUL; longer ones are not looked at."""

MAX_DOTS = 8
"""So many `./` and `../` in front of a relative path are followed."""

ALONE = b""
"""Base of a text that is no path of the call, but looked at like one: it stands as it is."""


def is_short(path: bytes) -> bool:
    """Whether there is room for a path."""
    return len(path) < PATH_BYTES - 1


def is_tidy(path: bytes) -> bool:
    """Whether a text fits and holds neither control characters nor what paths are cleared of."""
    return (
        is_short(path)
        and not path.endswith((b"/", b"/."))
        and b"//" not in path
        and b"/./" not in path
        and b"/.." not in path
        and _CONTROLS.isdisjoint(path)
    )


_CONTROLS = frozenset((*range(0x20), 0x7F))


def is_plain(path: bytes) -> bool:
    """Whether a path is absolute, needs no normalising, and fits."""
    return path[:1] == b"/" and is_tidy(path)


def join(base: bytes, path: bytes) -> bytes:
    """A relative path as an absolute one, or nothing for the root itself.

    base: an absolute path without a slash at its end, or `/`. Only what stands in front is looked
    at, so the result may still not be plain.
    """
    cut = climbed = 0
    for _ in range(MAX_DOTS):
        if path.startswith(b"../", cut):
            cut, climbed = cut + 3, climbed + 1
        elif path.startswith(b"./", cut):
            cut += 2
        else:
            break
    if path[cut:] in {b".", b".."}:
        cut, climbed = len(path), climbed + (path[cut:] == b"..")
    names = [name for name in base.split(b"/") if name]
    above = b"".join(b"/" + name for name in names[: max(0, len(names) - climbed)])
    return above + b"/" + path[cut:] if cut < len(path) else above
