"""RuntimeWatch: keeps the hot thread told about the containers of every engine of this machine.

Runs on the event loop: lists each engine's containers when it is connected, follows what comes and
goes, and asks the engines about ids that the hot thread meets without facts. An engine that is not
there, or goes away, is tried again and again; detection never waits for any of this.
Source: spec/state-tracking.md section 10.1.
"""

import asyncio
import contextlib
import os
import random
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from exporter.events.container import Container
from exporter.sources.runtimes.engine import (
    SHORT_ID,
    ChangeKind,
    Engine,
    EngineError,
    EventsUnsupportedError,
)
from exporter.sources.runtimes.pod_facts import merged


class Receiver(Protocol):
    """Who wants to know. All methods are called on the event loop."""

    def told(self, container: Container) -> None:
        """Facts of a container, new or changed."""

    def gone(self, container: bytes) -> None:
        """A container does not exist any more; its first 12 characters."""

    def missed(self, container: bytes, reason: str) -> None:
        """Nobody could tell of a container that was asked for."""

    def connected(self, *, is_any: bool) -> None:
        """Whether there is any engine to ask."""


class WatchOptions(Struct, frozen=True, kw_only=True):
    """Times, in seconds. retry, patience: how often and how long an unknown id is asked for.

    answer: how long one answer may take. reconcile: between two listings of an engine that tells no
    changes. look: between two looks for new sockets. backoff: first and longest wait before an
    engine is tried again.
    """

    retry: float = 0.03
    patience: float = 0.15
    answer: float = 2.0
    reconcile: float = 60.0
    look: float = 30.0
    backoff: tuple[float, float] = (0.5, 30.0)


class Place(Struct, frozen=True):
    """Where an engine listens, or may one day.

    make: its client; called once it is needed. is_file: whether `socket` is a path that has to
    exist, else a URL.
    """

    name: str
    socket: str
    make: Callable[[], Engine]
    is_file: bool = True

    def exists(self) -> bool:
        """Whether it is worth a try; one name in a directory, no slower than connecting."""
        # Not Path.exists(), which raises where we may not look.
        return not self.is_file or os.path.exists(self.socket)  # noqa: PTH110


_CONCURRENT = 16
"""Questions to one engine at a time."""

_MAX_ENDED = 1024
_POD_UID = b"io.kubernetes.pod.uid"


class _Follower:
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
        """Ask for one container, within the time an answer may take."""
        engine = await self.engine()
        try:
            async with self._slots, asyncio.timeout(self._options.answer):
                return await engine.fetch(container)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            # Valid JSON or protobuf of another shape than ever seen: this answer is lost, no more.
            raise EngineError(f"{self.place.socket} gave an odd answer: {error!r}") from error


