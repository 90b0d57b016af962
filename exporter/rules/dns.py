"""Host names of addresses, without ever waiting for the network.

A name that rules mention is resolved by a background thread; until the answer is there it has no
addresses, so checks on it are false. Answers are refreshed after `TTL_SECONDS`.
Source: rule-language.md section 3.2.
"""

import socket
import threading
import time
from queue import SimpleQueue

TTL_SECONDS = 300.0
"""Answers older than this are asked for again; the old one serves meanwhile."""

_MAX_NAMES = 4096
_MAX_ADDRESSES = 16_384
"""Of all answers so far: names that change their addresses all day must not fill the memory."""


class Resolver:
    """Host names mentioned by rules and the addresses they stand for.

    One daemon thread asks; reading never blocks and takes no lock. `is_online` False: nothing is
    asked (offline replay), so every name stays unresolved.
    """

    def __init__(self, *, is_online: bool = True) -> None:
        self.is_online = is_online
        self._addresses: dict[bytes, frozenset[bytes]] = {}
        self._names: dict[bytes, bytes] = {}
        self._asked: dict[bytes, float] = {}
        self._queue: SimpleQueue[bytes] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def register(self, name: bytes) -> None:
        """Start resolving a name that a rule mentions, so that the answer is there when needed."""
        self.addresses_of(name)

    def addresses_of(self, name: bytes) -> frozenset[bytes]:
        """Packed addresses (4 or 16 bytes) of a host name; empty while they are not known."""
        now = time.monotonic()
        asked = self._asked.get(name)
        if self.is_online and (asked is None or now - asked > TTL_SECONDS):
            self._ask(name, now)
        return self._addresses.get(name, frozenset())

    def name_of(self, address: bytes) -> bytes | None:
        """Name of an address that was an answer for a name of a rule; None otherwise."""
        return self._names.get(address)

    def put(self, name: bytes, addresses: frozenset[bytes]) -> None:
        """Take an answer (from the background thread, or from a test)."""
        self._addresses[name] = addresses
        names = self._names
        for address in addresses:
            # Anew at the end: the first are those that have not been an answer for longest.
            names.pop(address, None)
            names[address] = name
        while len(names) > _MAX_ADDRESSES:
            del names[next(iter(names))]

    def _ask(self, name: bytes, now: float) -> None:
        if name not in self._asked and len(self._asked) >= _MAX_NAMES:
            return
        self._asked[name] = now
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="resolver", daemon=True)
            self._thread.start()
        self._queue.put(name)

    def _run(self) -> None:
        while True:
            name = self._queue.get()
            try:
                found = socket.getaddrinfo(name.decode("ascii"), None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                # Kept unresolved; it is asked again when the answer's time is over.
                continue
            self.put(name, frozenset(_packed(str(entry[4][0])) for entry in found))


def _packed(text: str) -> bytes:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return socket.inet_pton(family, text.partition("%")[0])


RESOLVER = Resolver()
"""The resolver that rules of this process use."""
