"""Budget: a bound on what tables hold, kept without being told of everything that leaves them.

Captures can tell of more descriptors, arguments and containers than a machine has memory for; a
packed one of some megabytes is enough.
"""

from collections.abc import Callable

from exporter.events.host import Host
from exporter.events.strings import StringList, Strings

MAX_BYTES = 96 << 20
"""What processes, descriptors, users and containers of a capture may take together."""

FD_BYTES = 400
ENTRY_BYTES = 800
"""About what a descriptor, and any other entry, takes beside its texts."""

CONTAINER_FACTOR = 4
"""Bytes that a byte of container metadata takes when it is taken apart."""

_MEASURE_EVERY = 10_000
"""Refusals between two measurements while the tables are full."""


class Budget:
    """What may come in. It counts arrivals only, and measures when they seem to be too many.

    limit: the most that may be held, in whatever `measure` counts. refused: arrivals turned away.
    """

    def __init__(self, limit: int, measure: Callable[[], int]) -> None:
        self.limit = limit
        self.refused = 0
        self._measure = measure
        self._used = 0
        self._patience = 0

    def take(self, amount: int) -> bool:
        """Whether there is room for so much more; if so, it counts as held."""
        self._used += amount
        return self._used <= self.limit or self._looks_again(amount)

    def _looks_again(self, amount: int) -> bool:
        self._used -= amount
        if self._patience <= 0:
            self._used = self._measure()
            self._patience = _MEASURE_EVERY
        self._patience -= 1
        if self._used + amount <= self.limit:
            self._used += amount
            self._patience = 0
            return True
        self.refused += 1
        return False


def measure(host: Host) -> int:
    """About the bytes that the tables of a host take."""
    found = ENTRY_BYTES * (len(host.users) + len(host.groups) + len(host.containers))
    found += CONTAINER_FACTOR * sum(container.size_bytes for container in host.containers.values())
    found += sum(len(user.name) + len(user.home) + len(user.shell) for user in host.users.values())
    found += sum(len(group.name) for group in host.groups.values())
    # Children share the environment of their parent until they have one of their own.
    shared: dict[int, StringList] = {}
    for thread in host.threads.values():
        found += ENTRY_BYTES + len(thread.exe) + len(thread.comm) + len(thread.exepath)
        found += FD_BYTES * len(thread.fds)
        found += sum(len(fd.name) + len(fd.name_raw) for fd in thread.fds.values())
        shared[id(thread.args)], shared[id(thread.env)] = thread.args, thread.env
    return found + sum(map(_size, shared.values()))


def _size(texts: StringList) -> int:
    return len(texts.data) if isinstance(texts, Strings) else sum(map(len, texts))
