"""RecordParams: the parameters of an event as they lie in its record."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import overload


class RecordParams(Sequence[bytes]):
    """Parameters of a record, taken apart when somebody asks for one.

    For events with many parameters that rules hardly look at, because the state has read the
    record before. Not for others: asking costs more than it does with a list.
    record: the whole record. lengths: of each parameter, the first of which begins at `start`.
    """

    __slots__ = ("_lengths", "_parts", "_start", "record")

    def __init__(self, record: bytes, lengths: tuple[int, ...], start: int) -> None:
        self.record = record
        self._lengths = lengths
        self._start = start
        self._parts: list[bytes] | None = None

    def __len__(self) -> int:
        return len(self._lengths)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        parts = self._parts
        if parts is None:
            ends = accumulate(self._lengths, initial=self._start)
            parts = self._parts = [self.record[at:end] for at, end in pairwise(ends)]
        return parts[index]
