"""What live datagram sockets were after their last transfer: what the kernel does not keep.

A datagram socket without a peer has no far end of its own, yet users of its events expect it to
have the role of its first transfer, to be connected from the second one on, and its name to change
only when it talks to somebody else. Captures have that in their descriptor tables; live, this is
the part that an event cannot carry. Sockets are told apart by their inode numbers, so copies of a
descriptor share what is known.
Source: spec/state-tracking.md section 7.
"""

from collections import OrderedDict

from msgspec import Struct

from exporter.events.fd import Fd, Role

MAX_SOCKETS = 4096
"""The least recently used one is forgotten, and starts anew."""


class Talk(Struct, frozen=True, gc=False):
    """A socket's role, and the text of both ends, after its last transfer."""

    role: Role
    name: bytes


class Talks:
    """Talks by inode number of the socket."""

    def __init__(self) -> None:
        self._talks: OrderedDict[int, Talk] = OrderedDict()

    def __len__(self) -> int:
        return len(self._talks)

    def find(self, fd: Fd) -> Talk | None:
        """What is known of a descriptor's socket."""
        return self._talks.get(fd.ino)

    def note(self, fd: Fd) -> None:
        """Remember a socket as it is after a transfer."""
        if not fd.ino:
            return
        talk = self._talks.get(fd.ino)
        if talk is None or talk.name != fd.name or talk.role != fd.role:
            self._talks[fd.ino] = Talk(fd.role, fd.name)
        self._talks.move_to_end(fd.ino)
        if len(self._talks) > MAX_SOCKETS:
            self._talks.popitem(last=False)
