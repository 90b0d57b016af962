"""Lists of strings as the kernel tells them: arguments, environment and cgroups of a process.

Most processes come and go without a rule that looks at their arguments or environment, so `Strings`
keeps the bytes and takes them apart when somebody asks. Whole they take less than half the memory.
"""

from collections.abc import Iterator
from typing import overload

from msgspec import Struct


def split_strings(data: bytes) -> tuple[bytes, ...]:
    """The strings of an args, env or cgroups parameter (NUL-terminated; the last NUL may miss)."""
    if not data:
        return ()
    return tuple((data[:-1] if data[-1] == 0 else data).split(b"\0"))


class Strings(Struct, gc=False, eq=False):
    """A list that nobody changes, equal to the tuple of its strings.

    data: as `split_strings` takes it.
    """

    data: bytes
    _parts: tuple[bytes, ...] | None = None

    def parts(self) -> tuple[bytes, ...]:
        """The strings, taken apart once."""
        parts = self._parts
        if parts is None:
            parts = self._parts = split_strings(self.data)
        return parts

    def __len__(self) -> int:
        return len(self.parts())

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts())

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, index: int | slice) -> bytes | tuple[bytes, ...]:
        return self.parts()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Strings):
            return self.data == other.data or self.parts() == other.parts()
        return self.parts() == other

    def __hash__(self) -> int:
        return hash(self.parts())


StringList = tuple[bytes, ...] | Strings
"""What holds the strings of a process: a tuple, or what the kernel told, still in one piece."""


def as_strings(data: bytes | None) -> StringList:
    """The list in an args or env parameter, None for an empty one."""
    return Strings(data) if data else ()
