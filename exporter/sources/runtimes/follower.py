"""Follower: one engine, the questions that wait for its answers, and what is known through it."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from exporter.events.container import Container
from exporter.sources.runtimes.engine import SHORT_ID, Engine, EngineError

_CONCURRENT = 16
"""Questions to one engine at a time."""


class WatchOptions(Struct, frozen=True, kw_only=True):
    """Times, in seconds. retry, patience: how often and how long an unknown id is asked for.

    answer: how long one answer may take. reconcile: between two listings of an engine that tells no
    changes. look: between two looks for new sockets. backoff: first and longest wait before an
    engine is tried again. later: waits before a container is asked for again that an engine did not
    answer for in time; a busy Podman takes seconds for the first question about an image.
    """

    retry: float = 0.03
    patience: float = 0.15
    answer: float = 2.0
    reconcile: float = 60.0
    look: float = 30.0
    backoff: tuple[float, float] = (0.5, 30.0)
    later: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)


class Place(Struct, frozen=True):
    """Where an engine listens, or may one day.

    make: its client; called once it is needed. is_file: whether `socket` is a path that has to
    exist, else a URL. is_spare: it tells less than others, which are heard first for a while.
    """

    name: str
    socket: str
    make: Callable[[], Engine]
    is_file: bool = True
    is_spare: bool = False

    def exists(self) -> bool:
        """Whether it is worth a try; one name in a directory, no slower than connecting."""
        # Not Path.exists(), which raises where we may not look.
        return not self.is_file or os.path.exists(self.socket)  # noqa: PTH110


class Follower:
    """One engine and what is known through it."""

    def __init__(self, place: Place, options: WatchOptions) -> None:
        self.place = place
        self.known: dict[str, Container] = {}
        """Full id -> facts, of the containers that this engine told."""
        self.ended: OrderedDict[str, None] = OrderedDict()
        """The newest that ended; ids are never used again."""
        self.is_up = False
        self.was_up = False
        self.tried = asyncio.Event()
        """Set once its first listing has ended, one way or the other."""
        self._engine: Engine | None = None
        self._making = asyncio.Lock()
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._options = options
        self._running: dict[str, asyncio.Task[Container | None]] = {}
        """Short id -> the question that waits for its answer."""
        self.late: set[str] = set()
        """Short ids of the containers that will be asked for again."""

    async def engine(self) -> Engine:
        """The client; its libraries are loaded by the first engine that is really there."""
        # Listing and following begin at the same time: both wait for the one client.
        async with self._making:
            if self._engine is None:
                self._engine = await asyncio.to_thread(self.place.make)
            return self._engine

    def pod(self, uid: bytes) -> Container | None:
        """What the engine knows of a pod."""
        return None if self._engine is None else self._engine.pod(uid)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._engine is not None:
            await self._engine.close()

    async def fetch(self, container: str) -> Container | None:
        """Ask for one container, within the time an answer may take.

        Whoever asks for the same one meanwhile gets the same answer: the hot thread meets a
        container at the moment that its engine tells of it, and busy engines answer in turn.
        """
        name = container[:SHORT_ID]
        running = self._running.get(name)
        if running is None:
            running = asyncio.create_task(self._fetch(container))
            self._running[name] = running
            running.add_done_callback(lambda task: self._answered(name, task))
        return await asyncio.shield(running)

    async def fetch_anew(self, container: str) -> Container | None:
        """Ask for one container whose facts have changed: not with a question of before."""
        running = self._running.get(container[:SHORT_ID])
        if running is not None:
            await asyncio.wait([running])
        return await self.fetch(container)

    async def _fetch(self, container: str) -> Container | None:
        engine = await self.engine()
        try:
            async with self._slots, asyncio.timeout(self._options.answer):
                return await engine.fetch(container)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            # Valid JSON or protobuf of another shape than ever seen: this answer is lost, no more.
            raise EngineError(f"{self.place.socket} gave an odd answer: {error!r}") from error

    def _answered(self, name: str, task: asyncio.Task[Container | None]) -> None:
        del self._running[name]
        if not task.cancelled():
            # Seen, even where everybody who asked has been cancelled.
            task.exception()