class RuntimeWatch:
    """Watches all engines. Give it to `Lookups.connect` and await `run()`.

    find: the places to look at; asked again now and then, as sockets of users come and go.
    on_change: told when an engine is connected (no error) or lost (the error).
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Place]],
        receiver: Receiver,
        options: WatchOptions | None = None,
        on_change: Callable[[Place, EngineError | None], None] = lambda _place, _error: None,
    ) -> None:
        self._options = options or WatchOptions()
        self._find = find
        self._followers: dict[tuple[str, str], _Follower] = {}
        self._receiver = receiver
        self._on_change = on_change
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_looked = asyncio.Event()
        # Until an engine was tried, a socket that is there counts as one that will answer.
        receiver.connected(is_any=any(place.exists() for place in find()))

    def engines_up(self) -> dict[tuple[str, str], bool]:
        """(engine, socket) -> whether it is connected, of those that once were."""
        return {
            (follower.place.name, follower.place.socket): follower.is_up
            for follower in tuple(self._followers.values())
            if follower.was_up
        }

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for place in await asyncio.to_thread(self._find):
                        key = (place.name, place.socket)
                        if key not in self._followers:
                            follower = self._followers[key] = _Follower(place, self._options)
                            group.create_task(self._keep(follower), name=f"runtime-{place.name}")
                    self._has_looked.set()
                    await asyncio.sleep(self._options.look)
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            for follower in self._followers.values():
                await follower.close()

    def want(self, container: bytes) -> None:
        """Ask the engines for a container, in the background. container: 12 characters, or less."""
        self._spawn(self._ask(container))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # One engine, for as long as Lanner runs

    async def _keep(self, follower: _Follower) -> None:
        first, longest = self._options.backoff
        pause = first
        while True:
            try:
                await self._follow(follower)
            except (EngineError, TimeoutError) as error:
                if follower.is_up:
                    pause = first
                    reason = error if isinstance(error, EngineError) else None
                    self._on_change(follower.place, reason or EngineError("no answer in time"))
                self._set_up(follower, is_up=False)
            follower.tried.set()
            await follower.close()
            # Jitter: the daemons of a rack come back together after a power cut.
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311
            pause = min(pause * 2, longest)

    async def _follow(self, follower: _Follower) -> None:
        """List, then follow changes; returns only by an error."""
        if not follower.place.exists():
            raise EngineError(f"{follower.place.socket} does not exist")
        changes = asyncio.create_task(self._changes(follower))
        try:
            await self._list(follower)
            self._set_up(follower, is_up=True)
            self._on_change(follower.place, None)
            follower.tried.set()
            with contextlib.suppress(EventsUnsupportedError):
                await changes
            while True:
                await asyncio.sleep(self._options.reconcile)
                await self._list(follower)
        finally:
            changes.cancel()
            with contextlib.suppress(asyncio.CancelledError, EngineError):
                await changes

    async def _list(self, follower: _Follower) -> None:
        listed = set(await (await follower.engine()).list_ids())
        for container in follower.known.keys() - listed:
            self._forget(follower, container)
        await self._learn(follower, sorted(listed - follower.known.keys()))

    async def _learn(self, follower: _Follower, containers: Iterable[str]) -> None:
        """Fetch many; one that ends meanwhile, or cannot be told, is no failure of the engine."""

        async def learn(container: str) -> None:
            with contextlib.suppress(EngineError, TimeoutError):
                self._told(follower, await follower.fetch(container))

        await asyncio.gather(*map(learn, containers))

    async def _changes(self, follower: _Follower) -> None:
        async for change in (await follower.engine()).changes():
            if change.kind is ChangeKind.WENT:
                self._forget(follower, change.id)
            else:
                self._spawn(self._learn(follower, [change.id]))

    def _told(self, follower: _Follower, container: Container | None) -> None:
        if container is None:
            return
        full_id = container.full_id.decode("ascii", "replace")
        if full_id in follower.ended:
            # It ended while it was being asked for; an alert may still wait for its facts.
            self._receiver.told(container)
            self._receiver.gone(container.id)
            return
        follower.known[full_id] = container
        self._receiver.told(self._combined(full_id) or container)

    def _combined(self, full_id: str) -> Container | None:
        """What all engines tell of a container; None when none does."""
        combined: Container | None = None
        for follower in self._followers.values():
            facts = follower.known.get(full_id)
            if facts is not None:
                # The Kubernetes API comes last: it adds to what a runtime tells.
                combined = facts if combined is None else merged(combined, facts)
        uid = b"" if combined is None else combined.labels.get(_POD_UID, b"")
        pods = [follower.pod(uid) for follower in self._followers.values()] if uid else []
        for pod in pods:
            if combined is not None and pod is not None:
                combined = merged(combined, pod)
        return combined

    def _forget(self, follower: _Follower, container: str) -> None:
        follower.known.pop(container, None)
        follower.ended[container] = None
        if len(follower.ended) > _MAX_ENDED:
            follower.ended.popitem(last=False)
        rest = self._combined(container)
        if rest is None:
            self._receiver.gone(container[:SHORT_ID].encode("ascii", "replace"))
        else:
            self._receiver.told(rest)

    def _set_up(self, follower: _Follower, *, is_up: bool) -> None:
        follower.is_up = is_up
        follower.was_up |= is_up
        self._receiver.connected(is_any=any(f.is_up for f in self._followers.values()))

    # One id that the hot thread has met

    async def _ask(self, container: bytes) -> None:
        """Ask every connected engine, again and again for a while, until one knows."""
        name = container.decode("ascii", "replace")
        loop = asyncio.get_running_loop()
        await self._tried()
        known = self._known(name)
        if known is not None:
            # Told before it was met, such as by the list at the start.
            self._receiver.told(known)
            return
        end = loop.time() + self._options.patience
        while True:
            reason = await self._ask_once(name)
            if not reason:
                return
            if loop.time() + self._options.retry > end:
                self._receiver.missed(container, reason)
                return
            await asyncio.sleep(self._options.retry)

    def _known(self, name: str) -> Container | None:
        """What has been told of a container, by the id it is asked for."""
        for follower in self._followers.values():
            for full_id in follower.known:
                if full_id[:SHORT_ID] == name:
                    return self._combined(full_id)
        return None

    async def _tried(self) -> None:
        """At the start, wait for the first listings: they answer most questions at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.answer):
                await self._has_looked.wait()
                for follower in tuple(self._followers.values()):
                    await follower.tried.wait()

    async def _ask_once(self, name: str) -> str:
        """One round; the reason why nobody knows, empty when the container was found."""
        up = [follower for follower in self._followers.values() if follower.is_up]
        if not up:
            return "no_socket"
        answers = await asyncio.gather(
            *(follower.fetch(name) for follower in up), return_exceptions=True
        )
        reason = "not_found"
        is_found = False
        for follower, answer in zip(up, answers, strict=True):
            if isinstance(answer, Container):
                self._told(follower, answer)
                is_found = True
            elif isinstance(answer, TimeoutError) or getattr(answer, "code", "") == "E_TIMEOUT":
                reason = "timeout"
            elif isinstance(answer, EngineError) and reason != "timeout":
                reason = "error"
            elif isinstance(answer, BaseException) and not isinstance(answer, EngineError):
                raise answer
        return "" if is_found else reason
